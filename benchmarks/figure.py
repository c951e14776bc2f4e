"""A figure: what was measured, against what, and the goal it should meet."""

import json
from collections.abc import Iterator

import attrs


@attrs.frozen(kw_only=True)
class Figure:
    """A measured value beside the value of its yardstick, in the same unit."""

    name: str
    unit: str
    ours: float
    yardstick: float
    compared_with: str
    at_most: float

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the yardstick."""
        return self.ours / self.yardstick

    def line(self) -> str:
        """The figure as one line of JSON."""
        facts = attrs.asdict(self) | {
            "ratio": round(self.ratio, 3),
            "met": self.ratio <= self.at_most,
        }
        return json.dumps(facts)


Figures = Iterator[Figure]
