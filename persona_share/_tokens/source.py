"""Requests codes from the code source of the user, or signs assertions in their place.

A request that was sent runs to its end, at most the source's time-out, though all its
callers have left; its code is put into the scope's record by the request itself.
"""

import asyncio
import contextlib
from datetime import datetime
from importlib import import_module
from typing import Any, Final

import attrs

from persona_share._policy.bounds import CODE_LIFETIME, bounded
from persona_share._policy.token_lifetime import code_deadline
from persona_share._protocol.oauth import checked_code
from persona_share._protocol.routes import OAuthRoutes
from persona_share._tokens import record as records
from persona_share._tokens.coordinator import Changed, Coordinator
from persona_share._tokens.inflight import users_frames, where
from persona_share._tokens.record import ScopeRecord, StoredCode, code_id
from persona_share._waiting import CancelledItselfError, TimeIsUpError, within
from persona_share.errors import (
    AuthenticationError,
    BadRequestError,
    CodeRefusedError,
    CodeSourceError,
    ConfigurationError,
    InvalidArgumentError,
    MissingExtraError,
    NotFoundError,
    PermissionDeniedError,
    PersonaError,
    TokenError,
    UnprocessableError,
    UsageError,
)
from persona_share.model import events
from persona_share.model.ids import checked_id
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret, as_secret
from persona_share.model.token import AuthorizationCode
from persona_share.ports import ClientContext, CodeSource, Runtime


ALGORITHMS: Final = ("RS256", "ES256")
ASSERTION_LIFETIME: Final = 300
#: Attributes of the errors of HTTP clients, such as aiohttp, httpx and requests.
_OF_REQUESTS: Final = ("headers", "request", "request_info", "response", "url")
#: Exceptions of a code source that a repetition does not cure: mistakes in a program.
_MISTAKES: Final = (
    AttributeError,
    ImportError,
    NameError,
    NotImplementedError,
    TypeError,
)
#: Responses of the service, and statuses of other services, that no repetition changes.
_REFUSALS = (
    AuthenticationError
    | BadRequestError
    | NotFoundError
    | PermissionDeniedError
    | UnprocessableError
)
_REFUSAL_STATUSES: Final = frozenset({400, 403, 404, 422})
#: The first pause after a partner's refusal or a source's time-out; it doubles.
_SHARED_PAUSE: Final = 5.0
_CORRECT: Final = "Correct the code source."
_REFUSED: Final = "Check the scope and the code source."


@attrs.frozen
class SourceFailure:
    """No code came. With a ``pause`` the scope backs off for all managers."""

    error: TokenError | UsageError
    pause: float | None = None


#: The result of a request: the record of the scope with the code, or a failure.
Supply = Changed[ScopeRecord] | SourceFailure


