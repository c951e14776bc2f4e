"""Clocks for tests: `FakeClock` and `MovingClock`."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from persona_share._protocol.http import Request, Response
from persona_share._transport.runtime import (
    SystemClock,
    override_runtime,
    seeded_bytes,
    seeded_random,
    system_runtime,
)
from persona_share.ports import Runtime, Sender


_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Not zero, so that no time of a test is falsy.
_BOOT: Final = 1_000.0

_Sleeper = tuple[float, int, asyncio.Future[None]]


class FakeClock:
    """A clock for `Runtime` that changes only when a test advances it.

    Sleepers that are due wake in the order of their times, in the next iteration of
    their event loops.
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
        """Return the time of a monotonic clock in seconds; it includes suspension."""
        return self._boot

    def epoch(self) -> float:
        """Return the wall time as seconds since 1970."""
        return self._wall.timestamp()

    @property
    def sleepers(self) -> int:
        """The number of sleepers."""
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Return after this clock has advanced by that many seconds."""
        if seconds <= 0:
            # Yields to other tasks, as a real sleep does; this needs no clock.
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
        """Advance the clock."""
        self.suspend(seconds)

    async def settle(self) -> None:
        """Return when no request of a client with this clock is in progress.

        Await it before `advance`, so that requests of a background refresh do not time
        out.
        """
        await self.in_flight.settle()

    def step_wall(self, seconds: float) -> None:
        """Change the wall clock, forward or back, without advancing time."""
        self._wall += timedelta(seconds=seconds)

    def suspend(self, seconds: float, *, timers: bool = True) -> None:
        """Simulate a suspension of the machine.

        With ``timers=False``, sleepers do not count the suspension, like the timers of
        an event loop on some systems.
        """
        if seconds < 0:
            message = "seconds must not be negative; step_wall() sets the wall clock"
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
                # Thread-safe, as the caller may be in another thread or loop.
                loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def fake_runtime(clock: FakeClock | None = None, *, seed: int = 0) -> Runtime:
    """Return a deterministic runtime: the same seed gives the same numbers and keys."""
    numbers = itertools.count(1)
    clock = clock or FakeClock()
    return Runtime(
        clock=clock,
        wrap_transport=clock.in_flight.wrap,
        random=seeded_random(seed),
        new_key=lambda: f"key-{seed}-{next(numbers):06}",
        new_bytes=seeded_bytes(seed),
    )


# ── MovingClock ───────────────────────────────────────────────────────────────


class MovingClock:
    """A clock that runs in real time and can be advanced.

    A sleep of a second ends after a second, or as soon as the clock has advanced that
    far. Unlike with a `FakeClock`, nothing waits forever.
    """

    def __init__(self) -> None:
        self._base = SystemClock()
        self._ahead = 0.0
        self._sleepers: set[asyncio.Future[None]] = set()
        self._followers: list[Callable[[], None]] = []
        self._in_flight = InFlight()
        self._pending = 0.0
        self._delayed_advance: asyncio.Task[None] | None = None

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        return self._base.wall() + timedelta(seconds=self._ahead)

    def now(self) -> float:
        """Return the time of a monotonic clock in seconds; it includes suspension."""
        return self._base.now() + self._ahead

    def epoch(self) -> float:
        """Return the wall time as seconds since 1970."""
        return self.wall().timestamp()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds, in real time or by `advance`."""
        if seconds <= 0:
            await asyncio.sleep(0)  # noqa: TID251 — yields to other tasks; it takes no time
            return
        loop, end = asyncio.get_running_loop(), self.now() + seconds
        while (left := end - self.now()) > 0:
            moved = loop.create_future()
            self._sleepers.add(moved)
            timer = loop.call_later(left, _resolve, moved)
            try:
                await moved
            finally:
                timer.cancel()
                self._sleepers.discard(moved)

    def advance(self, seconds: float, *, interrupt: bool = False) -> None:
        """Advance the clock for everything that uses it.

        If a request is in progress, the clock advances after its response. A token
        refresh in the background takes several requests: await `settle` before you
        advance again. With ``interrupt=True`` the clock advances immediately.
        """
        if seconds < 0:
            message = "seconds must not be negative"
            raise ValueError(message)
        self._pending += seconds
        if interrupt or not self._in_flight.count or not _loop_is_running():
            self._apply_pending()
        elif self._delayed_advance is None or self._delayed_advance.done():
            self._delayed_advance = asyncio.create_task(self.settle())

    async def settle(self) -> None:
        """Return when no request is in progress and the clock has advanced."""
        await self._in_flight.settle()
        if self._pending:
            self._apply_pending()
            await self._in_flight.settle()

    def _apply_pending(self) -> None:
        self._ahead += self._pending
        self._pending = 0.0
        for call in self._followers:
            call()
        for sleeper in tuple(self._sleepers):
            loop = sleeper.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, sleeper)

    @contextmanager
    def followed_by(self, call: Callable[[], None]) -> Iterator[None]:
        """Call a function each time after the clock has advanced."""
        self._followers.append(call)
        try:
            yield
        finally:
            self._followers.remove(call)

    def runtime(self) -> Runtime:
        """Return the system's runtime with this clock."""
        return attrs.evolve(
            system_runtime(), clock=self, wrap_transport=self._in_flight.wrap
        )


@contextmanager
def moving_clock() -> Iterator[MovingClock]:
    """Use one clock for all clients, managers and verifiers created in the block."""
    clock = MovingClock()
    with override_runtime(clock.runtime()):
        yield clock


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# ── Requests in progress, so that a clock can wait for them ───────────────────


#: Iterations of an event loop in which a finished request may start the next one.
_ITERATIONS: Final = 50
#: Real seconds for threads and for the kernel under load.
_PAUSE: Final = 0.001


class InFlight:
    """Counts the requests of every client that uses one test clock."""

    def __init__(self) -> None:
        self.count: int = 0
        self._started = 0

    def wrap(self, sender: Sender) -> Sender:
        """Return a sender that counts what it sends."""
        return _Counted(sender, self)

    async def settle(self) -> None:
        """Return when no request is in progress and none has started for a while."""
        for _ in range(2):
            await self._wait_until_idle()
            await asyncio.sleep(_PAUSE)  # noqa: TID251 — sockets need real time
        await self._wait_until_idle()

    async def _wait_until_idle(self) -> None:
        idle, seen = 0, self._started
        while idle < _ITERATIONS:
            await asyncio.sleep(_PAUSE if self.count else 0)  # noqa: TID251 — as above
            busy = self.count or seen != self._started
            idle, seen = 0 if busy else idle + 1, self._started

    def begin(self) -> None:
        """Count the start of a request."""
        self.count += 1
        self._started += 1

    def end(self) -> None:
        """Count the end of a request."""
        self.count -= 1


class _Counted:
    """A sender that counts its requests from the first byte to the last."""

    def __init__(self, sender: Sender, in_flight: InFlight) -> None:
        self._sender = sender
        self._in_flight = in_flight

    async def send(self, request: Request) -> Response:
        """Send, and count the request until its response is read."""
        self._in_flight.begin()
        try:
            return await self._sender.send(request)
        finally:
            self._in_flight.end()
