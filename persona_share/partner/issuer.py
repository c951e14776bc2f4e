"""`CodeIssuer`: decides on each code that a partner requests, and issues it."""

import asyncio
import contextlib
import enum
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs

from persona_share._compose import require_loop, require_not_entered
from persona_share.client import PersonaClient
from persona_share.errors import (
    BadRequestError,
    CodeRefusedError,
    ConfigurationError,
    InvalidScopeError,
    NotFoundError,
    NotOpenError,
    PersonaError,
    RateLimitedError,
    StoreError,
    StoreUnavailableError,
    UnprocessableError,
)
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode
from persona_share.partner.agreements import (
    Agreement,
    Agreements,
    check_timeout,
    web_address,
)
from persona_share.partner.audit import AuditLog, Decision, fingerprint
from persona_share.partner.consents import ConsentRule, Consents
from persona_share.partner.endpoint import (
    CLIENT_REFUSED,
    Authenticator,
    Lifespan,
    Reply,
    describe,
    read_form,
    read_scope,
    refusal,
    unavailable,
)
from persona_share.partner.keys import (
    InvalidAssertion,
    PublicKey,
    SigningKey,
    claimed_issuer,
    result_of,
)
from persona_share.partner.records import CodesPerMinute
from persona_share.ports import Store, is_store


if TYPE_CHECKING:
    from aiohttp import web

    from persona_share.partner.applications import Application

T = TypeVar("T")

_LOG: Final = logging.getLogger("persona_share")
#: Closing waits this many seconds for decisions in progress.
_CLOSE_TIMEOUT: Final = 5.0
#: Errors of Persona because of an object in the scope; they do not name the object.
_REFUSALS: Final = (BadRequestError, NotFoundError, UnprocessableError)


class Reason(enum.StrEnum):
    """The reason of a decision, as written to the audit log."""

    AGREED = "agreed"
    NO_AGREEMENT = "no_agreement"
    AGREEMENT_NOT_STARTED = "agreement_not_started"
    AGREEMENT_ENDED = "agreement_ended"
    PERMISSION_NOT_AGREED = "permission_not_agreed"
    TOO_MANY_OBJECTS = "too_many_objects"
    NO_CONSENT = "no_consent"
    CONSENT_REVOKED = "consent_revoked"
    TOO_MANY_CODES = "too_many_codes"
    PERSONA_REFUSED = "persona_refused"
    PERSONA_UNAVAILABLE = "persona_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    AGREEMENTS_UNREADABLE = "agreements_unreadable"
    CONSENT_RULE_FAILED = "consent_rule_failed"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    INVALID_REQUEST = "invalid_request"
    INVALID_SCOPE = "invalid_scope"
    INTERNAL_ERROR = "internal_error"


_DENIED: Final = frozenset(
    {
        Reason.NO_AGREEMENT,
        Reason.AGREEMENT_NOT_STARTED,
        Reason.AGREEMENT_ENDED,
        Reason.PERMISSION_NOT_AGREED,
        Reason.NO_CONSENT,
        Reason.CONSENT_REVOKED,
        Reason.PERSONA_REFUSED,
    }
)
_MESSAGES: Final = {
    Reason.NO_AGREEMENT: "there is no agreement with this partner",
    Reason.AGREEMENT_NOT_STARTED: "the agreement has not started",
    Reason.AGREEMENT_ENDED: "the agreement has ended",
    Reason.PERMISSION_NOT_AGREED: "the agreement does not include these permissions",
    Reason.NO_CONSENT: "there is no consent to share these",
    Reason.CONSENT_REVOKED: "there is no consent to share these",
    Reason.PERSONA_REFUSED: "Persona refuses a code for these",
    Reason.TOO_MANY_OBJECTS: "the scope names more objects than the agreement allows",
    Reason.TOO_MANY_CODES: "more codes in a minute than the agreement allows",
    Reason.AUDIT_UNAVAILABLE: "the audit log cannot be written",
}


@attrs.frozen
class Allowed:
    """The agreement that allows a whole scope, and the ids of its consents."""

    agreement: Agreement
    consent: Sequence[str] | None