class CodeSupplier:
    """Makes codes of what users deliver, and requests new ones from the source."""

    def __init__(
        self,
        context: ClientContext,
        source: CodeSource | None,
        policy: RenewalPolicy,
        coordinator: Coordinator,
    ) -> None:
        self.source: CodeSource | None = source
        self._runtime = context.runtime
        self._token_url = context.origin + OAuthRoutes.TOKEN.template
        self._policy = policy
        self._coordinator = coordinator
        self._requests: dict[str, asyncio.Task[Supply]] = {}

    def received(
        self,
        code: object,
        expires_at: datetime | None = None,
        *,
        machine: bool = False,
    ) -> StoredCode:
        """Return a code that came now, its times local; ``machine``: an assertion.

        Raises `InvalidArgumentError` for what cannot be a code. An ``expires_at`` that
        contradicts what a code can live says something about a clock, not the code: the
        code is tried all the same.
        """
        secret = code = checked_code(code)
        lifetime = bounded(self._policy.code_lifetime, CODE_LIFETIME).value
        lifetime = ASSERTION_LIFETIME if machine else lifetime
        odd_expiry = False
        if expires_at is None and isinstance(code, AuthorizationCode):
            expires_at = code.expires_at
        if expires_at is not None:
            if getattr(expires_at, "tzinfo", None) is None:
                message = "expires_at must be a datetime with a time zone"
                raise InvalidArgumentError(message)
            left = (expires_at - self._runtime.clock.wall()).total_seconds()
            checked = bounded(left, CODE_LIFETIME)
            odd_expiry = checked.clamped or checked.value <= 0
            if odd_expiry:
                name = "expires_at of a code"
                self._coordinator.emit(events.NumberClamped, name=name)
            else:
                lifetime = checked.value
        now = self._runtime.clock.now()
        deadline = code_deadline(now, lifetime)
        return StoredCode(
            code_id(secret),
            secret,
            now,
            deadline,
            machine=machine,
            odd_expiry=odd_expiry,
        )

    def request(
        self, source: CodeSource, scope: Scope, owner: str
    ) -> asyncio.Task[Supply]:
        """Return the request for this scope that is under way, or start one."""
        task = self._requests.get(scope.text)
        if task is None:
            work = self._request(source, scope, owner)
            task = self._coordinator.tasks.start(work, endless=True)
            self._requests[scope.text] = task
        return task

    async def _request(  # noqa: C901  # one branch for each way a source fails
        self, source: CodeSource, scope: Scope, owner: str
    ) -> Supply:
        def keep(late: asyncio.Future[StoredCode]) -> None:
            if not late.cancelled() and late.exception() is None:
                # It came after the time-out: the next caller may use it.
                _ = tasks.start(
                    change(ScopeRecord, scope.text, records.hold, "", late.result())
                )

        tasks, change = self._coordinator.tasks, self._coordinator.change
        clock, timeout = self._runtime.clock, self._policy.source_timeout
        try:
            code = await within(clock, timeout, self._code_from(source, scope), keep)
        except TimeIsUpError:
            what = f"the code source did not respond within {timeout:.0f} s"
            timed_out = CodeSourceError(what, reason="TimeoutError")
            return SourceFailure(timed_out, _SHARED_PAUSE)
        except CancelledItselfError:
            what = "the code source cancelled itself"
            return SourceFailure(CodeSourceError(what, reason="CancelledError"))
        except TokenError as error:
            _redacted(error)
            refused = isinstance(error, CodeRefusedError)
            return SourceFailure(error, _SHARED_PAUSE if refused else None)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # the user's code may raise anything
            return SourceFailure(_source_error(error, scope))
        else:
            holding = tasks.start(  # completed although the manager closes
                change(ScopeRecord, scope.text, records.hold, owner, code)
            )
            await asyncio.wait({holding})
            return holding.result()
        finally:
            self._requests.pop(scope.text, None)

    async def _code_from(self, source: CodeSource, scope: Scope) -> StoredCode:
        if isinstance(source, ClientCredentials):
            assertion = source.assertion(self._token_url, self._runtime)
            return self.received(assertion, machine=True)
        self._coordinator.emit(events.CodeRequested, scope)
        given: object = await source(scope)
        if given is None:
            what = "the partner has no code for this scope"
            raise CodeRefusedError(what)
        try:
            return self.received(given)
        except InvalidArgumentError as error:
            what = f"the code source returned no code: {error.what}"
            failure = CodeSourceError(what, reason=type(given).__name__)
            if not isinstance(given, str | Secret):
                failure.retryable, failure.advice = False, _CORRECT
        raise failure


