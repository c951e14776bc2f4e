"""The batch: an async iterator over the outcomes of many objects."""

import math
import os
from collections.abc import Callable, Sequence, Sized
from datetime import timedelta
from typing import Final, Generic, Literal, TypedDict, TypeVar

import attrs

from persona_share._policy.rate_limit import minimum_duration
from persona_share.batch.checkpoint import Checkpoint, OutputPosition
from persona_share.batch.iteration import OutcomeIterator
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.workers import End, Ids, WorkerPool, lines_of
from persona_share.errors import InvalidArgumentError
from persona_share.model.batch import (
    Failed,
    Fetched,
    Plan,
    Progress,
    RateLimitStatus,
    Report,
)
from persona_share.model.policy import CONCURRENCY
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope


R = TypeVar("R", bound=Resource)

PathLike = str | os.PathLike[str]
OnProgress = Callable[[Progress], object]
Acknowledge = Literal["next", "explicit"]

#: How long nothing may work before a batch stops, in seconds.
MAX_OUTAGE: Final = 900.0


class FetchArguments(TypedDict, total=False):
    """The keyword arguments of every ``fetch``.

    ``concurrency`` is the number of calls in flight. ``checkpoint`` is a file that
    remembers what was acknowledged, so that the next run skips it. ``acknowledge`` is
    "next" (asking for the next outcome acknowledges the one before) or "explicit"
    (`Batch.acknowledge` does). ``max_outage`` is how long nothing may work before the
    batch stops, in seconds. ``on_progress`` is called after every object.
    """

    concurrency: int
    checkpoint: PathLike | Checkpoint | None
    acknowledge: Acknowledge
    max_outage: float | timedelta
    on_progress: OnProgress | None


class ManagerFetchArguments(FetchArguments, total=False):
    """The keyword arguments of `ScopedTokenManager.fetch`.

    ``permission`` is requested if the prefixes of the ids do not show it.
    ``objects_per_token`` is the size of a group that shares a token.
    """

    permission: str | None
    objects_per_token: int


@attrs.frozen(kw_only=True)
class FetchOptions:
    """Which objects are fetched, and how.

    ``linger`` is how long a group waits for more ids of a slow source, in seconds.
    ``partner_outages`` is shared by the batches of one copy.

    Raises:
        InvalidArgumentError: an option cannot be used.
    """

    ids: Ids = attrs.field(repr=False, converter=lines_of)
    kind: type[Resource] = Resource
    concurrency: int = CONCURRENCY
    checkpoint: PathLike | Checkpoint | None = None
    acknowledge: Acknowledge = "next"
    max_outage: float | timedelta = MAX_OUTAGE
    on_progress: OnProgress | None = None
    linger: float = 1.0
    partner_outages: OutageMonitor | None = None

    def __attrs_post_init__(self) -> None:
        """Check what a caller can get wrong."""
        kind: object = self.kind
        if not isinstance(kind, type) or not issubclass(kind, Resource):
            message = "kind must be a class of objects, such as Inquiry"
            raise InvalidArgumentError(message)
        if self.acknowledge not in {"next", "explicit"}:
            message = "acknowledge must be 'next' or 'explicit'"
            raise InvalidArgumentError(message)
        require_number("concurrency", self.concurrency)
        if not self.outage_seconds > 0:
            message = "max_outage must be a positive number of seconds"
            raise InvalidArgumentError(message)

    @property
    def total(self) -> int | None:
        """The number of ids, if it is known."""
        return len(self.ids) if isinstance(self.ids, Sized) else None

    @property
    def outage_seconds(self) -> float:
        """``max_outage`` in seconds."""
        given: object = self.max_outage
        if isinstance(given, timedelta):
            return given.total_seconds()
        if isinstance(given, bool) or not isinstance(given, int | float):
            message = "max_outage must be seconds or a timedelta"
            raise InvalidArgumentError(message)
        return float(given)


@attrs.frozen(kw_only=True)
class BatchContext:
    """Facts about the client and the manager of a batch.

    ``per_token`` is the number of objects that share a token. ``tokens`` returns the
    number of exchanges so far.
    """

    total: int | None
    per_token: int | None
    allowance: Callable[[], RateLimitStatus | None]
    tokens: Callable[[], int]
    emit: Callable[[Progress], object] | None
    acknowledge: Acknowledge = "next"


