"""The one socket: a Sender on aiohttp, from which no exception of aiohttp escapes.

aiohttp's exceptions print request headers and URLs, and its frames hold them; so an
attempt becomes a value (`Response` or `Fault`) before anything is raised (T8).
"""

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from persona_share._net.fault import (
    NO_PLACE,
    NO_TIME_LEFT,
    UNWANTED,
    Fault,
    by_deadline,
    fault_of,
    too_large,
)
from persona_share._net.tls import checked_context, proxy_of
from persona_share._wire.address import Address, check_credential
from persona_share._wire.body import CHUNK, ERROR_CAP, BodyTooLargeError, Intake
from persona_share._wire.messages import Request, Response, Sink
from persona_share._wire.redact import shown_id
from persona_share.errors import (
    ClientClosedError,
    NotOpenError,
    WrongEventLoopError,
)
from persona_share.model.policy import Pool, Timeouts
from persona_share.model.secret import MaskedText, Secret


# A connection must be there a little before the time is up, so that of a call which
# never got one it is known that nothing was sent.
_CONNECT_MARGIN: Final = 0.01
_CLOSED: Final = "the client was closed"
_LARGE: Final = 1024 * 1024


class AiohttpSender:
    """Sends over aiohttp; opened and closed in the event loop that uses it.

    A borrowed ``session`` lends its connections only: its headers, cookies, proxies
    and traces play no part, and it is neither changed nor closed.

    Raises:
        InsecureOriginError: the credential would travel where it can be read.
        ConfigurationError: the proxy cannot be used.
    """

    def __init__(
        self,
        address: Address,
        *,
        now: Callable[[], float],
        session: aiohttp.ClientSession | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | Secret | None = None,
        pool: Pool | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._address = address
        self._now = now
        self._borrowed = session
        self._pool = pool or Pool()
        self._timeouts = timeouts or Timeouts()
        self._proxy = proxy_of(proxy, address)
        self._ssl: ssl.SSLContext | bool = True
        if address.secure:
            self._ssl = checked_context(ssl_context, address)
        self._whole = self._timeout(self._timeouts.attempt)
        self._places = asyncio.Semaphore(self._pool.size)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready to send, in the running event loop."""
        if self._session is not None:
            return
        loop = asyncio.get_running_loop()
        connector = self._connector()
        # aiohttp tells nobody which loop a connector belongs to, nor does it check.
        if getattr(connector, "_loop", loop) is not loop:
            message = "the borrowed aiohttp session belongs to another event loop"
            raise WrongEventLoopError(message)
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=self._borrowed is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=False,
            auto_decompress=False,  # `Intake` does it, and sees a bomb in time
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "gzip"},
            timeout=self._whole,
        )
        self._loop = loop

    async def close(self) -> None:
        """Close what was opened; what was borrowed stays open."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Response:
        """Send once and answer with whatever status came.

        Raises:
            TransportError: no usable answer came; it holds this one attempt.
            ResponseTooLargeError: the body of a success is over its cap.
            ClientClosedError, NotOpenError, WrongEventLoopError: not usable here, now.
        """
        session = self._usable()
        if request.authorization is not None:
            check_credential(request.authorization, self._address)
        try:
            outcome = await self._in_its_place(session, request)
        except BaseException as stop:
            # A cancellation passes through, without the frames that it came by.
            stop.__traceback__ = stop.__context__ = stop.__cause__ = None
            raise
        if isinstance(outcome, Response):
            return outcome
        raise outcome.error(request.operation)

    def _usable(self) -> aiohttp.ClientSession:
        session = self._session
        if session is None or self._loop is None:
            message = "the client was not entered"
            raise NotOpenError(message)
        if asyncio.get_running_loop() is not self._loop:
            message = "the client was entered in another event loop"
            raise WrongEventLoopError(message)
        if session.closed:
            raise ClientClosedError(_CLOSED)
        return session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._borrowed is None:
            return aiohttp.TCPConnector(
                limit=self._pool.size,
                limit_per_host=0,  # there is one host
                keepalive_timeout=self._pool.keepalive,
                ttl_dns_cache=max(1, round(self._pool.dns_ttl)),
            )
        connector = self._borrowed.connector
        if self._borrowed.closed or connector is None:
            message = "the borrowed aiohttp session is closed"
            raise ClientClosedError(message)
        if 0 < connector.limit < self._pool.size:
            self._places = asyncio.Semaphore(connector.limit)
        return connector

    async def _in_its_place(
        self, session: aiohttp.ClientSession, request: Request
    ) -> Response | Fault:
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
            if session.closed:  # while it waited
                raise ClientClosedError(_CLOSED, operation=request.operation)
            return await self._attempt(session, request, started, left)
        finally:
            self._places.release()

    async def _attempt(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        started: float,
        left: float,
    ) -> Response | Fault:
        """Send and read; this frame and those below it see the credential."""
        timeouts, proxy = self._timeouts, self._proxy
        # A long file takes its time; a sink's caller says how much of it there is.
        hurried = left < timeouts.attempt or request.sink is not None
        try:
            async with session.request(
                request.method,
                URL(self._address.base_url + request.target, encoded=True),
                headers=_headers(request),
                data=_body(request.body),
                allow_redirects=False,
                raise_for_status=False,
                ssl=self._ssl,
                timeout=self._timeout(left) if hurried else self._whole,
                proxy=proxy.url,
                proxy_headers=proxy.headers,
            ) as answer:
                return await _read(request, answer, started)
        except Exception as failure:  # noqa: BLE001 — each becomes a value, none gets out
            fault = fault_of(failure)
            return by_deadline(fault, left, timeouts) if hurried else fault

    def _timeout(self, left: float) -> aiohttp.ClientTimeout:
        """Answer aiohttp's own timeouts; a scope of ours around it would cost more."""
        connect = max(left - _CONNECT_MARGIN, left / 2)
        return aiohttp.ClientTimeout(
            total=left,
            connect=min(self._timeouts.connect, connect),
            sock_read=self._timeouts.read,
        )


def _body(body: bytes | None) -> bytes | io.BytesIO | None:
    """Answer the body so that a large one is sent in pieces, and without a warning."""
    if body is None or len(body) <= _LARGE:
        return body
    return io.BytesIO(body)


def _headers(request: Request) -> CIMultiDict[str]:
    headers = CIMultiDict(request.headers)
    if request.authorization is not None:
        headers["Authorization"] = request.authorization
    if request.idempotency_key is not None:
        headers["Idempotency-Key"] = MaskedText(request.idempotency_key.reveal())
    if request.content_type is not None:
        headers["Content-Type"] = request.content_type
    return headers


async def _read(
    request: Request, answer: aiohttp.ClientResponse, started: float
) -> Response | Fault:
    """Answer the complete response, reading no more of it than anybody needs."""
    status = answer.status
    headers = _lowered(answer)
    if 300 <= status < 400:  # noqa: PLR2004 — never followed, so never read either
        answer.close()
        return Response(status=status, headers=headers, first_sent_at=started)
    success = status < 300  # noqa: PLR2004
    if success and request.sink is not None:
        return await _pour(request.sink, answer, headers, started)
    cap = request.expects.cap if success else ERROR_CAP
    intake = Intake(cap, headers.get("content-encoding", ""))
    content = answer.content
    try:
        while piece := await content.read(CHUNK):
            intake.feed(piece)
            if content.at_eof():  # most answers come in one piece
                break
        body = intake.end()
    except BodyTooLargeError:
        answer.close()  # never drained
        if success:
            return too_large(status, shown_id(headers.get("request-id")))
        body = intake.head  # an error is an error, however much it says
    return Response(status=status, headers=headers, body=body, first_sent_at=started)


async def _pour(
    sink: Sink, answer: aiohttp.ClientResponse, headers: dict[str, str], started: float
) -> Response | Fault:
    """Answer a response without its body, which went into a sink as it came."""
    intake = Intake(sink.cap, headers.get("content-encoding", ""))
    try:
        if not await _taken(sink.begin(headers)):
            return _unwanted(answer)
        while piece := await answer.content.read(CHUNK):
            intake.feed(piece)
            if not await _taken(sink.write(intake.drain())):
                return _unwanted(answer)
        if not await _taken(sink.write(intake.end())):
            return _unwanted(answer)
    except BodyTooLargeError:
        answer.close()  # never drained
        return too_large(answer.status, shown_id(headers.get("request-id")))
    return Response(status=answer.status, headers=headers, first_sent_at=started)


async def _taken(step: Awaitable[None]) -> bool:
    """Answer whether a sink took what it was given; why not, its maker knows."""
    try:
        await step
    except Exception:  # noqa: BLE001 — a full disk must not look like a lost connection
        return False
    return True


def _unwanted(answer: aiohttp.ClientResponse) -> Fault:
    answer.close()
    return UNWANTED


def _lowered(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Answer the headers with lower-case names, repeated ones joined (RFC 9110 §5.3)."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if len(headers) != len(answer.headers):
        for name in headers:
            headers[name] = ", ".join(answer.headers.getall(name))
    headers.pop("set-cookie", None)  # nobody here keeps cookies (T6)
    return headers


@cache
def _user_agent() -> str:
    metadata = import_module("importlib.metadata")  # slow to import, wanted once
    try:
        return f"persona_share/{metadata.version('persona-share')}"
    except metadata.PackageNotFoundError:  # run from a checkout
        return "persona_share/0"
