"""Outages: while everything fails, a batch pauses, probes, and then continues."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import anyio.lowlevel

from persona_share._waiting import TimeIsUpError, within
from persona_share.errors import OutageError, PersonaError, Phase
from persona_share.model.batch import WaitingFor
from persona_share.ports import Clock


#: The first pause and the longest one, in seconds; each is twice the one before.
_FIRST_PAUSE: Final = 1.0
_MAX_PAUSE: Final = 60.0
_UNAVAILABLE: Final = 503


class OutageMonitor:
    """Decides when a batch pauses, and when an outage has lasted too long.

    ``threshold`` failures in a row, without any success, start a pause. After a pause
    a single caller is let through as a probe; its result decides for all the others.
    Failures of one scope alone are no outage if there was a success before.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        threshold: int,
        max_outage: float,
        waiting_for: WaitingFor = "service",
    ) -> None:
        self._clock = clock
        self._threshold = threshold
        self._max_outage = max_outage
        self._waiting_for: WaitingFor = waiting_for
        self._failures = 0
        self._pauses = 0
        self._first_failure: float | None = None
        self._error: PersonaError | None = None
        self._scopes: set[str] = set()
        self._resumes_at = 0.0
        self._probing = False
        self._changed = anyio.Event()
        self._has_worked = False

    @property
    def paused(self) -> bool:
        """Whether nothing works at the moment."""
        return self._pauses > 0

    @property
    def waiting_for(self) -> WaitingFor | None:
        """The reason for waiting, or None if there is no outage."""
        return self._waiting_for if self.paused else None

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[bool]:
        """Wait until a request may be sent; yields True if it is the probe of an outage.

        A probe that ends without a result, such as a cancelled one, leaves its turn to
        another caller. Raises `OutageError` if the outage has lasted longer than
        ``max_outage``.
        """
        turn = await self._turn() if self.paused else None
        try:
            yield turn is not None
        finally:
            if turn is not None:
                self._end_probe(turn)

    async def _turn(self) -> anyio.Event | None:
        """Wait for the end of the outage, or return the turn of its next probe."""
        while self.paused:
            await anyio.lowlevel.checkpoint()  # the next probe is another caller's
            turn = self._changed
            if self._probing:
                await turn.wait()
            elif self.paused:
                self._probing = True
                try:
                    left = max(0.0, self._resumes_at - self._clock.now())
                    with suppress(TimeIsUpError):
                        # A request that was sent before may end the outage.
                        await within(self._clock, left, turn.wait())
                    self._require_short()
                except BaseException:
                    self._end_probe(turn)
                    raise
                if turn is self._changed:
                    return turn
        return None

    def succeeded(self) -> None:
        """Record that a request had a response, whatever its status."""
        self._has_worked = True
        if self._failures or self._pauses:
            self._failures = self._pauses = 0
            self._first_failure = self._error = None
            self._scopes.clear()
            self._end_probe(self._changed)

    def failed(
        self, error: PersonaError, *, probe: bool = False, scope: str | None = None
    ) -> bool:
        """Record a failure that may pass with time; return whether there is a pause."""
        now = self._clock.now()
        if self._first_failure is None:
            self._first_failure = now
        self._error = error
        if self.paused and not probe:
            return True  # the request was in flight when the pause began
        self._failures += 1
        if scope is not None and len(self._scopes) <= 1:
            self._scopes.add(scope)
        alone = len(self._scopes) == 1 and self._has_worked
        if probe or (self._failures >= self._threshold and not alone):
            self._pause(now, error.retry_after or 0.0)
        return self.paused

    def _pause(self, now: float, at_least: float) -> None:
        seconds = _FIRST_PAUSE * 2 ** min(self._pauses, 6)
        self._resumes_at = now + min(max(seconds, at_least), _MAX_PAUSE)
        self._pauses += 1
        self._end_probe(self._changed)

    def _end_probe(self, turn: anyio.Event) -> None:
        """Wake all that wait for this turn; one that has ended is left alone."""
        if turn is self._changed:
            self._probing, self._changed = False, anyio.Event()
            turn.set()

    def _require_short(self) -> None:
        since = self._first_failure
        lasted = 0.0 if since is None else self._clock.now() - since
        if lasted > self._max_outage:
            what = f"the {self._waiting_for} has been down for {lasted:.0f} s"
            if self._error is not None:
                what += f": {self._error.what}"
            raise OutageError(
                what, waiting_for=self._waiting_for, seconds=lasted
            ) from self._error


def may_be_its_own(error: PersonaError) -> bool:
    """Return whether a failure that may pass with time may concern one object alone.

    A service that cannot be reached, or that responds 503, fails every object.
    """
    return error.phase is not Phase.NOT_SENT and error.status != _UNAVAILABLE


class StopAfter:
    """Stops a batch after ``limit`` errors in a row that no other object can escape.

    A rejected API key, or a certificate that cannot be verified, fails every object.
    """

    def __init__(self, limit: int, is_fatal: Callable[[PersonaError], bool]) -> None:
        self._limit = limit
        self._is_fatal = is_fatal
        self._count = 0

    def succeeded(self) -> None:
        """Record that an object was retrieved."""
        self._count = 0

    def failed(self, error: PersonaError) -> None:
        """Raise this error if it stops the batch."""
        if not self._is_fatal(error):
            return
        self._count += 1
        if self._count >= self._limit:
            raise error
