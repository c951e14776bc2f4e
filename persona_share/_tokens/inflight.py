"""One operation per key, however many callers wait for it.

An operation is a task that the manager owns, outside every caller's cancel scope. A
caller only waits on its own future, so cancelling any caller, or all of them,
touches nothing else. Operations are registered before they start.
"""

import asyncio
import enum
import heapq
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
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

# The operation that a piece of code runs for: a code source that asks for the scope it
# is serving would wait for itself.
_SERVING: Final[ContextVar["Operation | None"]] = ContextVar(
    "persona_share_serving", default=None
)


class Tasks:
    """The background tasks of one manager."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[Any], bool] = {}
        self._closed = False

    def start(
        self, work: Coroutine[Any, Any, T], *, endless: bool = False
    ) -> asyncio.Task[T]:
        """Start a task. ``endless`` ones are not waited for when the manager closes."""
        # Not by the loop's task factory: an eager one would run it before it is known.
        task = asyncio.Task(work)
        if self._closed:
            task.cancel()  # so that it does not begin
        self._running[task] = endless
        task.add_done_callback(self._running.pop)
        task.add_done_callback(retrieve)
        return task

    async def ended(self) -> None:
        """Wait for the tasks that end by themselves, and for those that they start."""
        while tasks := [task for task, endless in self._running.items() if not endless]:
            await asyncio.wait(tasks)

    async def cancel_all(self) -> None:
        """Cancel every task, from now on at once, and give each a moment to end."""
        self._closed = True
        for task in (tasks := list(self._running)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)


class WaitResult(enum.Enum):
    """How a wait ends without a result of the operation."""

    TIMED_OUT = enum.auto()
    WITHDRAWN = enum.auto()


class Operation:
    """One operation under way, with its waiters.

    ``committed``: it continues though no caller waits for it. ``is_sending``: a code was
    sent, and no usable response has come yet. ``callers`` is how many wait now,
    ``followers`` how many ever did. ``waiting_for`` says what it waits for now, for the
    errors of callers whose time is up. Its code source waits for those in ``awaited``.
    """

    def __init__(
        self,
        inflight: "Inflight",
        key: Hashable,
        work: Callable[..., Awaitable[Any]],
        *args: object,
        background: bool,
    ) -> None:
        self.background: bool = background
        self.committed: bool = False
        self.is_sending: bool = False
        self.callers: int = 0
        self.followers: int = 0
        self.waiting_for: str | None = None
        self.waiting_since: float = 0.0
        self.code_offered: asyncio.Event = asyncio.Event()
        self._inflight = inflight
        self._key = key
        # By deadline; a caller that left stays until then.
        self._waiters: list[tuple[float, int, asyncio.Future[Any]]] = []
        self.awaited: list[Operation] = []
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = float("inf")
        self.task: asyncio.Task[Any] = inflight.tasks.start(self._run(work, *args))
        self.task.add_done_callback(self._end)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what the operation waits for; a wait of a second is logged, once."""
        self.waiting_for, self.waiting_since = what, self._inflight.clock.now()
        notice = self._inflight.tasks.start(self._notice(what), endless=True)
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
    def unwanted(self) -> bool:
        """Whether it was started for callers, and all of them have left."""
        return self.callers == 0 and not self.background

    @property
    def is_serving_this_call(self) -> bool:
        """Whether the operation waits for this code source, which calls it."""
        serving = _SERVING.get()
        if serving is None:
            return False
        found = new = {self}
        while new:
            new = {other for each in new for other in each.awaited} - found
            found |= new
        return serving in found

    async def wait(self, until: float) -> Any:
        """Wait for the end, at most until this instant.

        Raises `ReentrantCodeSourceError` in the operation's own code source, and
        `TooManyWaitersError`.
        """
        serving = _SERVING.get()
        if serving is not None and self.is_serving_this_call:
            message = "the code source requested a token for the scope that it supplies"
            raise ReentrantCodeSourceError(message)
        if self.callers >= MAX_WAITERS:
            message = f"{MAX_WAITERS} callers wait for this scope already"
            raise TooManyWaitersError(message)
        self.followers += 1
        self.callers += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._end_wait_at(until, future)
        if serving is not None:
            serving.awaited.append(self)
        try:
            return await future
        finally:
            if serving is not None:
                serving.awaited.remove(self)
            self.callers -= 1
            if self.unwanted and not self.committed:
                self.abandon(WaitResult.WITHDRAWN)

    def abandon(self, ending: object) -> None:
        """Stop the work; those who wait get ``ending``, and the next caller starts again."""
        if self._inflight.get(self._key) is self:
            self._resolve(ending)
            self.task.cancel()

    async def _run(self, work: Callable[..., Awaitable[Any]], *args: object) -> Any:
        """Return the outcome of the work; an error is one, too."""
        serving = _SERVING.set(self)
        try:
            return await work(self, *args)
        except PersonaError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # waiters must not hang on a mistake
            what = f"the exchange failed: {type(error).__name__}{where(error)}"
            return ExchangeUnavailableError(what)
        finally:
            _SERVING.reset(serving)  # or this task and its context hold each other

    def _end(self, task: asyncio.Task[Any]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # the cancelled task refers to this operation
        if task.cancelled() or task.exception() is not None:
            # Unless we cancelled it, the loop is shutting down.
            self._resolve(ExchangeUnavailableError("the operation was cancelled"))
        else:
            self._resolve(task.result())

    def _resolve(self, outcome: Any) -> None:
        if self._inflight.get(self._key) is self:
            del self._inflight[self._key]
        for _, _, future in self._waiters:
            if not future.done():
                future.set_result(outcome)

    def _end_wait_at(self, until: float, future: asyncio.Future[Any]) -> None:
        heapq.heappush(self._waiters, (until, self.followers, future))
        if until >= self._timer_at > self._inflight.clock.now():
            return  # otherwise the timer is late: it did not count a suspension
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = self._inflight.tasks.start(self._end_waits(), endless=True)

    async def _end_waits(self) -> None:
        clock = self._inflight.clock
        while self._waiters:
            until, _, future = self._waiters[0]
            if until > clock.now() and not future.done():
                self._timer_at = until
                await clock.sleep(until - clock.now())
                continue
            heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(WaitResult.TIMED_OUT)
        self._timer_at = float("inf")


class Inflight(dict[Hashable, Operation]):
    """The operations under way, by key."""

    def __init__(self, clock: Clock, emit: Emitter, tasks: Tasks) -> None:
        super().__init__()
        self.clock: Clock = clock
        self.emit: Emitter = emit
        self.tasks: Tasks = tasks

    def __repr__(self) -> str:
        return f"<Inflight of {len(self)} operations>"

    def join(
        self,
        key: Hashable,
        work: Callable[..., Awaitable[Any]],
        *args: object,
        background: bool = False,
    ) -> Operation:
        """Return the operation of this key; without one, start it.

        ``work`` is called with the operation and ``args``.
        """
        operation = self.get(key)
        if operation is None:
            operation = Operation(self, key, work, *args, background=background)
            self[key] = operation
        return operation


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
