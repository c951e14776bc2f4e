"""FakeClock: a clock that moves only when a test moves it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Final

from persona_share._transport.runtime import seeded_bytes, seeded_random
from persona_share.ports import Runtime
from persona_share.testing.in_flight import InFlight


_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Not zero: an instant must not look like a time that was never set.
_BOOT: Final = 1_000.0

_Sleeper = tuple[float, int, asyncio.Future[None]]


class FakeClock:
    """A clock for `Runtime` that stands still until a test moves it.

    Moving it is a plain call. Sleepers whose time has come wake in the order of their
    times, at the next turn of their event loops.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._wall = start.astimezone(UTC)
        self._boot = _BOOT
        self._timer = 0.0
        self._sleepers: list[_Sleeper] = []
        self._order = itertools.count()
        self.in_flight: InFlight = InFlight()

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        return self._wall

    def now(self) -> float:
        """Return seconds that never step back and that count suspension."""
        return self._boot

    def epoch(self) -> float:
        """Return the wall time as seconds since 1970."""
        return self._wall.timestamp()

    @property
    def sleepers(self) -> int:
        """The number of sleepers."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return when this clock has moved that far."""
        if seconds <= 0:
            # Real sleeping gives the others a turn, too; this needs no clock.
            await asyncio.sleep(0)  # noqa: TID251
            return
        future = asyncio.get_running_loop().create_future()
        entry = (self._timer + seconds, next(self._order), future)
        heapq.heappush(self._sleepers, entry)
        try:
            await future
        except asyncio.CancelledError:
            self._forget(entry)
            raise

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.suspend(seconds)

    async def settle(self) -> None:
        """Return when no request of a client that uses this clock is under way.

        Await it before `advance`, so that a background refresh loses no time.
        """
        await self.in_flight.settle()

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back; no time passes."""
        self._wall += timedelta(seconds=seconds)

    def suspend(self, seconds: float, *, timers: bool = True) -> None:
        """Simulate a suspension of the machine.

        An event loop's timers may not count a suspension: with ``timers=False`` every
        sleeper still has all of its seconds left.
        """
        if seconds < 0:
            message = "time does not run backwards; step_wall() sets the wall clock"
            raise ValueError(message)
        self._wall += timedelta(seconds=seconds)
        self._boot += seconds
        if timers:
            self._timer += seconds
            self._wake()

    def _forget(self, entry: _Sleeper) -> None:
        if entry in self._sleepers:
            self._sleepers.remove(entry)
            heapq.heapify(self._sleepers)

    def _wake(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._timer:
            future = heapq.heappop(self._sleepers)[2]
            loop = future.get_loop()
            if not loop.is_closed():
                # Also right from the outside of that loop, or from another thread.
                loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def fake_runtime(clock: FakeClock | None = None, *, seed: int = 0) -> Runtime:
    """Return a deterministic runtime: a seed always gives the same numbers and keys."""
    numbers = itertools.count(1)
    clock = clock or FakeClock()
    return Runtime(
        clock=clock,
        wrap_transport=clock.in_flight.wrap,
        random=seeded_random(seed),
        new_key=lambda: f"key-{seed}-{next(numbers):06}",
        fingerprint_key=seed.to_bytes(32, "big"),
        new_bytes=seeded_bytes(seed),
    )
