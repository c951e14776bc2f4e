"""Bounds for numbers from headers, responses, records and callers.

Every such number passes through `bounded`. It never returns a negative number, an
infinity or NaN, and never more than the ceiling of the bound.
"""

import math
from typing import Final

import attrs


@attrs.frozen
class Bound:
    """The range of one kind of number, in seconds."""

    name: str
    ceiling: float
    #: The value for NaN.
    fallback: float = 0.0


#: No server needs a longer pause between requests.
RETRY_AFTER: Final = Bound("Retry-After", 3600.0)
#: Rate-limit windows are minutes; a reset beyond an hour is a mistake or an attack.
RATE_LIMIT_RESET: Final = Bound("RateLimit-Reset", 3600.0)
#: The longest lifetime of a token that is accepted.
TOKEN_LIFETIME: Final = Bound("expires-in of a token", 86_400.0)
#: Codes live about ten minutes; a day allows for other services.
CODE_LIFETIME: Final = Bound("lifetime of a code", 86_400.0, fallback=599.0)
#: A pause that another process wrote into a store.
STORED_PAUSE: Final = Bound("stored pause", 3600.0)


@attrs.frozen
class Bounded:
    """A number within its bound; ``clamped`` says that it had to be changed."""

    value: float
    clamped: bool


def bounded(value: float, bound: Bound) -> Bounded:
    """Return the number within ``[0, ceiling]``; NaN becomes the bound's fallback."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        return Bounded(bound.fallback, clamped=True)
    if number < 0:
        return Bounded(0.0, clamped=True)
    if number > bound.ceiling:
        return Bounded(bound.ceiling, clamped=True)
    return Bounded(number, clamped=False)
