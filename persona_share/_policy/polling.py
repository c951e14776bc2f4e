"""How long to wait before asking again whether something is done ."""

from typing import Final


SHORTEST: Final = 1.0
LONGEST: Final = 30.0

_DOUBLINGS: Final = 5
_JITTER: Final = 0.25


def pause(asked: int, random: float, left: float) -> float:
    """Return how many seconds to wait after so many requests.

    From one to thirty seconds, and a little of jitter on top of it; ``left`` is what
    remains of the caller's time, so that the last question is asked at its end.
    """
    full = min(LONGEST, SHORTEST * 2.0 ** min(max(0, asked - 1), _DOUBLINGS))
    return max(0.0, min(full * (1 + _JITTER * random), left))
