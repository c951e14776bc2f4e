"""A figure: what was measured, against what, and the goal it should meet."""

import json
import math
from collections.abc import Callable, Iterable, Iterator

import attrs


@attrs.frozen(kw_only=True)
class Figure:
    """A measured value beside the value of its yardstick, in the same unit.

    The goal is a multiple of the yardstick; where the value itself has the goal
    (``absolute``), a yardstick only shows what to compare it with. Without ``at_most``
    and ``at_least`` it is shown and has no goal.
    """

    name: str
    unit: str
    ours: float
    yardstick: float | None = None
    compared_with: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    absolute: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of the yardstick, where there is one."""
        return self.ours / self.yardstick if self.yardstick else None

    @property
    def met(self) -> bool | None:
        """Return whether the goal is met, or None without a goal."""
        if self.at_most is None and self.at_least is None:
            return None
        measured = self.ours if self.absolute else self.ratio
        if measured is None:
            return False
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= measured <= high

    def line(self) -> str:
        """The figure as one line of JSON."""
        ratio = None if self.ratio is None else round(self.ratio, 3)
        return json.dumps(attrs.asdict(self) | {"ratio": ratio, "met": self.met})


Figures = Iterator[Figure]


def show(*benchmarks: Callable[[], Iterable[Figure]]) -> None:
    """Run one benchmark after the other, print each figure, then how many goals hold."""
    met = []
    for figures in benchmarks:
        for figure in figures():
            print(figure.line(), flush=True)
            if figure.met is not None:
                met.append(figure.met)
    print(f"bench: {sum(met)}/{len(met)} goals")
