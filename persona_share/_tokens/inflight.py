"""One operation per key, however many callers wait for it.

An operation is a task that the manager owns, outside every caller's cancel scope. A
caller only waits on its own future, so cancelling any caller, or all of them,
touches nothing else. Operations are registered before they start: no task factory can
run one that cannot be found.
"""

import asyncio
import enum
import heapq
import itertools
import logging
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterator,
)
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, TypeVar

from persona_share._tokens.metrics import Emitter
from persona_share._waiting import retrieve
from persona_share.errors import (
    ExchangeUnavailableError,
    PersonaError,
    ReentrantCodeSourceError,
    TooManyWaitersError,
)
from persona_share.model import events
from persona_share.ports import Clock


_log: Final = logging.getLogger("persona_share")

_LIBRARY_MODULES: Final = ("persona_share.", "asyncio")
MAX_WAITERS: Final = 10_000
#: A wait of this many seconds is logged, once.
_NOTICEABLE: Final = 1.0
T = TypeVar("T")

# The operations that a piece of code runs for: a code source that asks for the scope it
# is serving would wait for itself.
_SERVING: Final[ContextVar[frozenset["Operation"]]] = ContextVar(
    "persona_share_serving", default=frozenset()
)


class Tasks:
    """The background tasks of one manager."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[Any], bool] = {}

    def start(
        self, work: Coroutine[Any, Any, T], *, endless: bool = False
    ) -> asyncio.Task[T]:
        """Start a task. ``endless`` ones are not waited for when the manager closes."""
        task = asyncio.get_running_loop().create_task(work)
        if not task.done():  # an eager task factory may have run it to its end
            self._running[task] = endless
            task.add_done_callback(self._running.pop)
        task.add_done_callback(retrieve)
        return task

    def ending(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that come to an end by themselves."""
        return [task for task, endless in self._running.items() if not endless]

    async def cancel_all(self) -> None:
        """Cancel every task, and give each a moment to end."""
        for _ in range(3):  # a task that is cancelled may start another one
            tasks = list(self._running)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.2)

    def abandon(self) -> None:
        """Forget all tasks, in a forked child."""
        self._running.clear()


class WaitResult(enum.Enum):
    """How a wait ends without a result of the operation."""

    TIMED_OUT = enum.auto()
    WITHDRAWN = enum.auto()


