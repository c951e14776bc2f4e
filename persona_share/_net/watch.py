"""Watch: ends attempts that fell silent or take too long, with one timer for them all.

aiohttp's own timers for this cost a tenth of a request. An attempt is checked every
now and then instead, so that it may end one turn of the watch late; a deadline that is
nearer than an attempt's longest time is aiohttp's to keep.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from persona_share._net.fault import SILENCE, SLOW_ANSWER, Fault
from persona_share.model.policy import Timeouts


_LONGEST_TURN: Final = 1.0
_TURNS: Final = 10


class Watched:
    """One attempt: which task makes it, since when, and when something last came."""

    __slots__ = ("began", "cancelling", "seen", "task", "time", "why")

    def __init__(self, task: "asyncio.Task[object]", time: Callable[[], float]) -> None:
        self.task = task
        self.time = time
        self.began = self.seen = time()
        self.cancelling = task.cancelling()
        self.why: Fault | None = None

    def came(self) -> None:
        """Take note that something came."""
        self.seen = self.time()

    def fault(self) -> Fault | None:
        """Answer why the watch ended it, or None where somebody else's cancel did.

        To be asked once, when its task was cancelled.
        """
        if self.why is not None and self.task.uncancel() <= self.cancelling:
            return self.why
        return None


class Watch:
    """Watches the attempts of one socket, in the event loop that uses it."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        nearest = min(timeouts.read, timeouts.attempt)
        self._turn = min(nearest / _TURNS, _LONGEST_TURN)
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> Watched | None:
        """Watch the attempt that this task begins now."""
        task = asyncio.current_task()
        if task is None:  # driven by hand; nobody could be told
            return None
        watched = Watched(task, loop.time)
        self._watched.add(watched)
        if self._timer is None:
            self._timer = loop.call_later(self._turn, self._look, loop)
        return watched

    def end(self, watched: Watched) -> None:
        """Watch it no more."""
        self._watched.discard(watched)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what has to end, and look again as long as there is anything."""
        now, timeouts = loop.time(), self._timeouts
        for watched in self._watched:
            if watched.why is not None:
                continue
            if now - watched.seen >= timeouts.read:
                watched.why = SILENCE
            elif now - watched.began >= timeouts.attempt:
                watched.why = SLOW_ANSWER
            else:
                continue
            watched.task.cancel()
        self._timer = None
        if self._watched:
            self._timer = loop.call_later(self._turn, self._look, loop)
