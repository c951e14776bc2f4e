"""MovingClock: the clock of this machine, which a test can move forward."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import attrs

from persona_share._transport.runtime import (
    SystemClock,
    override_runtime,
    system_runtime,
)
from persona_share.ports import Runtime
from persona_share.testing.in_flight import InFlight


class MovingClock:
    """A clock that runs by itself and that ``advance`` moves forward at once.

    Unlike under a `FakeClock`, nothing waits forever: a sleep of a second ends after a
    second, or as soon as the clock has moved that far.
    """

    def __init__(self) -> None:
        self._base = SystemClock()
        self._ahead = 0.0
        self._sleepers: set[asyncio.Future[None]] = set()
        self._followers: list[Callable[[], None]] = []
        self._in_flight = InFlight()
        self._pending = 0.0
        self._later: asyncio.Task[None] | None = None

    def wall(self) -> datetime:
        """Return the date and time in UTC."""
        return self._base.wall() + timedelta(seconds=self._ahead)

    def now(self) -> float:
        """Return seconds that never step back and that count suspension."""
        return self._base.now() + self._ahead

    def epoch(self) -> float:
        """Return the wall time as seconds since 1970."""
        return self.wall().timestamp()

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed, in real time or by a move."""
        if seconds <= 0:
            await asyncio.sleep(0)  # noqa: TID251 — a turn for others; it takes no time
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
        """Let that much time pass at once, for every user of this clock.

        While a request is under way, the move waits until it has its response. A token
        refresh in the background takes several requests: await `settle` before the next
        move. With ``interrupt=True`` the clock moves at once.
        """
        if seconds < 0:
            message = "time does not run backwards"
            raise ValueError(message)
        self._pending += seconds
        if interrupt or not self._in_flight.count or not _runs_in_a_loop():
            self._move()
        elif self._later is None or self._later.done():
            self._later = asyncio.create_task(self.settle())

    async def settle(self) -> None:
        """Return when no request is under way and every pending move is made."""
        await self._in_flight.settle()
        if self._pending:
            self._move()
            await self._in_flight.settle()

    def _move(self) -> None:
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
        """Call a function after each move."""
        self._followers.append(call)
        try:
            yield
        finally:
            self._followers.remove(call)

    def runtime(self) -> Runtime:
        """Return a runtime that is real except for its clock."""
        return attrs.evolve(
            system_runtime(), clock=self, wrap_transport=self._in_flight.wrap
        )


@contextmanager
def moving_clock() -> Iterator[MovingClock]:
    """Give one clock to every client, manager and verifier created meanwhile."""
    clock = MovingClock()
    with override_runtime(clock.runtime()):
        yield clock


def _runs_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
