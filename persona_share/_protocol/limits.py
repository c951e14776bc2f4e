"""Rate-limit headers of a response, in seconds and counts; every number is bounded.

The service documents ``RateLimit-*`` and ``Quota-*``. ``Retry-After`` is documented
nowhere and honored all the same, as a proxy in between may send it.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple

from persona_share._protocol.http import Response, problem_of


#: The longest wait that is believed, in seconds: windows are minutes, and a mistake or
#: an attack must not stop a client for longer.
LONGEST_WAIT: Final = 3600.0

_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_MAX_DIGITS: Final = 9


def wish_of(response: Response) -> float | None:
    """Return how many seconds the service asks us to wait, or None.

    ``Retry-After`` wins over the resets of a quota and of the rate limit.
    """
    if response.status not in (_TOO_MANY, _UNAVAILABLE):
        return None
    headers = response.headers
    if (wish := _retry_after(headers)) is not None:
        return min(wish, LONGEST_WAIT)
    if response.status == _UNAVAILABLE:
        return None
    if problem_of(response).quota:
        return reset_of(headers, "quota-reset")
    if (count_of(headers, "ratelimit-remaining") or 0) > 0:
        return None  # some other limit was reached, and its reset is not known
    return reset_of(headers, "ratelimit-reset")


class Seen(NamedTuple):
    """What a response says of the window: calls that remain, and seconds to its end."""

    remaining: int
    reset: float


def seen_in(response: Response) -> Seen | None:
    """Return how the window stands, or None for a response that does not say."""
    refused = response.status == _TOO_MANY
    if refused and problem_of(response).quota:
        return None
    reset = wish_of(response)
    if reset is None:
        reset = reset_of(response.headers, "ratelimit-reset")
    remaining = 0 if refused else count_of(response.headers, "ratelimit-remaining")
    if reset is None or remaining is None:
        return None
    # A window that runs has more than none: it was rounded down.
    return Seen(remaining, reset or 1.0)


def count_of(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header's whole number, the largest if it is repeated."""
    text = headers.get(name)
    return None if text is None else _largest(text)


@lru_cache(maxsize=1024)  # three are read of every response, and they recur
def _largest(text: str) -> int | None:
    numbers = [_number(part) for part in text.split(",")]
    return max((number for number in numbers if number is not None), default=None)


def _number(text: str) -> int | None:
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return None
    return int(digits)


def reset_of(headers: Mapping[str, str], name: str) -> float | None:
    """Return how many seconds a window still has, if the header makes sense.

    A larger number is not a number of seconds but an instant, so it says nothing.
    """
    seconds = count_of(headers, name)
    if seconds is None or seconds > LONGEST_WAIT:
        return None
    return float(seconds)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After as seconds; a date counts from the response's own Date."""
    seconds = count_of(headers, "retry-after")
    if seconds is not None:
        return float(seconds)
    until, now = _date(headers, "retry-after"), _date(headers, "date")
    if until is None or now is None or until < now:
        return None
    return (until - now).total_seconds()


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name, "")
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    # "-0000" means that the zone is unknown; then nothing can be counted from it.
    return date if date.tzinfo is not None else None
