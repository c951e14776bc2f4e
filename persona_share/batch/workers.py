"""The worker pool: one task reads ids, some prepare groups, and many retrieve objects.

Between them, and between them and the consumer of the outcomes, are short queues. A
slow consumer slows the others down, and memory does not grow with the number of ids.
"""

import asyncio
import io
import math
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import anyio
import attrs
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from persona_share._protocol.http import Request, Response
from persona_share.batch.checkpoint import Checkpoint
from persona_share.batch.groups import Lookahead, Planner, Postponed, WorkItem
from persona_share.batch.outages import OutageMonitor, StopAfter, may_be_its_own
from persona_share.errors import (
    AuthenticationError,
    ClientClosedError,
    InvalidArgumentError,
    ManagerClosedError,
    NotOpenError,
    PersonaError,
    ProxyError,
    QuotaExceededError,
    RateLimitedError,
    TLSVerificationError,
    TokenError,
    WrongEventLoopError,
)
from persona_share.model.batch import Failed, Fetched, WaitingFor
from persona_share.model.scope import Scope
from persona_share.ports import Clock, Sender


Ids = Iterable[str] | AsyncIterable[str]
AnyOutcome = Fetched[Any] | Failed

#: No object can be fetched after one of these.
_FINAL = ClientClosedError | ManagerClosedError | NotOpenError | WrongEventLoopError
#: An object fails after this many failures that were not part of an outage.
_MAX_TRIES: Final = 3
#: Errors in a row after which a batch stops, as every object would meet them.
_MAX_FATAL: Final = 3
#: A call that was held back for less did not wait for the rate limit.
_MIN_WAIT: Final = 1.0
#: Durations are counted in buckets, each 5 % wider than the one before.
_BUCKET: Final = math.log(1.05)


@attrs.frozen
class End:
    """No outcome follows; ``error`` is the reason if it is not the end of the ids."""

    error: BaseException | None = None


def is_fatal(error: PersonaError) -> bool:
    """Return whether an error would meet every other object as well."""
    if isinstance(error, ProxyError):
        return not error.retryable
    return isinstance(
        error, AuthenticationError | QuotaExceededError | TLSVerificationError
    )


