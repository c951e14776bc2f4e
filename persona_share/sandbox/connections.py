"""A cap on connections: where too many are open, the one idle the longest goes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from persona_share.sandbox.problems import Problem


#: The most connections at a time.
MOST: Final = 800
#: Seconds after which aiohttp closes a connection that says nothing.
IDLE: Final = 75.0
#: Seconds for which the rest of a refused body is read and dropped.
LINGER: Final = 2.0

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Silence:
    """A logger that says nothing: aiohttp's would print bytes of bad requests."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return self._nothing

    def _nothing(self, *_: object, **__: object) -> None: ...


class _Handler(web.RequestHandler):
    """aiohttp's handler, whose own refusals would repeat bytes of the request."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,  # noqa: ARG002 - it holds those bytes
    ) -> web.StreamResponse:
        """Answer what is no HTTP in the API's shape, and end the connection."""
        if request.writer.output_size > 0:
            said = "an answer is on its way already"
            raise ConnectionError(said)
        refusal = Problem(status, "the request cannot be read")
        response = web.Response(
            status=status, body=refusal.body(), content_type="application/json"
        )
        response.force_close()
        return response


class Connections(web.Server):
    """aiohttp's server, which knows who has been idle the longest."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(
            handle,
            logger=_Silence(),
            access_log=None,
            keepalive_timeout=IDLE,
            lingering_time=LINGER,
        )
        # A dictionary keeps its order: the first has been idle the longest.
        self._idle: dict[web.RequestHandler, None] = {}

    def __call__(self) -> web.RequestHandler:
        """Answer the handler of one more connection."""
        return _Handler(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def connection_made(
        self, handler: web.RequestHandler, transport: asyncio.Transport
    ) -> None:
        """Count a new connection, and make room where there are too many."""
        super().connection_made(handler, transport)
        self._idle[handler] = None
        if len(self._connections) > MOST:
            longest = next(iter(self._idle))
            del self._idle[longest]
            longest.force_close()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget a connection that is gone."""
        self._idle.pop(handler, None)
        super().connection_lost(handler, exc)

    def busy(self, handler: web.RequestHandler) -> None:
        """Note that a request is being answered."""
        self._idle.pop(handler, None)

    def idle(self, handler: web.RequestHandler) -> None:
        """Note that an answer is on its way."""
        if handler in self._connections:
            self._idle[handler] = None
