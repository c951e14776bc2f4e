"""JointWindow: the window of a gate whose calls several processes spend together."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from persona_share._policy.rate_limit import Place, Window
from persona_share._protocol.http import Response
from persona_share._protocol.limits import Seen, seen_in
from persona_share.errors import StoreUnavailableError
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Clock, SharedWindow


#: How long this process paces itself before what is shared is asked again, in seconds.
_ALONE: Final = 5.0
#: While calls are being taken there is no use in looking more often, in seconds.
_SOON: Final = 0.02
#: No more calls are taken at once; the others want some, too.
_MOST: Final = 64


class JointWindow(Window):
    """A window of which this process holds some calls, and takes more when it has none.

    It learns from every answer all the same, and goes by that while what is shared
    cannot be reached.
    """

    __slots__ = (
        "_alone_until",
        "_calls",
        "_clock",
        "_closed",
        "_closed_until",
        "_ends",
        "_moved",
        "_name",
        "_seen",
        "_seen_at",
        "_shared",
        "_taking",
        "_tells_at_once",
    )

    def __init__(
        self, policy: RateLimitPolicy, shared: SharedWindow, name: str, clock: Clock
    ) -> None:
        super().__init__(policy)
        self._shared = shared
        self._name = name
        self._clock = clock
        self._calls = 0
        self._closed = False
        self._ends = self._closed_until = self._alone_until = -math.inf
        self._seen: Seen | None = None
        self._seen_at = -math.inf
        self._tells_at_once = True
        self._taking: asyncio.Task[None] | None = None
        self._moved: Callable[[], None] = lambda: None
        self._weigh()

    def entered(self) -> Place:
        """Count a call that begins."""
        if self._calls and self._clock.now() >= self._ends:
            self._calls = 1  # the others were of a window that has ended
        place = super().entered()
        if not self._alone:
            self._calls = max(self._calls - 1, 0)
            self._weigh()
        return place

    def answered(self, place: Place, response: Response, now: float) -> None:
        """Count a call that was answered, and keep what it says for all."""
        seen = seen_in(response)
        if seen is not None:
            self._seen, self._seen_at = seen, now
            if self._tells_at_once or not seen.remaining:
                self._tells_at_once = False
                self._take(0)
        super().answered(place, response, now)

    def wanted(self, calls: int, moved: Callable[[], None]) -> None:
        """Take some calls for those who wait; ``moved`` is called when they are there."""
        now = self._clock.now()
        if now >= self._ends and self._calls:
            self._calls = 0
            self._weigh()
        self._moved = moved
        if not self._alone and not self._calls and now >= self._closed_until:
            self._take(min(calls, _MOST))

    @property
    def spent(self) -> bool:
        """Whether nothing is left, whatever becomes of the calls under way."""
        if self._alone:
            return super().spent
        return not self._calls and self._clock.now() < self._closed_until

    @property
    def opens_at(self) -> float:
        """The instant from which there may be a place."""
        if self._alone:
            return super().opens_at
        return max(self._closed_until, self._clock.now() + _SOON)

    def may_probe(self, now: float) -> bool:
        """Answer whether one call may go to see; what is shared says who does that."""
        return self._alone and super().may_probe(now)

    async def close(self) -> None:
        """Take nothing more."""
        self._closed = True
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)

    @property
    def _alone(self) -> bool:
        return self._clock.now() < self._alone_until

    def _weigh(self) -> None:
        super()._weigh()
        if not self._alone:
            # Without a call in hand nobody goes, not even whoever is ahead of all.
            self.allowance = self.in_flight + (self._calls or -1)

    def _still_seen(self, now: float) -> Seen | None:
        """Answer what the last answer said, as far as it is still true."""
        if self._seen is None:
            return None
        reset = self._seen.reset - (now - self._seen_at)
        return Seen(self._seen.remaining, reset) if reset > 0 else None

    def _take(self, calls: int) -> None:
        idle = self._taking is None or self._taking.done()
        if idle and not self._closed:
            self._taking = asyncio.ensure_future(self._taken(calls))

    async def _taken(self, calls: int) -> None:
        now = self._clock.now()
        seen, self._seen = self._still_seen(now), None
        try:
            share = await self._shared.take(self._name, calls, seen)
        except StoreUnavailableError:
            self._alone_until = now + _ALONE
        else:
            self._calls += share.calls
            # The first answer of a window is told at once: the others wait for it.
            self._tells_at_once = self._tells_at_once or now >= self._ends
            if share.calls:
                self._ends = now + share.seconds
            elif calls:
                self._closed_until = now + share.seconds
        self._weigh()
        self._moved()
