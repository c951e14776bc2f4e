"""Jobs: batches that an engine such as Dask, Ray or Celery runs in its workers.

A job does the work of one shard, a part of a list of ids. The record of a shard in a
shared store says which of its objects are acknowledged, so that another worker
continues after one was killed. A job holds ids and names of functions, and no secrets:
the functions read those from the environment of the worker.
"""

import asyncio
import base64
import hashlib
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import orjson

from persona_share._transport.runtime import default_clock
from persona_share.batch.batch import MAX_OUTAGE
from persona_share.batch.checkpoint import OutputPosition, require_name
from persona_share.batch.copy import FOLLOW
from persona_share.batch.workers import lines_of
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    StoreError,
    StoreUnavailableError,
)
from persona_share.model.batch import Failed, Fetched
from persona_share.model.policy import CONCURRENCY, OBJECTS_PER_TOKEN
from persona_share.ports import Clock, Store, Versioned


if TYPE_CHECKING:
    from persona_share.manager import ScopedTokenManager

OpenManager = Callable[[], AbstractAsyncContextManager["ScopedTokenManager"]]
OpenStore = Callable[[], Store]
Handle = Callable[[Fetched[Any]], Any]

_MAX_FAILURES: Final = 1_000
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
    distinct = tuple(dict.fromkeys(lines_of(ids)))
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
    be reached is tried again for three minutes. ``requested`` is what is done with each
    object: a record of another request is refused, as its objects were done otherwise.
    With None nothing is recorded or compared.

    Raises:
        InvalidArgumentError: the name has other characters than letters, digits, "_",
            "-" and ".", or is longer than 100 characters.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        ids: Sequence[str],
        *,
        clock: Clock | None = None,
        requested: str | None = None,
    ) -> None:
        self._store = store
        self._requested = None if requested is None else shard_name([requested])
        self._key = f"shard/{require_name('name', name)}"
        self._positions = {each: number for number, each in enumerate(ids)}
        self._ids = shard_name(ids)
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

    async def record(
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
        is_owner = self._parsed(found).get("owner") == owner
        if not is_owner or not await self._write(owner, found.etag):
            raise _replaced()

    async def _write(self, owner: str, etag: str) -> bool:
        record = {
            "version": _VERSION,
            "owner": owner,
            "ids": self._ids,
            "done": base64.b64encode(self._done).decode(),
        }
        if self._requested is not None:
            record["requested"] = self._requested
        value = orjson.dumps(record)
        return await self._store.write(self._key, value, if_etag=etag, ttl=LIFETIME)

    def _read(self, found: Versioned) -> bytearray:
        record = self._parsed(found)
        size = -(-len(self._positions) // 8)
        if not record:
            return bytearray(size)
        # The record counts positions: for other ids it would say that they are done.
        if record.get("ids") != self._ids:
            message = "the record of this shard describes other ids"
            raise CheckpointMismatchError(message, advice="Use another name.")
        try:
            done = bytearray(base64.b64decode(str(record["done"]), validate=True))
        except (KeyError, ValueError):
            done = bytearray()
        if len(done) != size:
            raise _unreadable()
        found_request = record.get("requested")
        before = found_request if isinstance(found_request, str) else self._requested
        if self._requested is None:
            self._requested = before  # kept unchanged
        elif before != self._requested and any(done):
            message = "the objects of this shard were saved or handled in another way"
            advice = (
                "Run the job as before, or use another name to do all its objects "
                "this way."
            )
            raise CheckpointMismatchError(message, advice=advice)
        return done

    def _parsed(self, found: Versioned) -> dict[str, object]:
        if found.value is None:
            return {}
        try:
            record = orjson.loads(found.value)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("version") != _VERSION:
            raise _unreadable()
        return record


def _unreadable() -> CheckpointMismatchError:
    message = "the record of this shard was written by something else"
    return CheckpointMismatchError(message, advice="Use another name.")


def _replaced() -> CheckpointInUseError:
    message = "the checkpoint is in use by another fetch: a worker took this shard over"
    return CheckpointInUseError(message)


@attrs.frozen(kw_only=True)
class JobReport:
    """The result of one job; it can be pickled.

    ``acknowledged`` counts the objects of the shard that are done, in this run and in
    earlier ones. ``failures`` are ids with the text of their errors, 1,000 at most.
    """

    name: str
    objects: int
    acknowledged: int
    fetched: int
    failed: int
    skipped: int
    failures: tuple[tuple[str, str], ...]


def _importable(_: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse a function that another process cannot import."""
    if value is None:
        return
    name = getattr(value, "__qualname__", "<")
    if not callable(value) or "<" in name:
        message = f"{attribute.name} must be a function of a module, not a lambda"
        raise InvalidArgumentError(
            message, advice="Define it at the top of a module that workers import."
        )


def _ids(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        message = "ids must be a sequence of ids, such as one part of shard()"
        raise InvalidArgumentError(message)
    return tuple(lines_of(value))


@attrs.frozen(kw_only=True)
class _Job:
    """The parts that every job has."""

    ids: tuple[str, ...] = attrs.field(converter=_ids, repr=False)
    open_manager: OpenManager = attrs.field(validator=_importable)
    open_store: OpenStore | None = attrs.field(default=None, validator=_importable)
    name: str = attrs.field(
        validator=lambda _, attribute, value: require_name(attribute.name, value)
    )
    concurrency: int = CONCURRENCY
    objects_per_token: int = OBJECTS_PER_TOKEN
    permission: str | None = None
    max_outage: float = MAX_OUTAGE

    @name.default
    def _default_name(self) -> str:
        return shard_name(self.ids)

    def run(self) -> JobReport:
        """Run the job in a new event loop, and return when it is done.

        Raises what stops a batch; run the same job again to continue.
        """
        return asyncio.run(self.run_async())

    async def run_async(self) -> JobReport:
        """Run the job in the running event loop."""
        async with self.open_manager() as manager, self._checkpoint() as record:
            return await self._run(manager, record)

    async def _run(
        self, manager: "ScopedTokenManager", checkpoint: StoreCheckpoint | None
    ) -> JobReport:
        raise NotImplementedError

    def _requested(self) -> str:
        """Return what is done with each object."""
        raise NotImplementedError

    @asynccontextmanager
    async def _checkpoint(self) -> AsyncIterator[StoreCheckpoint | None]:
        if self.open_store is None:
            yield None
            return
        store = self.open_store()
        await store.open()
        try:
            yield StoreCheckpoint(
                store, self.name, self.ids, requested=self._requested()
            )
        finally:
            await store.aclose()

    def _report(self, failures: list[tuple[str, str]], **counts: int) -> JobReport:
        return JobReport(
            name=self.name,
            objects=len(self.ids),
            failures=tuple(failures),
            **counts,
        )


@attrs.frozen(kw_only=True)
class FetchJob(_Job):
    """Fetches the objects of one shard, and passes each of them to ``handle``.

    ``open_manager`` returns an async context manager of a `ScopedTokenManager`;
    ``open_store`` returns the store of the checkpoint. ``handle`` may be async. An
    object is acknowledged after ``handle`` has returned; ``acknowledge_every`` objects
    share one write, and an error that stops the job is preceded by one. After a kill the
    objects of the last write that was missed are handled again, so ``handle`` should be
    idempotent.
    """

    handle: Handle = attrs.field(validator=_importable)
    acknowledge_every: int = 50

    def _requested(self) -> str:
        name = getattr(self.handle, "__qualname__", "")
        return f"fetch {self.handle.__module__}.{name}"

    async def _run(
        self, manager: "ScopedTokenManager", checkpoint: StoreCheckpoint | None
    ) -> JobReport:
        options: dict[str, Any] = {
            "concurrency": self.concurrency,
            "objects_per_token": self.objects_per_token,
            "permission": self.permission,
            "max_outage": self.max_outage,
            "checkpoint": checkpoint,
            "acknowledge": "explicit",
        }
        handled: list[str] = []
        failures: list[tuple[str, str]] = []
        async with manager.fetch(self.ids, **options) as batch:
            try:
                async for each in batch:
                    if isinstance(each, Failed):
                        if len(failures) < _MAX_FAILURES:
                            failures.append((each.id, str(each.error)))
                        continue
                    result = self.handle(each)
                    if inspect.isawaitable(result):
                        await result
                    handled.append(each.id)
                    if len(handled) >= self.acknowledge_every:
                        await batch.acknowledge(*handled)
                        handled.clear()
            except Exception:
                with suppress(StoreError):  # the error that stops the job matters more
                    await batch.acknowledge(*handled)
                raise
            await batch.acknowledge(*handled)
            report = batch.report()
        done = report.fetched if checkpoint is None else checkpoint.acknowledged
        return self._report(
            failures,
            acknowledged=done,
            fetched=report.fetched,
            failed=report.failed,
            skipped=report.skipped,
        )


@attrs.frozen(kw_only=True)
class CopyJob(_Job):
    """Copies the people of one shard into a folder that all workers share."""

    into: str = attrs.field(converter=str)
    follow: tuple[str, ...] = attrs.field(default=FOLLOW, converter=tuple)
    files: bool = True
    pdf: bool = False
    refresh: bool = False

    def _requested(self) -> str:
        return "copy"  # the folder of each person says what was saved

    async def _run(
        self, manager: "ScopedTokenManager", checkpoint: StoreCheckpoint | None
    ) -> JobReport:
        failures: list[tuple[str, str]] = []
        options: dict[str, Any] = {
            "concurrency": self.concurrency,
            "objects_per_token": self.objects_per_token,
            "permission": self.permission,
            "max_outage": self.max_outage,
            "into": Path(self.into),
            "follow": self.follow,
            "files": self.files,
            "pdf": self.pdf,
            "refresh": self.refresh,
            "checkpoint": checkpoint or self.name,
        }
        async with manager.copy(self.ids, **options) as copy:
            async for each in copy:
                if isinstance(each, Failed) and len(failures) < _MAX_FAILURES:
                    failures.append((each.id, str(each.error)))
            report = copy.report()
        done = report.copied + report.unchanged
        return self._report(
            failures,
            acknowledged=done + report.skipped,
            fetched=done,
            failed=report.failed,
            skipped=report.skipped,
        )
