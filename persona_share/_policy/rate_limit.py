"""LimitTracker: how many calls the service's rate limit still allows.

The service has fixed windows: ``RateLimit-Remaining`` falls until ``RateLimit-Reset``
has passed. Both belong to the limit in ``RateLimit-Limit``, which may be the key's own
or the environment's, and may change from one response to the next (API page
"Rate limiting"). Nothing is assumed, and nothing is averaged.
"""

# ruff: noqa: PLR1730 - calls of min() and max() take half of the time for each response

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import attrs

from persona_share._protocol.http import Response, problem_of
from persona_share._protocol.limits import (
    count_of,
    limit_headers_of,
    retry_after_of,
)
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import RateLimitMode, RateLimitPolicy


#: The service counts requests a minute (page "Rate limiting").
WINDOW: Final = 60.0
_TOO_MANY: Final = 429
# Two responses of one window may differ by this much through rounding.
_ROUNDING: Final = 1.0
# The most limits to track, so that a faulty service cannot use up memory.
_MAX_LIMITS: Final = 8
_UNNAMED: Final = 0


#: The right to have one call in flight: the number of the call, and how many calls of
#: other clients were known when it started. A plain tuple, made for each call.
Slot = tuple[int, int]


@attrs.define
class _Window:
    """The current window of one limit, which ends between two instants."""

    remaining: int
    earliest_end: float
    latest_end: float
    since: float
    # The first response of this window: its remaining calls, and the call's number.
    first_remaining: int
    first_number: int
    responded: int = 0
    own: int = 0
    others: int = 0
    # The maximum of other clients' calls while a call of this client was in flight: in the previous round
    # trip, and in this one, which started with the call ``round_from``.
    reserve: int = 0
    reserve_now: int = 0
    round_from: int = 0

    def update(
        self, remaining: int, earliest: float, latest: float, slot: Slot, entered: int
    ) -> None:
        """Record the remaining calls and the end in a later response of this window."""
        if earliest > self.earliest_end:
            self.earliest_end = earliest
        if latest < self.latest_end:
            self.latest_end = latest
        number, known_others = slot
        self.responded += 1
        if remaining < self.remaining:
            self.remaining = remaining
        own = number - self.first_number
        if own < self.responded:
            own = self.responded
        self.own = own
        others = self.first_remaining - remaining - own
        if others > self.others:
            self.others = others
        if number > self.round_from:
            self.reserve = max(self.reserve_now, self.reserve // 2)
            self.reserve_now = 0
            self.round_from = entered
        if others - known_others > self.reserve_now:
            self.reserve_now = others - known_others

    @property
    def allowed(self) -> int:
        """How many of the remaining calls may be in flight.

        One is reserved, because the first call after the reset may be too early, and
        as many as other clients may spend until then. One call is always allowed.
        """
        left = self.remaining - 1
        if left < 1 or not self.others:
            return left
        free = left - max(self.reserve, self.reserve_now)
        return max(1, free * self.own // (self.own + self.others))


class LimitTracker:
    """Tracks the limit as responses report it, and the number of calls in flight.

    ``allowed`` is how many calls may be in flight. Until a response has reported the
    limit, one call is sent at a time; if responses never report one, there is none. All
    times are of the clock that counts suspension.
    """

    __slots__ = (
        "_ahead_of_429",
        "_counts_from",
        "_entered",
        "_next_end",
        "_others",
        "_policy",
        "_probed_at",
        "_slack",
        "_unknown",
        "_windows",
        "allowed",
        "in_flight",
    )

    def __init__(self, policy: RateLimitPolicy) -> None:
        self._policy = policy
        self._ahead_of_429 = policy.mode is RateLimitMode.WINDOW
        self._windows: dict[int, _Window] = {}
        self._probed_at = -math.inf
        self._next_end = math.inf
        self._slack = 0.0
        self._entered = self._counts_from = self._others = 0
        self.in_flight = 0
        self._unknown = self._ahead_of_429
        self.allowed: float = 1 if self._unknown else math.inf

    @property
    def probing(self) -> bool:
        """Whether the limit is unknown, so that one call is sent to find out."""
        return self._unknown

    def has_capacity(self, *, priority: bool = False) -> bool:
        """Return whether a call may start; priority may use the reserved slot."""
        if self._unknown:
            return not self.in_flight
        return self.in_flight < self.allowed + priority

    def entered(self) -> Slot:
        """Count a call that starts, and return its slot."""
        self.in_flight += 1
        self._entered += 1
        return self._entered, self._others

    def left(self, slot: Slot, now: float, *, sent: bool = True) -> None:
        """Count a call that ended without a response."""
        if sent:
            self._unknown = False
        number, _ = slot
        counts = number > self._counts_from
        if counts:
            self.in_flight -= 1
        for limit, window in list(self._windows.items()):
            if now >= window.latest_end + _ROUNDING:
                # A probe may get no response; then the window is outdated.
                del self._windows[limit]
            elif sent and counts:  # the service may have counted it
                window.remaining -= 1
        self._weigh()

    def responded(self, slot: Slot, response: Response, now: float) -> None:
        """Count a response, and record its headers."""
        self._unknown = False
        number, _ = slot
        if number > self._counts_from:
            self.in_flight -= 1
        if response.status == _TOO_MANY:
            self._refused(response, now)
        elif self._ahead_of_429 or self._windows:
            self._admitted(slot, response, now)
        self._weigh()

    def wanted(self, calls: int, on_change: Callable[[], None]) -> None:
        """Handle that so many calls wait; only a shared tracker needs to."""

    def may_probe(self, now: float) -> bool:
        """Return whether one call may be sent although the window seems used up."""
        return now >= self.opens_at

    def probes(self, now: float) -> None:
        """Record that a call is sent although the window seems used up."""
        self._probed_at = now

    async def close(self) -> None:
        """Stop all background work."""

    @property
    def spent(self) -> bool:
        """Whether no slot can become free in this window."""
        return self.allowed < 1

    @property
    def opens_at(self) -> float:
        """The earliest time at which a probe may be sent."""
        opens_at = self._probed_at + self._policy.probe_patience
        for window in self._windows.values():
            if window.allowed <= self.in_flight:
                opens_at = max(opens_at, window.latest_end)
        return opens_at

    def status(self, now: float, waiting: int = 0) -> RateLimitStatus | None:
        """Return the current lowest limit, or None if no response has reported one."""
        named = [limit for limit in self._windows if limit != _UNNAMED]
        if not named:
            return None
        limit = min(named)
        window = self._windows[limit]
        remaining, resets_in = limit, WINDOW
        if now < window.latest_end:
            remaining, resets_in = max(window.remaining, 0), window.latest_end - now
        return RateLimitStatus(
            limit=limit, remaining=remaining, resets_in=resets_in, waiting=waiting
        )

    def _refused(self, response: Response, now: float) -> None:
        if problem_of(response).quota:  # of one product, not of the request rate
            return
        wish = retry_after_of(response)
        if wish is None:
            wish = self._policy.reset_unknown
        elif not wish:
            self._slack = _ROUNDING
        ends = now + min(wish, self._policy.longest_reset) + self._slack
        limit = count_of(response.headers, "ratelimit-limit") or _UNNAMED
        window = self._windows.get(limit)
        if window is None or window.latest_end < ends:
            self._put(limit, _Window(0, ends, ends, now, 0, 0))
        else:
            window.remaining = 0

    def _admitted(self, slot: Slot, response: Response, now: float) -> None:
        sent = response.first_sent_at
        if sent >= self._next_end:
            self._forget_ended(sent)
        stated = limit_headers_of(response.headers) if self._ahead_of_429 else None
        if stated is None:
            return
        limit, remaining, seconds = stated
        reset = min(seconds, self._policy.longest_reset)
        if not reset:  # the current window has more than 0 s: it was rounded down
            self._slack = _ROUNDING
        earliest, latest = sent + reset, now + reset + self._slack
        window = self._windows.get(limit)
        if window is None or _is_newer(window, sent, earliest, latest):
            number, _ = slot
            window = _Window(remaining, earliest, latest, now, remaining, number)
            self._put(limit, window)
            if len(self._windows) == 1:
                # Calls in flight were counted before, or will be by their responses.
                self._counts_from, self.in_flight = self._entered, 0
        elif latest >= window.earliest_end - _ROUNDING:  # else of an older window
            window.update(remaining, earliest, latest, slot, self._entered)

    def _forget_ended(self, sent: float) -> None:
        """Remove windows that had ended before an admitted call was sent."""
        for limit, window in list(self._windows.items()):
            if sent >= window.latest_end:
                del self._windows[limit]

    def _put(self, limit: int, window: _Window) -> None:
        if len(self._windows) >= _MAX_LIMITS:
            self._windows.clear()
        self._windows[limit] = window

    def _weigh(self) -> None:
        """Find the limit that allows the fewest calls, and the first end of a window."""
        self.allowed, self._others = 1 if self._unknown else math.inf, 0
        self._next_end = math.inf
        for window in self._windows.values():
            if window.latest_end < self._next_end:
                self._next_end = window.latest_end
            allowed = window.allowed
            if allowed < self.allowed:
                self.allowed, self._others = allowed, window.others


def _is_newer(window: _Window, sent: float, earliest: float, latest: float) -> bool:
    """Return whether a response is of a later window than this one."""
    if sent >= window.latest_end or earliest > window.latest_end + _ROUNDING:
        return True
    # Its window ends earlier, yet it was sent later: the known window was wrong.
    return latest < window.earliest_end - _ROUNDING and sent > window.since


def minimum_duration(calls: int, allowance: RateLimitStatus) -> timedelta:
    """Return the time before the last of so many calls can be sent."""
    beyond = calls - allowance.remaining
    if beyond <= 0:
        return timedelta()
    windows = -(-beyond // max(allowance.limit, 1))
    return timedelta(seconds=allowance.resets_in + (windows - 1) * WINDOW)
