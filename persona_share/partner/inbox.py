"""`CodeInbox`: receives the codes that partners push to the destination organization."""

import asyncio
import inspect
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from persona_share._compose import require_loop, require_not_entered
from persona_share._protocol.oauth import MAX_LIFETIME, checked_code
from persona_share._transport.runtime import default_runtime
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    PersonaError,
)
from persona_share.manager import ScopedTokenManager
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.partner.agreements import web_address
from persona_share.partner.audit import fingerprint
from persona_share.partner.endpoint import (
    CLIENT_REFUSED,
    Authenticator,
    Lifespan,
    Reply,
    read_form,
    read_scope,
    refusal,
    unavailable,
)
from persona_share.partner.keys import (
    InvalidAssertion,
    Jwk,
    PublicKey,
    claimed_issuer,
    public_keys,
    result_of,
)
from persona_share.partner.records import TRIES, digest
from persona_share.ports import Runtime, Store, Versioned
from persona_share.stores import MemoryStore
from persona_share.stores.access import Change, change


if TYPE_CHECKING:
    from aiohttp import web

    from persona_share.partner.applications import Application

Managed = (
    ScopedTokenManager
    | Callable[[], ScopedTokenManager]
    | Callable[[], Awaitable[ScopedTokenManager]]
)

#: The lifetime of a claim on a delivery, in seconds.
_CLAIM: Final = 15.0
#: Deliveries are recorded until this many seconds after the code expires.
_GRACE: Final = 60.0
_LOG: Final = logging.getLogger("persona_share")
_OFFERED: Final = b"offered"
_CLAIMED: Final = b"claimed"


class CodeInbox:
    """Receives codes that source organizations push, and offers them to a manager.

    ``sources`` maps the id of each source organization to its public JWKs, and ``url``
    is the public URL of ``…/inbox``, which they sign. ``manager`` may be a function that
    returns the manager, if the manager is created when the application starts.
    ``store`` records deliveries; the workers of one service share it. A code that is
    delivered twice is offered once.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(
        self,
        manager: Managed,
        *,
        sources: Mapping[str, Iterable[Jwk | PublicKey]],
        url: str,
        store: Store | None = None,
        _runtime: Runtime | None = None,
    ) -> None:
        found = result_of(_read_sources, sources)
        del sources  # frames in an error report must not contain a private key
        if isinstance(found, PersonaError):
            raise found
        self._manager = manager
        self._sources = found
        self._url = web_address(url, "url").url
        self._runtime = _runtime or default_runtime()
        self._store: Store = store or MemoryStore(runtime=self._runtime)
        self._loop: asyncio.AbstractEventLoop | None = None

    def asgi(self) -> "Application":
        """Return the endpoint as an ASGI application; it serves ``…/inbox``."""
        from persona_share.partner.applications import asgi_application  # noqa: PLC0415

        return asgi_application(self._endpoint())

    def aiohttp(self) -> "web.Application":
        """Return the endpoint as an aiohttp.web application."""
        from persona_share.partner.applications import aiohttp_application  # noqa: PLC0415

        return aiohttp_application(self._endpoint())

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Keep the inbox open: the lifespan of an application that mounts `asgi`."""
        del app
        if self._loop is not None:  # it is closed where it was opened
            require_loop(self._loop, "the CodeInbox")
            yield
            return
        async with self:
            yield

    async def _take(self, code: Secret, scope: Scope, expires_in: float) -> bool:
        """Offer a delivered code once; return False while another process offers it.

        Raises:
            PersonaError: the manager or the store did not accept it.
        """
        key = f"partner-inbox/{digest(fingerprint(code))}"
        ttl = expires_in + _GRACE
        claimed = await change(self._store, self._runtime, key, _claim, tries=TRIES)
        if claimed != _CLAIMED:
            return claimed == _OFFERED
        try:
            await self._offer(code, scope, expires_in)
        except BaseException:
            await self._settle(key, None, ttl)
            raise
        await self._settle(key, _OFFERED, ttl)
        return True

    async def _offer(self, code: Secret, scope: Scope, expires_in: float) -> None:
        manager = self._manager
        if not isinstance(manager, ScopedTokenManager):
            made = manager()
            manager = await made if inspect.isawaitable(made) else made
        ends = self._runtime.clock.wall() + timedelta(seconds=expires_in)
        offer: Callable[..., object] = manager.offer
        offered = offer(code, scope, expires_at=ends)
        if inspect.isawaitable(offered):
            await offered

    async def _settle(self, key: str, value: bytes | None, ttl: float) -> None:
        await change(
            self._store,
            self._runtime,
            key,
            lambda _: (Change(value, ttl), None),
            tries=TRIES,
        )

    def _endpoint(self) -> "InboxEndpoint":
        return InboxEndpoint(
            Authenticator(self._url, self._sources.get, self._store, self._runtime),
            self._take,
            self.lifespan,
        )

    async def aclose(self) -> None:
        """Close the store, if this inbox opened it."""
        if self._loop is not None:
            require_loop(self._loop, "the CodeInbox")
            self._loop = None
            await self._store.aclose()

    async def __aenter__(self) -> Self:
        require_not_entered(self._loop, "the CodeInbox")
        self._loop = asyncio.get_running_loop()
        try:
            await self._store.open()
        except BaseException:
            self._loop = None
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        count = len(self._sources)
        return f"<CodeInbox for {count} source{'' if count == 1 else 's'}>"


