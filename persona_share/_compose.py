"""The composition root: the only module that chooses classes and stacks senders."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import aiohttp
import attrs

from persona_share._pipeline.authenticated import ApiKeyCredential, Authenticated
from persona_share._pipeline.observed import EventEmitter, Observed
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.retrying import Retrying
from persona_share._pipeline.shared_rate_limit import SharedLimitTracker
from persona_share._policy.retry import Budget
from persona_share._protocol.redaction import name_of, naming_secret
from persona_share._protocol.urls import (
    BaseURL,
    InsecureLocal,
    parse_base_url,
    parse_file_url,
)
from persona_share._transport.files import NewFile
from persona_share._transport.http import AiohttpSender
from persona_share._transport.runtime import default_runtime
from persona_share.errors import (
    ClientClosedError,
    ConfigurationError,
    NotOpenError,
    UsageError,
    WrongEventLoopError,
)
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import (
    Pool,
    RateLimitMode,
    RateLimitPolicy,
    Timeouts,
)
from persona_share.model.secret import Secret
from persona_share.options import RequestOptions
from persona_share.ports import CredentialSource, Hook, Runtime, Sender, SharedWindow
from persona_share.resources.base import Caller


@attrs.frozen(kw_only=True)
class Connection:
    """The transport options of a client."""

    base_url: str
    http: aiohttp.ClientSession | None = None
    insecure_local: InsecureLocal = False
    proxy: str | Secret | None = None
    trust_env: bool = False
    ssl_context: ssl.SSLContext | None = None
    allowed_hosts: tuple[str, ...] = ()
    file_hosts: tuple[str, ...] = ()

    def parsed_base_url(self) -> BaseURL:
        """Return the checked base URL."""
        return parse_base_url(
            self.base_url,
            insecure_local=self.insecure_local,
            allowed_hosts=self.allowed_hosts,
        )

    def sender(
        self,
        base_url: BaseURL,
        now: Callable[[], float],
        *,
        pool: Pool | None = None,
        timeouts: Timeouts | None = None,
        app_info: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AiohttpSender:
        """Return a sender for this base URL.

        Raises:
            ConfigurationError: ``http`` is not an aiohttp session.
        """
        given: object = self.http
        if given is not None and not isinstance(given, aiohttp.ClientSession):
            message = (
                f"http must be an aiohttp.ClientSession, not {type(given).__name__}"
            )
            raise ConfigurationError(message)
        return AiohttpSender(
            base_url,
            now=now,
            session=self.http,
            ssl_context=self.ssl_context,
            proxy=self.proxy,
            trust_env=self.trust_env,
            pool=pool,
            timeouts=timeouts,
            app_info=app_info,
            headers=headers,
        )


class ClientCore:
    """The parts of one client: its HTTP sender, and the stacks of senders above it.

    It is the `ClientContext` of token managers. It is bound to an event loop when it is
    opened, not earlier.
    """

    def __init__(
        self,
        key: Secret,
        connection: Connection,
        options: RequestOptions,
        hooks: Iterable[Hook],
        runtime: Runtime | None,
    ) -> None:
        self.runtime: Runtime = runtime or default_runtime()
        self.timeout: float = options.timeouts.call
        self.headers: Mapping[str, str] = options.headers()
        self.check_identity: bool = options.check_identity
        base_url = connection.parsed_base_url()
        self.origin: str = base_url.url
        self._retry = options.retry
        # All sessions of a client share its retry budget.
        self._budget = Budget(options.retry)
        self._emit = EventEmitter(hooks)
        self._shared: SharedWindow | None = None
        self._limiter: RateLimiter | None = self._rate_limiter(key, options.rate_limit)
        self._connection = connection
        self._key = ApiKeyCredential(key)
        self._secret = key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._options = options
        self._http = self._sender(base_url, self.headers)
        self.file_access: FileHosts = FileHosts(connection, self._file_stack)
        # An exchange has priority over the calls that wait for its token.
        self.exchanger: Sender = self._observed(
            self._authenticated(self._key, priority=True)
        )

    @property
    def naming_secret(self) -> bytes:
        """The secret from which the keys of a token store are derived."""
        return naming_secret(self._secret)

    def sender_for(self, source: CredentialSource) -> Sender:
        """Return a stack of senders that uses the credentials of this source."""
        return self._observed(
            Retrying(
                self._authenticated(source),
                self.runtime,
                self._retry,
                budget=self._budget,
                emit=self._emit,
                limiter=self._limiter,
            )
        )

    def caller(self) -> Caller:
        """Return a caller that uses the API key."""
        return Caller(
            sender=self.sender_for(self._key),
            runtime=self.runtime,
            headers=self.headers,
            base_url=self.origin,
            timeout=self.timeout,
            require_open=self.require_open,
            file_access=self.file_access,
            check_identity=self.check_identity,
        )

    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit that the last responses reported."""
        return None if self._limiter is None else self._limiter.status()

    def wait_at_most(self, seconds: float) -> None:
        """Limit the wait of a call for the rate limit, unless the policy limits it."""
        if self._limiter is not None:
            self._limiter.wait_at_most(seconds)

    def require_open(self) -> None:
        """Raise an error if the client is not open, or used from another event loop."""
        if self._closed:
            message = "the client was closed"
            raise ClientClosedError(message)
        if self._loop is None:
            message = "the client was not entered"
            raise NotOpenError(message)
        require_loop(self._loop, "the client")

    async def open(self) -> None:
        """Open the connections in the running event loop."""
        if self._closed:
            message = "the client was closed"
            raise ClientClosedError(message)
        require_not_entered(self._loop, "the client")
        self._loop = asyncio.get_running_loop()
        try:
            if self._shared is not None:
                await self._shared.open(self.runtime)
            await self._http.open()
        except BaseException:
            self._loop = None  # it may be entered again
            raise

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if self._loop is not None and not self._closed:
            require_loop(self._loop, "the client")
        self._closed = True
        if self._limiter is not None:
            await self._limiter.close()
        if self._shared is not None:
            await self._shared.close()
        await self.file_access.close()
        await self._http.close()

    def _rate_limiter(
        self, key: Secret, rate_limit: RateLimitPolicy | SharedWindow
    ) -> RateLimiter | None:
        """Return the rate limiter of this client, or None if its mode is "off"."""
        clock = self.runtime.clock
        if isinstance(rate_limit, RateLimitPolicy):
            if rate_limit.mode is RateLimitMode.OFF:
                return None
            return RateLimiter(clock, rate_limit, emit=self._emit)
        self._shared = rate_limit
        policy = getattr(rate_limit, "policy", None) or RateLimitPolicy()
        name = name_of(naming_secret(key), self.origin, "window")
        tracker = SharedLimitTracker(policy, rate_limit, name, clock)
        return RateLimiter(clock, policy, tracker, emit=self._emit)

    def _authenticated(
        self, source: CredentialSource, *, priority: bool = False
    ) -> Sender:
        http = self.runtime.wrap_transport(self._http)
        return Authenticated(http, source, self._limiter, priority=priority)

    def _observed(self, sender: Sender) -> Sender:
        return Observed(sender, self.runtime.clock.now, self._emit)

    def _sender(
        self, base_url: BaseURL, headers: Mapping[str, str] | None = None
    ) -> AiohttpSender:
        return self._connection.sender(
            base_url,
            self.runtime.clock.now,
            pool=self._options.pool,
            timeouts=self._options.timeouts,
            app_info=self._options.app_info,
            headers=headers,
        )

    def _file_stack(self, base_url: BaseURL) -> tuple[AiohttpSender, Sender]:
        """Return a sender for a file host, and a stack above it that adds no credential."""
        sender = self._sender(base_url)
        retrying = Retrying(
            sender, self.runtime, self._retry, budget=self._budget, emit=self._emit
        )
        return sender, self._observed(retrying)


