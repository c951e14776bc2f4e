"""Jobs: batches that an engine such as Dask, Ray or Celery runs in its workers.

A job holds ids and names of functions, and no secrets: the functions read those from
the environment of the worker.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from persona_share.batch.batch import MAX_OUTAGE
from persona_share.batch.copy import FOLLOW
from persona_share.batch.shards import StoreCheckpoint, shard_name
from persona_share.errors import InvalidArgumentError
from persona_share.manager import ScopedTokenManager
from persona_share.model.batch import Failed, Fetched
from persona_share.model.policy import CONCURRENCY, OBJECTS_PER_TOKEN
from persona_share.ports import Store


OpenManager = Callable[[], AbstractAsyncContextManager[ScopedTokenManager]]
OpenStore = Callable[[], Store]
Handle = Callable[[Fetched[Any]], Any]

_MAX_FAILURES: Final = 1_000


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
    return tuple(value)


@attrs.frozen(kw_only=True)
class _Job:
    """The parts that every job has."""

    ids: tuple[str, ...] = attrs.field(converter=_ids, repr=False)
    open_manager: OpenManager = attrs.field(validator=_importable)
    open_store: OpenStore | None = attrs.field(default=None, validator=_importable)
    name: str = attrs.field()
    concurrency: int = CONCURRENCY
    objects_per_token: int = OBJECTS_PER_TOKEN
    permission: str | None = None
    max_outage: float = MAX_OUTAGE

    @name.default
    def _default_name(self) -> str:
        return shard_name(self.ids)

    def run(self) -> JobReport:
        """Run the job in an event loop of its own, and return when it is done.

        Raises what stops a batch; run the same job again to continue.
        """
        return asyncio.run(self.run_async())

    async def run_async(self) -> JobReport:
        """Run the job in the running event loop."""
        async with self.open_manager() as manager, self._checkpoint() as record:
            return await self._run(manager, record)

    async def _run(
        self, manager: ScopedTokenManager, checkpoint: StoreCheckpoint | None
    ) -> JobReport:
        raise NotImplementedError

    @asynccontextmanager
    async def _checkpoint(self) -> AsyncIterator[StoreCheckpoint | None]:
        if self.open_store is None:
            yield None
            return
        store = self.open_store()
        await store.open()
        try:
            yield StoreCheckpoint(store, self.name, self.ids)
        finally:
            await store.aclose()

    def _report(
        self,
        checkpoint: StoreCheckpoint | None,
        *,
        fetched: int,
        skipped: int,
        failures: list[tuple[str, str]],
        failed: int,
    ) -> JobReport:
        done = fetched if checkpoint is None else checkpoint.acknowledged
        return JobReport(
            name=self.name,
            objects=len(self.ids),
            acknowledged=done,
            fetched=fetched,
            failed=failed,
            skipped=skipped,
            failures=tuple(failures),
        )


@attrs.frozen(kw_only=True)
class FetchJob(_Job):
    """Fetches the objects of one shard, and passes each of them to ``handle``.

    ``open_manager`` returns an async context manager of a `ScopedTokenManager`;
    ``open_store`` returns the store of the checkpoint. ``handle`` may be async. An
    object is acknowledged after ``handle`` has returned; ``acknowledge_every`` objects
    share one write. After a kill the objects of the last write that was missed are
    handled again, so ``handle`` should be idempotent.
    """

    handle: Handle = attrs.field(validator=_importable)
    acknowledge_every: int = 50

    async def _run(
        self, manager: ScopedTokenManager, checkpoint: StoreCheckpoint | None
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
            await batch.acknowledge(*handled)
            report = batch.report()
        return self._report(
            checkpoint,
            fetched=report.fetched,
            skipped=report.skipped,
            failures=failures,
            failed=report.failed,
        )


@attrs.frozen(kw_only=True)
class CopyJob(_Job):
    """Copies the people of one shard into a folder that all workers share."""

    into: str = attrs.field(converter=str)
    follow: tuple[str, ...] = attrs.field(default=FOLLOW, converter=tuple)
    files: bool = True
    pdf: bool = False
    refresh: bool = False

    async def _run(
        self, manager: ScopedTokenManager, checkpoint: StoreCheckpoint | None
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
        return self._report(
            checkpoint,
            fetched=report.copied + report.unchanged,
            skipped=report.skipped,
            failures=failures,
            failed=report.failed,
        )
