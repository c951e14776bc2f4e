"""Signed requests to a partner: PartnerCodeSource asks for codes, `deliver` pushes them."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import attrs
import orjson

from persona_share._compose import (
    partner_sender,
    require_loop,
    require_not_entered,
)
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.oauth import MAX_LIFETIME, checked_code, whole
from persona_share._transport.runtime import default_runtime
from persona_share.errors import (
    ClientClosedError,
    CodeDeliveryError,
    CodeRefusedError,
    CodeSourceError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidScopeError,
    NotOpenError,
    PersonaError,
    Phase,
    UsageError,
)
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode
from persona_share.partner.agreements import check_timeout, web_address
from persona_share.partner.keys import (
    ASSERTION_TYPE,
    SigningKey,
    result_of,
    signed_assertion,
)
from persona_share.ports import Runtime


#: The request is retried after these statuses, with a new assertion. If a response is
#: lost, its code expires unused, so a retry is safe.
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_ATTEMPTS: Final = 4
_BACKOFF: Final = 0.5
#: A longer Retry-After, in seconds, is shortened to this.
_MAX_RETRY_AFTER: Final = 3600.0
_MAX_DIGITS: Final = 9
_ENTER: Final = "Enter it first: 'async with PartnerCodeSource.from_env() as codes:'."
_KEEP_OPEN: Final = "Keep it open while the manager is used, or create a new one."
_NAME: Final = "the PartnerCodeSource"
_REFUSED: Final = frozenset({"access_denied", "invalid_scope"})
_ERROR_WORDS: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "temporarily_unavailable",
    }
)


_UNREACHABLE: Final = (
    "Check PERSONA_PARTNER_URL (or the URL that you passed), and whether the partner's "
    "service is up at {0}."
)
#: The advice for a status of the partner; {0} is the URL that was used.
_ADVICE_OF: Final = {
    401: (
        "Check client_id (PERSONA_ORGANIZATION_ID), and with the partner: whether its "
        "agreement has the public key, whether its service has exactly the url {0}, "
        "whether both clocks are right; its audit log has the reason."
    ),
    404: (
        "The path is wrong: ask the partner for the exact url of its CodeIssuer; "
        "{0} was used."
    ),
    429: "Wait for retry_after seconds, or agree on more codes per minute.",
}
_ADVICE_OF_FAILURE: Final = (
    "Ask the partner for the reason: the audit log and the log of its service have it."
)
_NOT_A_CODE_ISSUER: Final = (
    "Check PERSONA_PARTNER_URL (or the URL that you passed): something other than the "
    "partner's service may have responded."
)


class SignedPost:
    """Sends forms to one URL of a partner, each with a new assertion."""

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        key: SigningKey,
        runtime: Runtime,
        **transport: Any,
    ) -> None:
        address = web_address(url, "url")
        self.client_id: str = checked_id(client_id, "client_id")
        self.audience: str = address.url
        self.origin: str = address.origin
        self._key = key
        self._runtime = runtime
        self._sender = partner_sender(address, runtime, **transport)

    async def open(self) -> None:
        """Open the connections."""
        await self._sender.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    async def send(self, form: Mapping[str, str], deadline: float) -> Response:
        """Send a form once and return the response.

        Raises:
            TransportError: no usable response arrived.
        """
        assertion = signed_assertion(
            self._key, self.client_id, self.audience, self._runtime
        )
        signed = {"client_assertion_type": ASSERTION_TYPE, **form}
        body = urlencode({**signed, "client_assertion": assertion.reveal()}).encode()
        request = Request(
            method="POST",
            route="the partner",
            target="",
            deadline=deadline,
            headers={"Accept": "application/json"},
            body=body,
            content_type="application/x-www-form-urlencoded",
            expects=Expects.OAUTH,
        )
        del (
            assertion,
            signed,
            body,
            form,
        )  # frames in an error report must not contain secrets
        return await self._sender.send(request)


@attrs.frozen
class PartnerProblem:
    """The error in a partner's response; only known values are kept."""

    status: int
    error: str | None
    refused: Scope | None
    retry_after: float | None

    @property
    def text(self) -> str:
        """The status, and the error code of the partner if it is known."""
        return f"{self.status} {self.error}" if self.error else str(self.status)


