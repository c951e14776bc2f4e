"""Errors of tokens: there is no usable token for a scope."""

from typing import TYPE_CHECKING, Any

from persona_share.errors.base import PersonaError, Phase


if TYPE_CHECKING:
    from persona_share.model.scope import Scope


class TokenError(PersonaError):
    """There is no usable token; ``scope`` is the scope as text."""

    def __init__(
        self,
        what: str,
        /,
        *,
        scope: str | None = None,
        title: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.scope = scope
        self.title = title


class AuthorizationCodeRequiredError(TokenError):
    """There is no authorization code for this scope."""

    advice = "Give the manager codes=…, or pass a code for this scope to exchange() or offer()."
    retryable = True


class CodeExpiredError(AuthorizationCodeRequiredError):
    """Every available code has expired, or would expire before its exchange."""

    advice = "Ask the source organization for a new code."


class CodeSourceError(TokenError):
    """The code source raised or timed out; ``reason`` is the type of its error."""

    advice = "Check the code source; it is called again after a delay."
    retryable = True

    def __init__(self, what: str, /, *, reason: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.reason = reason


class CodeDeliveryError(TokenError):
    """The partner's inbox did not accept a code; ``status`` is its HTTP status."""

    advice = "Check the inbox and the keys on both sides, then push a new code."
    _default_phase = Phase.AMBIGUOUS


class CodeRefusedError(TokenError):
    """The partner refuses to issue a code; ``refused`` is the part it names, or None.

    A code source raises it as ``CodeRefusedError(reason, refused=scope)``.
    """

    advice = "Agree with the source organization on what it shares, then ask again."
    _default_phase = Phase.ANSWERED

    def __init__(
        self,
        what: str = "the partner refuses",
        /,
        *,
        refused: "Scope | None" = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.refused = refused


class CodeRejectedError(TokenError):
    """The service refused the code: unknown, expired, used, or of another organization."""

    advice = (
        "Ask the source organization for a new code for the id of this organization."
    )
    _default_phase = Phase.ANSWERED


class CodeAlreadyUsedError(CodeRejectedError):
    """The code was used before; a code works once."""

    advice = "Ask the source organization for a new code."
    _default_phase = Phase.NOT_SENT


class ExchangeAuthenticationError(TokenError):
    """401 for an exchange: the API key was refused; the code is not used."""

    advice = "Check that the API key is correct, active, and of this environment."
    _default_phase = Phase.ANSWERED


class AssertionRefusedError(ExchangeAuthenticationError):
    """401 for client credentials: the assertion or the API key was refused."""

    advice = (
        "Check the client id, its public key at Persona, and the clock of this machine."
    )


class ExchangeForbiddenError(TokenError):
    """403 for an exchange: OAuth is not enabled, or a quota is used up."""

    advice = "OAuth is a restricted API: ask Persona's account team to enable it."
    _default_phase = Phase.ANSWERED


class ExchangeRateLimitedError(TokenError):
    """429 for an exchange, and the caller cannot wait for the reset."""

    advice = "Wait for retry_after seconds."
    retryable = True
    _default_phase = Phase.ANSWERED


class ExchangeUnavailableError(TokenError):
    """The exchange got no usable response in time; the code may have been used."""

    advice = "Call again: the exchange is repeated safely, or a new code is used."
    retryable = True
    _default_phase = Phase.AMBIGUOUS


class ExchangeProtocolError(TokenError):
    """The response to the exchange is invalid, so no token was taken from it."""

    advice = "Check base_url: something other than the service may have responded."
    _default_phase = Phase.ANSWERED


class UnsupportedTokenTypeError(ExchangeProtocolError):
    """The token is not a bearer token and must not be used (RFC 6749 §7.1)."""


class ScopeNotGrantedError(TokenError):
    """The token covers less than requested; ``missing`` is what it lacks."""

    advice = "Ask the source organization to authorize the missing permissions."
    _default_phase = Phase.ANSWERED

    def __init__(self, what: str, /, *, missing: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.missing = missing


class TokenRejectedError(TokenError):
    """The service keeps refusing new tokens of this scope, so no more codes are spent."""

    advice = "Ask the source organization whether it still shares these objects."
    retryable = True
    _default_phase = Phase.ANSWERED


class TooManyWaitersError(TokenError):
    """Too many callers wait for one scope already."""

    advice = "Limit how many calls run at once."
    retryable = True
