"""AttemptTimer: times out many running attempts with one timer.

aiohttp's own timers cost 5 to 8 % of a request (`python -m benchmarks request_path`),
so most attempts are checked by one periodic timer instead. Time is counted in ticks: an
event loop that was blocked, and could not read what arrived, counts one tick. An
attempt never ends early, and ends two ticks late at most. The first silence counts from
the start of the attempt, connecting included.
"""

import asyncio
import math
from typing import Final

from persona_share._protocol.http import Request
from persona_share._transport.failures import SILENT, SLOW_RESPONSE, FailureKind
from persona_share.model.policy import Timeouts


_MIN_TICK: Final = 0.001
_MAX_TICK: Final = 1.0
_TICKS: Final = 20


def _whole(ticks: float) -> float:
    """Return the number of ticks rounded up; there may be no limit."""
    return ticks if math.isinf(ticks) else math.ceil(ticks)


class TimedAttempt:
    """One attempt: its task, and the tick at which data last arrived."""

    __slots__ = (
        "_cancelling",
        "_timer",
        "began",
        "failure",
        "seen",
        "task",
        "watched",
    )

    def __init__(
        self, timer: "AttemptTimer", task: "asyncio.Task[object]", *, watched: bool
    ) -> None:
        self._timer = timer
        self.task = task
        self.watched: bool = watched
        self.began = self.seen = timer.ticks
        self._cancelling = task.cancelling()
        self.failure: FailureKind | None = None

    def received(self) -> None:
        """Record that data arrived."""
        self.seen = self._timer.ticks

    def finish(self) -> FailureKind | None:
        """Stop timing; return why the timer cancelled the task, else None.

        Call it when the attempt is over, however it ended. It undoes a cancellation by
        this timer, and keeps any other.
        """
        self._timer.attempts.discard(self)
        failure = self.failure
        if failure is None:
            return None
        self.failure = None
        return None if self.task.uncancel() > self._cancelling else failure


class AttemptTimer:
    """Times the attempts of one sender, in the event loop that uses it."""

    def __init__(self, timeouts: Timeouts) -> None:
        nearest = min(timeouts.read, timeouts.attempt)
        self._tick = tick = max(min(nearest / _TICKS, _MAX_TICK), _MIN_TICK)
        self._silence = _whole(timeouts.read / tick)
        self._max_tick = _whole(timeouts.attempt / tick)
        # An attempt with less time than this uses the timeouts of aiohttp.
        self._enough = timeouts.attempt + 3 * tick
        # The timer does not know when the connection is made. So the connect timeout must
        # be the shorter one: otherwise it would be unknown whether anything was sent.
        self._usable = timeouts.connect < nearest
        self.attempts: set[TimedAttempt] = set()
        self._handle: asyncio.TimerHandle | None = None
        self.ticks = 0

    def start(self, request: Request, left: float) -> TimedAttempt:
        """Start an attempt of the current task, with this many seconds left.

        It is not watched, and never times out, if this timer is not precise enough for
        it: the timer cannot time the sending of a body, nor the writing to a sink.

        Raises:
            RuntimeError: it is called outside of a task.
        """
        task = asyncio.current_task()
        if task is None:
            message = "a request can only be sent in a task"
            raise RuntimeError(message)
        attempt = TimedAttempt(
            self,
            task,
            watched=self._usable
            and left >= self._enough
            and request.body is None
            and request.sink is None,
        )
        if attempt.watched:
            self.attempts.add(attempt)
            if self._handle is None:
                self._schedule(task.get_loop())
        return attempt

    def close(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_later(self._tick, self._on_tick, loop)

    def _on_tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the attempts that timed out; continue while there are others."""
        self._handle = None
        self.ticks += 1
        for attempt in self.attempts:
            if attempt.failure is not None:
                continue
            if self.ticks - attempt.seen > self._silence:
                attempt.failure = SILENT
            elif self.ticks - attempt.began > self._max_tick:
                attempt.failure = SLOW_RESPONSE
            else:
                continue
            attempt.task.cancel()
        if self.attempts:
            self._schedule(loop)
