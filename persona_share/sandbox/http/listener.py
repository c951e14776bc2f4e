"""A listening socket with a limit of connections."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from persona_share.errors import ConfigurationError
from persona_share.sandbox.responses import ApiError


#: The maximum number of connections.
MAX_CONNECTIONS: Final = 800
#: Seconds after which aiohttp closes an idle connection.
KEEPALIVE_TIMEOUT: Final = 75.0
#: Seconds for which the rest of a refused body is read and dropped.
LINGERING_TIME: Final = 2.0

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _NullLogger:
    """A logger that drops everything; aiohttp's own logs bytes of invalid requests."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return self._ignore

    def _ignore(self, *_: object, **__: object) -> None: ...


class _Handler(web.RequestHandler):
    """aiohttp's handler with other error responses: its own repeat bytes of the request."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return an error in Persona's format, and close the connection."""
        if request.writer.output_size > 0:
            message = "a response has already started"
            raise ConnectionError(message)
        error = ApiError(status, "the request cannot be read")
        response = web.Response(
            status=status, body=error.response().body, content_type="application/json"
        )
        response.force_close()
        return response


class HttpServer(web.Server):
    """aiohttp's server with a limit of connections; the longest idle one is closed."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(
            handle,
            logger=_NullLogger(),
            access_log=None,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            lingering_time=LINGERING_TIME,
        )
        # Ordered by the time at which the connections became idle.
        self._idle: dict[web.RequestHandler, None] = {}

    def __call__(self) -> web.RequestHandler:
        """Return the handler of one more connection."""
        return _Handler(self, loop=asyncio.get_running_loop(), **self._kwargs)

    def connection_made(
        self, handler: web.RequestHandler, transport: asyncio.Transport
    ) -> None:
        """Count a new connection, and close an idle one if there are too many."""
        super().connection_made(handler, transport)
        self._idle[handler] = None
        if len(self._connections) > MAX_CONNECTIONS:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.force_close()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Drop a closed connection."""
        self._idle.pop(handler, None)
        super().connection_lost(handler, exc)

    def mark_busy(self, handler: web.RequestHandler) -> None:
        """Record that the connection handles a request."""
        self._idle.pop(handler, None)

    def mark_idle(self, handler: web.RequestHandler) -> None:
        """Record that the connection is idle."""
        if handler in self._connections:
            self._idle[handler] = None


#: When the sandbox closes, it waits this many seconds for requests in progress.
SHUTDOWN_TIMEOUT: Final = 0.5


class Listener:
    """A listening socket in front of a request handler."""

    def __init__(self, handle: Handle, crashes: list[BaseException]) -> None:
        self._handle = handle
        self._crashes = crashes
        self._http: HttpServer | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Start to listen, and return the address and the port.

        Raises:
            ConfigurationError: if the address or the port is not available.
        """
        http = HttpServer(self._respond)
        loop = asyncio.get_running_loop()
        try:
            listener = await loop.create_server(http, host, port, backlog=1024)
        except OSError as error:
            raise ConfigurationError(_bind_error(error, host, port)) from None
        self._http, self._listener = http, listener
        address, bound = listener.sockets[0].getsockname()[:2]
        return address, bound

    def close(self) -> None:
        """Accept no more connections."""
        if self._listener is not None:
            self._listener.close()

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self.close()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(SHUTDOWN_TIMEOUT)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._http is None:
            return web.Response(status=503)
        self._http.mark_busy(request.protocol)
        try:
            return await self._handle(request)
        except OSError:
            raise  # the client has disconnected
        except Exception as crash:
            self._crashes.append(crash)
            raise
        finally:
            self._http.mark_idle(request.protocol)


def _bind_error(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs privileges; choose a port above 1023"
    return f"the sandbox cannot listen on {host}, port {port}"