class Operation:
    """One operation under way, with its waiters.

    ``committed``: it continues though no caller waits for it. ``waiting_for`` says
    what it waits for now, for the errors of callers whose time is up.
    """

    def __init__(
        self, inflight: "Inflight", key: Hashable, *, background: bool
    ) -> None:
        self.background: bool = background
        self.committed: bool = False
        self.followers: int = 0
        self.waiting_for: str | None = None
        self.waiting_since: float = 0.0
        self.code_offered: asyncio.Event = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._inflight = inflight
        self._key = key
        self._done = False
        self._outcome: Any = None
        self._ending: object | None = None
        self._waiters: dict[asyncio.Future[Any], None] = {}
        self._deadlines: list[tuple[float, int, asyncio.Future[Any]]] = []
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = float("inf")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what the operation waits for; a wait of a second is logged, once."""
        self.waiting_for, self.waiting_since = what, self._inflight.clock.now()
        notice = asyncio.get_running_loop().create_task(self._notice(what))
        try:
            yield
        finally:
            notice.cancel()
            self.waiting_for = None

    async def _notice(self, what: str) -> None:
        await self._inflight.clock.sleep(_NOTICEABLE)
        waited = self._inflight.clock.now() - self.waiting_since
        _log.info("Acquiring a token waits for %s (%.0f s so far).", what, waited)
        self._inflight.emit(events.TokenWaiting, reason=what, seconds=waited)

    @property
    def is_sending(self) -> bool:
        """Whether a code has been sent and no usable response has come yet."""
        return self.committed and self.waiting_for is None

    @property
    def unwanted(self) -> bool:
        """Whether it was started for callers, and all of them have left."""
        return not self._waiters and not self.background

    @property
    def hurried(self) -> bool:
        """Whether a caller waits for it."""
        return bool(self._waiters) or not self.background

    @property
    def is_serving_this_call(self) -> bool:
        """Whether the caller is the operation's own code source."""
        return self in _SERVING.get()

    def start(self, work: Callable[..., Awaitable[Any]], *args: object) -> None:
        """Start the task; the operation is registered by now."""
        task = asyncio.get_running_loop().create_task(self._run(work, *args))
        if self._done:
            return  # an eager task factory has run it to its end
        self.task = task
        # A task that is cancelled before its first step runs nothing at all.
        task.add_done_callback(lambda _: self._end(self._ending))
        if self._ending is not None:
            task.cancel()

    async def wait(self, until: float) -> Any:
        """Wait for the end, at most until this instant.

        Raises `ReentrantCodeSourceError` in the operation's own code source, and
        `TooManyWaitersError`.
        """
        if self.is_serving_this_call:
            message = "the code source requested a token for the scope that it supplies"
            raise ReentrantCodeSourceError(message)
        if self._done:
            return self._outcome
        if len(self._waiters) >= MAX_WAITERS:
            message = f"{MAX_WAITERS} callers wait for this scope already"
            raise TooManyWaitersError(message)
        self.followers += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters[future] = None
        self._end_wait_at(until, future)
        try:
            return await future
        finally:
            if future in self._waiters:
                del self._waiters[future]
                self._withdraw_if_unwanted()

    def abandon(self, ending: object) -> None:
        """Stop the work; those who wait get ``ending``."""
        if self._done or self._ending is not None:
            return
        self._ending = ending
        self._inflight.remove(self._key, self)
        self._resolve(ending)
        if self.task is not None:
            self.task.cancel()

    async def _run(self, work: Callable[..., Awaitable[Any]], *args: object) -> None:
        _SERVING.set(_SERVING.get() | {self})
        outcome: Any = ExchangeUnavailableError("the operation was cancelled")
        try:
            if self._ending is None:
                outcome = await work(self, *args)
        except asyncio.CancelledError:
            # Without our cancellation, the loop is shutting down.
            outcome = self._ending or outcome
        except PersonaError as error:
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # waiters must not hang on a mistake
            what = f"the exchange failed: {type(error).__name__}{where(error)}"
            outcome = ExchangeUnavailableError(what)
        finally:
            self._end(outcome)

    def _end(self, outcome: Any) -> None:
        if self._done:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._outcome, self._done, self.task = outcome, True, None
        self._inflight.remove(self._key, self)
        self._inflight.ending.discard(self)
        self._resolve(outcome)

    def _resolve(self, outcome: Any) -> None:
        waiters, self._waiters = self._waiters, {}
        self._deadlines.clear()
        for future in waiters:
            if not future.done():
                future.set_result(outcome)

    def _withdraw_if_unwanted(self) -> None:
        if self.unwanted and not self.committed:
            self.abandon(WaitResult.WITHDRAWN)

    def _end_wait_at(self, until: float, future: asyncio.Future[Any]) -> None:
        heapq.heappush(self._deadlines, (until, next(self._order), future))
        if until >= self._timer_at > self._inflight.clock.now():
            return  # otherwise the timer is late: it did not count a suspension
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = asyncio.get_running_loop().create_task(self._end_waits())

    async def _end_waits(self) -> None:
        clock = self._inflight.clock
        while self._deadlines:
            until, _, future = self._deadlines[0]
            self._timer_at = until
            if until > clock.now() and not future.done():
                await clock.sleep(until - clock.now())
                continue
            heapq.heappop(self._deadlines)
            if not future.done():
                self._waiters.pop(future, None)
                future.set_result(WaitResult.TIMED_OUT)
                self._withdraw_if_unwanted()
        self._timer_at = float("inf")
        self._timer = None


class Inflight:
    """The operations under way, by key; iterating shows also those that are ending."""

    def __init__(self, clock: Clock, emit: Emitter) -> None:
        self.clock: Clock = clock
        self.emit: Emitter = emit
        self.ending: set[Operation] = set()
        self._operations: dict[Hashable, Operation] = {}

    def __iter__(self) -> Iterator[Operation]:
        return iter((*self._operations.values(), *self.ending))

    def __contains__(self, key: Hashable) -> bool:
        return key in self._operations

    def get(self, key: Hashable) -> Operation | None:
        """Return the operation under way for this key."""
        return self._operations.get(key)

    def join(
        self,
        key: Hashable,
        work: Callable[..., Awaitable[Any]],
        *args: object,
        background: bool = False,
    ) -> Operation:
        """Return the operation of this key; without one, register and start it.

        ``work`` is called with the operation and ``args``.
        """
        operation = self._operations.get(key)
        if operation is None:
            operation = Operation(self, key, background=background)
            self._operations[key] = operation
            operation.start(work, *args)
        return operation

    def remove(self, key: Hashable, operation: Operation) -> None:
        """Let the next caller start a new operation; the operation may still be ending."""
        if self._operations.get(key) is operation:
            del self._operations[key]
        self.ending.add(operation)

    def clear(self) -> None:
        """Forget all operations, in a forked child."""
        self._operations.clear()
        self.ending.clear()


def where(error: BaseException) -> str:
    """Return where the user's code raised an error, without a value of it.

    That is the first frame after ours: a deeper one belongs to some other library.
    """
    found = users_frames(error)
    if found is None:  # a bug of this library: its own line
        found = error.__traceback__
        while found is not None and found.tb_next is not None:
            found = found.tb_next
    if found is None:
        return ""
    code = found.tb_frame.f_code
    name = code.co_filename.rpartition("/")[2]
    return f" ({name}:{found.tb_lineno} in {code.co_name})"


def users_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error from the first frame of the user's code on."""
    traceback = error.__traceback__
    while traceback is not None and (
        traceback.tb_frame.f_globals.get("__name__", "").startswith(_LIBRARY_MODULES)
    ):
        traceback = traceback.tb_next
    return traceback
