"""Shards: parts of a list of ids, each with its own record in a shared store.

An engine such as Dask runs one job per shard. The record of a shard says which of its
objects are acknowledged, so that another worker continues after one was killed.
"""

import base64
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import anyio
import orjson

from persona_share._transport.runtime import default_clock
from persona_share.batch.checkpoint import OutputPosition
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    StoreUnavailableError,
)
from persona_share.ports import Clock, Store, Versioned


_VERSION: Final = 1
#: How long the record of a shard is kept after its last change, in seconds.
LIFETIME: Final = 30 * 86_400.0
#: Pauses after each failure of a store that cannot be reached, in seconds.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0)


def shard(ids: Iterable[str], n: int) -> list[tuple[str, ...]]:
    """Divide ids into at most ``n`` parts of nearly equal size, without duplicates.

    The parts are the same for the same ids, so that a job finds its record again.
    """
    if type(n) is not int or n < 1:
        message = "n must be a whole number above 0"
        raise InvalidArgumentError(message)
    if isinstance(ids, str):
        message = "ids must be an iterable of ids"
        raise InvalidArgumentError(message)
    distinct = tuple(dict.fromkeys(ids))
    size, rest = divmod(len(distinct), n)
    parts, first = [], 0
    for number in range(n):
        end = first + size + (number < rest)
        if end > first:
            parts.append(distinct[first:end])
        first = end
    return parts


def shard_name(ids: Sequence[str]) -> str:
    """Return a name that is the same for the same ids, and shows none of them."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]


class StoreCheckpoint:
    """The `Checkpoint` of one shard, in one record of a store.

    Opening it takes it over. A worker that another one has replaced cannot
    acknowledge anything more: every change is a compare-and-swap. A store that cannot
    be reached is tried again for three minutes.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        ids: Sequence[str],
        *,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._key = f"shard/{name}"
        self._positions = {each: number for number, each in enumerate(ids)}
        self._owner: str | None = None
        self._done = bytearray(-(-len(self._positions) // 8))
        self._clock = clock or default_clock()
        self._lock = anyio.Lock()

    @property
    def acknowledged(self) -> int:
        """The number of objects that are acknowledged."""
        return int.from_bytes(self._done, "little").bit_count()

    async def open(self) -> None:
        """Take over the record, or create it; a second call does nothing."""
        async with self._lock:
            if self._owner is not None:
                return
            owner = os.urandom(12).hex()
            await self._repeated(lambda: self._take_over(owner))
            self._owner = owner

    async def known(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Return those ids that were acknowledged."""
        return frozenset(each for each in object_ids if self._has(each))

    async def note(
        self,
        object_ids: Sequence[str],
        output: OutputPosition | None = None,  # noqa: ARG002  # a shard has no output file
    ) -> None:
        """Record these as acknowledged; raises `CheckpointInUseError` if replaced."""
        async with self._lock:
            if self._owner is None:
                message = "the checkpoint is not open"
                raise StoreUnavailableError(message)
            owner, before = self._owner, bytes(self._done)
            for each in object_ids:
                if (number := self._positions.get(each)) is not None:
                    self._done[number // 8] |= 1 << number % 8
            try:
                await self._repeated(lambda: self._replace(owner))
            except BaseException:
                self._done = bytearray(before)
                raise

    async def output(self) -> OutputPosition | None:
        """Return None: a shard has no output file."""
        return None

    def close(self) -> None:
        """Do nothing: the record stays, and the store belongs to the caller."""

    def _has(self, object_id: str) -> bool:
        number = self._positions.get(object_id)
        return number is not None and bool(self._done[number // 8] >> number % 8 & 1)

    async def _repeated(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat work on the record while the store cannot be reached."""
        for pause in (*_PAUSES, None):
            try:
                return await work()
            except CheckpointInUseError:
                raise
            except StoreUnavailableError as error:
                if pause is None or not error.retryable:
                    raise
            await self._clock.sleep(pause)
        return None

    async def _take_over(self, owner: str) -> None:
        while True:
            found = await self._store.read(self._key)
            self._done = self._read(found)
            if await self._write(owner, found.etag):
                return

    async def _replace(self, owner: str) -> None:
        # The record is read each time: a write may have succeeded without a response.
        found = await self._store.read(self._key)
        ours = self._parsed(found).get("owner") == owner
        if not ours or not await self._write(owner, found.etag):
            raise _replaced()

    async def _write(self, owner: str, etag: str) -> bool:
        record = {
            "version": _VERSION,
            "owner": owner,
            "total": len(self._positions),
            "done": base64.b64encode(self._done).decode(),
        }
        value = orjson.dumps(record)
        return await self._store.write(self._key, value, if_etag=etag, ttl=LIFETIME)

    def _read(self, found: Versioned) -> bytearray:
        record = self._parsed(found)
        if not record:
            return bytearray(-(-len(self._positions) // 8))
        if record.get("total") != len(self._positions):
            message = "the record of this shard describes other ids"
            raise CheckpointMismatchError(message, advice="Use another name.")
        return bytearray(base64.b64decode(str(record["done"])))

    def _parsed(self, found: Versioned) -> dict[str, object]:
        if found.value is None:
            return {}
        try:
            record = orjson.loads(found.value)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("version") != _VERSION:
            message = "the record of this shard was written by something else"
            raise CheckpointMismatchError(message, advice="Use another name.")
        return record


def _replaced() -> CheckpointInUseError:
    message = "the checkpoint is in use by another fetch: a worker took this shard over"
    return CheckpointInUseError(message)
