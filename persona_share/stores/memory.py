"""A store in this process's memory: for several managers, in one loop or in many."""

import asyncio
import threading
from collections import defaultdict
from typing import Final, TypeVar

import attrs

from persona_share._protocol.stored import Record, dies_at
from persona_share.ports import Runtime
from persona_share.stores._changing import Change, Changing


T = TypeVar("T")
#: After so many changes the records that nobody needs any more are dropped.
_SWEEP: Final = 1_000


class MemoryStore(Changing):
    """Shares tokens between managers of one process; nothing outlives it.

    Its operations are short and hold a plain lock, so that event loops in several
    threads may share it. A forked child keeps the tokens and none of the codes: those
    are still its parent's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._records: dict[str, tuple[Record, int, float]] = {}
        self._listeners: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._runtime: Runtime | None = None
        self._changes = 0

    async def open(self, runtime: Runtime) -> None:
        """Take the clock of the first manager that opens it."""
        with self._lock:
            if self._runtime is None:
                self._runtime = runtime
                runtime.after_fork(self._after_fork)

    async def close(self) -> None:
        """Keep everything: other managers may share it."""

    async def change(
        self, key: str, change: Change[T], *, announce: bool = False
    ) -> tuple[T, int]:
        """Apply a change to a key's record."""
        now = self._opened().clock.now()
        with self._lock:
            record, number, _ = self._records.get(key, _NOTHING)
            new, answer = change(record, now)
            if new == record:
                return answer, number
            number += announce
            self._records[key] = new, number, dies_at(new, now)
            self._sweep(now)
            listeners = self._listeners.pop(key, ()) if announce else ()
        for heard in listeners:
            if not heard.get_loop().is_closed():
                heard.get_loop().call_soon_threadsafe(_resolve, heard)
        return answer, number

    async def news(self, key: str, seconds: float) -> None:
        """Return when something happened to this key, or after so many seconds."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            number = self._records.get(key, _NOTHING)[1]
            if self.told.number(key) not in {None, number}:
                return
            self._listeners[key].add(heard)
        sleeping = asyncio.ensure_future(self._opened().clock.sleep(seconds))
        try:
            await asyncio.wait({heard, sleeping}, return_when="FIRST_COMPLETED")
        finally:
            sleeping.cancel()
            self._leave(key, heard)

    async def names(self) -> list[str]:
        """Answer every name."""
        with self._lock:
            return sorted(self._records)

    def _leave(self, key: str, heard: "asyncio.Future[None]") -> None:
        with self._lock:
            listeners = self._listeners.get(key)
            if listeners is not None:
                listeners.discard(heard)
                if not listeners:
                    del self._listeners[key]

    def _sweep(self, now: float) -> None:
        self._changes += 1
        if self._changes % _SWEEP == 0:
            over = [key for key, (_, _, dies) in self._records.items() if dies <= now]
            for key in over:
                del self._records[key]

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._listeners.clear()
        for key, (record, number, dies) in self._records.items():
            kept = attrs.evolve(record, leader=None, ticket=None, queue=())
            self._records[key] = kept, number, dies

    def _opened(self) -> Runtime:
        if self._runtime is None:
            message = "the store was not opened; a manager does that"
            raise RuntimeError(message)
        return self._runtime

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._records)} keys>"


_NOTHING: Final = (Record(), 0, 0.0)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