@attrs.frozen
class Issued:
    """A code, the ids of the consents that allow it, if known, and the partner's inbox."""

    code: AuthorizationCode
    consent: Sequence[str] | None
    inbox: str | None


@attrs.frozen
class Refused:
    """A refusal; ``refused`` is the part of the scope that caused it, if it is known."""

    reason: Reason
    refused: Scope | None = None
    retry_after: float | None = None
    consent: Sequence[str] | None = None
    error: PersonaError | None = None

    @property
    def failed(self) -> bool:
        """Whether a failure prevented a decision."""
        return self.reason not in _DENIED | {
            Reason.TOO_MANY_OBJECTS,
            Reason.TOO_MANY_CODES,
        }

    def as_error(self) -> PersonaError:
        """Return the error for a caller in this process."""
        message = _MESSAGES.get(self.reason, "no decision could be made")
        if self.reason is Reason.TOO_MANY_CODES:
            return RateLimitedError(message, retry_after=self.retry_after)
        if self.reason is Reason.TOO_MANY_OBJECTS:
            return InvalidScopeError(message)
        if not self.failed:
            return CodeRefusedError(message, refused=self.refused)
        return self.error or StoreUnavailableError(message)

    def reply(self) -> Reply:
        """Return the response to a partner."""
        message = _MESSAGES.get(self.reason, "")
        if self.reason is Reason.TOO_MANY_CODES:
            return refusal(
                "temporarily_unavailable",
                message,
                status=429,
                retry_after=self.retry_after,
            )
        if self.reason is Reason.TOO_MANY_OBJECTS:
            return refusal("invalid_scope", message)
        if not self.failed:
            return refusal("access_denied", message, refused=self.refused)
        return refusal(
            "temporarily_unavailable",
            "the service cannot decide at the moment",
            retry_after=self.retry_after or 5,
        )


def check_agreement(
    agreement: Agreement | None, scope: Scope, now: datetime
) -> Refused | None:
    """Return why an agreement refuses a whole scope, or None."""
    if agreement is None:
        return Refused(Reason.NO_AGREEMENT, scope)
    if now < agreement.valid_from:
        return Refused(Reason.AGREEMENT_NOT_STARTED, scope)
    if now >= agreement.valid_until:
        return Refused(Reason.AGREEMENT_ENDED, scope)
    if len(scope.object_ids()) > agreement.max_objects:
        return Refused(Reason.TOO_MANY_OBJECTS)
    return None


def not_agreed_part(agreement: Agreement, scope: Scope) -> Scope:
    """Return the part of a scope whose permissions the agreement does not list."""
    atoms = zip(scope.atoms, scope.pairs(), strict=True)
    return Scope(
        text
        for text, (permission, _) in atoms
        if permission not in agreement.permissions
    )


