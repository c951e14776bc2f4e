"""Callbacks that are due at a time of the sandbox's clock."""

import heapq
from collections.abc import Callable
from itertools import count


#: Called with the time at which it was due.
Callback = Callable[[float], None]


class Scheduler:
    """Runs callbacks that are due whenever the clock is checked."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[float, int, Callback]] = []
        self._count = count()

    def at(self, due: float, callback: Callback) -> None:
        """Schedule a callback; one that is due at infinity never runs."""
        heapq.heappush(self._callbacks, (due, next(self._count), callback))

    def clear(self) -> None:
        """Drop all callbacks."""
        self._callbacks.clear()

    def run(self, now: float) -> None:
        """Run what is due by now, in order."""
        while self._callbacks and self._callbacks[0][0] <= now:
            due, _, callback = heapq.heappop(self._callbacks)
            callback(due)
