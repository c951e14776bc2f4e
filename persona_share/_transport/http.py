"""AiohttpSender: sends requests over aiohttp; no exception of aiohttp leaves it."""

import asyncio
import io
import math
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import cache
from http.cookies import SimpleCookie
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import anyio
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from persona_share._protocol.body import (
    CHUNK,
    MAX_ERROR_BODY,
    BodyDecoder,
    BodyTooLargeError,
)
from persona_share._protocol.errors import secrets_of
from persona_share._protocol.http import Request, Response, Sink
from persona_share._protocol.redaction import escaped, scrubbed, shown_id
from persona_share._protocol.urls import BaseURL, check_credential
from persona_share._transport.attempt_timer import AttemptTimer, TimedAttempt
from persona_share._transport.failures import (
    INCOMPLETE,
    NO_TIME_LEFT,
    POOL_BUSY,
    UNWANTED,
    AttemptFailure,
    by_deadline,
    failure_of,
    too_large,
)
from persona_share._transport.tls import checked_context, proxy_for, unused_proxy
from persona_share._waiting import retrieve
from persona_share.errors import (
    ClientClosedError,
    ConnectError,
    NotOpenError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.model.policy import Pool, Timeouts
from persona_share.model.secret import MaskedText, Secret


if TYPE_CHECKING:
    from aiohttp.connector import Connection

# A larger body is sent in pieces, and without a warning of aiohttp.
_LARGE_BODY: Final = 1024 * 1024
# Connecting must end a little before the deadline, so that a call without a connection
# is known to be unsent.
_CONNECT_MARGIN: Final = 0.05
_MAX_INFORMATIONAL: Final = 100
# aiohttp before 3.14.4 accepts no keep-alive without a limit.
_FOREVER: Final = 1e8
_CLOSED: Final = "the client was closed"
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404


class TooManyInformationalError(Exception):
    """The server sent too many informational (1xx) responses."""


class UnrequestedDataError(aiohttp.ServerDisconnectedError):
    """Data arrived on a connection before a request was sent on it."""


class _ClientRequest(aiohttp.ClientRequest):
    """A request that is only sent on a connection from which everything was read.

    aiohttp would return data that arrived earlier as the response.
    """

    def send(self, conn: "Connection") -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Send the request, and return its response before anything was read."""
        if conn.protocol is None or conn.protocol.should_close:
            raise UnrequestedDataError
        return super().send(conn)


class DeleteLostError(aiohttp.ClientConnectionError):
    """The connection was lost after a DELETE was sent on it."""


class _ClientResponse(aiohttp.ClientResponse):
    """A response that gives up after 100 informational (1xx) ones.

    aiohttp skips them without a limit, and checks ``_continue`` for each of them.
    ``lost`` is done when the connection is lost, with an error unless it was closed.
    """

    lost: "asyncio.Future[None] | None" = None
    _informational = 0
    _given: Any = None

    def start(
        self, connection: "Connection"
    ) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Read the head of the response."""
        if connection.protocol is not None:
            self.lost = connection.protocol.closed
        if self.lost is not None:
            self.lost.remove_done_callback(retrieve)  # of an earlier request
            self.lost.add_done_callback(retrieve)
        deleting = self.method == "DELETE"
        return self._start_once(connection) if deleting else super().start(connection)

    async def _start_once(self, connection: "Connection") -> aiohttp.ClientResponse:
        """Read the head of the response.

        aiohttp repeats a DELETE by itself, and whether the first one took effect would
        be forgotten, unless the error is another one than it expects.
        """
        with suppress(aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await super().start(connection)
        raise DeleteLostError

    @property
    def _continue(self) -> Any:
        self._informational += 1
        if self._informational > _MAX_INFORMATIONAL:
            raise TooManyInformationalError
        return self._given

    @_continue.setter
    def _continue(self, value: Any) -> None:
        self._given = value


class _NoCookies(aiohttp.DummyCookieJar):
    """Has no cookies, and makes no new mapping to say so for each request."""

    _none: Final = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> SimpleCookie:  # noqa: ARG002  # aiohttp's signature
        """Return no cookies."""
        return self._none


class AiohttpSender:
    """Sends over a bounded pool of connections, in the event loop that opened it.

    Each attempt becomes a value (`Response` or `AttemptFailure`) before anything is
    raised, because exceptions of aiohttp print headers and URLs.

    ``headers`` are sent with every request; a request's own values take precedence.

    Only the connections of a borrowed ``session`` are used: its headers, cookies,
    proxies and traces are ignored, and it is neither changed nor closed.

    Raises:
        InsecureOriginError: the credential could be read on its way.
        ConfigurationError: the proxy or the TLS context cannot be used.
    """

    def __init__(
        self,
        base_url: BaseURL,
        *,
        now: Callable[[], float],
        session: aiohttp.ClientSession | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | Secret | None = None,
        trust_env: bool = False,
        pool: Pool | None = None,
        timeouts: Timeouts | None = None,
        app_info: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base_url = base_url
        self._peer = base_url.peer
        self._now = now
        self._pool = pool or Pool()
        self._timeouts = timeouts or Timeouts()
        self._slots: anyio.Semaphore
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._borrowed = session
        self._timeout = self._aiohttp_timeout(self._timeouts.attempt)
        # `AttemptTimer` enforces the other timeouts of an attempt.
        self._timed = aiohttp.ClientTimeout(connect=_limit(self._timeouts.connect))
        self._timer = AttemptTimer(self._timeouts)
        chosen = proxy_for(base_url, proxy, trust_env=trust_env)
        self._proxy_peer = chosen.peer
        self._proxy_advice = unused_proxy(base_url, chosen)
        self._user_agent = user_agent() + (f" {app_info}" if app_info else "")
        self._headers = headers or {}
        self._fixed: dict[str, Any] = {"allow_redirects": False, "ssl": True}
        if base_url.secure:
            self._fixed["ssl"] = checked_context(ssl_context, base_url)
        if chosen.url is not None:
            self._fixed |= {"proxy": chosen.url, "proxy_headers": chosen.headers}

    async def open(self) -> None:
        """Open the session in the running event loop; a second call does nothing."""
        if self._session is not None:
            return
        loop = asyncio.get_running_loop()
        connector = self._connector()
        # aiohttp neither checks nor publishes which loop a connector belongs to.
        if getattr(connector, "_loop", loop) is not loop:
            message = "the borrowed aiohttp session belongs to another event loop"
            raise WrongEventLoopError(message)
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=self._borrowed is None,
            cookie_jar=_NoCookies(),
            trust_env=False,
            raise_for_status=False,
            request_class=_ClientRequest,
            response_class=_ClientResponse,
            auto_decompress=False,  # `BodyDecoder` does it, and stops a bomb in time
            headers={
                **self._headers,
                "User-Agent": self._user_agent,
                "Accept-Encoding": "gzip",
            },
            timeout=self._timeout,
        )
        self._loop = loop

    async def close(self) -> None:
        """Close what was opened; a borrowed session stays open."""
        self._timer.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Response:
        """Send once, and return the response whatever its status is.

        Raises:
            TransportError: no usable response arrived; it holds this one attempt.
            ResponseTooLargeError: the body of a success is over its cap.
            ClientClosedError, NotOpenError, WrongEventLoopError: not usable here, now.
        """
        loop, session = asyncio.get_running_loop(), self._session
        if loop is not self._loop or session is None or session.closed:
            raise self._unusable()
        if request.authorization is not None:
            check_credential(request.authorization, self._base_url)
        outcome: Response | AttemptFailure | None = None
        try:
            try:
                self._slots.acquire_nowait()
            except anyio.WouldBlock:
                outcome = await self._wait_for_slot(request)
            if outcome is None:
                try:
                    outcome = await self._attempt(request, session)
                finally:
                    self._slots.release()
        except BaseException as stop:
            # A cancellation passes, without the frames that hold the credential.
            stop.__traceback__ = stop.__context__ = stop.__cause__ = None
            raise
        if isinstance(outcome, Response):
            return outcome
        error = outcome.as_error(request.operation)
        if self._proxy_advice and isinstance(error, ConnectError):
            error.advice += self._proxy_advice
        raise error

    def _unusable(self) -> UsageError:
        """Return why no request can be sent here and now."""
        if self._loop is None:
            return NotOpenError("the client was not entered")
        if asyncio.get_running_loop() is not self._loop:
            return WrongEventLoopError("the client was entered in another event loop")
        return ClientClosedError(_CLOSED)

    def _connector(self) -> aiohttp.BaseConnector:
        if self._borrowed is None:
            self._limit_connections(self._pool.size)
            return aiohttp.TCPConnector(
                limit=self._pool.size,
                limit_per_host=0,  # there is only one host
                keepalive_timeout=min(self._pool.keepalive, _FOREVER),
                ttl_dns_cache=_whole_seconds(self._pool.dns_ttl),
            )
        connector = self._borrowed.connector
        if self._borrowed.closed or connector is None:
            message = "the borrowed aiohttp session is closed"
            raise ClientClosedError(message)
        # Calls wait for a connection in this class, whose errors can name the reason.
        limits = {connector.limit, connector.limit_per_host, self._pool.size} - {0}
        self._limit_connections(min(limits))
        return connector

    def _limit_connections(self, limit: int) -> None:
        self._slots = anyio.Semaphore(limit, fast_acquire=True)

    async def _wait_for_slot(self, request: Request) -> AttemptFailure | None:
        """Wait for a connection of the pool; return why there is none."""
        patience = self._pool.patience
        left = request.deadline - self._now()
        try:
            async with asyncio.timeout(min(left, patience)):
                await self._slots.acquire()
        except TimeoutError:
            kind = POOL_BUSY if left > patience else NO_TIME_LEFT
            return kind.at(self._peer)
        if self._session is None or self._session.closed:  # while this call waited
            self._slots.release()
            raise ClientClosedError(_CLOSED, operation=request.operation)
        return None

    async def _attempt(
        self, request: Request, session: aiohttp.ClientSession
    ) -> Response | AttemptFailure:
        """Send and read; this frame and those below it hold the credential."""
        peer, body = self._peer, request.body
        started = self._now()
        left = request.deadline - started
        if left <= 0:
            return NO_TIME_LEFT.at(peer)
        timeout = self._timed
        # Only the caller's deadline limits a long download.
        hurried = left < self._timeouts.attempt or request.sink is not None
        timed = self._timer.start(request, left)
        if not timed.watched:
            timeout = self._aiohttp_timeout(left) if hurried else self._timeout
        try:
            incoming = await session.request(
                request.method,
                URL(self._base_url.url + request.target, encoded=True),
                headers=self._headers_of(request),
                data=body
                if body is None or len(body) <= _LARGE_BODY
                else io.BytesIO(body),
                timeout=timeout,
                **self._fixed,
            )
            outcome = await self._read(request, incoming, started, timed)
        except Exception as failure:  # noqa: BLE001 - each becomes a value
            outcome = failure_of(failure, peer, self._proxy_peer, closed=session.closed)
        except asyncio.CancelledError:
            if (kind := timed.finish()) is None:
                raise
            return kind.at(peer)
        finally:
            kind = timed.finish()
        if isinstance(outcome, Response):
            return outcome
        if kind is None and hurried:
            connecting = left <= self._timeouts.connect
            return by_deadline(outcome, peer, connecting=connecting)
        return outcome if kind is None else kind.at(peer)

    async def _read(
        self,
        request: Request,
        incoming: aiohttp.ClientResponse,
        started: float,
        timed: TimedAttempt,
    ) -> Response | AttemptFailure:
        """Return the complete response, reading no more than the size limit."""
        status, headers = incoming.status, _received_headers(request, incoming.headers)
        headers.pop("set-cookie", None)
        success = 200 <= status < 300  # noqa: PLR2004 - 101 is none
        content, body, fits = incoming.content, b"", True
        arrived = content.is_eof()
        unfinished = None if arrived else _Unfinished(incoming)
        try:
            if 300 <= status < 400:  # noqa: PLR2004 - never followed, so never read
                incoming.close()
            elif success and request.sink is not None:
                whole = status != _PARTIAL or _asks_for_a_range(request)
                sink = request.sink if whole else None
                written = await _write_to_sink(sink, incoming, headers, started)
                return written or INCOMPLETE.at(self._peer)
            else:
                timed.received()  # the head
                cap = request.expects.cap if success else MAX_ERROR_BODY
                coding = headers.get("content-encoding", "")
                body = (
                    content.read_nowait(CHUNK) if arrived else await content.read(CHUNK)
                )
                if coding or not content.at_eof() or len(body) > cap:  # seldom
                    decoder = BodyDecoder(cap, coding)
                    body, fits = await _decoded(decoder, body, content, timed)
                    if not fits:
                        incoming.close()  # never drained
        finally:
            if unfinished is not None:
                unfinished.finish()
            if not incoming.closed:  # its connection must not be used again
                incoming.release()
        if success and not fits:  # an error is an error, however long its text is
            return too_large(status, shown_id(headers.get("request-id")))
        hint = self._base_url.not_found_hint if status == _NOT_FOUND else ""
        return Response(
            status=status,
            headers=headers,
            body=body,
            first_sent_at=started,
            credential=request.authorization,
            advice=hint,
        )

    def _headers_of(self, request: Request) -> CIMultiDict[str]:
        """Return the headers that the session does not add; aiohttp merges them slowly."""
        default = request.headers is self._headers
        headers = CIMultiDict(() if default else request.headers)
        if request.authorization is not None:
            headers["Authorization"] = request.authorization
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = MaskedText(request.idempotency_key.reveal())
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        return headers

    def _aiohttp_timeout(self, left: float) -> aiohttp.ClientTimeout:
        """Return aiohttp's own timeouts; a timeout scope around it would cost more."""
        connect = min(self._timeouts.connect, max(left - _CONNECT_MARGIN, left / 2))
        return aiohttp.ClientTimeout(
            total=_limit(left),
            connect=_limit(connect),
            sock_read=_limit(self._timeouts.read),
        )


def _limit(seconds: float) -> float | None:
    """Return a time limit as aiohttp expects it, which is None without a limit."""
    return None if math.isinf(seconds) else seconds


def _whole_seconds(seconds: float) -> int | None:
    return None if math.isinf(seconds) else max(1, round(seconds))


def _received_headers(
    request: Request, received: CIMultiDictProxy[str]
) -> dict[str, str]:
    """Return the headers with lower-case names, repeated ones joined (RFC 9110 §5.3).

    Secrets of the request are masked in them and control characters escaped, because
    errors, logs and objects show some of them.
    """
    headers = {name.lower(): value for name, value in received.items()}
    if len(headers) != len(received):
        for name in headers:
            headers[name] = ", ".join(received.getall(name))
    text = " ".join(headers.values())
    if request.body is None and request.idempotency_key is None and text.isprintable():
        # Nearly always: the only secret is the credential, and no header has it.
        credential = request.authorization
        if credential is None or credential[credential.find(" ") + 1 :] not in text:
            return headers
    secrets = secrets_of(request)
    for name, value in headers.items():
        headers[name] = escaped(scrubbed(value, secrets), 10 * len(value))
    return headers


class _Unfinished:
    """Watches the connection while a body is read, and fails the body if it is lost.

    aiohttp closes the connection if the framing of a body is broken, but a reader of
    the body would wait until a timeout.
    """

    __slots__ = ("_content", "_lost")

    def __init__(self, incoming: aiohttp.ClientResponse) -> None:
        self._content = incoming.content
        self._lost = getattr(incoming, "lost", None)
        if self._lost is not None:
            self._lost.add_done_callback(self._fail)

    def finish(self) -> None:
        """Stop watching the connection."""
        if self._lost is not None:
            self._lost.remove_done_callback(self._fail)

    def _fail(self, lost: "asyncio.Future[None]") -> None:
        if not lost.cancelled():
            lost.exception()  # else asyncio would print it
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(aiohttp.ClientPayloadError())


def _asks_for_a_range(request: Request) -> bool:
    return any(name.lower() == "range" for name in request.headers)


def _was_cut(incoming: aiohttp.ClientResponse, headers: Mapping[str, str]) -> bool:
    """Return whether a body that only ends with its connection was cut off.

    aiohttp does not distinguish a connection that was lost from one that was closed.
    """
    if "content-length" in headers or "transfer-encoding" in headers:
        return False
    lost = getattr(incoming, "lost", None)
    return (
        lost is not None
        and lost.done()
        and not lost.cancelled()
        and lost.exception() is not None
    )


async def _decoded(
    decoder: BodyDecoder,
    piece: bytes,
    content: aiohttp.StreamReader,
    timed: TimedAttempt,
) -> tuple[bytes, bool]:
    """Return the decoded body that begins with this piece, and whether it is complete.

    It is not if it is over the size limit.
    """
    try:
        while piece:
            decoder.feed(piece)
            timed.received()
            piece = b"" if content.at_eof() else await content.read(CHUNK)
        return decoder.end(), True
    except BodyTooLargeError:
        return decoder.head, False


async def _write_to_sink(
    sink: Sink | None,
    incoming: aiohttp.ClientResponse,
    headers: dict[str, str],
    started: float,
) -> Response | AttemptFailure | None:
    """Write a body to a sink as it arrives, and return the response without it.

    Return None if the body is not whole, or if there is no sink for it.
    """
    if sink is None:
        incoming.close()
        return None
    decoder = BodyDecoder(sink.cap, headers.get("content-encoding", ""))
    try:
        accepted = await _accepted(sink.begin(headers))
        while accepted and (piece := await incoming.content.read(CHUNK)):
            decoder.feed(piece)
            accepted = await _accepted(sink.write(decoder.drain()))
        accepted = accepted and await _accepted(sink.write(decoder.end()))
    except BodyTooLargeError:
        incoming.close()  # never drained
        return too_large(incoming.status, shown_id(headers.get("request-id")))
    if not accepted:
        incoming.close()
        return UNWANTED.at("")
    if _was_cut(incoming, headers):
        return None
    return Response(status=incoming.status, headers=headers, first_sent_at=started)


async def _accepted(step: Awaitable[None]) -> bool:
    """Return whether a step of a sink succeeded; the sink keeps its own error."""
    try:
        await step
    except Exception:  # noqa: BLE001  # a full disk must not look like a lost connection
        return False
    return True


@cache
def user_agent() -> str:
    """Return the value of User-Agent."""
    metadata = import_module("importlib.metadata")  # slow to import
    try:
        return f"persona_share/{metadata.version('persona-share')}"
    except metadata.PackageNotFoundError:  # run from a checkout
        return "persona_share/0"
