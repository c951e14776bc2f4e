"""Codes under way and codes that wait."""

from persona_share._policy.election import LEASE, MOST_CODES, Carried, Lead
from persona_share.testing.store_contract.base import (
    CLOSE,
    CODE,
    KEY,
    Contract,
    code,
    elect,
    fail,
    lead,
    publish,
)


class Tickets(Contract):
    """A code is handed on, never lost, never used twice."""

    async def test_the_ticket_of_a_dead_leader_is_carried_on(self) -> None:
        async with self.opened() as store:
            dead = await lead(store, "a")
            await store.attach(KEY, "a", dead.fence, code())
            await store.mark_sent(KEY, "a", dead.fence, 0)
            await self.passes(LEASE + CLOSE)
            heir = await lead(store, "b")

        assert heir.ticket is not None
        assert (heir.ticket.id, heir.ticket.blob) == ("code", CODE)
        assert heir.ticket.epoch == 0
        assert heir.ticket.sent_before is not None
        assert LEASE <= heir.ticket.sent_before <= LEASE + 3 * CLOSE
        assert 600 - LEASE - 3 * CLOSE <= heir.ticket.seconds <= 600 - LEASE

    async def test_a_ticket_that_was_not_sent_says_so(self) -> None:
        async with self.opened() as store:
            dead = await lead(store, "a")
            await store.attach(KEY, "a", dead.fence, code())
            await self.passes(LEASE + CLOSE)
            heir = await lead(store, "b")

        assert heir.ticket is not None
        assert heir.ticket.sent_before is None

    async def test_the_code_that_is_there_goes_first(self) -> None:
        async with self.opened() as store:
            dead = await lead(store, "a")
            mine = await store.attach(KEY, "a", dead.fence, code("first"))
            await self.passes(LEASE + CLOSE)
            heir = await lead(store, "b")
            used = await store.attach(KEY, "b", heir.fence, code("second"))

        assert mine is not None
        assert (mine.id, mine.blob) == ("first", CODE)
        assert used is not None
        assert (used.id, used.blob) == ("first", CODE)

    async def test_a_code_that_ended_is_not_handed_on(self) -> None:
        async with self.opened() as store:
            dead = await lead(store, "a")
            await store.attach(KEY, "a", dead.fence, code(seconds=20))
            await self.passes(21)
            heir = await lead(store, "b")
            used = await store.attach(KEY, "b", heir.fence, code("second"))

        assert heir.ticket is None
        assert used is not None
        assert used.id == "second"

    async def test_a_code_brings_along_when_it_was_sent(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            sent = Carried("code", 500, CODE, epoch=1, sent_before=99.0)
            await store.attach(KEY, "a", leader.fence, sent)
            before = await store.mark_sent(KEY, "a", leader.fence, 1)

        assert before is not None
        assert 99 - CLOSE <= before <= 99 + CLOSE

    async def test_the_first_send_is_noted_once(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await store.attach(KEY, "a", leader.fence, code())
            first = await store.mark_sent(KEY, "a", leader.fence, 0)
            await self.passes(7)
            second = await store.mark_sent(KEY, "a", leader.fence, 0)

        assert first is not None
        assert 0 <= first <= CLOSE
        assert second is not None
        assert 7 <= second <= 7 + CLOSE

    async def test_a_later_epoch_begins_anew_and_none_comes_back(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await store.attach(KEY, "a", leader.fence, code())
            await store.mark_sent(KEY, "a", leader.fence, 0)
            await self.passes(7)
            later = await store.mark_sent(KEY, "a", leader.fence, 1)
            back = await store.mark_sent(KEY, "a", leader.fence, 0)

        assert later is not None
        assert later <= CLOSE
        assert back is None

    async def test_whoever_lost_the_lead_is_told(self) -> None:
        async with self.opened() as store:
            late = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            heir = await lead(store, "b")
            attached = await store.attach(KEY, "a", late.fence, code())
            await store.attach(KEY, "b", heir.fence, code())
            sent = await store.mark_sent(KEY, "a", late.fence, 0)

        assert attached is None
        assert sent is None

    async def test_nothing_is_sent_without_a_ticket(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            sent = await store.mark_sent(KEY, "a", leader.fence, 0)

        assert sent is None

    async def test_publication_ends_lead_and_ticket(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await store.attach(KEY, "a", leader.fence, code())
            await publish(store, "a", leader.fence)
            after = await lead(store, "b", newer_than=leader.fence)

        assert after.ticket is None

    async def test_the_code_that_ends_first_is_taken_first(self) -> None:
        async with self.opened() as store:
            for name, seconds in (("late", 500), ("soon", 100), ("between", 300)):
                assert await store.offer(KEY, code(name, seconds=seconds))
            taken = [await store.take(KEY) for _ in range(4)]

        assert [each and each.id for each in taken] == [
            "soon",
            "between",
            "late",
            None,
        ]
        assert all(each is None or each.blob == CODE for each in taken)

    async def test_one_code_is_queued_once(self) -> None:
        async with self.opened() as store:
            first = await store.offer(KEY, code())
            again = await store.offer(KEY, code())

        assert first
        assert not again

    async def test_a_code_that_is_being_exchanged_is_known(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await store.attach(KEY, "a", leader.fence, code())
            queued = await store.offer(KEY, code())

        assert not queued

    async def test_a_code_that_ended_is_neither_queued_nor_taken(self) -> None:
        async with self.opened() as store:
            dead = await store.offer(KEY, code("dead", seconds=0))
            await store.offer(KEY, code("short", seconds=10))
            await self.passes(10 + CLOSE)
            taken = await store.take(KEY)

        assert not dead
        assert taken is None

    async def test_not_more_codes_wait_than_may(self) -> None:
        async with self.opened() as store:
            queued = [
                await store.offer(KEY, code(f"code {number}"))
                for number in range(MOST_CODES + 1)
            ]

        assert queued == [True] * MOST_CODES + [False]

    async def test_a_new_code_ends_a_pause(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await fail(store, "a", leader.fence, pause=30)
            await store.offer(KEY, code())
            answer = await elect(store, "b")

        assert isinstance(answer, Lead)
