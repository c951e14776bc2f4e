"""LimitTracker: how many calls the service's rate limit still allows.

The service has fixed windows: ``RateLimit-Remaining`` falls until ``RateLimit-Reset``
has passed. Both belong to the limit that ``RateLimit-Limit`` names, which may be the
key's own or the environment's, and may change from one answer to the next (API page
"Rate limiting"). Nothing is assumed, and nothing is averaged.
"""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

import attrs

from persona_share._protocol.http import Response, problem_of
from persona_share._protocol.limits import count_of, reset_of, retry_after_of
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import RateLimitMode, RateLimitPolicy


#: The service counts requests a minute (page "Rate limiting").
WINDOW: Final = 60.0
_TOO_MANY: Final = 429
# Two answers of one window may differ by this much through rounding.
_ROUNDING: Final = 1.0
# A service that keeps naming new limits is broken; it must not cost memory.
_MAX_LIMITS: Final = 8
_UNNAMED: Final = 0


class Slot(NamedTuple):
    """The right to have one call under way.

    ``number`` counts calls; ``others`` is what other clients were known to have spent
    when the call began.
    """

    number: int
    others: int


@attrs.define
class _Window:
    """One limit in its running window, which ends between two instants."""

    remaining: int
    earliest_end: float
    latest_end: float
    since: float
    # The first answer of this window: what it left, and which of our calls it was.
    first_remaining: int
    first_number: int
    answered: int = 0
    ours: int = 0
    others: int = 0
    # The most that others spent while one of our calls was under way: in the round
    # trip before this one, and in this one, which began with a call's number.
    reserve: int = 0
    reserve_now: int = 0
    round_from: int = 0

    def update(self, remaining: int, slot: Slot, entered: int) -> None:
        """Take in what a later answer of the same window leaves."""
        self.answered += 1
        self.remaining = min(self.remaining, remaining)
        self.ours = max(slot.number - self.first_number, self.answered)
        others = self.first_remaining - remaining - self.ours
        self.others = max(self.others, others)
        unseen = others - slot.others
        if slot.number > self.round_from:
            self.reserve = max(self.reserve_now, self.reserve // 2)
            self.reserve_now = 0
            self.round_from = entered
        self.reserve_now = max(self.reserve_now, unseen)

    @property
    def allowed(self) -> int:
        """How many calls may be under way, of those that are left.

        One is held back, as the first call after the reset may come too early; and as
        many as others were seen to spend meanwhile. But one call may always go.
        """
        left = self.remaining - 1
        if left < 1 or not self.others:
            return left
        free = left - max(self.reserve, self.reserve_now)
        return max(1, free * self.ours // (self.ours + self.others))


class LimitTracker:
    """What the answers say of the limit, and how many calls are under way.

    ``allowed`` is how many may be under way at once. Until a response has stated the
    limit one call goes at a time; if answers never name a limit there is none. All
    instants are of the clock that counts suspension.
    """

    __slots__ = (
        "_ahead_of_429",
        "_counts_from",
        "_entered",
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
        self._slack = 0.0
        self._entered = self._counts_from = self._others = 0
        self.in_flight = 0
        self._unknown = self._ahead_of_429
        self.allowed: float = 1 if self._unknown else math.inf

    @property
    def probing(self) -> bool:
        """Whether nothing is known yet, so that one call goes ahead to find out."""
        return self._unknown

    def has_room(self, *, priority: bool = False) -> bool:
        """Return whether a call may begin; priority has the slot that is held back."""
        if self._unknown:
            return not self.in_flight
        return self.in_flight < self.allowed + priority

    def entered(self) -> Slot:
        """Count a call that begins, and return its slot."""
        self.in_flight += 1
        self._entered += 1
        return Slot(self._entered, self._others)

    def left(self, slot: Slot, now: float, *, sent: bool = True) -> None:
        """Count a call that ended without an answer."""
        if sent:
            self._unknown = False
        counts = slot.number > self._counts_from
        if counts:
            self.in_flight -= 1
        for limit, window in list(self._windows.items()):
            if now >= window.latest_end + _ROUNDING:
                # A probe may never be answered; then what was known is too old.
                del self._windows[limit]
            elif sent and counts:  # the service may have counted it
                window.remaining -= 1
        self._weigh()

    def answered(self, slot: Slot, response: Response, now: float) -> None:
        """Count a call that was answered, and learn from its headers."""
        self._unknown = False
        if slot.number > self._counts_from:
            self.in_flight -= 1
        if response.status == _TOO_MANY:
            self._refused(response, now)
        elif self._ahead_of_429 or self._windows:
            self._admitted(slot, response, now)
        self._weigh()

    def wanted(self, calls: int, on_change: Callable[[], None]) -> None:
        """Note that so many calls wait; only a shared tracker has use for it."""

    def may_probe(self, now: float) -> bool:
        """Return whether one call may go although the window looks closed."""
        return now >= self.opens_at

    def probes(self, now: float) -> None:
        """Note that a call goes although the window looks closed."""
        self._probed_at = now

    async def close(self) -> None:
        """Stop everything that runs in the background."""

    @property
    def spent(self) -> bool:
        """Whether nothing is left, whatever becomes of the calls under way."""
        return self.allowed < 1

    @property
    def opens_at(self) -> float:
        """The instant from which a probe may go."""
        opens_at = self._probed_at + self._policy.probe_patience
        for window in self._windows.values():
            if window.allowed <= self.in_flight:
                opens_at = max(opens_at, window.latest_end)
        return opens_at

    def status(self, now: float, waiting: int = 0) -> RateLimitStatus | None:
        """Return the lowest limit as it is now, or None before one was named."""
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
        headers = response.headers
        self._forget_ended(sent)
        if not self._ahead_of_429:
            return
        limit = count_of(headers, "ratelimit-limit")
        remaining = count_of(headers, "ratelimit-remaining")
        reset = reset_of(headers, "ratelimit-reset")
        if limit is None or remaining is None or reset is None:
            return
        reset = min(reset, self._policy.longest_reset)
        if not reset:  # a window that runs has more than none: it was rounded down
            self._slack = _ROUNDING
        earliest, latest = sent + reset, now + reset + self._slack
        window = self._windows.get(limit)
        if window is None or _is_newer(window, sent, earliest, latest):
            window = _Window(remaining, earliest, latest, now, remaining, slot.number)
            self._put(limit, window)
            if len(self._windows) == 1:
                # Calls that are still under way were counted before, or will be seen.
                self._counts_from, self.in_flight = self._entered, 0
        elif latest >= window.earliest_end - _ROUNDING:  # else it is of an older window
            window.update(remaining, slot, self._entered)
            window.earliest_end = max(window.earliest_end, earliest)
            window.latest_end = min(window.latest_end, latest)

    def _forget_ended(self, sent: float) -> None:
        """Forget windows that had ended before a call was sent that was admitted."""
        for window in self._windows.values():
            if sent >= window.latest_end:
                break
        else:  # as nearly always
            return
        for limit, window in list(self._windows.items()):
            if sent >= window.latest_end:
                del self._windows[limit]

    def _put(self, limit: int, window: _Window) -> None:
        if len(self._windows) >= _MAX_LIMITS:
            self._windows.clear()
        self._windows[limit] = window

    def _weigh(self) -> None:
        """Find the limit that is nearest to being reached."""
        self.allowed, self._others = 1 if self._unknown else math.inf, 0
        for window in self._windows.values():
            allowed = window.allowed
            if allowed < self.allowed:
                self.allowed, self._others = allowed, window.others


def _is_newer(window: _Window, sent: float, earliest: float, latest: float) -> bool:
    """Return whether an answer is of a later window than this one."""
    if sent >= window.latest_end or earliest > window.latest_end + _ROUNDING:
        return True
    # Its window ends earlier, yet it was sent later: then what was known was wrong.
    return latest < window.earliest_end - _ROUNDING and sent > window.since


def shortest(calls: int, allowance: RateLimitStatus) -> timedelta:
    """Return the time before the last of so many calls can be sent."""
    beyond = calls - allowance.remaining
    if beyond <= 0:
        return timedelta()
    windows = -(-beyond // max(allowance.limit, 1))
    return timedelta(seconds=allowance.resets_in + (windows - 1) * WINDOW)