class Batch(OutcomeIterator[Fetched[R] | Failed], Generic[R]):
    """An async iterator of `Fetched` and `Failed`, in the order in which they arrive.

    Nothing is sent before the first outcome is asked for. Asking for the next one
    acknowledges the one before, unless ``acknowledge="explicit"``. A time-out or a
    cancellation around one ``anext()`` loses nothing: ask again. Use it as
    ``async with manager.fetch(...) as batch``; leaving the block ends it.
    """

    def __init__(self, pool: WorkerPool, context: BatchContext) -> None:
        super().__init__(pool, pool.clock.now)
        self._pool = pool
        self._stats = pool.stats
        self._context = context
        self._tokens_before = context.tokens()
        self._unacknowledged: str | None = None

    async def __anext__(self) -> Fetched[R] | Failed:
        outcome = await super().__anext__()
        # From here on nothing is awaited, so that no outcome is lost.
        self._stats.count(outcome)
        if isinstance(outcome, Fetched) and self._context.acknowledge == "next":
            self._unacknowledged = outcome.id
        if self._context.emit is not None:
            self._context.emit(self.progress())
        return outcome

    async def _next(self) -> Fetched[R] | Failed | End:
        if not self._closed and (done := self._unacknowledged) is not None:
            await self._record((done,))
            self._unacknowledged = None
        return await super()._next()

    async def open(self) -> None:
        """Lock the checkpoint, if there is one, before anything else is done."""
        if self._pool.checkpoint is not None:
            await self._pool.checkpoint.open()

    async def acknowledge(
        self, *object_ids: str, output: OutputPosition | None = None
    ) -> None:
        """Record objects as done in the checkpoint.

        Use it with ``acknowledge="explicit"``, or for the last object before a loop is
        left on purpose. ``output`` is recorded with them.
        """
        await self.release(*object_ids)
        checkpoint = self._pool.checkpoint
        if checkpoint is None:
            return
        was_open = self._task is not None and not self._closed
        await checkpoint.open()
        try:
            await checkpoint.record(object_ids, output)
            self._pool.acknowledged(object_ids)
        finally:
            if not was_open and not self._entered:
                checkpoint.close()

    async def release(self, *object_ids: str) -> None:
        """Record that these objects need their tokens no more.

        `acknowledge` does so as well. It is needed with ``acknowledge="explicit"``, for
        objects that are not acknowledged.
        """
        await self._pool.release(object_ids)

    def scope_of(self, object_id: str) -> Scope | None:
        """Return the scope that an object was fetched under, for its PDF or files.

        It is known with ``acknowledge="explicit"``, until the object is acknowledged
        or released, and None without a manager.
        """
        return self._pool.scope_of(object_id)

    async def output_position(self) -> OutputPosition | None:
        """Return the position of the output that the checkpoint knows."""
        checkpoint = self._pool.checkpoint
        if checkpoint is None:
            return None
        await checkpoint.open()
        return await checkpoint.output()

    async def _record(self, object_ids: Sequence[str]) -> None:
        if self._pool.checkpoint is not None:
            await self._pool.checkpoint.record(object_ids)
            self._pool.acknowledged(object_ids)

    def plan(self) -> Plan:
        """Return the minimum that this batch needs, at the current rate limit."""
        context, allowance = self._context, self._context.allowance()
        total = context.total
        tokens = None
        if total is not None:
            tokens = math.ceil(total / context.per_token) if context.per_token else 0
        least = None
        if total is not None and tokens is not None and allowance is not None:
            least = minimum_duration(total + tokens, allowance)
        limit = allowance.limit if allowance else None
        return Plan(objects=total, tokens=tokens, limit=limit, shortest_for=least)

    def progress(self) -> Progress:
        """Return the progress."""
        stats, context = self._stats, self._context
        seconds = self._seconds()
        tried = stats.fetched + stats.failed
        rate = tried / seconds if seconds > 0 else 0.0
        window = context.allowance()
        left_for = None
        if context.total is not None:
            left = max(context.total - stats.done, 0)
            spent = timedelta(seconds=left / rate) if rate else None
            bound = minimum_duration(left, window) if window else None
            left_for = bound or spent
        waiting_for = self._pool.waiting_for
        if waiting_for is None and window is not None and window.remaining <= 1:
            waiting_for = "rate limit"
        return Progress(
            at=self._now(),
            total=context.total,
            fetched=stats.fetched,
            failed=stats.failed,
            skipped=stats.skipped,
            rate=rate,
            left_for=left_for,
            window=window,
            waiting_for=waiting_for,
        )

    def report(self) -> Report:
        """Return what was done so far."""
        stats = self._stats
        return Report(
            fetched=stats.fetched,
            failed=stats.failed,
            skipped=stats.skipped,
            seconds=self._seconds(),
            waits=stats.waits,
            waited=stats.waited,
            retries=stats.retries,
            tokens=self._context.tokens() - self._tokens_before,
            p50=stats.quantile(0.50),
            p95=stats.quantile(0.95),
        )

    def __repr__(self) -> str:
        total = "?" if self._context.total is None else self._context.total
        return f"<Batch, {self._stats.done} of {total} objects>"


def require_number(name: str, value: object, at_most: int | None = None) -> None:
    """Raise `InvalidArgumentError` for anything but a whole number above 0."""
    if type(value) is not int or value < 1 or (at_most and value > at_most):
        bound = f" and at most {at_most}" if at_most else ""
        message = f"{name} must be a whole number above 0{bound}"
        raise InvalidArgumentError(message)
