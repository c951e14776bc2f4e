"""The other socket: a Sender on httpx, for programs that have a transport of theirs.

It speaks to a transport, not to an `httpx.AsyncClient`: a client adds its headers,
cookies and hooks to what it sends, and follows redirects.
"""

import asyncio
import ssl
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from anyio.lowlevel import checkpoint

from persona_share._protocol.http import Request, Response
from persona_share._protocol.urls import Address
from persona_share._transport.faults import NOT_HTTP, Fault, by_deadline
from persona_share._transport.httpx_fault import Progress, fault_of
from persona_share._transport.pooled import PooledSender
from persona_share._transport.reading import body_of, headers_of, own_headers, read
from persona_share._transport.tls import checked_context, proxy_of
from persona_share.errors import ConfigurationError
from persona_share.model.policy import Pool, Timeouts
from persona_share.model.secret import Secret


if TYPE_CHECKING:
    import httpx

# As many as aiohttp takes; httpcore only counts their bytes.
_MOST_HEADERS: Final = 128
# Where httpcore keeps what came after the end of an answer; it has no public name.
_WAY_TO_THE_REST: Final = ("_httpcore_stream", "_stream", "_connection", "_h11_state")


class HttpxSender(PooledSender):
    """Sends over httpx; opened and closed in the event loop that uses it.

    A borrowed ``transport`` stays open; its own TLS settings and proxy are the ones
    that count.

    Raises:
        InsecureOriginError: the credential would travel where it can be read.
        ConfigurationError: httpx is missing, or the proxy cannot be used.
    """

    def __init__(
        self,
        address: Address,
        *,
        now: Callable[[], float],
        transport: "httpx.AsyncBaseTransport | None" = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | Secret | None = None,
        pool: Pool | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        super().__init__(address, now=now, pool=pool, timeouts=timeouts)
        self._httpx = _imported()
        self._borrowed = transport
        self._proxy = proxy_of(proxy, address)
        self._ssl: ssl.SSLContext | bool = True
        if transport is not None and (ssl_context or proxy):
            message = "ssl_context and proxy belong to the httpx transport itself"
            raise ConfigurationError(message)
        if address.secure:
            self._ssl = checked_context(ssl_context or _context_of(transport), address)
        self._transport: httpx.AsyncBaseTransport | None = None
        self._closed = False

    async def open(self) -> None:
        """Get ready to send, in the running event loop; a second time does nothing."""
        if self._transport is None:
            # What httpcore would only import while the first call's time runs.
            await checkpoint()
            import_module("httpcore")
            self._loop = asyncio.get_running_loop()
            self._transport = self._borrowed or self._new_transport()

    async def close(self) -> None:
        """Close what was opened; what was borrowed stays open."""
        if self._transport is not None and not self._closed:
            self._closed = True
            if self._borrowed is None:
                await self._transport.aclose()

    def _is_closed(self) -> bool:
        return self._closed

    def _new_transport(self) -> "httpx.AsyncBaseTransport":
        proxy = None
        if self._proxy.url is not None:
            proxy = self._httpx.Proxy(
                str(self._proxy.url), headers=self._proxy.headers or {}
            )
        transport: httpx.AsyncHTTPTransport = self._httpx.AsyncHTTPTransport(
            verify=self._ssl,
            trust_env=False,
            proxy=proxy,
            limits=self._httpx.Limits(
                max_connections=self._pool.size,
                max_keepalive_connections=self._pool.size,
                keepalive_expiry=self._pool.keepalive,
            ),
        )
        return transport

    async def _attempt(
        self, request: Request, started: float, left: float
    ) -> Response | Fault:
        """Send and read; this frame and those below it see the credential."""
        timeouts = self._timeouts
        hurried = left < timeouts.attempt or request.sink is not None
        progress = Progress(proxied=self._proxy.url is not None)
        try:
            async with asyncio.timeout(left if hurried else timeouts.attempt):
                return await self._answered(request, started, left, progress)
        except Exception as failure:  # noqa: BLE001 — each becomes a value, none gets out
            fault = fault_of(failure, progress)
            return by_deadline(fault, left, timeouts) if hurried else fault

    async def _answered(
        self, request: Request, started: float, left: float, progress: Progress
    ) -> Response | Fault:
        transport = self._transport
        assert transport is not None  # noqa: S101 — it is open, or nobody comes here
        sent = self._request(request, left, progress)
        try:
            answer = await transport.handle_async_request(sent)
        except asyncio.CancelledError:
            await progress.let_go()
            raise
        progress.answered = True
        try:
            if len(answer.headers.raw) > _MOST_HEADERS:
                return NOT_HTTP
            outcome = await read(request, _Incoming(answer), started)
            await _drop_what_follows(answer)
        finally:
            await answer.aclose()
        return outcome

    def _request(
        self, request: Request, left: float, progress: Progress
    ) -> "httpx.Request":
        headers = self._httpx.Headers(own_headers())
        headers.update(request.headers)
        headers.update(headers_of(request))
        body = body_of(request)
        timeouts = {
            "connect": self._connect_within(left),
            "read": self._timeouts.read,
            "write": self._timeouts.read,
            "pool": min(self._pool.patience, left),
        }
        made: httpx.Request = self._httpx.Request(
            request.method,
            self._address.base_url + request.target,
            headers=headers,
            content=body if body is None or isinstance(body, bytes) else request.body,
            extensions={"timeout": timeouts, "trace": progress},
        )
        return made


class _Incoming:
    """An answer of httpx as all senders show it."""

    __slots__ = ("_pieces", "headers", "status")

    def __init__(self, answer: "httpx.Response") -> None:
        # These join repeated headers, and have lower-case names.
        self.headers = dict(answer.headers)
        self.status = answer.status_code
        self._pieces = aiter(cast("httpx.AsyncByteStream", answer.stream))

    def at_eof(self) -> bool:
        return False  # the end has to be seen, or the connection is not used again

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")

    def close(self) -> None:
        """Leave it to the sender, who closes every answer."""


async def _drop_what_follows(answer: "httpx.Response") -> None:
    """Close a connection on which bytes came after the end of an answer.

    httpcore would take them for the answer to the next request (RFC 9112 §9.2).
    """
    stream = answer.extensions.get("network_stream")
    if stream is None or answer.http_version == "HTTP/2":
        return  # nothing is kept there, or each answer has a stream of its own
    place: Any = answer.stream
    for name in _WAY_TO_THE_REST:
        place = getattr(place, name, None)
    rest = getattr(place, "trailing_data", None)
    if rest is None or rest[0]:  # where it cannot be told, none is used twice
        await stream.aclose()


def _context_of(
    transport: "httpx.AsyncBaseTransport | None",
) -> ssl.SSLContext | None:
    """Answer the TLS settings of a borrowed transport, where they can be seen."""
    pool = getattr(transport, "_pool", None)
    context = getattr(pool, "_ssl_context", None)
    return context if isinstance(context, ssl.SSLContext) else None


def _imported() -> Any:
    try:
        return import_module("httpx")
    except ImportError:
        message = "httpx is not installed"
        raise ConfigurationError(
            message, advice="Install the extra: persona-share[httpx]."
        ) from None
