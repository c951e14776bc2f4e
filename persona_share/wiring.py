"""The fuse box: real parts are plugged together here, and only here."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping

import aiohttp
import attrs

from persona_share._net.http import AiohttpSender
from persona_share._net.world import real_world
from persona_share._send.bearer import ApiKeyBearer, Bearer
from persona_share._send.observed import Observed, Tell
from persona_share._send.retrying import Retrying
from persona_share._wire.address import Address, address_of
from persona_share._wire.budget import Budget
from persona_share.errors import (
    ClientClosedError,
    NotOpenError,
    WrongEventLoopError,
)
from persona_share.model.events import Event
from persona_share.model.secret import Secret
from persona_share.ports import BearerSource, Hook, Sender, World
from persona_share.resources.base import Caller
from persona_share.settings import Settings


@attrs.frozen(kw_only=True)
class Connection:
    """How to reach the service: the transport's settings."""

    base_url: str
    http: aiohttp.ClientSession | None = None
    insecure_local: bool = False
    proxy: str | Secret | None = None
    ssl_context: ssl.SSLContext | None = None
    allowed_hosts: tuple[str, ...] = ()

    def address(self) -> Address:
        """Answer the checked base URL."""
        return address_of(
            self.base_url,
            insecure_local=self.insecure_local,
            allowed_hosts=self.allowed_hosts,
        )


class Line:
    """One client's line to the service: a socket, and the stacks that use it.

    It is the `Account` that a token manager stands on. Nothing in it is bound to an
    event loop until it is opened.
    """

    def __init__(
        self,
        key: Secret,
        connection: Connection,
        settings: Settings,
        hooks: Iterable[Hook],
        world: World | None,
    ) -> None:
        self.world: World = world or real_world()
        self.timeout: float = settings.timeout
        self.headers: Mapping[str, str] = settings.headers()
        address = connection.address()
        self.origin: str = address.base_url
        self._retry = settings.retry
        # One for everything that this client sends: sessions come and go.
        self._budget = Budget(settings.retry)
        self._tell = Tell(hooks)
        self._key = ApiKeyBearer(key)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._socket = AiohttpSender(
            address,
            now=self.world.clock.now,
            session=connection.http,
            ssl_context=connection.ssl_context,
            proxy=connection.proxy,
        )
        self.exchanger: Sender = self._observed(Bearer(self._socket, self._key))

    def bearing(self, source: BearerSource) -> Sender:
        """Answer the whole stack with its credential from this source."""
        bearer = Bearer(self._socket, source)
        return self._observed(
            Retrying(
                bearer, self.world, self._retry, budget=self._budget, tell=self._tell
            )
        )

    def caller(self) -> Caller:
        """Answer what makes calls with the API key."""
        return Caller(
            sender=self.bearing(self._key),
            world=self.world,
            headers=self.headers,
            timeout=self.timeout,
            require_open=self.require_open,
        )

    def require_open(self) -> None:
        """Raise the clear error if it cannot be used here and now."""
        if self._closed:
            message = "the client was closed"
            raise ClientClosedError(message)
        if self._loop is None:
            message = "the client was not entered"
            raise NotOpenError(message)
        require_loop(self._loop, "the client")

    async def open(self) -> None:
        """Open the socket in the running event loop."""
        if self._closed:
            message = "the client was closed"
            raise ClientClosedError(message)
        self._loop = asyncio.get_running_loop()
        await self._socket.open()

    async def close(self) -> None:
        """Close the socket; a second time does nothing."""
        self._closed = True
        await self._socket.close()

    def _observed(self, sender: Sender) -> Sender:
        return Observed(sender, self.world.clock.now, self._tell)


def require_loop(loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Raise `WrongEventLoopError` anywhere but in this loop's own thread and task."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not loop:
        message = f"{what} was entered in another event loop"
        raise WrongEventLoopError(message)


def teller(hooks: Iterable[Hook]) -> Callable[[Event], None]:
    """Answer what tells an event to every hook and lets none of them do harm."""
    return Tell(hooks)
