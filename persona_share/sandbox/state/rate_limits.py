"""Rate limits: fixed windows that begin with their first request."""

import math
from collections.abc import Sequence
from typing import Final

import attrs

from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.responses import ApiError, rate_limit_details


WINDOW: Final = 60.0
#: The announced limit if there is none.
UNLIMITED: Final = 100_000


@attrs.define(eq=False)
class Window:
    """One limit and what is used of it in the running window."""

    limit: int | None
    used: int = 0
    _began: float | None = None

    def advance_to(self, now: float) -> None:
        """Begin a new window when there is none or the last one is over."""
        if self._began is None or now >= self._began + WINDOW or now < self._began:
            self._began, self.used = now, 0

    def is_running(self, now: float) -> bool:
        """Return whether the window has begun and not ended."""
        return self._began is not None and self._began <= now < self._began + WINDOW

    @property
    def announced(self) -> int:
        """Return the limit as the header names it."""
        return UNLIMITED if self.limit is None else self.limit

    @property
    def remaining(self) -> int:
        """Return how many requests the window still has."""
        return max(0, self.announced - self.used)

    @property
    def full(self) -> bool:
        """Return whether the next request has to be refused."""
        return self.limit is not None and self.used >= self.limit

    def resets_in(self, now: float) -> float:
        """Return the seconds until the window ends."""
        began = now if self._began is None else self._began
        return max(0.0, began + WINDOW - now)


def count_request(windows: Sequence[Window], now: float, switches: Switches) -> Window:
    """Count one request in each window and return the one with the least left.

    Raises:
        ApiError: 429 where one of them is full; then it is counted in none.
    """
    for window in windows:
        window.advance_to(now)
        if window.full:
            raise rate_limit_error(window, now, switches)
    for window in windows:
        window.used += 1
    return min(windows, key=lambda window: window.remaining)


def rate_limit_error(window: Window, now: float, switches: Switches) -> ApiError:
    """Return the error for one request too many."""
    headers = rate_headers(window, now, switches)
    headers["RateLimit-Remaining"] = "0"
    if switches.retry_after_on_429:
        headers["Retry-After"] = str(math.ceil(window.resets_in(now)))
    return ApiError(429, rate_limit_details(window.announced), headers=headers)


def count_quota(
    window: Window, what: str, now: float, switches: Switches
) -> dict[str, str]:
    """Count one request against a product quota and return the quota headers."""
    window.limit = switches.oauth_quota
    if window.limit is None:
        return {}
    window.advance_to(now)
    over = window.full
    if not over:
        window.used += 1
    prefix = switches.quota_prefix
    headers = {
        f"{prefix}-Limit": str(window.announced),
        f"{prefix}-Remaining": str(window.remaining),
        f"{prefix}-Reset": _rounded(window.resets_in(now), switches),
    }
    if over:
        details = (
            f"You have hit your {what} quota limit of {window.announced} requests. "
            "Please reach out to support@withpersona.com if you need this changed."
        )
        status = switches.quota_status
        raise ApiError(status, details, title="Quota exceeded", headers=headers)
    return headers


def rate_headers(window: Window, now: float, switches: Switches) -> dict[str, str]:
    """Return the three headers of a window; Reset is in seconds from now."""
    return {
        "RateLimit-Limit": str(window.announced),
        "RateLimit-Remaining": str(window.remaining),
        "RateLimit-Reset": _rounded(window.resets_in(now), switches),
    }


def _rounded(seconds: float, switches: Switches) -> str:
    if switches.reset_rounding == "exact":
        return f"{seconds:.3f}"
    up = switches.reset_rounding == "up"
    return str(math.ceil(seconds) if up else math.floor(seconds))
