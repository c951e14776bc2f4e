"""What the tests of the contract stand on."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from persona_share._policy.election import Carried, Elected, Held, Lead
from persona_share.ports import Runtime, TokenStore
from persona_share.testing.clock import FakeClock, fake_runtime


KEY: Final = "5d41402abc4b2a76"
TOKEN: Final = b"\x00token\xff"
CODE: Final = b"\x00code\xff"
#: Stores may round times; this is how far, in seconds.
CLOSE: Final = 0.5


class Contract:
    """How a store is made, opened, and left alone for a while."""

    @abstractmethod
    def new_store(self) -> TokenStore:
        """Answer a new, empty store that is not open yet."""

    def another(self, store: TokenStore) -> TokenStore:
        """Answer a second store on the same place, or the same store."""
        return store

    async def passes(self, seconds: float) -> None:
        """Let time pass for the store."""
        self.clock.advance(seconds)

    def setup_method(self) -> None:
        """Make the runtime that the store is opened in."""
        self.clock: FakeClock = FakeClock()
        self.runtime: Runtime = fake_runtime(self.clock)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[TokenStore]:
        """Open a new store and close it at the end."""
        store = self.new_store()
        await store.open(self.runtime)
        try:
            yield store
        finally:
            await store.close()

    async def heard(self, waiting: "asyncio.Future[None]") -> None:
        """Let a little time pass until somebody who waits for news is done."""
        for _ in range(200):
            done, _ = await asyncio.wait({waiting}, timeout=0.01)
            if done:
                return waiting.result()
            self.clock.advance(0.05)
        waiting.cancel()
        message = "nobody told"
        raise AssertionError(message)


# ── What the tests say often ────────────────────────────────────────────────────


async def elect(
    store: TokenStore, owner: str, *, newer_than: int = 0, at_least: float = 0
) -> Elected:
    """Ask the store for a token, or who brings one."""
    return await store.elect(KEY, owner, newer_than=newer_than, at_least=at_least)


async def lead(store: TokenStore, owner: str, *, newer_than: int = 0) -> Lead:
    """Become the leader."""
    answer = await elect(store, owner, newer_than=newer_than)
    assert isinstance(answer, Lead)
    return answer


async def publish(
    store: TokenStore, owner: str, fence: int, *, blob: bytes = TOKEN
) -> Held | None:
    """Publish a token of an hour."""
    return await store.publish(KEY, owner, fence, remaining=3_599, blob=blob)


async def minted(store: TokenStore, owner: str, *, newer_than: int = 0) -> int:
    """Become the leader, publish a token, and answer its generation."""
    leader = await lead(store, owner, newer_than=newer_than)
    assert await publish(store, owner, leader.fence) is None
    return leader.fence


async def fail(
    store: TokenStore,
    owner: str,
    fence: int,
    *,
    pause: float,
    keep_ticket: bool = False,
) -> None:
    """Give the lead back."""
    await store.fail(
        KEY,
        owner,
        fence,
        reason="CodeRejectedError",
        pause=pause,
        keep_ticket=keep_ticket,
    )


def code(name: str = "code", *, seconds: float = 600) -> Carried:
    """Answer a code as a manager gives it to a store."""
    return Carried(name, seconds, CODE)
