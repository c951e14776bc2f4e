"""InFlight: how many requests are under way, so that a clock can wait for them."""

import asyncio
from typing import Final

from persona_share._protocol.http import Request, Response
from persona_share.ports import Sender


#: Turns of an event loop in which a finished request may start the next one.
_TURNS: Final = 50
#: Seconds for what a turn cannot show: threads, and the kernel under load.
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
        """Return when no request is under way and none has started for a moment."""
        for _ in range(2):
            await self._none()
            await asyncio.sleep(_PAUSE)  # noqa: TID251 — sockets go by real time
        await self._none()

    async def _none(self) -> None:
        quiet, seen = 0, self._started
        while quiet < _TURNS:
            await asyncio.sleep(_PAUSE if self.count else 0)  # noqa: TID251 — as above
            busy = self.count or seen != self._started
            quiet, seen = 0 if busy else quiet + 1, self._started

    def begin(self) -> None:
        """Count one more request."""
        self.count += 1
        self._started += 1

    def end(self) -> None:
        """Count one less."""
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
