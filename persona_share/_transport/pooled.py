"""What all senders have in common, whichever library carries the bytes."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from persona_share._protocol.http import Request, Response
from persona_share._protocol.urls import Address, check_credential
from persona_share._transport.faults import NO_PLACE, NO_TIME_LEFT, Fault
from persona_share.errors import (
    ClientClosedError,
    NotOpenError,
    WrongEventLoopError,
)
from persona_share.model.policy import Pool, Timeouts


# A connection must be there a little before the time is up, so that of a call which
# never got one it is known that nothing was sent.
_CONNECT_MARGIN: Final = 0.01
_CLOSED: Final = "the client was closed"


class PooledSender(ABC):
    """Sends from a bounded number of places, in the event loop that opened it.

    No exception of the library below leaves it, as those print headers and URLs, and
    their frames hold them; so an attempt becomes a value (`Response` or `Fault`)
    before anything is raised (T8).
    """

    def __init__(
        self,
        address: Address,
        *,
        now: Callable[[], float],
        pool: Pool | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._address = address
        self._now = now
        self._pool = pool or Pool()
        self._timeouts = timeouts or Timeouts()
        self._places = asyncio.Semaphore(self._pool.size)
        self._loop: asyncio.AbstractEventLoop | None = None

    @abstractmethod
    async def open(self) -> None:
        """Get ready to send, in the running event loop; a second time does nothing."""

    @abstractmethod
    async def close(self) -> None:
        """Close what was opened; what was borrowed stays open."""

    async def send(self, request: Request) -> Response:
        """Send once and answer with whatever status came.

        Raises:
            TransportError: no usable answer came; it holds this one attempt.
            ResponseTooLargeError: the body of a success is over its cap.
            ClientClosedError, NotOpenError, WrongEventLoopError: not usable here, now.
        """
        self._require_usable()
        if request.authorization is not None:
            check_credential(request.authorization, self._address)
        try:
            outcome = await self._in_its_place(request)
        except BaseException as stop:
            # A cancellation passes through, without the frames that it came by.
            stop.__traceback__ = stop.__context__ = stop.__cause__ = None
            raise
        if isinstance(outcome, Response):
            return outcome
        raise outcome.error(request.operation)

    @abstractmethod
    def _is_closed(self) -> bool: ...

    @abstractmethod
    async def _attempt(
        self, request: Request, started: float, left: float
    ) -> Response | Fault: ...

    def _require_usable(self) -> None:
        if self._loop is None:
            message = "the client was not entered"
            raise NotOpenError(message)
        if asyncio.get_running_loop() is not self._loop:
            message = "the client was entered in another event loop"
            raise WrongEventLoopError(message)
        if self._is_closed():
            raise ClientClosedError(_CLOSED)

    async def _in_its_place(self, request: Request) -> Response | Fault:
        """Send from one of the places of the pool, and wait for one if need be."""
        if self._places.locked():
            patience = self._pool.patience
            left = request.deadline - self._now()
            try:
                async with asyncio.timeout(min(left, patience)):
                    await self._places.acquire()
            except TimeoutError:
                return NO_PLACE if left > patience else NO_TIME_LEFT
        else:
            await self._places.acquire()
        try:
            started = self._now()
            left = request.deadline - started
            if left <= 0:
                return NO_TIME_LEFT
            if self._is_closed():  # while it waited
                raise ClientClosedError(_CLOSED, operation=request.operation)
            return await self._attempt(request, started, left)
        finally:
            self._places.release()

    def _connect_within(self, left: float) -> float:
        """Answer how long a connection may take where so much time is left."""
        return min(self._timeouts.connect, max(left - _CONNECT_MARGIN, left / 2))