class CodeIssuer:
    """Issues authorization codes to partners, for the source organization.

    ``agreements`` are `Agreement` objects or the path of a TOML file. ``audit`` is an
    `AuditLog` or its path. ``store`` records consents and used assertions, and counts
    codes; all processes of the service share it. ``consents`` is a `Consents` in another
    store, or an async function that returns the part of a scope that a partner can get
    now. ``url`` is the public URL of ``…/codes``, which partners sign. `push` needs
    ``organization`` and ``key``, the id and private key of this organization.

    Every decision is one line of the audit log. If the store, the consents or the audit
    log fail, no code is issued. Entering it also opens the client, unless it is open.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(
        self,
        client: PersonaClient,
        *,
        agreements: Iterable[Agreement] | str | Path,
        audit: AuditLog | str | Path,
        store: Store,
        consents: Consents | ConsentRule | None = None,
        url: str | None = None,
        organization: str | None = None,
        key: str | Secret | Path | SigningKey | None = None,
        timeout: float = 20.0,
    ) -> None:
        # Frames in an error report must not contain the key.
        signing_key = None if key is None else result_of(SigningKey, key)
        del key
        if isinstance(signing_key, PersonaError):
            raise signing_key
        audit = AuditLog(audit) if isinstance(audit, str | Path) else audit
        _check_parts(client, consents, audit, store)
        check_timeout(timeout)
        self._client = client
        self._runtime = client.context.runtime
        self._agreements = Agreements(agreements)
        if consents is None:
            consents = Consents(store, _runtime=self._runtime)
        self._consents = consents
        self._audit = audit
        self._store = store
        self._timeout = timeout
        self._limit = CodesPerMinute(store, self._runtime)
        self._url = None if url is None else web_address(url, "url").url
        self.organization = organization
        self._key = signing_key
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resources: AsyncExitStack | None = None

    @property
    def consents(self) -> Consents:
        """The consents of this service, to grant and revoke them while it is open.

        Raises:
            ConfigurationError: a function decides on consents.
        """
        if isinstance(self._consents, Consents):
            return self._consents
        message = (
            "this CodeIssuer asks a function for consents, so it has none to grant"
        )
        raise ConfigurationError(message)

    async def issue(self, partner: str, scope: Scope | str) -> AuthorizationCode:
        """Decide on a scope, record the decision, and return a code for a partner.

        Raises:
            CodeRefusedError: the agreement or a consent does not allow it.
            InvalidIdError: ``partner`` cannot be an id.
            InvalidScopeError: the scope cannot be read, or names too many objects.
            RateLimitedError: the limit of codes per minute is reached.
            StoreUnavailableError: a store or the audit log failed.
            PersonaError: Persona could not be reached, or refused this organization.
        """
        requested = _for_objects(partner, scope)
        outcome = await self._shielded(self._decide(partner, requested, "call"))
        if isinstance(outcome, Refused):
            raise outcome.as_error()
        return outcome.code

    async def push(self, partner: str, scope: Scope | str) -> AuthorizationCode:
        """Issue a code and deliver it to the partner's inbox.

        The delivery is repeated until it is acknowledged or the code expires.

        Raises:
            ConfigurationError: there is no inbox, or no ``organization`` and ``key``.
            CodeDeliveryError: the inbox refused the code, or did not respond in time.
            PersonaError: the errors of `issue`.
        """
        from persona_share.partner.client import deliver  # noqa: PLC0415 — few services push

        requested = _for_objects(partner, scope)
        self._require_inbox(partner)
        if self.organization is None or self._key is None:
            message = "to push codes, a CodeIssuer needs organization= and key="
            raise ConfigurationError(message)
        outcome = await self._shielded(self._decide(partner, requested, "push"))
        if isinstance(outcome, Refused):
            raise outcome.as_error()
        if outcome.inbox is None:
            message = (
                "the inbox was removed from the agreement while the code was issued; "
                "the code was not sent, and expires unused"
            )
            raise ConfigurationError(message)
        await deliver(
            outcome.code,
            outcome.inbox,
            issuer=self.organization,
            key=self._key,
            runtime=self._runtime,
        )
        return outcome.code

    def _require_inbox(self, partner: str) -> None:
        """Raise `ConfigurationError` before a code is issued that has no inbox.

        The decision refuses a partner without an agreement, and agreements that cannot
        be read.
        """
        agreement = None
        with contextlib.suppress(ConfigurationError):
            agreement = self._agreements.find(partner)
        if agreement is not None and agreement.inbox is None:
            message = "the agreement with this partner has no inbox"
            raise ConfigurationError(message)

    def asgi(self) -> "Application":
        """Return the endpoint as an ASGI application; it serves ``…/codes``."""
        from persona_share.partner.applications import asgi_application  # noqa: PLC0415

        return asgi_application(self._endpoint())

    def aiohttp(self) -> "web.Application":
        """Return the endpoint as an aiohttp.web application."""
        from persona_share.partner.applications import aiohttp_application  # noqa: PLC0415

        return aiohttp_application(self._endpoint())

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Keep the issuer open: the lifespan of an application that mounts `asgi`."""
        del app
        if self._loop is not None:  # it is closed where it was opened
            require_loop(self._loop, "the CodeIssuer")
            yield
            return
        async with self:
            yield

    async def aclose(self) -> None:
        """Wait for decisions in progress, and close everything."""
        if self._loop is not None:
            require_loop(self._loop, "the CodeIssuer")
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=_CLOSE_TIMEOUT)
        for task in tuple(self._tasks):
            task.cancel()
        if self._resources is not None:
            resources, self._resources = self._resources, None
            try:
                await resources.aclose()
            finally:
                self._loop = None

    async def __aenter__(self) -> Self:
        require_not_entered(self._loop, "the CodeIssuer")
        self._loop = asyncio.get_running_loop()
        try:
            self._resources = await self._opened()
        except BaseException:
            self._loop = None
            raise
        return self

    async def _opened(self) -> AsyncExitStack:
        """Open everything, and return what closes it."""
        async with AsyncExitStack() as stack:
            await self._store.open()
            stack.push_async_callback(self._store.aclose)
            consents = self._consents
            if isinstance(consents, Consents) and consents.store is not self._store:
                await stack.enter_async_context(consents)
            self._audit.check()
            try:
                self._client.context.require_open()
            except NotOpenError:  # last, as a client that was closed cannot be reopened
                await stack.enter_async_context(self._client)
            return stack.pop_all()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        count = len(self._agreements)
        return f"<CodeIssuer with {count} agreement{'' if count == 1 else 's'}>"

    # ── The endpoint ────────────────────────────────────────────────────────────

    def _endpoint(self) -> "CodesEndpoint":
        if self._url is None:
            message = "to be served, a CodeIssuer needs url=, its public URL"
            raise ConfigurationError(message)
        return CodesEndpoint(
            Authenticator(self._url, self._keys_of, self._store, self._runtime),
            self._decide_for_endpoint,
            self._record_refusal,
            self.lifespan,
        )

    def _keys_of(self, partner: str) -> Sequence[PublicKey] | None:
        """Return the public keys of a partner, or None for one that is unknown."""
        agreement = self._agreements.find(partner)
        return None if agreement is None else agreement.keys

    async def _decide_for_endpoint(
        self, partner: str, scope: Scope
    ) -> Issued | Refused:
        """Decide on the request of an authenticated partner."""
        return await self._shielded(self._decide(partner, scope, "http"))

    async def _record_refusal(
        self,
        reason: str,
        *,
        partner: str | None = None,
        claimed: str | None = None,
        failed: bool = False,
    ) -> None:
        """Record a request that was refused before a decision."""
        decision = Decision(
            time=self._runtime.clock.wall(),
            decision="failed" if failed else "refused",
            reason=reason,
            partner=partner,
            claimed=claimed,
            via="http",
        )
        await self._shielded(self._write(decision))

    # ── Deciding ────────────────────────────────────────────────────────────────

    async def _decide(self, partner: str, scope: Scope, via: str) -> Issued | Refused:
        """Decide and record the decision; the response must be sent afterwards."""
        outcome: Issued | Refused
        try:
            outcome = await self._outcome(partner, scope)
        except Exception as error:  # noqa: BLE001 — the application's rule may raise anything
            _LOG.error("a decision failed: %s", describe(error))
            outcome = Refused(Reason.INTERNAL_ERROR)
        if isinstance(outcome, Refused) and outcome.failed:
            _LOG.warning("no code for %s: %s", partner, outcome.reason)
        decision = self._decision(partner, scope, outcome, via)
        written = await self._write(decision)
        if isinstance(outcome, Issued) and not written:
            return Refused(Reason.AUDIT_UNAVAILABLE)
        return outcome

    async def _outcome(self, partner: str, scope: Scope) -> Issued | Refused:
        allowed = await self._allowed(partner, scope)
        if isinstance(allowed, Refused):
            return allowed
        code = await self._limited(partner, scope, allowed.agreement)
        if isinstance(code, Refused):
            return code
        # A code is not sent if its consent was revoked in the meantime.
        again = await self._allowed(partner, scope)
        if isinstance(again, Allowed):
            return Issued(code, allowed.consent, again.agreement.inbox)
        if again.reason is Reason.NO_CONSENT:
            return attrs.evolve(again, reason=Reason.CONSENT_REVOKED)
        return again

    async def _limited(
        self, partner: str, scope: Scope, agreement: Agreement
    ) -> AuthorizationCode | Refused:
        """Return a code, unless the limit of the agreement is reached."""
        try:
            wait = await self._limit.take(partner, agreement.codes_per_minute)
        except PersonaError as error:
            return Refused(Reason.STORE_UNAVAILABLE, error=error)
        if wait is not None:
            return Refused(Reason.TOO_MANY_CODES, retry_after=wait)
        return await self._authorized(partner, scope)

    async def _allowed(self, partner: str, scope: Scope) -> Allowed | Refused:
        """Return the agreement and consents that allow a whole scope, or a refusal."""
        try:
            agreement = self._agreements.find(partner)
        except ConfigurationError as error:
            _LOG.error("%s", error)
            return Refused(Reason.AGREEMENTS_UNREADABLE, error=error)
        refused = check_agreement(agreement, scope, self._runtime.clock.wall())
        if agreement is None or refused is not None:
            return refused or Refused(Reason.NO_AGREEMENT, scope)
        not_agreed = not_agreed_part(agreement, scope)
        consented = await self._consented(partner, scope - not_agreed)
        if isinstance(consented, Refused):
            return consented
        allowed, consent = consented
        if missing := scope - allowed:
            reason = Reason.PERMISSION_NOT_AGREED
            if not not_agreed:
                reason = await self._reason_without_consent(partner, missing)
            return Refused(reason, missing, consent=consent)
        return Allowed(agreement, consent)

    async def _consented(
        self, partner: str, scope: Scope
    ) -> tuple[Scope, Sequence[str] | None] | Refused:
        """Return the part of a scope with a consent, and the ids of the consents."""
        if not scope:
            return scope, None
        try:
            if isinstance(self._consents, Consents):
                found = await self._consents.find(partner, scope)
                allowed = Scope(atom for each in found for atom in each.scope)
                return allowed, [each.id for each in found]
            allowed = await self._consents(partner, scope)
            return Scope.from_text(allowed) & scope, None
        except StoreError as error:
            return Refused(Reason.STORE_UNAVAILABLE, error=error)
        except Exception as error:  # noqa: BLE001 — the application's rule may raise anything
            _LOG.error("the consent function failed: %s", type(error).__name__)
            return Refused(Reason.CONSENT_RULE_FAILED)

    async def _reason_without_consent(self, partner: str, scope: Scope) -> Reason:
        """Return CONSENT_REVOKED if every consent for a scope is known to be revoked."""
        revoked = Scope()
        if isinstance(self._consents, Consents):
            with contextlib.suppress(PersonaError):  # the scope is refused in any case
                revoked = await self._consents.revoked(partner, scope)
        return Reason.CONSENT_REVOKED if revoked == scope else Reason.NO_CONSENT

    async def _authorized(
        self, partner: str, scope: Scope
    ) -> AuthorizationCode | Refused:
        try:
            return await self._client.oauth.authorize(
                client_id=partner, scope=scope, timeout=self._timeout
            )
        except _REFUSALS as error:
            # If there is only one object, Persona refuses that one.
            at_fault = scope if len(scope.object_ids()) == 1 else None
            return Refused(Reason.PERSONA_REFUSED, at_fault, error=error)
        except PersonaError as error:
            _LOG.error("Persona did not issue a code: %s", error)
            return Refused(
                Reason.PERSONA_UNAVAILABLE, retry_after=error.retry_after, error=error
            )

    # ── Recording ───────────────────────────────────────────────────────────────

    def _decision(
        self,
        partner: str,
        scope: Scope,
        outcome: Issued | Refused,
        via: str,
    ) -> Decision:
        common: dict[str, Any] = {
            "time": self._runtime.clock.wall(),
            "partner": partner,
            "scope": scope.atoms,
            "via": via,
        }
        if isinstance(outcome, Refused):
            refused = outcome.refused
            return Decision(
                decision="failed" if outcome.failed else "refused",
                reason=outcome.reason,
                refused=None if refused is None else refused.atoms,
                consent=_ids(outcome.consent),
                request_id=outcome.error.request_id if outcome.error else None,
                **common,
            )
        code = outcome.code
        return Decision(
            decision="issued",
            reason=Reason.AGREED,
            consent=_ids(outcome.consent),
            request_id=code.request_id,
            code=fingerprint(code),
            expires_at=code.expires_at,
            **common,
        )

    async def _write(self, decision: Decision) -> bool:
        try:
            await self._audit.append(decision, sync=decision.decision == "issued")
        except PersonaError as error:
            _LOG.error("%s", error)
            return False
        return True

    async def _shielded(self, work: "Coroutine[Any, Any, T]") -> T:
        """Finish a decision even if its caller is canceled, so that it is recorded."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


class CodesEndpoint:
    """``POST …/codes``: authenticates a partner and responds with a code."""

    path = "/codes"

    def __init__(
        self,
        authenticator: Authenticator,
        decide: Callable[[str, Scope], Awaitable[Issued | Refused]],
        record_refusal: Callable[..., Awaitable[None]],
        lifespan: Lifespan,
    ) -> None:
        self._authenticator = authenticator
        self._decide = decide
        self._record_refusal = record_refusal
        self.lifespan: Lifespan = lifespan

    async def post(self, content_type: str | None, body: bytes) -> Reply:
        """Respond to one request; nothing is raised."""
        try:
            return await self._post(content_type, body)
        except Exception as error:  # noqa: BLE001 — nothing of it may reach a partner
            await self._record_refusal(Reason.INTERNAL_ERROR, failed=True)
            return unavailable("a request of a partner failed", error)

    async def _post(self, content_type: str | None, body: bytes) -> Reply:
        form = read_form(content_type, body)
        if isinstance(form, Reply):
            await self._record_refusal(Reason.INVALID_REQUEST)
            return form
        partner = await self._authenticated(form)
        if isinstance(partner, Reply):
            return partner
        scope = read_scope(form.get("scope"))
        if isinstance(scope, Reply):
            reason = Reason(str((scope.body or {})["error"]))
            await self._record_refusal(reason, partner=partner)
            return scope
        outcome = await self._decide(partner, scope)
        if isinstance(outcome, Refused):
            return outcome.reply()
        return self._granted(outcome.code, scope)

    async def _authenticated(self, form: dict[str, str]) -> str | Reply:
        claimed = claimed_issuer(form.get("client_assertion", ""))
        try:
            client = await self._authenticator.check(form)
        except PersonaError as error:
            unreadable = isinstance(error, ConfigurationError)
            reason = (
                Reason.AGREEMENTS_UNREADABLE if unreadable else Reason.STORE_UNAVAILABLE
            )
            await self._record_refusal(reason, claimed=claimed, failed=True)
            return unavailable("a partner could not be authenticated", error)
        if isinstance(client, InvalidAssertion):
            await self._record_refusal(client.reason, claimed=claimed)
            return CLIENT_REFUSED
        return client.issuer

    def _granted(self, code: AuthorizationCode, scope: Scope) -> Reply:
        now = self._authenticator.runtime.clock.wall()
        ends = code.expires_at or now
        return Reply(
            200,
            {
                "code": code.reveal(),
                "expires_in": max(0, int((ends - now).total_seconds())),
                "scope": str(scope),
            },
        )


def _ids(consent: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if consent is None else tuple(consent)


def _for_objects(partner: str, scope: Scope | str) -> Scope:
    """Return the scope of a checked request."""
    checked_id(partner, "partner")
    requested = Scope.parse(scope)
    if not requested or any(object_id is None for _, object_id in requested.pairs()):
        message = "a code is for permissions on objects, such as inquiry.read:inq_1"
        raise InvalidScopeError(message)
    return requested


def _check_parts(
    client: object, consents: object, audit: object, store: object
) -> None:
    checks = (
        (isinstance(client, PersonaClient), "client", "a PersonaClient"),
        (
            consents is None or callable(consents) or isinstance(consents, Consents),
            "consents",
            "Consents or an async function",
        ),
        (isinstance(audit, AuditLog), "audit", "an AuditLog or a path"),
        (is_store(store), "store", "a store"),
    )
    for fits, name, wanted in checks:
        if not fits:
            message = f"{name} must be {wanted}"
            raise ConfigurationError(message)
