"""MemoryStore: records in this process, for one event loop or several."""

import math
import threading
from collections.abc import AsyncIterator
from typing import Final

from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import BaseStore, PerProcess


#: The number of records that are checked for expiry at each purge.
_CHECKED_AT_PURGE: Final = 100


class MemoryStore(BaseStore):
    """Keeps records in the memory of this process; nothing outlives it.

    A plain lock guards it, so event loops in several threads may share it. A forked
    child starts with an empty one, as the codes in it are still its parent's.
    """

    _is_guarded = False

    def __init__(self, *, runtime: Runtime | None = None) -> None:
        super().__init__(runtime)
        self._tables = PerProcess(_Table)

    async def _read(self, key: str) -> Versioned:
        return self._tables.get().read(key, self._runtime.clock.now())

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        table, now = self._tables.get(), self._runtime.clock.now()
        with table.lock:
            if table.read(key, now).etag != if_etag:
                return False
            if value is None:
                table.records.pop(key, None)
            else:
                table.records[key] = value, etag, now + ttl
        return True

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        table, now = self._tables.get(), self._runtime.clock.now()
        with table.lock:
            records = list(table.records.items())
        yield [
            key
            for key, (_, _, expires) in records
            if key.startswith(prefix) and expires > now
        ]

    async def _purge(self) -> None:
        table, now = self._tables.get(), self._runtime.clock.now()
        with table.lock:
            table.unchecked = table.unchecked or list(table.records)
            for key in table.unchecked[-_CHECKED_AT_PURGE:]:
                if key in table.records and table.read(key, now).value is None:
                    del table.records[key]
            del table.unchecked[-_CHECKED_AT_PURGE:]

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._tables.get().records)} records>"


class _Table:
    """The records of one process: their values, etags and times of expiry."""

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.records: dict[str, tuple[bytes, str, float]] = {}
        self.unchecked: list[str] = []

    def read(self, key: str, now: float) -> Versioned:
        """Return a record that has not expired."""
        value, etag, expires = self.records.get(key, (None, "", math.inf))
        return (
            Versioned(value, etag, now) if expires > now else Versioned(None, "", now)
        )