def _read_sources(
    sources: Mapping[str, Iterable[Jwk | PublicKey]],
) -> Mapping[str, Sequence[PublicKey]]:
    given: object = sources
    if not isinstance(given, Mapping) or not given:
        message = "sources must map organization ids to their public keys"
        raise ConfigurationError(message)
    return {
        checked_id(source, "a source"): public_keys(keys)
        for source, keys in sources.items()
    }


class InboxEndpoint:
    """``POST …/inbox``: authenticates a source and accepts its code."""

    path = "/inbox"

    def __init__(
        self,
        authenticator: Authenticator,
        take: Callable[[Secret, Scope, float], Awaitable[bool]],
        lifespan: Lifespan,
    ) -> None:
        self._authenticator = authenticator
        self._take = take
        self.lifespan: Lifespan = lifespan

    async def post(self, content_type: str | None, body: bytes) -> Reply:
        """Respond to one request; nothing is raised."""
        try:
            reply, reason = await self._post(content_type, body)
        except Exception as error:  # noqa: BLE001 — its text must not reach a partner
            return unavailable("a pushed code was not accepted", error)
        if reason is not None:
            _LOG.warning("a pushed code was refused: %s", reason)
        return reply

    async def _post(
        self, content_type: str | None, body: bytes
    ) -> tuple[Reply, str | None]:
        """Return the response, and the reason for the log if the code is refused."""
        form = read_form(content_type, body)
        if isinstance(form, Reply):
            return form, _reason(form)
        source = await self._authenticator.check(form)
        if isinstance(source, InvalidAssertion):
            claimed = claimed_issuer(form.get("client_assertion", ""))
            return CLIENT_REFUSED, f"{source.reason}, of {claimed or 'no organization'}"
        found = _read_delivery(form)
        if isinstance(found, Reply):
            return found, f"{_reason(found)}, from {source.issuer}"
        return await self._accept(*found), None

    async def _accept(self, code: Secret, scope: Scope, seconds: float) -> Reply:
        # If the manager cannot accept the code now, the source delivers it again.
        if await self._take(code, scope, seconds):
            return Reply(204)
        description = "this code is being processed"
        return refusal("temporarily_unavailable", description, retry_after=1)


def _claim(found: Versioned) -> tuple[Change | None, bytes]:
    """Claim a delivery, unless it was offered or is claimed."""
    if found.value == _OFFERED:
        return None, _OFFERED
    if found.value is not None:
        return None, b"busy"
    return Change(_CLAIMED, _CLAIM), _CLAIMED


def _read_delivery(form: Mapping[str, str]) -> tuple[Secret, Scope, float] | Reply:
    """Return the code of a delivery, its scope and its lifetime, or a refusal."""
    scope = read_scope(form.get("scope"))
    if isinstance(scope, Reply):
        return scope
    seconds = _seconds(form.get("expires_in"))
    if seconds is None:
        description = "expires_in must be a whole number of seconds above 0"
        return refusal("invalid_request", description)
    try:
        code = checked_code(form.get("code"))
    except InvalidArgumentError:
        return refusal("invalid_request", "code is missing or cannot be a code")
    return code, scope, seconds


def _reason(reply: Reply) -> str:
    return str((reply.body or {})["error_description"])


def _seconds(text: str | None) -> float | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:  # noqa: PLR2004  # a code is valid for minutes
        return None
    return min(float(text), MAX_LIFETIME) or None