class FileHosts:
    """Access to hosts of files and to the local disk, for one client."""

    def __init__(
        self,
        connection: Connection,
        stack: Callable[[BaseURL], tuple[AiohttpSender, Sender]],
    ) -> None:
        self._connection = connection
        self._stack = stack
        self._stacks: dict[str, tuple[AiohttpSender, Sender]] = {}

    async def file_host(self, url: Secret) -> tuple[Sender, str]:
        """Return a sender for the host of a file, and the file's path and query."""
        file = parse_file_url(
            url,
            hosts=self._connection.file_hosts,
            insecure_local=self._connection.insecure_local,
        )
        origin = file.base_url.origin
        if origin not in self._stacks:
            self._stacks[origin] = self._stack(file.base_url)
        http, sender = self._stacks[origin]
        await http.open()  # does nothing if it is open
        return sender, file.target

    async def new_file(self, path: str | Path) -> NewFile:
        """Create a file; raises `FileExistsError` if anything is there."""
        return await NewFile.create(path)

    async def close(self) -> None:
        """Close all connections."""
        for http, _ in self._stacks.values():
            await http.close()


def require_loop(loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Raise `WrongEventLoopError` unless this event loop is running in this thread."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not loop:
        message = f"{what} was entered in another event loop"
        raise WrongEventLoopError(message)


def require_not_entered(loop: asyncio.AbstractEventLoop | None, what: str) -> None:
    """Raise `UsageError` if something was entered, in this or in another event loop.

    Otherwise the first ``async with`` to end would close it for both.
    """
    if loop is None:
        return
    require_loop(loop, what)
    message = f"{what} was entered already"
    raise UsageError(message, advice="Enter it once, and pass it on.")


def partner_sender(
    address: BaseURL,
    runtime: Runtime,
    *,
    proxy: str | Secret | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AiohttpSender:
    """Return a sender for another organization; it adds no credential of Persona."""
    return AiohttpSender(
        address, now=runtime.clock.now, proxy=proxy, ssl_context=ssl_context
    )
