"""Window: how many calls the service's rate limit still allows, as its answers say.

The service has fixed windows: ``RateLimit-Remaining`` falls until ``RateLimit-Reset``
has passed. Both belong to the limit that ``RateLimit-Limit`` names, which may be the
key's own or the environment's, and may change from one answer to the next (API page
"Rate limiting"). Nothing is assumed, and nothing is averaged.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import attrs

from persona_share._policy.forecast import WINDOW
from persona_share._protocol.http import Response
from persona_share._protocol.limits import count_of, reset_of, wish_of
from persona_share._protocol.problems import problem_of
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import RateLimitMode, RateLimitPolicy


_TOO_MANY: Final = 429
# Two answers of one window may be rounded apart by this much.
_ROUNDING: Final = 1.0
# A service that names ever new limits makes no sense; it costs no memory either.
_MOST_LIMITS: Final = 8
_UNNAMED: Final = 0


class Place(NamedTuple):
    """A call under way: its number, and what others were known to have spent then."""

    number: int
    others: int


@attrs.define
class _Picture:
    """One limit in its running window, which ends between two instants."""

    remaining: int
    earliest: float
    latest: float
    since: float
    # The first answer of this window: what it left, and which of our calls it was.
    first: int
    number: int
    answered: int = 0
    ours: int = 0
    others: int = 0
    # The most that others spent while one of our calls was under way: in the round
    # trip before this one, and in this one, which began with a call's number.
    reserve: int = 0
    reserve_now: int = 0
    round_from: int = 0

    def takes(self, remaining: int, place: Place, entered: int) -> None:
        """Take in what a later answer leaves."""
        self.answered += 1
        self.remaining = min(self.remaining, remaining)
        self.ours = max(place.number - self.number, self.answered)
        others = self.first - remaining - self.ours
        self.others = max(self.others, others)
        unseen = others - place.others
        if place.number > self.round_from:
            self.reserve = max(self.reserve_now, self.reserve // 2)
            self.reserve_now = 0
            self.round_from = entered
        self.reserve_now = max(self.reserve_now, unseen)

    @property
    def allowance(self) -> int:
        """How many calls may be under way, of those that are left.

        One is held back, as the first call after the reset may come too early; and as
        many as others were seen to spend meanwhile. But one call may always go.
        """
        left = self.remaining - 1
        if left < 1:
            return left
        if not self.others:
            return left
        free = left - max(self.reserve, self.reserve_now)
        return max(1, free * self.ours // (self.ours + self.others))


class Window:
    """What is known of the limit, and how many calls are under way.

    ``allowance`` is how many may be under way at once: without end before the first
    header was seen. All instants are of the clock that counts suspension.
    """

    __slots__ = (
        "_counts_from",
        "_entered",
        "_gate",
        "_others",
        "_pictures",
        "_policy",
        "_probed_at",
        "_slack",
        "allowance",
        "in_flight",
    )

    def __init__(self, policy: RateLimitPolicy) -> None:
        self._policy = policy
        self._gate = policy.mode is RateLimitMode.GATE
        self._pictures: dict[int, _Picture] = {}
        self._probed_at = -math.inf
        self._slack = 0.0
        self.allowance: float = math.inf
        self._entered = self._counts_from = self._others = 0
        self.in_flight = 0

    def entered(self) -> Place:
        """Count a call that begins, and answer what to give back when it ends."""
        self.in_flight += 1
        self._entered += 1
        return Place(self._entered, self._others)

    def left(self, place: Place, now: float, *, sent: bool = True) -> None:
        """Count a call that ended without an answer."""
        counts = place.number > self._counts_from
        if counts:
            self.in_flight -= 1
        for limit, picture in list(self._pictures.items()):
            if now >= picture.latest + _ROUNDING:
                # A probe may never be answered; then what was known is too old.
                del self._pictures[limit]
            elif sent and counts:  # the service may have seen it
                picture.remaining -= 1
        self._weigh()

    def answered(self, place: Place, response: Response, now: float) -> None:
        """Count a call that was answered, and learn from its headers."""
        if place.number > self._counts_from:
            self.in_flight -= 1
        if response.status == _TOO_MANY:
            self._refused(response, now)
        elif self._gate or self._pictures:
            self._admitted(place, response, now)
        self._weigh()

    def wanted(self, calls: int, moved: Callable[[], None]) -> None:
        """Hear that so many calls wait; this window has only what answers tell."""

    def may_probe(self, now: float) -> bool:
        """Answer whether one call may go although the window looks closed."""
        return now >= self.opens_at

    async def close(self) -> None:
        """Leave nothing behind."""

    def probes(self, now: float) -> None:
        """Let one call go although the window looks closed: its answer will tell."""
        self._probed_at = now

    @property
    def spent(self) -> bool:
        """Whether nothing is left, whatever becomes of the calls under way."""
        return self.allowance < 1

    @property
    def opens_at(self) -> float:
        """The instant from which a probe may go."""
        return max(
            self._probed_at + self._policy.probe_patience,
            *(
                picture.latest
                for picture in self._pictures.values()
                if picture.allowance <= self.in_flight
            ),
        )

    def standing(self, now: float) -> RateLimitStatus | None:
        """Answer the lowest limit as it stands, or None before one was named."""
        named = [limit for limit in self._pictures if limit != _UNNAMED]
        if not named:
            return None
        limit = min(named)
        picture = self._pictures[limit]
        if now >= picture.latest:
            return RateLimitStatus(limit=limit, remaining=limit, resets_in=WINDOW)
        remaining = max(picture.remaining, 0)
        resets_in = picture.latest - now
        return RateLimitStatus(limit=limit, remaining=remaining, resets_in=resets_in)

    def _refused(self, response: Response, now: float) -> None:
        if problem_of(response).quota:  # of one product, not of the request rate
            return
        wish = wish_of(response)
        if wish is None:
            wish = self._policy.reset_unknown
        elif not wish:
            self._slack = _ROUNDING
        ends = now + min(wish, self._policy.longest_wait) + self._slack
        limit = count_of(response.headers, "ratelimit-limit") or _UNNAMED
        picture = self._pictures.get(limit)
        if picture is None or picture.latest < ends:
            self._put(limit, _Picture(0, ends, ends, now, 0, 0))
        else:
            picture.remaining = 0

    def _admitted(self, place: Place, response: Response, now: float) -> None:
        sent = response.first_sent_at
        headers = response.headers
        self._forget_ended(sent)
        if not self._gate:
            return
        limit = count_of(headers, "ratelimit-limit")
        remaining = count_of(headers, "ratelimit-remaining")
        reset = reset_of(headers, "ratelimit-reset")
        if limit is None or remaining is None or reset is None:
            return
        if not reset:  # a window that runs has more than none: it was rounded down
            self._slack = _ROUNDING
        earliest, latest = sent + reset, now + reset + self._slack
        picture = self._pictures.get(limit)
        if picture is None or _is_newer(picture, sent, earliest, latest):
            picture = _Picture(
                remaining, earliest, latest, now, remaining, place.number
            )
            self._put(limit, picture)
            if len(self._pictures) == 1:
                # Whatever is still under way was counted before, or will be seen.
                self._counts_from, self.in_flight = self._entered, 0
        elif latest >= picture.earliest - _ROUNDING:  # else it is of an older window
            picture.takes(remaining, place, self._entered)
            picture.earliest = max(picture.earliest, earliest)
            picture.latest = min(picture.latest, latest)

    def _forget_ended(self, sent: float) -> None:
        """Forget what had ended before a call was sent that was let in."""
        for picture in self._pictures.values():
            if sent >= picture.latest:
                break
        else:  # as nearly always
            return
        for limit, picture in list(self._pictures.items()):
            if sent >= picture.latest:
                del self._pictures[limit]

    def _put(self, limit: int, picture: _Picture) -> None:
        if len(self._pictures) >= _MOST_LIMITS:
            self._pictures.clear()
        self._pictures[limit] = picture

    def _weigh(self) -> None:
        """Find the limit that is nearest to being reached."""
        self.allowance, self._others = math.inf, 0
        for picture in self._pictures.values():
            allowance = picture.allowance
            if allowance < self.allowance:
                self.allowance, self._others = allowance, picture.others


def _is_newer(picture: _Picture, sent: float, earliest: float, latest: float) -> bool:
    """Answer whether an answer is of a later window than the picture is."""
    if sent >= picture.latest or earliest > picture.latest + _ROUNDING:
        return True
    # Its window ends earlier, yet it was sent later: then the picture was wrong.
    return latest < picture.earliest - _ROUNDING and sent > picture.since