class PartnerCodeSource:
    """A code source that requests codes from a partner's `CodeIssuer`.

    ``url`` is the partner's ``…/codes``, ``client_id`` this organization's id, and
    ``key`` its private key (JWK or PEM as text, or a `Path`). ``timeout`` is the time
    limit for one code, with all attempts, in seconds. Open it together with the
    manager::

        async with (
            PartnerCodeSource(url, client_id="org_…", key=Path("partner.key")) as codes,
            PersonaClient.from_env() as client,
            ScopedTokenManager(client, codes=codes) as manager,
        ): ...

    Calling it raises `CodeRefusedError` if the partner does not share the scope, and
    `CodeSourceError` if there is no usable response.

    Raises:
        ConfigurationError: the URL is neither https nor loopback, or the key cannot be
            used.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        key: str | Secret | Path | SigningKey,
        timeout: float = 30.0,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        _runtime: Runtime | None = None,
    ) -> None:
        # Rebound: frames in an error report must not contain them.
        proxy = Secret(proxy) if isinstance(proxy, str) else proxy
        signing_key = result_of(SigningKey, key)
        del key
        if isinstance(signing_key, PersonaError):
            raise signing_key
        check_timeout(timeout)
        self._runtime = _runtime or default_runtime()
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._post = SignedPost(
            url,
            client_id=client_id,
            key=signing_key,
            runtime=self._runtime,
            proxy=proxy,
            ssl_context=ssl_context,
        )

    @classmethod
    def from_env(cls, *, timeout: float = 30.0) -> Self:
        """Create a code source from environment variables.

        ``PERSONA_PARTNER_URL`` is the partner's address, ``PERSONA_ORGANIZATION_ID``
        this organization's id, and ``PERSONA_PARTNER_KEY_FILE`` its private key's file.

        Raises:
            ConfigurationError: one of them is not set, or cannot be used.
        """
        return cls(
            _variable("PERSONA_PARTNER_URL", "https://share.example/codes"),
            client_id=_variable("PERSONA_ORGANIZATION_ID", "org_…, your own id"),
            key=Path(_variable("PERSONA_PARTNER_KEY_FILE", "partner.key")),
            timeout=timeout,
        )

    async def __call__(self, scope: Scope, /) -> AuthorizationCode:
        """Return a new code for this scope."""
        clock = self._runtime.clock
        deadline = clock.now() + self._timeout
        response = await self._send(scope, deadline)
        if response.status == 200:  # noqa: PLR2004 — the one success of this endpoint
            return self._code(response, scope)
        problem = read_problem(response, scope)
        if problem.error in _REFUSED:
            message = f"the partner refused to issue a code ({problem.text})"
            raise CodeRefusedError(
                message,
                refused=problem.refused,
                status=problem.status,
                scope=str(scope),
            )
        message = f"the partner did not issue a code ({problem.text})"
        raise self._refusal(message, scope, problem)

    async def check(self) -> None:
        """Check that the partner accepts this organization's key; no code is issued.

        Raises:
            CodeSourceError: it does not accept the key, or cannot be reached.
        """
        scope = Scope()
        deadline = self._runtime.clock.now() + self._timeout
        problem = read_problem(await self._send(scope, deadline), scope)
        # The partner checks the signature first, so this error means that it is valid.
        if problem.error == "invalid_request" and problem.status == 400:  # noqa: PLR2004
            return
        message = f"the partner did not accept the request ({problem.text})"
        raise self._refusal(message, scope, problem)

    async def _send(self, scope: Scope, deadline: float) -> Response:
        """Send until a response needs no retry, or until the deadline."""
        self._require_not_closed()
        if self._loop is None:
            message = f"{_NAME} was not entered"
            raise NotOpenError(message, advice=_ENTER)
        require_loop(self._loop, _NAME)
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._attempt(scope, deadline)
            wait = self._pause(outcome, attempt)
            left = deadline - self._runtime.clock.now()
            if wait is None or wait >= left:
                break
            await self._runtime.clock.sleep(wait)
        if isinstance(outcome, Response):
            return outcome
        message = f"the partner cannot be reached: {outcome.what}"
        failure = self._failure(
            message,
            scope,
            reason=type(outcome).__name__,
            phase=outcome.phase,
            advice=_UNREACHABLE.format(self._post.audience),
        )
        raise failure from outcome

    async def _attempt(self, scope: Scope, deadline: float) -> Response | PersonaError:
        try:
            return await self._post.send({"scope": str(scope)}, deadline)
        except UsageError:
            raise
        except PersonaError as error:
            return error

    def _pause(self, outcome: Response | PersonaError, attempt: int) -> float | None:
        """Return the delay before the next attempt, or None if there is no other one."""
        if isinstance(outcome, PersonaError):
            if not outcome.retryable or attempt >= _ATTEMPTS:
                return None
            return self._jittered(attempt)
        if outcome.status not in _RETRIED:
            return None
        requested = retry_after(outcome)
        if outcome.status == 429:  # noqa: PLR2004 — retried until the deadline
            return requested or self._jittered(attempt)
        if attempt >= _ATTEMPTS:
            return None
        return max(requested or 0.0, self._jittered(attempt))

    def _jittered(self, attempt: int) -> float:
        return (
            _BACKOFF * 2.0 ** min(attempt - 1, 5) * (0.5 + self._runtime.random() / 2)
        )

    def _code(self, response: Response, scope: Scope) -> AuthorizationCode:
        found = _read_code(response, scope, self._runtime)
        if isinstance(found, AuthorizationCode):
            return found
        message = f"the partner's response does not contain a valid {found}"
        raise self._failure(message, scope, reason="unusable response")

    def _refusal(
        self, what: str, scope: Scope, problem: PartnerProblem
    ) -> CodeSourceError:
        """Return the error of a response without a code; it says what to check."""
        advice = _ADVICE_OF.get(problem.status, _ADVICE_OF_FAILURE)
        return self._failure(
            what,
            scope,
            reason=problem.error or f"status {problem.status}",
            status=problem.status,
            retry_after=problem.retry_after,
            advice=advice.format(self._post.audience),
        )

    def _failure(
        self, what: str, scope: Scope, *, reason: str, **facts: Any
    ) -> CodeSourceError:
        facts.setdefault("phase", Phase.ANSWERED)
        facts.setdefault("advice", _NOT_A_CODE_ISSUER)
        error = CodeSourceError(what, reason=reason, scope=str(scope) or None, **facts)
        if error.status is not None and error.status not in _RETRIED:
            error.retryable = False
        return error

    def _require_not_closed(self) -> None:
        if self._closed:
            message = f"{_NAME} was closed"
            raise ClientClosedError(message, advice=_KEEP_OPEN)

    async def __aenter__(self) -> Self:
        self._require_not_closed()
        require_not_entered(self._loop, _NAME)
        await self._post.open()
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None:
            require_loop(self._loop, _NAME)
        self._closed = True
        await self._post.close()

    def __repr__(self) -> str:
        return f"<PartnerCodeSource at {self._post.origin}>"


def _read_code(
    response: Response, scope: Scope, runtime: Runtime
) -> AuthorizationCode | str:
    """Return the code in a response, or what is wrong with it.

    It is raised elsewhere, as frames in an error report must not contain the code.
    """
    body = _json_of(response)
    try:
        code = checked_code(body.get("code"))
        granted = Scope.from_text(str(body.get("scope", str(scope))))
    except InvalidArgumentError as error:
        return f"code: {error.what}"
    seconds = whole(body.get("expires_in"))
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
        return "expires_in"
    age = max(0.0, runtime.clock.now() - response.first_sent_at)
    left = timedelta(seconds=min(seconds, MAX_LIFETIME) - age)
    return AuthorizationCode(
        code.reveal(), scope=granted, expires_at=runtime.clock.wall() + left
    )


def _variable(name: str, example: str) -> str:
    if value := os.environ.get(name):
        return value
    message = f"{name} is not set"
    advice = f"Export it (such as {example}), or pass the value to PartnerCodeSource."
    raise ConfigurationError(message, advice=advice)


def read_problem(response: Response, scope: Scope) -> PartnerProblem:
    """Read an error response; only the part of ``refused`` within the scope is kept."""
    body = _json_of(response)
    error, named = body.get("error"), body.get("refused")
    refused = None
    if isinstance(named, str):
        try:
            refused = Scope.from_text(named) & scope or None
        except InvalidScopeError:
            refused = None
    known = error if isinstance(error, str) and error in _ERROR_WORDS else None
    return PartnerProblem(response.status, known, refused, retry_after(response))


def _json_of(response: Response) -> Mapping[str, Any]:
    try:
        found = orjson.loads(response.body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def retry_after(response: Response) -> float | None:
    """Return the valid Retry-After of a response in seconds, or None."""
    text = response.headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        return None
    return min(float(text), _MAX_RETRY_AFTER)


# ── Delivery of a code to a partner's inbox ───────────────────────────────────


_ACKNOWLEDGED: Final = frozenset({200, 204})
_REDELIVERED: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_DELIVERY_BACKOFF: Final = 1.0
_MAX_DELIVERY_BACKOFF: Final = 30.0
_NOTHING: Final = Scope()
#: The time limit of one attempt, so that an inbox that does not respond is retried.
_ATTEMPT_TIMEOUT: Final = 10.0
#: The lifetime of a code without an expiry, in seconds.
_ASSUMED_LIFETIME: Final = 590.0


async def deliver(
    code: AuthorizationCode,
    inbox: str,
    *,
    issuer: str,
    key: SigningKey,
    runtime: Runtime,
) -> None:
    """Deliver a code until the inbox acknowledges it or the code expires.

    Raises:
        CodeDeliveryError: the inbox refused it, or did not acknowledge it in time.
    """
    clock = runtime.clock
    lifetime = _ASSUMED_LIFETIME
    if code.expires_at is not None:
        lifetime = (code.expires_at - clock.wall()).total_seconds()
    deadline = clock.now() + lifetime
    post = SignedPost(inbox, client_id=issuer, key=key, runtime=runtime)
    await post.open()
    try:
        await _deliver(code, post, deadline, runtime)
    finally:
        await post.close()


@attrs.frozen
class _Failure:
    """Why one attempt to deliver a code failed; ``final`` says that no other follows."""

    reason: str
    phase: Phase
    final: bool
    status: int | None = None
    retry_after: float | None = None


async def _deliver(
    code: AuthorizationCode, post: SignedPost, deadline: float, runtime: Runtime
) -> None:
    clock, attempt, pause = runtime.clock, 0, _DELIVERY_BACKOFF
    failure = _Failure("there was no time left", Phase.NOT_SENT, final=False)
    arrived = False  # an attempt may have arrived, although none was acknowledged
    while not failure.final and (left := deadline - clock.now()) >= 1:
        attempt += 1
        found = await _try_to_deliver(code, post, left, clock.now())
        if found is None:
            return
        failure = found
        arrived = arrived or failure.phase is Phase.AMBIGUOUS
        if not failure.final:
            wait = max(failure.retry_after or 0.0, pause * (0.5 + runtime.random() / 2))
            await clock.sleep(min(wait, max(0.0, deadline - clock.now())))
            pause = min(pause * 2, _MAX_DELIVERY_BACKOFF)
    message, phase = failure.reason, failure.phase
    if not failure.final:
        message = f"the code expired before the inbox accepted it ({message})"
    if arrived and not (failure.final and failure.status):
        phase = Phase.AMBIGUOUS
    if attempt > 1:
        message = f"{message}, after {attempt} attempts"
    raise CodeDeliveryError(message, status=failure.status, phase=phase)


async def _try_to_deliver(
    code: AuthorizationCode, post: SignedPost, left: float, now: float
) -> _Failure | None:
    """Send a code to the inbox once; return None if the inbox acknowledges it."""
    form = {
        "code": code.reveal(),
        "scope": str(code.scope or ""),
        "expires_in": str(int(left)),
    }
    try:
        response = await post.send(form, now + min(left, _ATTEMPT_TIMEOUT))
    except UsageError:
        raise
    except PersonaError as error:
        return _Failure(error.what, error.phase, final=not _is_retryable(error))
    finally:
        del form  # frames in an error report must not contain the code
    if response.status in _ACKNOWLEDGED:
        return None
    final = response.status not in _REDELIVERED
    text = read_problem(response, code.scope or _NOTHING).text
    return _Failure(
        f"the inbox refused the code ({text})" if final else text,
        Phase.ANSWERED,
        final,
        response.status,
        retry_after(response),
    )


def _is_retryable(error: PersonaError) -> bool:
    # After a timeout of one attempt, the next attempt may still succeed.
    return error.retryable or isinstance(error, TimeoutError)