class BatchStats:
    """Counts outcomes, retries and waits, and the durations of calls."""

    def __init__(self) -> None:
        self.fetched: int = 0
        self.failed: int = 0
        self.skipped: int = 0
        self.retries: int = 0
        self.waits: int = 0
        self.waited: float = 0.0
        self._buckets: Counter[int] = Counter()

    @property
    def done(self) -> int:
        """The number of objects that need nothing more."""
        return self.fetched + self.failed + self.skipped

    def count(self, outcome: Fetched[Any] | Failed) -> None:
        """Count an outcome that is returned to the caller."""
        if isinstance(outcome, Failed):
            self.failed += 1
        else:
            self.fetched += 1

    def sent(self, held_back: float, took: float) -> None:
        """Count a call that has a response: its wait before sending, and its duration."""
        if held_back >= _MIN_WAIT:
            self.waits += 1
            self.waited += held_back
        self._buckets[int(math.log(max(took, 1e-6)) / _BUCKET)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the seconds within which this share of the calls had its response."""
        wanted = share * self._buckets.total()
        reached = 0
        for number in sorted(self._buckets):
            reached += self._buckets[number]
            if reached >= wanted:
                return math.exp((number + 0.5) * _BUCKET)
        return None


class Measured:
    """A Sender that counts the calls of one batch."""

    def __init__(
        self, inner: Sender, stats: BatchStats, now: Callable[[], float]
    ) -> None:
        self._inner = inner
        self._stats = stats
        self._now = now

    async def send(self, request: Request) -> Response:
        """Send and count."""
        started = self._now()
        try:
            response = await self._inner.send(request)
        except PersonaError as error:
            self._stats.retries += max(len(error.attempts) - 1, 0)
            raise
        if response.attempts:
            self._stats.retries += len(response.attempts) - 1
        sent = response.first_sent_at
        self._stats.sent(sent - started, self._now() - sent)
        return response


@attrs.define(eq=False, kw_only=True)
class WorkerPool:
    """Fetches the objects of ``ids``, and puts their outcomes into a queue.

    The queue is asyncio's: its ``get()`` can be cancelled at any moment without losing
    an item, which the consumer's time-outs need.
    """

    ids: Ids
    planner: Planner
    clock: Clock
    outages: OutageMonitor
    partner_outages: OutageMonitor | None = None
    stats: BatchStats
    concurrency: int
    checkpoint: Checkpoint | None = None
    #: Whether objects keep their token until they are acknowledged or released.
    keep_tokens: bool = False
    outcomes: asyncio.Queue[AnyOutcome | End] = attrs.field(init=False)
    _retries: list[WorkItem] = attrs.field(factory=list, init=False)
    _regroup: list[str] = attrs.field(factory=list, init=False)
    _postponed: list[list[str]] = attrs.field(factory=list, init=False)
    _open: int = attrs.field(default=0, init=False)
    _idle: anyio.Event | None = attrs.field(default=None, init=False)
    _limited: int = attrs.field(default=0, init=False)
    #: With a checkpoint: ids that were read and are neither acknowledged nor failed.
    _pending: set[str] = attrs.field(factory=set, init=False)
    _stop: StopAfter = attrs.field(init=False)
    #: The fetches of each object that need their tokens; an id may be given twice.
    _held: dict[str, list[WorkItem]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Create the queue of outcomes."""
        self.outcomes = asyncio.Queue(self.concurrency)
        self._stop = StopAfter(_MAX_FATAL, is_fatal)

    @property
    def waiting_for(self) -> WaitingFor | None:
        """The reason for which the whole pool waits, or None."""
        partner = self.partner_outages
        if partner is not None and partner.paused:
            return "partner"
        return self.outages.waiting_for or ("rate limit" if self._limited else None)

    def release_lock(self) -> None:
        """Release the checkpoint, if there is one."""
        if self.checkpoint is not None:
            self.checkpoint.close()

    async def run(self) -> None:
        """Fetch everything; the last item of the queue is an `End`."""
        error: BaseException | None = None
        try:
            error = await self._run()
        except BaseExceptionGroup as group:
            error = first_error(group)
        except Exception as failure:  # noqa: BLE001  # raised to the consumer
            error = failure
        if isinstance(error, asyncio.CancelledError):
            raise error
        await self.outcomes.put(End(error))

    async def _run(self) -> BaseException | None:
        chunks, planned = anyio.create_memory_object_stream[tuple[list[str], bool]](0)
        items, waiting = anyio.create_memory_object_stream[WorkItem](self.concurrency)
        order = anyio.Lock()
        error: BaseException | None = None
        async with (
            chunks,
            planned,
            items,
            waiting,
            anyio.create_task_group() as tasks,
        ):
            lookahead = Lookahead(self.planner.max_ahead)
            for _ in range(self.planner.max_ahead + 1):
                tasks.start_soon(self._plan, planned, items, order, lookahead)
            for _ in range(self.concurrency):
                tasks.start_soon(self._work, waiting)
            try:
                await self._read(chunks, items)
            except Exception as failure:  # noqa: BLE001  # raised to the consumer
                error = failure
            await self._until_idle()
            while self._retries or self._regroup or self._postponed:
                await self._retry(chunks, items)
                await self._until_idle()
            tasks.cancel_scope.cancel()
        return error

    # ── Reading and planning ────────────────────────────────────────────────────

    async def _read(
        self,
        chunks: MemoryObjectSendStream[tuple[list[str], bool]],
        items: MemoryObjectSendStream[WorkItem],
    ) -> None:
        async for chunk in self._chunks():
            self._open += len(chunk)
            await chunks.send((chunk, False))
            later = len(self._retries) + len(self._regroup)
            later += sum(map(len, self._postponed))
            if later >= max(self.planner.size, self.concurrency):
                await self._retry(chunks, items)

    async def _retry(
        self,
        chunks: MemoryObjectSendStream[tuple[list[str], bool]],
        items: MemoryObjectSendStream[WorkItem],
    ) -> None:
        """Feed the objects again whose retrieval failed for now."""
        retries, self._retries = self._retries, []
        regroup, self._regroup = self._regroup, []
        postponed, self._postponed = self._postponed, []
        if retries:
            await self.clock.sleep(max(each.tries for each in retries) * 0.5 or 0.5)
        self._open += len(retries) + len(regroup) + sum(map(len, postponed))
        for item in retries:
            await items.send(item)
        for first in range(0, len(regroup), self.planner.size):
            await chunks.send((regroup[first : first + self.planner.size], True))
        for chunk in postponed:
            await chunks.send((chunk, True))

    async def _chunks(self) -> AsyncIterator[list[str]]:
        """Iterate over the ids in chunks, without those acknowledged before."""
        ids = self.ids
        if isinstance(ids, AsyncIterable):
            async for chunk in self._streamed(ids):
                if new := await self._not_yet_fetched(chunk):
                    yield new
            return
        chunk = []
        for each in ids:
            chunk.append(each)
            if len(chunk) >= self.planner.size:
                if new := await self._not_yet_fetched(chunk):
                    yield new
                chunk = []
        if chunk and (new := await self._not_yet_fetched(chunk)):
            yield new

    async def _streamed(self, ids: AsyncIterable[str]) -> AsyncIterator[list[str]]:
        """Collect chunks from an async source; none waits long for a slow one."""
        size = self.planner.size
        sender, receiver = anyio.create_memory_object_stream[str](size)
        failure: Exception | None = None

        async def pump() -> None:
            nonlocal failure
            async with sender:
                try:
                    async for each in ids:
                        await sender.send(each)
                except Exception as error:  # noqa: BLE001  # raised after its ids
                    failure = error

        pumping = asyncio.create_task(pump())
        try:
            async for each in receiver:
                yield await self._collected([each], receiver)
        finally:
            receiver.close()
            pumping.cancel()
            await asyncio.wait([pumping])
        if failure is not None:
            raise failure

    async def _collected(
        self, chunk: list[str], ids: MemoryObjectReceiveStream[str]
    ) -> list[str]:
        """Fill a chunk with ids that are there, or come within a moment."""
        linger = self.planner.linger
        with suppress(anyio.EndOfStream), anyio.CancelScope() as scope:

            async def expire() -> None:
                await self.clock.sleep(linger)
                scope.cancel()

            timer = asyncio.create_task(expire())
            try:
                while len(chunk) < self.planner.size:
                    try:
                        chunk.append(ids.receive_nowait())
                    except anyio.WouldBlock:
                        if not linger:
                            break
                        chunk.append(await ids.receive())
            finally:
                timer.cancel()
        return chunk

    async def _not_yet_fetched(self, chunk: list[str]) -> list[str]:
        """Return those ids that are neither acknowledged nor on their way."""
        if self.checkpoint is None:
            return chunk
        # An id that is not text is not looked up; it fails when it becomes an item.
        known = await self.checkpoint.known([each for each in chunk if _is_id(each)])
        new: list[str] = []
        for each in chunk:
            if _is_id(each):
                if each in known or each in self._pending:
                    continue
                self._pending.add(each)
            new.append(each)
        self.stats.skipped += len(chunk) - len(new)
        return new

    def acknowledged(self, object_ids: Iterable[str]) -> None:
        """Forget ids that the checkpoint knows from now on."""
        self._pending.difference_update(object_ids)

    async def release(self, object_ids: Iterable[str]) -> None:
        """Record that these objects need their tokens no more."""
        for each in object_ids:
            if items := self._held.get(each):
                item = items.pop(0)
                if not items:
                    del self._held[each]
                await self.planner.done(item)

    def scope_of(self, object_id: str) -> Scope | None:
        """Return the scope that an object was fetched under, until it is released."""
        group = self._held[object_id][0].group if object_id in self._held else None
        return None if group is None else group.scope

    async def _plan(
        self,
        chunks: MemoryObjectReceiveStream[tuple[list[str], bool]],
        items: MemoryObjectSendStream[WorkItem],
        order: anyio.Lock,
        lookahead: Lookahead,
    ) -> None:
        """Prepare chunks; one group at a time feeds the workers, so none runs dry."""
        now = self.clock.now
        while True:
            await lookahead.enter()
            chunk, regrouped = await chunks.receive()
            started, feeding = now(), False
            async for each in self.planner.items(chunk, regrouped=regrouped):
                if isinstance(each, Failed):
                    await self._finish(each)
                    continue
                if isinstance(each, Postponed):
                    self._postponed.append(each.ids)
                    self._done(len(each.ids))
                    continue
                if not feeding:
                    lookahead.prepared(now() - started)
                    await order.acquire()
                    lookahead.leave()
                    started, feeding = now(), True
                try:
                    items.send_nowait(each)
                except anyio.WouldBlock:
                    await items.send(each)
            if feeding:
                order.release()
                lookahead.fetched(now() - started)
            else:
                lookahead.leave()

    # ── Retrieving ──────────────────────────────────────────────────────────────

    async def _work(self, items: MemoryObjectReceiveStream[WorkItem]) -> None:
        while True:
            try:
                item = items.receive_nowait()  # costs no turn of the event loop
            except anyio.WouldBlock:
                item = await items.receive()
            outcome = await self._retrieve(item)
            if self.keep_tokens and isinstance(outcome, Fetched):
                self._held.setdefault(item.id, []).append(item)
            elif outcome is not None or item.token_failed:
                await self.planner.done(item)
            if outcome is not None:
                await self._finish(outcome)
            else:
                self._done()

    async def _retrieve(self, item: WorkItem) -> AnyOutcome | None:
        """Retrieve an object; None if it must be tried again later."""
        while True:
            async with self.outages.attempt() as probe:
                try:
                    resource = await item.retrieve(item.id)
                except PersonaError as error:
                    if isinstance(error, _FINAL):
                        raise
                    if not isinstance(error, RateLimitedError):
                        self._stop.failed(error)
                        return self._failed(item, error, probe=probe)
                    self.outages.succeeded()
                    limited = error
                else:
                    self.outages.succeeded()
                    self._stop.succeeded()
                    return Fetched(item.id, resource)
            await self._wait_for_limit(limited)

    async def _wait_for_limit(self, error: RateLimitedError) -> None:
        self._limited += 1
        try:
            await self.clock.sleep(error.retry_after or 1.0)
        finally:
            self._limited -= 1

    def _failed(
        self, item: WorkItem, error: PersonaError, *, probe: bool
    ) -> AnyOutcome | None:
        if not error.retryable:
            self.outages.succeeded()  # there was a response
            return Failed(item.id, error)
        if isinstance(error, TokenError):
            if probe:
                self.outages.succeeded()
            if item.regrouped:
                return Failed(item.id, error)
            item.token_failed = True
            self._regroup.append(item.id)
            return None
        if not self.outages.failed(error, probe=probe):
            item.tries += may_be_its_own(error)
            if item.tries >= _MAX_TRIES:
                return Failed(item.id, error)
        self._retries.append(item)
        return None

    # ── Counting what is open ───────────────────────────────────────────────────

    async def _finish(self, outcome: AnyOutcome) -> None:
        if isinstance(outcome, Failed) and self._pending and _is_id(outcome.id):
            self._pending.discard(outcome.id)
        await self.outcomes.put(outcome)
        self._done()

    def _done(self, count: int = 1) -> None:
        self._open -= count
        if not self._open and self._idle is not None:
            self._idle.set()

    async def _until_idle(self) -> None:
        while self._open:
            self._idle = anyio.Event()
            await self._idle.wait()


def _is_id(given: object) -> bool:
    return isinstance(given, str) and given.isascii()


def lines_of(ids: Any) -> Any:
    """Return ids unchanged, or the lines of a text file without their ends.

    Raises `InvalidArgumentError` for a binary file, and for anything that is not
    iterable.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable | AsyncIterable):
        message = "ids must be an iterable or an async iterable of ids"
        raise InvalidArgumentError(message)
    if isinstance(ids, io.TextIOBase):
        return (text for line in ids if (text := line.strip()))
    if isinstance(ids, io.IOBase):
        message = "ids must be text, and this file is open in binary mode"
        raise InvalidArgumentError(message, advice="Open the file without 'b'.")
    return ids


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception that is not a cancellation."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending = [*each.exceptions, *pending]
        else:
            leaves.append(each)
    real = [each for each in leaves if not isinstance(each, asyncio.CancelledError)]
    return (real or leaves)[0]
