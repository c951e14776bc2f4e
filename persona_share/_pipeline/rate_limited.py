"""Pacing: calls wait here while the service's rate limit leaves them no place."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from persona_share._policy.rate_limit import Place, Window
from persona_share._protocol.http import Request, Response
from persona_share.errors import (
    Attempt,
    ClientClosedError,
    PersonaError,
    Phase,
    RateLimitedError,
)
from persona_share.model.events import CallDelayed, Event
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Clock, CredentialSource, Sender


# So often the picture is looked at again; an answer may have corrected it.
_LONGEST_NAP: Final = 1.0
_CLOSED: Final = "the client was closed"


@attrs.define(eq=False)
class _Waiter:
    deadline: float
    ahead: bool
    turn: asyncio.Future[Place]


class Gate:
    """Lets calls in, in the order in which they came; one for each environment.

    While it is open it costs a comparison. A call that must wait is bounded by its
    deadline, and one that is cancelled gives its place to the next.
    """

    def __init__(
        self, clock: Clock, policy: RateLimitPolicy, window: Window | None = None
    ) -> None:
        self._clock = clock
        self.now = clock.now
        self.window: Window = window or Window(policy)
        self._queue: deque[_Waiter] = deque()
        self._opener: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._queue)

    def enter(self, *, ahead: bool = False) -> Place | None:
        """Let a call in at once and answer its place, or None if it has to wait.

        Whoever is ``ahead`` of all others may take the one that is held back, too.
        """
        window = self.window
        waits = not ahead and self._queue
        if waits or window.in_flight >= window.allowance + ahead:
            return None
        return window.entered()

    async def turn(self, request: Request, *, ahead: bool = False) -> Place:
        """Wait for a place; ``ahead`` of all others where everybody depends on it.

        Raises:
            RateLimitedError: none comes before the deadline; nothing was sent.
        """
        if self._closed:
            raise ClientClosedError(_CLOSED)
        turn = asyncio.get_running_loop().create_future()
        waiter = _Waiter(request.deadline, ahead, turn)
        if ahead:
            self._queue.appendleft(waiter)
        else:
            self._queue.append(waiter)
        self._move()
        if not waiter.turn.done() and self._opener is None:
            self._opener = asyncio.create_task(self._open_in_time())
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            self._forsake(waiter)
            raise
        except PersonaError as error:
            error.operation = request.operation
            raise
        finally:
            self._rest()

    def answered(self, place: Place, response: Response) -> None:
        """Take in an answer and let in whom it has made room for."""
        self.window.answered(place, response, self.now())
        if self._queue:
            self._move()

    def left(self, place: Place, *, sent: bool = True) -> None:
        """Take a place back that brought no answer."""
        self.window.left(place, self.now(), sent=sent)
        if self._queue:
            self._move()

    async def close(self) -> None:
        """Send everybody away who waits."""
        self._closed = True
        for waiter in self._queue:
            if not waiter.turn.done():
                waiter.turn.set_exception(ClientClosedError(_CLOSED))
        self._queue.clear()
        await self.window.close()
        if (opener := self._opener) is not None:
            self._rest()
            await asyncio.gather(opener, return_exceptions=True)

    def _move(self) -> None:
        """Let in whom there is room for, and a probe when it is time for one."""
        window = self.window
        while (
            self._queue and window.in_flight < window.allowance + self._queue[0].ahead
        ):
            self._admit()
        if self._queue and window.may_probe(self.now()):
            window.probes(self.now())
            self._admit()
        if self._queue:
            window.wanted(len(self._queue), self._move)

    def _admit(self) -> None:
        waiter = self._queue.popleft()
        if not waiter.turn.done():  # else it was cancelled, and does not know it yet
            waiter.turn.set_result(self.window.entered())

    def _forsake(self, waiter: _Waiter) -> None:
        """Give the place of a cancelled call to the next, or its place in the queue."""
        if waiter in self._queue:
            self._queue.remove(waiter)
        elif _has_place(waiter.turn):
            self.left(waiter.turn.result(), sent=False)

    async def _open_in_time(self) -> None:
        """Look again whenever something may have changed without an answer."""
        while self._queue:
            self._move()
            now = self.now()
            opens_at = max(self.window.opens_at, now)
            self._dismiss(now, opens_at)
            if not self._queue:
                return
            nearest = min(waiter.deadline for waiter in self._queue)
            nap = min(opens_at - now, nearest - now, _LONGEST_NAP)
            await self._clock.sleep(max(nap, 0.0))

    def _dismiss(self, now: float, opens_at: float) -> None:
        """Send away whose deadline is over, or ends before there can be a place."""
        end = opens_at if self.window.spent else now
        kept = deque[_Waiter]()
        for waiter in self._queue:
            if waiter.deadline > end:
                kept.append(waiter)
            elif not waiter.turn.done():
                waiter.turn.set_exception(_too_late(opens_at - now))
        self._queue = kept

    def _rest(self) -> None:
        if not self._queue and self._opener is not None:
            self._opener.cancel()
            self._opener = None


def _has_place(turn: asyncio.Future[Place]) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None


def _too_late(seconds: float) -> RateLimitedError:
    attempt = Attempt(Phase.NOT_SENT, "paced")
    return RateLimitedError(
        "the rate limit leaves no place before the deadline",
        phase=Phase.NOT_SENT,
        attempts=(attempt,),
        retry_after=math.ceil(seconds),
    )


class Paced:
    """Sends when the gate lets it, with a credential that is there before.

    No place is held while a token is exchanged: exchanges pass the same gate, ahead of
    the calls that depend on them.
    """

    def __init__(
        self,
        inner: Sender,
        gate: Gate,
        source: CredentialSource,
        *,
        ahead: bool = False,
        emit: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._inner = inner
        self._gate = gate
        self._source = source
        self._ahead = ahead
        self._emit = emit

    async def send(self, request: Request) -> Response:
        """Send as soon as there is a credential and a place.

        Raises:
            RateLimitedError: no place comes before the deadline; nothing was sent.
            TokenError: there is no credential for this request.
        """
        if self._source.cached() is None:
            await self._source.get(request.deadline)
        place = self._gate.enter(ahead=self._ahead)
        if place is None:
            place = await self._waited(request)
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            unsent = isinstance(error, PersonaError) and error.phase is Phase.NOT_SENT
            self._gate.left(place, sent=not unsent)
            raise
        self._gate.answered(place, response)
        return response

    async def _waited(self, request: Request) -> Place:
        started = self._gate.now()
        try:
            return await self._turn(request)
        finally:
            now = self._gate.now()
            self._emit(
                CallDelayed(at=now, operation=request.operation, seconds=now - started)
            )

    async def _turn(self, request: Request) -> Place:
        gate, source = self._gate, self._source
        place = await gate.turn(request, ahead=self._ahead)
        while source.cached() is None:  # it ended while this waited
            gate.left(place, sent=False)
            await source.get(request.deadline)
            place = await gate.turn(request, ahead=True)
        return place
