"""SharedLimitTracker: the tracker of a rate limit that several processes share."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from persona_share._policy.rate_limit import LimitTracker, Slot
from persona_share._policy.shared_limit import Share
from persona_share._protocol.http import Response
from persona_share._protocol.limits import LimitState, limit_state_of
from persona_share.errors import StoreUnavailableError
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Clock, SharedWindow


#: How long this process limits itself before it uses the store again, in seconds.
_ALONE: Final = 5.0
#: The poll interval while slots are being acquired, in seconds.
_SOON: Final = 0.02
#: The most slots to acquire at once, so that other processes get some.
_MAX_SLOTS: Final = 64
#: How many slots to acquire at once while this process's demand is unknown.
_FIRST_SLOTS: Final = 4


class SharedLimitTracker(LimitTracker):
    """Holds some slots of a shared window, and acquires more when none are left.

    It also records every response, and uses these records while the store is down.
    """

    __slots__ = (
        "_alone_until",
        "_clock",
        "_closed",
        "_closed_until",
        "_demand",
        "_ends",
        "_first",
        "_name",
        "_on_change",
        "_probes",
        "_reporting",
        "_seen",
        "_seen_at",
        "_shared",
        "_slots",
        "_taking",
        "_urgent",
        "_used",
        "_window_ends",
    )

    def __init__(
        self, policy: RateLimitPolicy, shared: SharedWindow, name: str, clock: Clock
    ) -> None:
        super().__init__(policy)
        self._shared = shared
        self._name = name
        self._clock = clock
        self._slots = 0
        # Whether this process has acquired no slots in this window yet.
        self._first = True
        # The demand of this process in the last window and so far in this one: its
        # calls, and those that found no slot.
        self._demand, self._used = _FIRST_SLOTS, 0
        self._closed = False
        # The ends of the slots held, and of the window as the store knows it.
        self._ends = self._window_ends = -math.inf
        self._closed_until = self._alone_until = -math.inf
        self._seen: LimitState | None = None
        self._seen_at = -math.inf
        # Whether the next response opens the window, and whether to report it at once.
        self._probes = self._urgent = self._reporting = False
        self._taking: asyncio.Task[None] | None = None
        self._on_change: Callable[[], None] = lambda: None
        self._weigh()

    @property
    def probing(self) -> bool:
        """Whether this process has to probe the window on its own."""
        return self._alone and super().probing

    def has_capacity(self, *, priority: bool = False) -> bool:
        """Return whether a call may start now."""
        if self._alone:
            return super().has_capacity(priority=priority)
        # Without a slot no call starts, not even one with priority.
        return self._slots > 0 and self._clock.now() < self._ends

    def entered(self) -> Slot:
        """Count a call that starts, and return its slot."""
        slot = super().entered()
        self._used += 1
        if not self._alone:
            self._slots = max(self._slots - 1, 0)
        return slot

    def responded(self, slot: Slot, response: Response, now: float) -> None:
        """Count a response, and keep its headers for the other processes."""
        seen = limit_state_of(response)
        if seen is not None:
            self._seen, self._seen_at = seen, now
            if self._probes or not seen.remaining:
                self._probes, self._urgent = False, True
                self._take(0)
        super().responded(slot, response, now)

    def wanted(self, calls: int, on_change: Callable[[], None]) -> None:
        """Acquire slots for waiting calls; ``on_change`` is called when there are some."""
        now = self._clock.now()
        if now >= self._ends and self._ends > -math.inf:
            self._slots = 0  # their window has ended
            self._first = True
            if self._used:
                self._demand, self._used = self._used, 0
        self._on_change = on_change
        if not self._alone and not self._slots and now >= self._closed_until:
            # Enough for the expected demand, so that not every call uses the store: as
            # many as in the last window, and beyond that as many again as were used.
            expected = max(self._demand - self._used, self._used)
            self._take(min(max(calls, expected), _MAX_SLOTS))

    @property
    def spent(self) -> bool:
        """Whether no slot can become free in this window."""
        if self._alone:
            return super().spent
        return not self._slots and self._clock.now() < self._closed_until

    @property
    def opens_at(self) -> float:
        """The earliest time at which a slot may be free."""
        if self._alone:
            return super().opens_at
        return max(self._closed_until, self._clock.now() + _SOON)

    def may_probe(self, now: float) -> bool:
        """Return whether one call may probe; usually the shared record decides."""
        return self._alone and super().may_probe(now)

    async def close(self) -> None:
        """Stop acquiring slots, after writing a report that other processes wait for."""
        self._closed = True
        if self._taking is not None:
            if not (self._urgent or self._reporting):
                self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)

    @property
    def _alone(self) -> bool:
        return self._clock.now() < self._alone_until

    def _still_seen(self, now: float) -> LimitState | None:
        """Return the state in the last response if it is still current."""
        if self._seen is None or self._seen_at < self._window_ends <= now:
            return None  # a response of an ended window must not open the next
        reset = self._seen.reset - (now - self._seen_at)
        return LimitState(self._seen.remaining, reset) if reset > 0 else None

    def _take(self, calls: int) -> None:
        idle = self._taking is None or self._taking.done()
        if idle and not self._closed:
            self._taking = asyncio.ensure_future(self._run_take(calls))

    async def _run_take(self, calls: int) -> None:
        """Acquire slots, then write the reports that became urgent in the meantime."""
        await self._take_once(calls)
        while self._urgent:
            await self._take_once(0)

    async def _take_once(self, calls: int) -> None:
        now = self._clock.now()
        seen, self._seen, self._urgent = self._still_seen(now), None, False
        self._reporting = seen is not None
        try:
            share = await self._shared.take(self._name, calls, seen, first=self._first)
        except StoreUnavailableError:
            self._alone_until = self._clock.now() + _ALONE
        else:
            self._received(share, calls, now)
        self._on_change()

    def _received(self, share: Share, calls: int, now: float) -> None:
        """Record the slots that were acquired, or how long there are none."""
        ends = now + min(share.seconds, self._policy.longest_reset)
        if not share.probing:
            self._window_ends = ends
        if share.calls:
            # Measured from before the request, so it never ends too late.
            self._slots = share.calls + (self._slots if now < self._ends else 0)
            self._ends, self._probes = ends, share.probing
            self._first = self._first and share.probing
        elif calls:
            self._closed_until = ends
            self._used += 0 if share.probing else calls
