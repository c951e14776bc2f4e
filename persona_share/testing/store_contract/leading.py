"""Who exchanges, and what follows from a failure."""

import asyncio

from persona_share._policy.election import (
    LEASE,
    LONGEST_LEAD,
    Follow,
    Held,
    Lead,
    Refused,
)
from persona_share.testing.store_contract.base import (
    CLOSE,
    CODE,
    KEY,
    Contract,
    code,
    elect,
    fail,
    lead,
    minted,
)


class Leading(Contract):
    """One leads, the others follow or hold back."""

    async def test_the_first_leads_and_the_others_follow(self) -> None:
        async with self.opened() as store:
            first = await elect(store, "a")
            second = await elect(store, "b")

        assert isinstance(first, Lead)
        assert first.ticket is None
        assert isinstance(second, Follow)
        assert LEASE - CLOSE <= second.seconds <= LEASE

    async def test_of_many_at_once_one_leads(self) -> None:
        async with self.opened() as store:
            answers = await asyncio.gather(
                *(elect(store, f"owner {number}") for number in range(20))
            )

        assert [type(each) for each in answers].count(Lead) == 1

    async def test_keys_do_not_mix(self) -> None:
        async with self.opened() as store:
            await minted(store, "a")
            other = await store.elect("another key", "b", newer_than=0, at_least=0)

        assert isinstance(other, Lead)

    async def test_a_leader_that_asks_again_leads_by_a_newer_fence(self) -> None:
        async with self.opened() as store:
            first, second = await lead(store, "a"), await lead(store, "a")
            kept = await store.renew(KEY, "a", first.fence)

        assert second.fence > first.fence
        assert not kept

    async def test_a_leader_that_is_silent_is_replaced_after_the_lease(self) -> None:
        async with self.opened() as store:
            first = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            second = await lead(store, "b")

        assert second.fence > first.fence

    async def test_a_leader_that_renews_stays(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await self.passes(LEASE - 5)
            kept = await store.renew(KEY, "a", leader.fence)
            await self.passes(LEASE - 5)
            other = await elect(store, "b")

        assert kept
        assert isinstance(other, Follow)

    async def test_no_leader_stays_for_ever(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            for _ in range(int(LONGEST_LEAD // 5)):
                await self.passes(5)
                await store.renew(KEY, "a", leader.fence)
            await self.passes(CLOSE)
            kept = await store.renew(KEY, "a", leader.fence)
            other = await elect(store, "b")

        assert not kept
        assert isinstance(other, Lead)

    async def test_nobody_renews_for_another(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            assert not await store.renew(KEY, "b", leader.fence)
            assert not await store.renew(KEY, "a", leader.fence + 1)
            assert not await store.renew("another key", "a", leader.fence)

    async def test_a_failure_is_respected_by_all_for_its_time(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await fail(store, "a", leader.fence, pause=30)
            during = await elect(store, "b")
            await self.passes(30 + CLOSE)
            after = await elect(store, "b")

        assert isinstance(during, Refused)
        assert during.reason == "CodeRejectedError"
        assert 30 - CLOSE <= during.seconds <= 30
        assert isinstance(after, Lead)

    async def test_a_failure_without_a_pause_hands_the_lead_on(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await fail(store, "a", leader.fence, pause=0)
            after = await elect(store, "b")

        assert isinstance(after, Lead)

    async def test_a_failure_keeps_the_ticket_or_not(self) -> None:
        async with self.opened() as store:
            first = await lead(store, "a")
            await store.attach(KEY, "a", first.fence, code())
            await fail(store, "a", first.fence, pause=0, keep_ticket=True)
            second = await lead(store, "b")
            await fail(store, "b", second.fence, pause=0, keep_ticket=False)
            third = await lead(store, "c")

        assert second.ticket is not None
        assert second.ticket.blob == CODE
        assert third.ticket is None

    async def test_a_late_failure_changes_nothing(self) -> None:
        async with self.opened() as store:
            late = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            await lead(store, "b")
            await fail(store, "a", late.fence, pause=30)
            answer = await elect(store, "c")

        assert isinstance(answer, Follow)

    async def test_a_token_is_answered_in_spite_of_a_failure(self) -> None:
        async with self.opened() as store:
            fence = await minted(store, "a")
            leader = await lead(store, "b", newer_than=fence)
            await fail(store, "b", leader.fence, pause=30)
            answer = await elect(store, "c")

        assert isinstance(answer, Held)
