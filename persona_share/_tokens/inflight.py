"""One operation per key, however many callers wait for it.

An operation is a task that the manager owns, outside every caller's cancel scope. A
caller only waits on a future of its own, so cancelling any caller, or all of them,
touches nothing else. Operations are registered before they start: no task factory can
run one that cannot be found.
"""

import asyncio
import enum
import heapq
import itertools
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from persona_share.errors import (
    ExchangeUnavailableError,
    PersonaError,
    ReentrantCodeSourceError,
    TooManyWaitersError,
)
from persona_share.ports import Clock


_OURS: Final = ("persona_share.", "asyncio")
MAX_WAITERS: Final = 10_000

# The operations that a piece of code runs for: a code source that asks for the scope it
# is serving would wait for itself.
_SERVING: Final[ContextVar[frozenset["Operation"]]] = ContextVar(
    "persona_share_serving", default=frozenset()
)


class WaitResult(enum.Enum):
    """How a wait ends without a result of the operation."""

    TIMED_OUT = enum.auto()
    WITHDRAWN = enum.auto()


class Tasks:
    """The background tasks of one manager: registered first, then started."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Future[Any], asyncio.Task[None] | None] = {}
        self._endless: set[asyncio.Future[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Start a task whose result nobody waits for."""
        _ = self.spawn(work)

    def spawn(
        self, work: Callable[[], Awaitable[Any]], *, endless: bool = False
    ) -> asyncio.Future[Any]:
        """Start a task and return its result as a future; cancelling that is harmless.

        ``endless`` tasks are not waited for when the manager is closed.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._running[done] = None
        if endless:
            self._endless.add(done)
        task = loop.create_task(self._run(work, done))
        if done in self._running:
            self._running[done] = task
            # A task that is cancelled before its first step runs nothing at all.
            task.add_done_callback(lambda _: self._ended(done))
        return done

    def _ended(self, done: asyncio.Future[Any]) -> None:
        self._running.pop(done, None)
        self._endless.discard(done)
        if not done.done():
            done.cancel()

    def cancel(self, done: asyncio.Future[Any]) -> None:
        """Cancel one task."""
        if (task := self._running.get(done)) is not None:
            task.cancel()

    def ending(self) -> list[asyncio.Task[None]]:
        """Return the tasks that come to an end by themselves."""
        return [
            task
            for done, task in self._running.items()
            if task is not None and done not in self._endless
        ]

    async def cancel_all(self) -> None:
        """Cancel every task, and give each a moment to end."""
        for _ in range(3):  # a task that is cancelled may start another one
            tasks = [task for task in self._running.values() if task is not None]
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.2)

    def abandon(self) -> None:
        """Forget all tasks, in a forked child."""
        self._running.clear()
        self._endless.clear()

    async def _run(
        self, work: Callable[[], Awaitable[Any]], done: asyncio.Future[Any]
    ) -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            done.cancel()
            raise
        except BaseException as error:  # whoever awaits the future gets it
            if not done.done():
                done.set_exception(error)
                done.exception()  # not everybody waits for it
            if not isinstance(error, Exception):
                raise
        else:
            if not done.done():
                done.set_result(result)
        finally:
            self._running.pop(done, None)
            self._endless.discard(done)


class Operation:
    """One operation under way, with its waiters.

    ``committed``: it goes on though nobody waits for it any more. ``waiting_for`` says
    what it waits for now, for the errors of callers whose time is up.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        background: bool,
        ended: Callable[["Operation"], None],
    ) -> None:
        self.background = background
        self.committed = False
        self.followers = 0
        self.waiting_for: str | None = None
        self.waiting_since = 0.0
        self.wait_noticed = False
        self.code_offered = asyncio.Event()
        self.outcome: Any = None
        self.done = False
        self._clock = clock
        self._ended = ended
        self._ending: object | None = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._waiters: dict[asyncio.Future[Any], None] = {}
        self._deadlines: list[tuple[float, int, asyncio.Future[Any]]] = []
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = float("inf")

    def start(self, work: Callable[["Operation"], Awaitable[Any]]) -> None:
        """Start the task; the operation is registered by now."""
        task = self._loop.create_task(self._run(work))
        if self.done:
            return  # an eager task factory has run it to its end
        self._task = task
        # A task that is cancelled before its first step runs nothing at all.
        task.add_done_callback(lambda _: self._end(self._ending))
        if self._ending is not None:
            task.cancel()

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task, until it has ended."""
        return self._task

    def waits_for(self, what: str | None) -> None:
        """Note what the operation waits for from now on; None: for nothing special."""
        if what != self.waiting_for:
            self.waiting_for, self.waiting_since = what, self._clock.now()
            self.wait_noticed = False

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

    async def wait(self, until: float) -> Any:
        """Wait for the end, at most until this instant.

        Raises `ReentrantCodeSourceError` in the operation's own code source, and
        `TooManyWaitersError`.
        """
        if self.is_serving_this_call:
            message = "the code source asked for the scope that it is serving"
            raise ReentrantCodeSourceError(message)
        if self.done:
            return self.outcome
        if len(self._waiters) >= MAX_WAITERS:
            message = f"{MAX_WAITERS} callers wait for this scope already"
            raise TooManyWaitersError(message)
        self.followers += 1
        future: asyncio.Future[Any] = self._loop.create_future()
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
        if self.done or self._ending is not None:
            return
        self._ending = ending
        self._ended(self)
        self._resolve(ending)
        if self._task is not None:
            self._task.cancel()

    async def _run(self, work: Callable[["Operation"], Awaitable[Any]]) -> None:
        _SERVING.set(_SERVING.get() | {self})
        outcome: Any = ExchangeUnavailableError("the operation was cancelled")
        try:
            if self._ending is None:
                outcome = await work(self)
        except asyncio.CancelledError:
            # Without an ending of ours the loop shuts down.
            outcome = self._ending or outcome
        except PersonaError as error:
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  # waiters must not hang on a mistake
            what = f"the exchange failed: {type(error).__name__}{where(error)}"
            outcome = ExchangeUnavailableError(what)
        finally:
            self._end(outcome)

    def _end(self, outcome: Any) -> None:
        if self.done:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.outcome = outcome
        self.done = True
        self._task = None
        self._ended(self)
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
        if until >= self._timer_at > self._clock.now():
            return  # otherwise the timer is late: it did not count a suspension
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = self._loop.create_task(self._end_waits())

    async def _end_waits(self) -> None:
        while self._deadlines:
            until, _, future = self._deadlines[0]
            self._timer_at = until
            now = self._clock.now()
            if until > now and not future.done():
                await self._clock.sleep(until - now)
                continue
            heapq.heappop(self._deadlines)
            if not future.done():
                self._waiters.pop(future, None)
                future.set_result(WaitResult.TIMED_OUT)
                self._withdraw_if_unwanted()
        self._timer_at = float("inf")
        self._timer = None


class Inflight:
    """The operations under way, by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._operations: dict[Hashable, Operation] = {}
        self._ending: set[Operation] = set()

    def __iter__(self) -> Iterator[Operation]:
        return iter((*self._operations.values(), *self._ending))

    def __contains__(self, key: Hashable) -> bool:
        return key in self._operations

    def get(self, key: Hashable) -> Operation | None:
        """Return the operation under way for this key."""
        return self._operations.get(key)

    def join(
        self,
        key: Hashable,
        work: Callable[[Operation], Awaitable[Any]],
        *,
        background: bool = False,
    ) -> Operation:
        """Return the operation of this key; register one and start it if there is none."""
        operation = self._operations.get(key)
        if operation is not None:
            return operation

        def ended(which: Operation) -> None:
            if self._operations.get(key) is which:
                del self._operations[key]
            if which.done:
                self._ending.discard(which)
            else:
                self._ending.add(which)

        operation = Operation(self._clock, background=background, ended=ended)
        self._operations[key] = operation
        operation.start(work)
        return operation

    def clear(self) -> None:
        """Forget all operations, in a forked child."""
        self._operations.clear()
        self._ending.clear()


def where(error: BaseException) -> str:
    """Return where the user's code raised an error, without a value of it.

    That is the first frame after ours: a deeper one belongs to some other library.
    """
    found = users_frames(error)
    if found is None:  # a mistake of ours: its own line
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
        traceback.tb_frame.f_globals.get("__name__", "").startswith(_OURS)
    ):
        traceback = traceback.tb_next
    return traceback
