"""One listening socket: binding it, the cap on connections, and its end."""

import asyncio
import errno
from typing import Final

from aiohttp import web

from persona_share.errors import ConfigurationError
from persona_share.sandbox.connections import Connections, Handle


#: Seconds that requests still have when the sandbox closes.
GRACE: Final = 0.5


class Listener:
    """A socket in front of a function that answers requests."""

    def __init__(self, handle: Handle, crashes: list[BaseException]) -> None:
        self._handle = handle
        self._crashes = crashes
        self._http: Connections | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and answer the address and the port.

        Raises:
            ConfigurationError: where the address or the port cannot be had.
        """
        http = Connections(self._counted)
        loop = asyncio.get_running_loop()
        try:
            listener = await loop.create_server(http, host, port, backlog=1024)
        except OSError as error:
            raise ConfigurationError(_complaint(error, host, port)) from None
        self._http, self._listener = http, listener
        address, bound = listener.sockets[0].getsockname()[:2]
        return address, bound

    def close(self) -> None:
        """Take no more connections."""
        if self._listener is not None:
            self._listener.close()

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self.close()
        if self._http is not None:
            self._http.pre_shutdown()
            await self._http.shutdown(GRACE)

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._http is None:
            return web.Response(status=503)
        self._http.busy(request.protocol)
        try:
            return await self._handle(request)
        except OSError:
            raise  # whoever asked has gone
        except Exception as crash:
            self._crashes.append(crash)
            raise
        finally:
            self._http.idle(request.protocol)


def _complaint(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken; choose another, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs more rights; choose one above 1023"
    return f"the sandbox cannot listen on {host}, port {port}"
