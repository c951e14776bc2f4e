"""The socket: a Sender on aiohttp, from which no exception of aiohttp escapes."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from persona_share._protocol.body import CHUNK
from persona_share._protocol.http import Request, Response
from persona_share._protocol.urls import Address
from persona_share._transport.faults import Fault, by_deadline, fault_of
from persona_share._transport.pooled import PooledSender
from persona_share._transport.reading import body_of, headers_of, own_headers, read
from persona_share._transport.tls import checked_context, proxy_of
from persona_share._transport.watch import Watch, Watched
from persona_share.errors import ClientClosedError, WrongEventLoopError
from persona_share.model.policy import Pool, Timeouts
from persona_share.model.secret import Secret


class AiohttpSender(PooledSender):
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
        super().__init__(address, now=now, pool=pool, timeouts=timeouts)
        self._borrowed = session
        through = proxy_of(proxy, address)
        self._through: dict[str, Any] = {}
        if through.url is not None:
            self._through = {"proxy": through.url, "proxy_headers": through.headers}
        self._ssl: ssl.SSLContext | bool = True
        if address.secure:
            self._ssl = checked_context(ssl_context, address)
        self._whole = self._timeout(self._timeouts.attempt)
        # For the rest of an attempt's time there is the watch.
        self._watched = aiohttp.ClientTimeout(connect=self._timeouts.connect)
        self._watch = Watch(self._timeouts)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready to send, in the running event loop; a second time does nothing."""
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
            headers=own_headers(),
            timeout=self._whole,
        )
        self._loop = loop

    async def close(self) -> None:
        """Close what was opened; what was borrowed stays open."""
        self._watch.close()
        if self._session is not None:
            await self._session.close()

    def _is_closed(self) -> bool:
        return self._session is None or self._session.closed

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
        # Whoever waits for a place waits here, and learns what for; there is one host.
        limits = {connector.limit, connector.limit_per_host, self._pool.size} - {0}
        self._places = asyncio.Semaphore(min(limits))
        return connector

    async def _attempt(
        self, request: Request, started: float, left: float
    ) -> Response | Fault:
        """Send and read; this frame and those below it see the credential."""
        task = asyncio.current_task()
        if task is not None and self._watch.suits(request, left):
            watched = self._watch.begin(task)
            try:
                outcome = await self._exchange(request, started, self._watched, watched)
            except asyncio.CancelledError:
                if (end := watched.ended()) is None:
                    raise
                return end
            finally:
                end = watched.ended()
            return outcome if end is None or isinstance(outcome, Response) else end
        # A long file takes its time; a sink's caller says how much of it there is.
        hurried = left < self._timeouts.attempt or request.sink is not None
        timeout = self._timeout(left) if hurried else self._whole
        outcome = await self._exchange(request, started, timeout)
        if hurried and isinstance(outcome, Fault):
            return by_deadline(outcome, left, self._timeouts)
        return outcome

    async def _exchange(
        self,
        request: Request,
        started: float,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 — aiohttp's own
        watched: Watched | None = None,
    ) -> Response | Fault:
        session = self._session
        assert session is not None  # noqa: S101 — it is open, or nobody comes here
        try:
            answer = await session.request(
                request.method,
                URL(self._address.base_url + request.target, encoded=True),
                headers=_headers(request),
                data=body_of(request),
                allow_redirects=False,
                ssl=self._ssl,
                timeout=timeout,
                **self._through,
            )
            try:
                return await read(request, _Incoming(answer, watched), started)
            finally:
                if not answer.closed:  # what was not read to its end is not used again
                    answer.release()
        except Exception as failure:  # noqa: BLE001 — each becomes a value, none gets out
            return fault_of(failure)

    def _timeout(self, left: float) -> aiohttp.ClientTimeout:
        """Answer aiohttp's own timeouts; a scope of ours around it would cost more."""
        return aiohttp.ClientTimeout(
            total=left,
            connect=self._connect_within(left),
            sock_read=self._timeouts.read,
        )


def _headers(request: Request) -> CIMultiDict[str]:
    headers = CIMultiDict(request.headers)
    headers.update(headers_of(request))
    return headers


class _Incoming:
    """An answer of aiohttp as all senders show it."""

    __slots__ = ("_content", "_watched", "at_eof", "close", "headers", "status")

    def __init__(self, answer: aiohttp.ClientResponse, watched: Watched | None) -> None:
        self._content = answer.content
        self._watched = watched
        self.at_eof = answer.content.at_eof
        self.close = answer.close
        self.headers = _lowered(answer)
        self.status = answer.status

    def read(self) -> Coroutine[Any, Any, bytes]:
        if self._watched is not None:  # the head or a piece came, else who would ask
            self._watched.came()
        return self._content.read(CHUNK)


def _lowered(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Answer the headers with lower-case names, repeated ones joined (RFC 9110 §5.3)."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if len(headers) != len(answer.headers):
        for name in headers:
            headers[name] = ", ".join(answer.headers.getall(name))
    return headers