def _source_error(error: BaseException, scope: Scope) -> CodeSourceError | UsageError:
    """Return the error of a code source that raised ``error``.

    It is not retryable if the program has a mistake, or if a status refuses the scope.
    """
    if isinstance(error, UsageError):
        mistake = error.fresh()
        mistake.what = f"the code source failed: {error.what}"
        mistake.args = (mistake.what,)
        mistake.__cause__ = error.with_traceback(users_frames(error))
        return mistake
    reason, status = type(error).__name__, _status_of(error)
    if isinstance(error, NotFoundError):
        ids = "this ID" if len(scope) == 1 else "at least one ID of this scope"
        what = f"the code source failed: Persona does not know {ids} (404)"
    elif isinstance(error, PersonaError):
        what = f"the code source failed: {error.what}"
    else:
        what = f"the code source raised {reason}{where(error)}"
        what += f" with status {status}" if status else ""
    failure = CodeSourceError(what, reason=reason, status=status)
    if isinstance(error, _REFUSALS):
        failure.retryable, failure.advice = False, error.advice
    elif status in _REFUSAL_STATUSES and not isinstance(error, PersonaError):
        failure.retryable, failure.advice = False, _REFUSED
    elif isinstance(error, _MISTAKES):
        failure.retryable, failure.advice = False, _CORRECT
    failure.__cause__ = _redacted(error).with_traceback(users_frames(error))
    return failure


class RedactedError(Exception):
    """Replaces an error of an HTTP client, whose text and attributes may hold secrets."""


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
    except Exception:  # noqa: BLE001  # a property that raises
        return True
    return any(value is not None for value in found)


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error of the user's HTTP library holds."""
    response = getattr(error, "response", None)
    found = getattr(error, "status", None), getattr(response, "status_code", None)
    for status in found:
        if isinstance(status, int) and not isinstance(status, bool):
            return status
    return None


class ClientCredentials:
    """A code source that needs no partner: an OAuth client with a private key.

    ``private_key`` is PEM text. Its tokens live about 900 s and contain bare permissions
    such as ``inquiry.read``; ask for sessions of those. Needs the extra ``m2m``.
    Source: POST /oauth/token, grant ``client_credentials``; RFC 7523 §2.2.

    Raises:
        MissingExtraError: joserfc is not installed.
        ConfigurationError: the key does not fit the algorithm.
    """

    def __init__(
        self,
        client_id: str,
        private_key: str | Secret,
        *,
        algorithm: str = "RS256",
        key_id: str | None = None,
    ) -> None:
        private_key = as_secret(private_key)  # an error report may show locals
        self.client_id: str = checked_id(client_id, "client_id")
        self._algorithm = algorithm
        if algorithm not in ALGORITHMS:
            message = f"algorithm must be one of {', '.join(ALGORITHMS)}"
            raise ConfigurationError(message)
        try:
            jwk = import_module("joserfc.jwk")
        except ImportError as error:
            raise MissingExtraError.of(error, "ClientCredentials", "m2m") from None
        kind = jwk.RSAKey if algorithm == "RS256" else jwk.ECKey
        key: Any = None
        with contextlib.suppress(Exception):  # whatever it says may show the key
            key = kind.import_key(private_key.reveal())
        if key is None or not key.is_private:
            message = f"private_key is not a PEM private key for {algorithm}"
            raise ConfigurationError(message)
        self._key = key
        self._header: dict[str, Any] = {"alg": algorithm, "typ": "JWT"}
        if key_id is not None:
            self._header["kid"] = key_id

    def assertion(self, audience: str, runtime: Runtime) -> Secret:
        """Return a new signed assertion for this token endpoint, valid for 5 minutes."""
        issued = int(runtime.clock.wall().timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": runtime.new_key(),
            "iat": issued,
            "exp": issued + ASSERTION_LIFETIME,
        }
        jwt = import_module("joserfc.jwt")
        signed = jwt.encode(
            self._header, claims, self._key, algorithms=[self._algorithm]
        )
        return Secret(signed)

    async def __call__(self, scope: object, /) -> str:  # noqa: ARG002  # of the protocol
        """Refuse: a manager asks for an assertion instead."""
        message = "ClientCredentials is passed to a manager as codes=, not called"
        raise InvalidArgumentError(message)

    def __repr__(self) -> str:
        return f"<ClientCredentials of {self.client_id}, {self._algorithm}>"
