"""Shards: parts of a list of ids, each with its own record in a shared store.

An engine such as Dask runs one job per shard. The record of a shard says which of its
objects are acknowledged, so that another worker continues after one was killed.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import Final

import anyio
import orjson

from persona_share.batch.checkpoint import OutputPosition
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    StoreUnavailableError,
)
from persona_share.ports import Store, Versioned


_VERSION: Final = 1
#: How long the record of a shard is kept after its last change, in seconds.
LIFETIME: Final = 30 * 86_400.0


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
    acknowledge anything more: every change is a compare-and-swap.
    """

    def __init__(self, store: Store, name: str, ids: Sequence[str]) -> None:
        self._store = store
        self._key = f"shard/{name}"
        self._positions = {each: number for number, each in enumerate(ids)}
        self._owner: str | None = None
        self._done = bytearray(-(-len(self._positions) // 8))
        self._etag = ""
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
            while True:
                found = await self._store.read(self._key)
                self._done = self._read(found)
                if await self._write(owner, found.etag):
                    break
            self._owner = owner
            await self._refresh()

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
            before = bytes(self._done)
            for each in object_ids:
                if (number := self._positions.get(each)) is not None:
                    self._done[number // 8] |= 1 << number % 8
            try:
                await self._replace(self._owner)
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

    async def _replace(self, owner: str) -> None:
        if not await self._write(owner, self._etag):
            raise _replaced()
        await self._refresh()

    async def _write(self, owner: str, etag: str) -> bool:
        record = {
            "version": _VERSION,
            "owner": owner,
            "total": len(self._positions),
            "done": base64.b64encode(self._done).decode(),
        }
        value = orjson.dumps(record)
        return await self._store.write(self._key, value, if_etag=etag, ttl=LIFETIME)

    async def _refresh(self) -> None:
        """Learn the etag of the record that was just written."""
        found = await self._store.read(self._key)
        if self._parsed(found).get("owner") != self._owner:
            raise _replaced()
        self._etag = found.etag

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
