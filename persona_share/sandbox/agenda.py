"""What falls due by the sandbox's clock; it is done when somebody next looks."""

import heapq
from collections.abc import Callable
from itertools import count


Act = Callable[[float], None]


class Agenda:
    """Acts by the moment they are due at; each is told that moment."""

    def __init__(self) -> None:
        self._acts: list[tuple[float, int, Act]] = []
        self._count = count()

    def at(self, due: float, act: Act) -> None:
        """Plan an act; one that is due at infinity never happens."""
        heapq.heappush(self._acts, (due, next(self._count), act))

    def run(self, now: float) -> None:
        """Do what is due by now, in the order of its moments."""
        while self._acts and self._acts[0][0] <= now:
            due, _, act = heapq.heappop(self._acts)
            act(due)
