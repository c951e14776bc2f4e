"""Watch: ends attempts that fell silent or take too long, with one timer for them all.

aiohttp's own timers cost a tenth of a request, so most attempts are looked at every now
and then instead. Time is counted in looks: a loop that stood still, and could not read
what had come, counts once. An attempt is never ended early, and two turns late at most.
The first silence counts from the beginning of the attempt, connecting included.
"""

import asyncio
import math
from typing import Final

from persona_share._protocol.http import Request
from persona_share._transport.faults import SILENT, SLOW_ANSWER, Fault
from persona_share.model.policy import Timeouts


_LONGEST_TURN: Final = 1.0
_TURNS: Final = 20


class Watched:
    """One attempt: which task makes it, since when, and when something last came."""

    __slots__ = ("_cancelling", "_watch", "began", "seen", "task", "why")

    def __init__(self, watch: "Watch", task: "asyncio.Task[object]") -> None:
        self._watch = watch
        self.task = task
        self.began = self.seen = watch.looks
        self._cancelling = task.cancelling()
        self.why: Fault | None = None

    def came(self) -> None:
        """Take note that something came."""
        self.seen = self._watch.looks

    def ended(self) -> Fault | None:
        """Take back the cancel of the watch; answer why there was one, if no other is.

        To be asked when the attempt is over, however it ended.
        """
        self._watch.forget(self)
        why, self.why = self.why, None
        if why is None or self.task.uncancel() > self._cancelling:
            return None
        return why


class Watch:
    """Watches the attempts of one socket, in the event loop that uses it."""

    def __init__(self, timeouts: Timeouts) -> None:
        nearest = min(timeouts.read, timeouts.attempt)
        self._turn = turn = min(nearest / _TURNS, _LONGEST_TURN)
        self._silent = math.ceil(timeouts.read / turn)
        self._most = math.ceil(timeouts.attempt / turn)
        # Whoever has less time than this needs a timer of its own.
        self._enough = timeouts.attempt + 3 * turn
        # The watch does not see when a connection is there, so that none may take
        # longer than a silence: whether anything was sent would not be known.
        self._able = timeouts.connect < nearest
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.looks = 0

    def suits(self, request: Request, left: float) -> bool:
        """Answer whether an attempt can be watched: it reads, and is in no hurry.

        How long a body is on its way, and what a sink makes of one, nobody sees here.
        """
        return (
            self._able
            and left >= self._enough
            and request.body is None
            and request.sink is None
        )

    def begin(self, task: "asyncio.Task[object]") -> Watched:
        """Watch the attempt that this task begins now."""
        watched = Watched(self, task)
        self._watched.add(watched)
        if self._timer is None:
            self._look_later(task.get_loop())
        return watched

    def forget(self, watched: Watched) -> None:
        """Watch it no more."""
        self._watched.discard(watched)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._turn, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what has to end, and look again as long as there is anything."""
        self._timer = None
        self.looks += 1
        for watched in self._watched:
            if watched.why is not None:
                continue
            if self.looks - watched.seen > self._silent:
                watched.why = SILENT
            elif self.looks - watched.began > self._most:
                watched.why = SLOW_ANSWER
            else:
                continue
            watched.task.cancel()
        if self._watched:
            self._look_later(loop)
