"""Rate-limit headers of responses, in seconds and counts; every number is bounded.

Persona documents ``RateLimit-*`` and ``Quota-*``. ``Retry-After`` is not documented, but
a proxy may send it.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple

from persona_share._protocol.http import Response, problem_of


#: The longest wait that is accepted, in seconds: windows are minutes, and a wrong header
#: must not stop a client for longer.
MAX_WAIT: Final = 3600.0

_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_MAX_DIGITS: Final = 9


def retry_after_of(response: Response) -> float | None:
    """Return how many seconds to wait before the next attempt, or None if unknown.

    ``Retry-After`` takes precedence over the reset of a quota or of the rate limit.
    """
    if response.status not in (_TOO_MANY, _UNAVAILABLE):
        return None
    headers = response.headers
    if (seconds := _retry_after(headers)) is not None:
        return min(seconds, MAX_WAIT)
    if response.status == _UNAVAILABLE:
        return None
    if problem_of(response).quota:
        return reset_of(headers, "quota-reset")
    if (count_of(headers, "ratelimit-remaining") or 0) > 0:
        return None  # another limit was reached, whose reset is unknown
    return reset_of(headers, "ratelimit-reset")


class LimitState(NamedTuple):
    """The state of the window: the calls that remain, and the seconds to its reset."""

    remaining: int
    reset: float


def limit_state_of(response: Response) -> LimitState | None:
    """Return the state of the window, or None if the response has no such headers."""
    refused = response.status == _TOO_MANY
    if refused and problem_of(response).quota:
        return None
    reset = retry_after_of(response)
    if reset is None:
        reset = reset_of(response.headers, "ratelimit-reset")
    remaining = 0 if refused else count_of(response.headers, "ratelimit-remaining")
    if reset is None or remaining is None:
        return None
    # The service rounds the seconds down; a running window has more than 0.
    return LimitState(remaining, reset or 1.0)


def limit_headers_of(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return limit, remaining and reset, or None if one is missing or implausible."""
    try:
        limit = _largest(headers["ratelimit-limit"])
        remaining = _largest(headers["ratelimit-remaining"])
        reset = _largest(headers["ratelimit-reset"])
    except KeyError:
        return None
    if limit is None or remaining is None or reset is None or reset > MAX_WAIT:
        return None
    return limit, remaining, reset


def count_of(headers: Mapping[str, str], name: str) -> int | None:
    """Return the whole number in a header, the largest if there are several."""
    text = headers.get(name)
    return None if text is None else _largest(text)


@lru_cache(maxsize=1024)  # three per response, and the values recur
def _largest(text: str) -> int | None:
    numbers = [_number(part) for part in text.split(",")]
    return max((number for number in numbers if number is not None), default=None)


def _number(text: str) -> int | None:
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return None
    return int(digits)


def reset_of(headers: Mapping[str, str], name: str) -> float | None:
    """Return the seconds to the reset of a window, or None if they are implausible.

    A larger number is a timestamp, not a duration, so it is ignored.
    """
    seconds = count_of(headers, name)
    if seconds is None or seconds > MAX_WAIT:
        return None
    return float(seconds)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After in seconds; a date counts from the ``Date`` header."""
    seconds = count_of(headers, "retry-after")
    if seconds is not None:
        return float(seconds)
    until = parsed_date(headers.get("retry-after", ""))
    now = parsed_date(headers.get("date", ""))
    if until is None or now is None or until < now:
        return None
    return (until - now).total_seconds()


def parsed_date(text: str) -> datetime | None:
    """Return the date in a header, or None if it cannot be read."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    # "-0000" means an unknown time zone, so the date is ignored.
    return date if date.tzinfo is not None else None
