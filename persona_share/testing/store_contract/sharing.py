"""News, and the life of a store."""

import asyncio

from persona_share._policy.election import Held, Lead
from persona_share.testing.store_contract.base import (
    KEY,
    TOKEN,
    Contract,
    elect,
    fail,
    lead,
    minted,
    publish,
)


class Sharing(Contract):
    """Several use one store."""

    async def test_a_follower_hears_of_the_token(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await elect(store, "b")
            waiting = asyncio.ensure_future(store.news(KEY, 15))
            await asyncio.sleep(0)  # noqa: TID251 - a turn for it, not a time
            await publish(store, "a", leader.fence)
            await self.heard(waiting)

    async def test_what_happened_before_one_listened_is_heard(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await elect(store, "b")
            await publish(store, "a", leader.fence)
            await self.heard(asyncio.ensure_future(store.news(KEY, 15)))

    async def test_a_follower_hears_of_a_failure(self) -> None:
        async with self.opened() as store:
            leader = await lead(store, "a")
            await elect(store, "b")
            await fail(store, "a", leader.fence, pause=0)
            await self.heard(asyncio.ensure_future(store.news(KEY, 15)))

    async def test_whoever_hears_nothing_returns_in_time(self) -> None:
        async with self.opened() as store:
            await lead(store, "a")
            await elect(store, "b")
            await self.heard(asyncio.ensure_future(store.news(KEY, 0.1)))

    async def test_opening_and_closing_twice_does_nothing(self) -> None:
        async with self.opened() as store:
            await store.open(self.runtime)
            await minted(store, "a")
            await store.close()
            await store.close()

    async def test_a_second_instance_sees_the_same(self) -> None:
        async with self.opened() as store:
            second = self.another(store)
            await second.open(self.runtime)
            fence = await minted(store, "a")
            answer = await elect(second, "b")
            await second.invalidate(KEY, fence)
            after = await elect(store, "a")
            await second.close()

        assert isinstance(answer, Held)
        assert answer.blob == TOKEN
        assert isinstance(after, Lead)

    async def test_its_repr_shows_nothing_that_it_holds(self) -> None:
        async with self.opened() as store:
            await minted(store, "a")
            shown = repr(store)

        assert KEY not in shown
        assert TOKEN.decode("latin-1") not in shown
        assert repr(TOKEN) not in shown
