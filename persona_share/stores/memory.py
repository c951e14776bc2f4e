"""A store in this process's memory: for several managers, in one loop or in many."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from persona_share._wire import election
from persona_share._wire.election import Carried, Elected, Held, Record
from persona_share.ports import World


T = TypeVar("T")


class MemoryStore:
    """Shares tokens between managers of one process; nothing outlives it.

    Its operations are short and hold a plain lock, so that event loops in several
    threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: defaultdict[str, Record] = defaultdict(Record)
        self._listeners: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._world: World | None = None

    async def open(self, world: World) -> None:
        """Take the clock of the first manager that opens it."""
        with self._lock:
            self._world = self._world or world

    async def close(self) -> None:
        """Keep everything: other managers may share it."""

    async def elect(
        self, key: str, owner: str, *, newer_than: int, at_least: float
    ) -> Elected:
        """Answer a usable token, or who brings one."""
        return self._change(
            key,
            lambda record, now: election.elect(
                record, now, owner, newer_than=newer_than, at_least=at_least
            ),
        )

    async def attach(
        self, key: str, owner: str, fence: int, ticket: Carried
    ) -> Carried | None:
        """Put a code under the leader's flight; answer the one that is to be used."""
        return self._change(
            key, lambda record, now: election.attach(record, now, owner, fence, ticket)
        )

    async def mark_sent(
        self, key: str, owner: str, fence: int, epoch: int
    ) -> float | None:
        """Note the first send under this epoch; answer how long ago that was."""
        return self._change(
            key,
            lambda record, now: election.mark_sent(record, now, owner, fence, epoch),
        )

    async def publish(
        self, key: str, owner: str, fence: int, *, remaining: float, blob: bytes
    ) -> Held | None:
        """Take a new token in, or answer the newer one that is there."""
        newer = self._change(
            key,
            lambda record, now: election.publish(
                record, now, owner, fence, remaining=remaining, blob=blob
            ),
        )
        self._announce(key)
        return newer

    async def adopt(self, key: str, *, remaining: float, blob: bytes) -> int:
        """Take in a token that no election brought; answer its generation or 0."""
        generation = self._change(
            key,
            lambda record, now: election.adopt(
                record, now, remaining=remaining, blob=blob
            ),
        )
        self._announce(key)
        return generation

    async def fail(
        self,
        key: str,
        owner: str,
        fence: int,
        *,
        reason: str,
        pause: float,
        keep_ticket: bool,
    ) -> None:
        """Give the lead back after a failure that all respect for a while."""
        self._change(
            key,
            lambda record, now: (
                election.fail(
                    record,
                    now,
                    owner,
                    fence,
                    reason=reason,
                    pause=pause,
                    keep_ticket=keep_ticket,
                ),
                None,
            ),
        )
        self._announce(key)

    async def invalidate(self, key: str, generation: int) -> None:
        """Never answer this generation again."""
        self._change(
            key, lambda record, _: (election.invalidate(record, generation), None)
        )
        self._announce(key)

    async def renew(self, key: str, owner: str, fence: int) -> bool:
        """Keep the lead a while longer; False when it is lost."""
        return self._change(
            key, lambda record, now: election.renew(record, now, owner, fence)
        )

    async def offer(self, key: str, ticket: Carried) -> bool:
        """Queue a pushed code; False when it is known or too many wait."""
        queued = self._change(
            key, lambda record, now: election.offer(record, now, ticket)
        )
        self._announce(key)
        return queued

    async def take(self, key: str) -> Carried | None:
        """Take the waiting code that ends first."""
        return self._change(key, election.take)

    async def forget(self, key: str) -> None:
        """Drop everything of this key but its fence."""
        self._change(key, lambda record, _: (election.forget(record), None))

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._listeners[key].add(heard)
        sleeping = asyncio.ensure_future(self._opened().clock.sleep(seconds))
        try:
            await asyncio.wait({heard, sleeping}, return_when="FIRST_COMPLETED")
        finally:
            sleeping.cancel()
            with self._lock:
                self._listeners[key].discard(heard)

    def _change(
        self, key: str, change: Callable[[Record, float], tuple[Record, T]]
    ) -> T:
        now = self._opened().clock.now()
        with self._lock:
            self._records[key], answer = change(self._records[key], now)
        return answer

    def _announce(self, key: str) -> None:
        with self._lock:
            listeners = self._listeners.pop(key, set())
        for heard in listeners:
            heard.get_loop().call_soon_threadsafe(_resolve, heard)

    def _opened(self) -> World:
        if self._world is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        return self._world

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._records)} keys>"


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
