"""The client: one organization's API key, and everything that it opens."""

import os
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

import aiohttp

from persona_share import resources
from persona_share._compose import ClientCore, Connection
from persona_share._protocol.urls import DEFAULT_BASE_URL
from persona_share.errors import ConfigurationError
from persona_share.model.policy import (
    Pool,
    RateLimitMode,
    RateLimitPolicy,
    RetryPolicy,
    Timeouts,
)
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret, as_secret
from persona_share.options import DEFAULT_VERSION, LONGEST_CALL, Settings
from persona_share.ports import ClientContext, Hook, Runtime, SharedWindow
from persona_share.resources.api import ResourceAccessors


if TYPE_CHECKING:
    from persona_share.batch import Batch
    from persona_share.batch.batch import FetchArguments
    from persona_share.batch.workers import Ids

R = TypeVar("R", bound=Resource)


class PersonaClient(ResourceAccessors):
    """One organization's API key, as an async context manager.

    ``persona_version`` is a date; one that no document of Persona names is sent with a
    warning. ``timeout`` is for a whole call, in seconds, or `Timeouts` with its parts.
    ``http`` lends the connections of a caller's `aiohttp.ClientSession`, which is
    neither changed nor closed.
    ``pacing`` is "gate" (wait for the rate limit's next window before it is exceeded),
    "after_429" (once it was exceeded) or "off". ``file_hosts`` are hosts of files beside
    Persona's own.
    ``insecure_local`` allows plain http to a loopback address, for a sandbox.

    Raises:
        ConfigurationError: a setting cannot be used; nothing was sent.
    """

    def __init__(
        self,
        api_key: str | Secret,
        *,
        base_url: str = DEFAULT_BASE_URL,
        persona_version: str = DEFAULT_VERSION,
        http: aiohttp.ClientSession | None = None,
        retry: RetryPolicy | None = None,
        pacing: RateLimitPolicy
        | RateLimitMode
        | SharedWindow
        | str = RateLimitMode.GATE,
        timeout: float | Timeouts = LONGEST_CALL,
        pool: Pool | None = None,
        hooks: Iterable[Hook] = (),
        insecure_local: bool = False,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        allowed_hosts: Iterable[str] = (),
        file_hosts: Iterable[str] = (),
        _runtime: Runtime | None = None,
    ) -> None:
        timeouts = timeout if isinstance(timeout, Timeouts) else Timeouts(call=timeout)
        self._core = ClientCore(
            _as_secret(api_key),
            Connection(
                base_url=base_url,
                http=http,
                insecure_local=insecure_local,
                proxy=proxy,
                ssl_context=ssl_context,
                allowed_hosts=tuple(allowed_hosts),
                file_hosts=tuple(file_hosts),
            ),
            Settings(
                persona_version=persona_version,
                timeout=timeouts.call,
                timeouts=timeouts,
                pool=pool or Pool(),
                retry=retry or RetryPolicy(),
                pacing=pacing,
            ),
            hooks,
            _runtime,
        )
        super().__init__(self._core.caller())

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make a client from ``PERSONA_API_KEY``, ``_BASE_URL`` and ``_VERSION``.

        ``options`` are those of the constructor and win over the environment.
        """
        names = {"base_url": "PERSONA_BASE_URL", "persona_version": "PERSONA_VERSION"}
        for option, name in names.items():
            if value := os.environ.get(name):
                options.setdefault(option, value)
        key = options.pop("api_key", None) or os.environ.get("PERSONA_API_KEY")
        if not key:
            message = "PERSONA_API_KEY is not set"
            raise ConfigurationError(message)
        return cls(key, **options)

    @property
    def context(self) -> ClientContext:
        """What a token manager, or anything else built on a client, stands on."""
        return self._core

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
        from persona_share._compose_batch import BatchComposer  # noqa: PLC0415  # few need it
        from persona_share.batch.batch import FetchOptions  # noqa: PLC0415  # few need it

        wanted = FetchOptions(ids=ids, kind=kind, **options)
        return BatchComposer(self._core, wanted).direct(self._caller)

    async def aclose(self) -> None:
        """Close the connections; a second time does nothing."""
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


def _as_secret(api_key: object) -> Secret:
    if not isinstance(api_key, str | Secret):
        message = f"api_key must be a str or a Secret, not {type(api_key).__name__}"
        raise ConfigurationError(message)
    return as_secret(api_key)
