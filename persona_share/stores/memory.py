"""MemoryStore: records in this process, for one event loop or several."""

import math
import os
import threading
from collections.abc import AsyncGenerator
from typing import Final

from persona_share._transport.runtime import default_runtime
from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import (
    LARGEST_STORED,
    require_key,
    require_writable,
)


#: The number of records that are checked for expiry at each write.
_CHECKED_AT_WRITE: Final = 2


class MemoryStore:
    """Keeps records in the memory of this process; nothing outlives it.

    A plain lock guards it, so event loops in several threads may share it. A forked
    child starts with an empty one, as the codes in it are still its parent's.
    """

    accepts_secrets = True

    def __init__(self, *, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or default_runtime()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._records: dict[str, tuple[bytes, str, float]] = {}
        self._unchecked: list[str] = []

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def read(self, key: str) -> Versioned:
        """Return the record under this key as it is now."""
        require_key(key)
        now = self._runtime.clock.now()
        value, etag = self._found(key, now)
        return Versioned(value, etag, now)

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; False if it is not."""
        require_key(key)
        require_writable(value, ttl, LARGEST_STORED)
        self._reset_after_fork()
        now = self._runtime.clock.now()
        with self._lock:
            if self._found(key, now)[1] != if_etag:
                return False
            if value is None:
                self._records.pop(key, None)
            else:
                etag = self._runtime.new_bytes(16).hex()
                self._records[key] = value, etag, now + ttl
            self._purge(now)
        return True

    async def keys(self, prefix: str) -> AsyncGenerator[str, None]:
        """Iterate over the keys that start with this prefix."""
        now = self._runtime.clock.now()
        with self._lock:
            found = [
                key
                for key, (_, _, expires) in self._records.items()
                if key.startswith(prefix) and expires > now
            ]
        for key in found:
            yield key

    async def aclose(self) -> None:
        """Keep everything: other managers may share it."""

    def _found(self, key: str, now: float) -> tuple[bytes | None, str]:
        self._reset_after_fork()
        value, etag, expires = self._records.get(key, (None, "", math.inf))
        return (value, etag) if expires > now else (None, "")

    def _purge(self, now: float) -> None:
        if not self._unchecked:
            self._unchecked = list(self._records)
        for _ in range(min(_CHECKED_AT_WRITE, len(self._unchecked))):
            key = self._unchecked.pop()
            if key in self._records and self._records[key][2] <= now:
                del self._records[key]

    def _reset_after_fork(self) -> None:
        if self._process != os.getpid():
            self._begin()

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._records)} records>"
