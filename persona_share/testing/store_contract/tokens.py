"""What is published, answered, invalidated and forgotten."""

from persona_share._policy.election import LEASE, Held, Lead
from persona_share.testing.store_contract.base import (
    CLOSE,
    KEY,
    TOKEN,
    Contract,
    code,
    elect,
    lead,
    minted,
    publish,
)


class Tokens(Contract):
    """A token is answered while it is good, and never after."""

    async def test_a_published_token_is_answered_to_everybody(self) -> None:
        async with self.opened() as store:
            fence = await minted(store, "a")
            answer = await elect(store, "b")

        assert isinstance(answer, Held)
        assert (answer.generation, answer.blob) == (fence, TOKEN)
        assert 3_599 - CLOSE <= answer.remaining <= 3_599

    async def test_what_is_left_of_a_token_shrinks(self) -> None:
        async with self.opened() as store:
            await minted(store, "a")
            await self.passes(1_000)
            answer = await elect(store, "b")

        assert isinstance(answer, Held)
        assert 2_599 - 2 * CLOSE <= answer.remaining <= 2_599

    async def test_a_token_that_ended_is_not_answered(self) -> None:
        async with self.opened() as store:
            await minted(store, "a")
            await self.passes(3_600)
            answer = await elect(store, "b")

        assert isinstance(answer, Lead)

    async def test_a_token_that_is_too_short_or_too_old_is_not_answered(self) -> None:
        async with self.opened() as store:
            fence = await minted(store, "a")
            older = await elect(store, "b", newer_than=fence - 1)
            shorter = await elect(store, "b", newer_than=fence)
            await store.fail(KEY, "b", fence + 1, reason="", pause=0, keep_ticket=False)
            longer = await elect(store, "b", at_least=3_600)

        assert isinstance(older, Held)
        assert isinstance(shorter, Lead)
        assert isinstance(longer, Lead)

    async def test_the_next_token_is_newer_than_what_the_caller_has(self) -> None:
        async with self.opened() as store:
            # As after the store lost its memory.
            answer = await elect(store, "a", newer_than=41)

        assert isinstance(answer, Lead)
        assert answer.fence == 42

    async def test_a_late_leader_is_refused_by_its_fence(self) -> None:
        async with self.opened() as store:
            late = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            fence = await minted(store, "b")
            answer = await publish(store, "a", late.fence, blob=b"late")
            held = await elect(store, "c")

        assert isinstance(answer, Held)
        assert (answer.generation, answer.blob) == (fence, TOKEN)
        assert isinstance(held, Held)
        assert held.blob == TOKEN

    async def test_a_late_leader_without_a_successor_is_welcome(self) -> None:
        async with self.opened() as store:
            late = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            answer = await publish(store, "a", late.fence)
            held = await elect(store, "b")

        assert answer is None
        assert isinstance(held, Held)

    async def test_an_invalidated_token_is_never_answered_again(self) -> None:
        async with self.opened() as store:
            fence = await minted(store, "a")
            await store.invalidate(KEY, fence)
            answer = await elect(store, "b")

        assert isinstance(answer, Lead)
        assert answer.fence > fence

    async def test_a_complaint_about_an_older_token_changes_nothing(self) -> None:
        async with self.opened() as store:
            first = await minted(store, "a")
            second = await minted(store, "a", newer_than=first)
            await store.invalidate(KEY, first)
            answer = await elect(store, "b")

        assert isinstance(answer, Held)
        assert answer.generation == second

    async def test_a_late_leader_does_not_get_an_invalidated_token(self) -> None:
        async with self.opened() as store:
            late = await lead(store, "a")
            await self.passes(LEASE + CLOSE)
            fence = await minted(store, "b")
            await store.invalidate(KEY, fence)
            answer = await publish(store, "a", late.fence, blob=b"late")
            after = await elect(store, "c")

        assert answer is None
        assert isinstance(after, Lead)

    async def test_a_complaint_about_a_token_unknown_here_holds_nobody_up(self) -> None:
        async with self.opened() as store:
            await store.invalidate(KEY, 9)
            await minted(store, "a")
            answer = await elect(store, "b")

        assert isinstance(answer, Held)
        assert answer.generation > 9

    async def test_a_token_from_outside_is_taken_in(self) -> None:
        async with self.opened() as store:
            generation = await store.adopt(KEY, remaining=600, blob=TOKEN)
            answer = await elect(store, "a")

        assert generation > 0
        assert isinstance(answer, Held)
        assert (answer.generation, answer.blob) == (generation, TOKEN)

    async def test_a_token_from_outside_gives_way_to_one_that_lives_longer(
        self,
    ) -> None:
        async with self.opened() as store:
            await minted(store, "a")
            generation = await store.adopt(KEY, remaining=600, blob=b"shorter")
            answer = await elect(store, "b")

        assert generation == 0
        assert isinstance(answer, Held)
        assert answer.blob == TOKEN

    async def test_a_forgotten_key_has_nothing_and_no_late_leader(self) -> None:
        async with self.opened() as store:
            first = await minted(store, "a")
            late = await lead(store, "a", newer_than=first)
            await store.offer(KEY, code())
            await store.forget(KEY)
            answer = await publish(store, "a", late.fence)
            after = await elect(store, "b")
            waiting = await store.take(KEY)

        assert answer is None
        assert isinstance(after, Lead)
        assert after.fence > late.fence
        assert waiting is None
