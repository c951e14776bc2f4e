"""The client of one organization."""

import os
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    NoReturn,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import aiohttp

from persona_share import resources
from persona_share._compose import ClientCore, Connection
from persona_share._pipeline.observed import log_to_stderr
from persona_share._protocol.http import DEFAULT_VERSION
from persona_share._protocol.urls import DEFAULT_BASE_URL
from persona_share.errors import ConfigurationError
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import (
    Pool,
    RateLimitPolicy,
    RetryPolicy,
    Timeouts,
)
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret, as_secret
from persona_share.options import (
    ClientOptions,
    EnvironmentOptions,
    RequestOptions,
    checked_hooks,
    checked_hosts,
    checked_timeouts,
)
from persona_share.ports import ClientContext, Hook, Runtime, SharedWindow
from persona_share.resources.api import ResourceAccessors


if TYPE_CHECKING:
    from persona_share._compose_batch import CopyArguments
    from persona_share.batch import Batch
    from persona_share.batch.batch import FetchArguments
    from persona_share.batch.copy import Copy
    from persona_share.batch.workers import Ids

R = TypeVar("R", bound=Resource)


class PersonaClient(ResourceAccessors):
    """A client with the API key of one organization; use it with ``async with``.

    Args:
        api_key: the API key of your organization.
        base_url: the base URL of the API, which ends in ``/api/v1``.
        persona_version: the date of an API version; an unknown date is sent with a
            warning.
        http: an `aiohttp.ClientSession` whose connections the client uses. The client
            neither changes nor closes it.
        retry: when calls are repeated.
        rate_limit: a `RateLimitPolicy`, or a `SharedRateLimit` for several processes.
        timeouts: the timeouts; ``timeout=30`` is short for
            ``timeouts=Timeouts(call=30)``.
        pool: the connection pool.
        hooks: callables that receive events.
        insecure_local: True allows plain http to loopback addresses, for a sandbox; a
            list of hosts allows it to these hosts as well.
        proxy: the URL of an HTTP proxy.
        trust_env: use the proxy in HTTPS_PROXY and NO_PROXY.
        ssl_context: a context with your own certificate authorities.
        allowed_hosts: hosts that ``base_url`` may name besides Persona's.
        file_hosts: hosts that files may be on besides Persona's.
        app_info: the name and version of your program, for the User-Agent header.
        check_identity: refuse a response that contains a different object than
            requested. False is for tests with a static mock server, which returns the
            same example for every id.

    Raises:
        ConfigurationError: an option cannot be used; nothing was sent.
    """

    def __init__(
        self,
        api_key: str | Secret,
        *,
        base_url: str = DEFAULT_BASE_URL,
        persona_version: str = DEFAULT_VERSION,
        http: aiohttp.ClientSession | None = None,
        retry: RetryPolicy | None = None,
        rate_limit: RateLimitPolicy | SharedWindow | None = None,
        timeouts: Timeouts | None = None,
        timeout: float | Timeouts | None = None,
        pool: Pool | None = None,
        hooks: Iterable[Hook] = (),
        insecure_local: bool | Iterable[str] = False,
        proxy: str | Secret | None = None,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        allowed_hosts: Iterable[str] = (),
        file_hosts: Iterable[str] = (),
        app_info: str | None = None,
        check_identity: bool = True,
        _runtime: Runtime | None = None,
    ) -> None:
        # Wrapped first, so that no frame in an error report contains a plain secret.
        api_key = _as_secret(api_key)
        proxy = _as_proxy(proxy)
        log_to_stderr(os.environ.get("PERSONA_LOG"))
        self._core = ClientCore(
            api_key,
            Connection(
                base_url=base_url,
                http=http,
                insecure_local=insecure_local,
                proxy=proxy,
                trust_env=trust_env,
                ssl_context=ssl_context,
                allowed_hosts=checked_hosts(allowed_hosts, "allowed_hosts"),
                file_hosts=checked_hosts(file_hosts, "file_hosts"),
            ),
            RequestOptions(
                persona_version=persona_version,
                timeouts=checked_timeouts(timeouts, timeout),
                pool=Pool() if pool is None else pool,
                retry=RetryPolicy() if retry is None else retry,
                rate_limit=rate_limit,
                app_info=app_info,
                check_identity=check_identity,
            ),
            checked_hooks(hooks),
            _runtime,
        )
        super().__init__(self._core.caller())

    @classmethod
    def from_env(cls, **options: Unpack[EnvironmentOptions]) -> Self:
        """Create a client from ``PERSONA_API_KEY`` and further environment variables.

        It reads ``PERSONA_BASE_URL``, ``PERSONA_VERSION`` and
        ``PERSONA_INSECURE_LOCAL`` (1, or host names separated by commas). Options take
        precedence.

        Raises:
            ConfigurationError: ``PERSONA_API_KEY`` is not set, or an option cannot be
                used.
        """
        if value := os.environ.get("PERSONA_BASE_URL"):
            options.setdefault("base_url", value)
        if value := os.environ.get("PERSONA_VERSION"):
            options.setdefault("persona_version", value)
        if value := os.environ.get("PERSONA_INSECURE_LOCAL"):
            options.setdefault("insecure_local", _insecure_local(value))
        api_key = options.pop("api_key", None) or os.environ.get("PERSONA_API_KEY")
        if not api_key:
            message = "PERSONA_API_KEY is not set"
            raise ConfigurationError(
                message,
                advice="Export it (such as persona_sandbox_…), or pass api_key=.",
            )
        api_key = _as_secret(api_key)
        # Wrapped here as well: this frame must not contain a plain secret either.
        options["proxy"] = _as_proxy(options.get("proxy"))
        return cls(api_key, **cast("ClientOptions", options))

    def __copy__(self) -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __reduce__(self) -> NoReturn:
        message = (
            "a PersonaClient cannot be pickled: it holds connections and an API key"
        )
        raise ConfigurationError(
            message, advice="Create one in each process, with PersonaClient.from_env()."
        )

    @property
    def context(self) -> ClientContext:
        """The parts of the client that a token manager uses."""
        return self._core

    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit that the last responses reported, without any I/O."""
        return self._core.rate_limit_status()

    @property
    def oauth(self) -> "resources.OAuth":
        """Authorization codes for partners."""
        return resources.OAuth(self._caller)

    @overload
    def fetch(
        self, ids: "Ids", **options: "Unpack[FetchArguments]"
    ) -> "Batch[Resource]": ...
    @overload
    def fetch(
        self, ids: "Ids", kind: type[R], **options: "Unpack[FetchArguments]"
    ) -> "Batch[R]": ...
    def fetch(
        self,
        ids: "Ids",
        kind: type[Resource] = Resource,
        **options: "Unpack[FetchArguments]",
    ) -> "Batch[Any]":
        """Fetch many of the organization's own objects with the API key.

        ``kind`` is the class of the objects, if it is known. The options are those of
        `ScopedSession.fetch`. Raises `InvalidArgumentError`.
        """
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few programs need it
        from persona_share.batch.batch import FetchOptions  # noqa: PLC0415  # few programs need it

        wanted = FetchOptions(ids=ids, kind=kind, **options)
        return BatchComposer(self._core, wanted).direct(self._caller)

    def copy(self, ids: "Ids", **options: "Unpack[CopyArguments]") -> "Copy":
        """Copy the organization's own inquiries with related objects and files.

        The options are those of `ScopedTokenManager.copy`.
        """
        from persona_share._compose_batch import compose_copy  # noqa: PLC0415  # few programs need it

        return compose_copy(self.fetch, self.context, lambda _: self, ids, **options)

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._core.close()

    async def __aenter__(self) -> Self:
        await self._core.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<PersonaClient for {self._core.origin}>"


def _insecure_local(value: str) -> bool | list[str]:
    """Return the value of PERSONA_INSECURE_LOCAL."""
    if value.lower() in ("0", "false", "no", "off"):
        return False
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    return [host for host in value.replace(",", " ").split() if host]


def _as_proxy(proxy: object) -> Secret | None:
    if proxy is None or isinstance(proxy, Secret):
        return proxy
    if not isinstance(proxy, str):
        message = f"proxy must be a URL, not {type(proxy).__name__}"
        raise ConfigurationError(message)
    return Secret(proxy)


def _as_secret(api_key: object) -> Secret:
    if not isinstance(api_key, str | Secret):
        message = f"api_key must be a str or a Secret, not {type(api_key).__name__}"
        raise ConfigurationError(message)
    return as_secret(api_key)
