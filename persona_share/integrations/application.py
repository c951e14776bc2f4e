"""Code that both web frameworks share: the manager of an application, error responses.

The application provides a *lifespan*: a function that opens its client and its manager::

    @asynccontextmanager
    async def sharing():
        async with PersonaClient.from_env() as client:
            async with ScopedTokenManager(client, codes=ask_partner) as manager:
                yield manager
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import ceil
from string import Formatter
from typing import Final

import attrs

from persona_share import errors
from persona_share.errors import (
    InvalidArgumentError,
    NotOpenError,
    PersonaError,
    SignatureError,
    UsageError,
)
from persona_share.manager import ScopedTokenManager
from persona_share.model.ids import checked_id
from persona_share.model.scope import Scope


#: A web request waits at most this long for Persona's rate limit, in seconds, before it
#: gets a 503. A ``max_wait`` in the client's `RateLimitPolicy` takes precedence.
RATE_LIMIT_WAIT: Final = 2.0

#: A function that opens the client and the manager, as in the example above.
Lifespan = Callable[[], AbstractAsyncContextManager[ScopedTokenManager]]


class ManagerHolder:
    """Holds the manager of one application while it runs."""

    def __init__(self, lifespan: Lifespan) -> None:
        self._lifespan = lifespan
        self._manager: ScopedTokenManager | None = None
        self._started = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ScopedTokenManager]:
        """Open the manager and hold it until the block ends.

        Raises `UsageError` if it is open already.
        """
        if self._started:
            message = "the application was started already"
            raise UsageError(message)
        self._started = True
        try:
            async with self._lifespan() as manager:
                self._manager = manager
                manager.context.wait_at_most(RATE_LIMIT_WAIT)
                try:
                    yield manager
                finally:
                    self._manager = None
        finally:
            self._started = False

    def manager(self) -> ScopedTokenManager:
        """Return the manager; raises `NotOpenError` unless the application is running."""
        if self._manager is None:
            message = "the application has not started, or has stopped"
            raise NotOpenError(
                message, advice="Run its lifespan; in tests, enter the test client."
            )
        return self._manager


def scope_from(template: Scope | str, values: Mapping[str, str]) -> Scope:
    """Return a scope with ids of a request filled in: ``inquiry.read:{inquiry_id}``.

    Each value must be an id, so that no request can widen a scope. Raises
    `InvalidIdError`, or `InvalidArgumentError` if a value is missing.
    """
    if isinstance(template, Scope):
        return template
    wanted = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if missing := [name for name in wanted if name not in values]:
        message = f"the scope needs {missing[0]!r}, which the path does not have"
        raise InvalidArgumentError(message)
    ids = {name: checked_id(values[name], name) for name in wanted}
    # `from_text` does not warn: the ids of a request are not the developer's.
    return Scope.from_text(template.format_map(ids))


# ── Error responses ───────────────────────────────────────────────────────────


_BODY_TOO_LARGE: Final = "body_too_large"
_LOG: Final = logging.getLogger("persona_share")
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_POLICY_VIOLATION: Final = 1008
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013
#: Errors after which a delivery is not handled: it is forged, another request handles
#: it, or the store is down.
REFUSED_DELIVERIES: Final = (
    errors.SignatureError,
    errors.DeliveryInProgressError,
    errors.StoreError,
)


@attrs.frozen
class ErrorResponse:
    """An HTTP error response: status, machine-readable code, message, seconds to wait."""

    status: int
    code: str
    message: str
    retry_after: int | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers

    @property
    def close_code(self) -> int:
        """The WebSocket close code with the same meaning (RFC 6455 §7.4.1)."""
        if self.status == _UNAVAILABLE:
            return _TRY_AGAIN_LATER
        return _INTERNAL_ERROR if self.status >= _SERVER_ERROR else _POLICY_VIOLATION

    def body(self) -> dict[str, dict[str, str]]:
        """Return the body of the response, as JSON."""
        return {"error": {"code": self.code, "message": self.message}}


_TOO_LARGE: Final = ErrorResponse(413, "too_large", "The body is too large.")
#: Logged as well: the application, not its caller, may have made the mistake.
_REFUSED: Final = ErrorResponse(
    422, "refused", "Persona refused the request as invalid."
)
# The first match wins, so subclasses come before their bases.
_ERROR_RESPONSES: Final[
    tuple[tuple[ErrorResponse, tuple[type[PersonaError], ...]], ...]
] = (
    (
        ErrorResponse(
            400, "bad_signature", "The signature of the delivery is not valid."
        ),
        (errors.SignatureError,),
    ),
    (
        ErrorResponse(
            503, "in_progress", "The event is being handled; send it again later."
        ),
        (errors.DeliveryInProgressError,),
    ),
    (
        ErrorResponse(404, "not_found", "There is no such object."),
        (errors.InvalidIdError, errors.NotFoundError),
    ),
    (
        ErrorResponse(
            403, "not_shared", "The object is not shared with this application."
        ),
        (
            errors.ScopeNotCoveredError,
            errors.CodeRefusedError,
            errors.ScopeNotGrantedError,
            errors.PermissionDeniedError,
        ),
    ),
    (
        ErrorResponse(409, "conflict", "The state of the object does not allow this."),
        (
            errors.ConflictError,
            errors.RedemptionFailedError,
            errors.ShareTokenExpiredError,
        ),
    ),
    (_REFUSED, (errors.BadRequestError, errors.UnprocessableError)),
    (
        ErrorResponse(503, "quota_exceeded", "A quota at Persona is used up."),
        (errors.QuotaExceededError,),
    ),
    (
        ErrorResponse(504, "timeout", "Persona did not respond in time."),
        (errors.DeadlineExceededError, errors.RedemptionPendingError),
    ),
    (
        ErrorResponse(
            502, "outcome_unknown", "It is unknown whether the change took effect."
        ),
        (errors.OutcomeUnknownError,),
    ),
    (
        ErrorResponse(503, "busy", "Too many requests; try again later."),
        (
            errors.PoolTimeoutError,
            errors.RateLimitedError,
            errors.ExchangeRateLimitedError,
        ),
    ),
    (
        ErrorResponse(
            503, "not_available", "The shared data is not available at the moment."
        ),
        (errors.TokenError, errors.StoreError, errors.OutageError),
    ),
    (
        ErrorResponse(500, "internal", "The application has an internal error."),
        (errors.UsageError,),
    ),
    (
        ErrorResponse(502, "upstream", "The request to Persona failed."),
        (PersonaError,),
    ),
)


def error_response_for(error: PersonaError) -> ErrorResponse:
    """Return the response for an error."""
    if isinstance(error, SignatureError) and error.reason == _BODY_TOO_LARGE:
        return _TOO_LARGE
    found = next(each for each, kinds in _ERROR_RESPONSES if isinstance(error, kinds))
    if found.status == _UNAVAILABLE and error.retry_after is not None:
        return attrs.evolve(found, retry_after=max(1, ceil(error.retry_after)))
    return found


def log_error(error: PersonaError, operation: str) -> ErrorResponse:
    """Return the response for an error, and log the error if the caller cannot fix it.

    ``operation`` is the method and the path of the route, without its ids.
    """
    error_response = error_response_for(error)
    if error_response.status >= _SERVER_ERROR or error_response is _REFUSED:
        _LOG.warning("%s: responded %d: %s", operation, error_response.status, error)
    return error_response


async def read_delivery(pieces: AsyncIterator[bytes], largest: int) -> bytes:
    """Return the body of a webhook's delivery.

    Raises `SignatureError` as soon as the body exceeds ``largest`` bytes.
    """
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > largest:
            _LOG.warning("a webhook was refused: %s", _BODY_TOO_LARGE)
            message = "the body of the delivery is too large"
            raise SignatureError(message, reason=_BODY_TOO_LARGE)
    return bytes(body)
