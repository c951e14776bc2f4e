"""Requests codes from the code source of the user.

A request that was sent runs to its end, at most the source's time-out, though all its
callers have left; its code is put into the scope's record by the request itself.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import attrs

from persona_share._policy.bounds import CODE_LIFETIME, bounded
from persona_share._policy.token_lifetime import code_deadline
from persona_share._protocol.oauth import checked_code
from persona_share._protocol.routes import OAuthRoutes
from persona_share._tokens import record as records
from persona_share._tokens.client_credentials import (
    ASSERTION_LIFETIME,
    ClientCredentials,
)
from persona_share._tokens.coordinator import (
    CancelledItselfError,
    Coordinator,
    TimeIsUpError,
    within,
)
from persona_share._tokens.inflight import Tasks, users_frames, where
from persona_share._tokens.record import StoredCode, code_id
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeRefusedError,
    CodeSourceError,
    InvalidArgumentError,
    PersonaError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.token import AuthorizationCode
from persona_share.ports import ClientContext, CodeSource


#: The first pause after a partner's refusal or a source's time-out; it doubles.
_SHARED_PAUSE: Final = 5.0
#: Attributes of the errors of HTTP clients, such as aiohttp, httpx and requests.
_OF_REQUESTS: Final = ("headers", "request", "request_info", "response", "url")


@attrs.frozen
class SourceFailure:
    """No code came. ``shared`` is the reason to back off for everybody, if it is one."""

    error: TokenError
    shared: str | None = None
    pause: float = _SHARED_PAUSE
    detail: str = attrs.field(default="", repr=False)


Supplied = records.Done | records.UseOther | records.Lost | SourceFailure


@attrs.frozen
class Supply:
    """What a request to the source came to; ``code`` has local times."""

    result: Supplied
    code: StoredCode | None = None


class CodeSupplier:
    """Makes codes of what users deliver, and requests new ones."""

    def __init__(
        self,
        context: ClientContext,
        source: CodeSource | None,
        *,
        policy: RenewalPolicy,
        coordinator: Coordinator,
        tasks: Tasks,
        emit: Callable[[events.HookEvent], None],
    ) -> None:
        self._runtime = context.runtime
        self._origin = context.origin
        self._source = source
        self._policy = policy
        self._coordinator = coordinator
        self._tasks = tasks
        self._emit = emit
        self._requests: dict[str, asyncio.Future[Supply]] = {}

    @property
    def has_source(self) -> bool:
        """Whether anybody can be asked for codes."""
        return self._source is not None

    @property
    def is_machine(self) -> bool:
        """Whether tokens come from the client-credentials grant."""
        return isinstance(self._source, ClientCredentials)

    def received(self, code: object, expires_at: datetime | None = None) -> StoredCode:
        """Return a code that came now, its times local.

        Raises `InvalidArgumentError` for what cannot be a code. An ``expires_at`` that
        contradicts what a code can live says something about a clock, not the code: the
        code is tried all the same.
        """
        secret = code = checked_code(code)
        now, lifetime = self._runtime.clock.now(), self._policy.code_lifetime
        if expires_at is None and isinstance(code, AuthorizationCode):
            expires_at = code.expires_at
        odd = False
        if expires_at is not None:
            if expires_at.tzinfo is None:
                message = "expires_at needs a time zone"
                raise InvalidArgumentError(message)
            left = (expires_at - self._runtime.clock.wall()).total_seconds()
            checked = bounded(left, CODE_LIFETIME)
            odd = checked.clamped or checked.value <= 0
            if odd:
                self._emit(events.NumberClamped(at=now, name="expires_at of a code"))
            else:
                lifetime = checked.value
        return StoredCode(
            id=code_id(secret),
            secret=secret,
            received=now,
            deadline=code_deadline(now, lifetime),
            odd_expiry=odd,
        )

    def request(self, scope: Scope, key: str, owner: str) -> asyncio.Future[Supply]:
        """Return the request for this scope that is under way, or start one."""
        known = self._requests.get(scope.text)
        if known is not None:
            return known
        registered = [scope.text]

        async def work() -> Supply:
            try:
                return await self._request(scope, key, owner)
            finally:
                self._requests.pop(registered.pop(), None)

        done = self._tasks.spawn(work, endless=True)
        if registered:
            self._requests[scope.text] = done
        return done

    async def _request(self, scope: Scope, key: str, owner: str) -> Supply:
        if self._source is None:
            message = "there is no code for this scope, and no code source"
            error = AuthorizationCodeRequiredError(message, scope=scope.text)
            return Supply(SourceFailure(error))
        if isinstance(self._source, ClientCredentials):
            code = self._assertion(self._source)
        else:
            now = self._runtime.clock.now()
            self._emit(events.CodeRequested(at=now, scope_size=len(scope)))
            given = await self._ask(self._source, scope, key)
            if isinstance(given, SourceFailure):
                return Supply(given)
            code = given
        held, _ = await self._coordinator.hold(key, owner, code)
        return Supply(held, code)

    def _assertion(self, source: ClientCredentials) -> StoredCode:
        secret = source.assertion(
            self._origin + OAuthRoutes.TOKEN.template, self._runtime
        )
        now = self._runtime.clock.now()
        return StoredCode(
            id=code_id(secret),
            secret=secret,
            received=now,
            deadline=code_deadline(now, ASSERTION_LIFETIME),
            machine=True,
        )

    async def _ask(  # noqa: C901  # one branch for each way it can fail
        self, source: CodeSource, scope: Scope, key: str
    ) -> StoredCode | SourceFailure:
        def keep(late: "asyncio.Future[Any]") -> None:
            if late.cancelled() or late.exception() is not None:
                return
            code = self._code_of(late.result(), scope)
            if isinstance(code, StoredCode):
                # It came when nobody waited any more: the next caller may use it.
                self._tasks.start(lambda: self._coordinator.hold(key, "", code))

        timeout, text = self._policy.source_timeout, scope.text
        try:
            given = await within(self._runtime.clock, timeout, source(scope), keep)
        except TimeIsUpError:
            what = f"the code source did not respond within {timeout:.0f} s"
            error = CodeSourceError(what, reason="TimeoutError", scope=text)
            return SourceFailure(error, "source")
        except CancelledItselfError:
            what = "the code source was cancelled from within"
            return SourceFailure(
                CodeSourceError(what, reason="CancelledError", scope=text)
            )
        except CodeRefusedError as refusal:
            _redacted(refusal)
            return _refusal(refusal, scope)
        except TokenError as error:
            _redacted(error)
            error.scope = error.scope or text
            return SourceFailure(error)
        except Exception as error:  # noqa: BLE001  # the user's code may raise anything
            reason = type(error).__name__
            status = _status_of(error)
            if isinstance(error, PersonaError):
                what = f"the code source failed: {error.what}"
            else:
                what = f"the code source raised {reason}{where(error)}"
                what += f" with status {status}" if status else ""
            failure = CodeSourceError(what, reason=reason, scope=text, status=status)
            failure.__cause__ = _redacted(error).with_traceback(users_frames(error))
            return SourceFailure(failure)
        return self._code_of(given, scope)

    def _code_of(self, given: object, scope: Scope) -> StoredCode | SourceFailure:
        if given is None:
            what = "the partner has no code for this scope"
            return _refusal(CodeRefusedError(what), scope)
        try:
            return self.received(given)
        except InvalidArgumentError as error:
            what = f"the code source returned no code: {error.what}"
            reason = type(given).__name__
            return SourceFailure(CodeSourceError(what, reason=reason, scope=scope.text))


class RedactedError(Exception):
    """Stands for an error of an HTTP client, whose text and attributes may hold secrets."""


def _redacted(error: BaseException) -> BaseException:
    """Return an error whose chain holds no request and no response.

    The errors of HTTP clients refer to them, and so to credentials in URLs and headers.
    Their type, status and line remain. All other errors of the user's code are kept.
    """
    if _has_request(error):
        status = _status_of(error)
        text = f"{type(error).__name__}{where(error)}"
        return RedactedError(f"{text} with status {status}" if status else text)
    seen, left = {id(error)}, [error]
    while left:
        outer = left.pop()
        for name in ("__cause__", "__context__"):
            inner: BaseException | None = getattr(outer, name)
            if inner is None or id(inner) in seen:
                continue
            seen.add(id(inner))
            if _has_request(inner):
                setattr(outer, name, _redacted(inner))
            else:
                left.append(inner)
    return error


def _has_request(error: BaseException) -> bool:
    if isinstance(error, PersonaError):
        return False
    if isinstance(error, BaseExceptionGroup):
        return any(map(_has_request, error.exceptions))
    try:
        found = [getattr(error, name, None) for name in _OF_REQUESTS]
    except Exception:  # noqa: BLE001  # a property of theirs that raises
        return True
    return any(value is not None for value in found)


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error of the user's HTTP library holds."""
    holders = (error, getattr(error, "response", None))
    for holder, name in zip(holders, ("status", "status_code"), strict=True):
        status = getattr(holder, name, None)
        if isinstance(status, int) and not isinstance(status, bool):
            return status
    return None


def _refusal(refusal: CodeRefusedError, scope: Scope) -> SourceFailure:
    refusal.scope = refusal.scope or scope.text
    detail = "" if refusal.refused is None else refusal.refused.text
    return SourceFailure(refusal, "refused", detail=detail)
