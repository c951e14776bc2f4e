"""There is no token for a scope, and why."""

from typing import TYPE_CHECKING, Any

from persona_share.errors.base import PersonaError, Phase


if TYPE_CHECKING:
    from persona_share.model.scope import Scope


class TokenError(PersonaError):
    """There is no usable token for this scope; ``scope`` says for which, as text."""

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
    """Nobody supplied an authorization code for this scope."""

    advice = "Give the manager codes=…, or exchange() a code that covers this scope."
    retryable = True


class CodeExpiredError(AuthorizationCodeRequiredError):
    """Every code at hand had ended, or would have before it could be exchanged."""

    advice = "Ask the source organization for a new code."


class CodeSourceError(TokenError):
    """The code source raised or took too long; ``reason`` is its error's type."""

    advice = "Look into the code source; it is tried again after a pause."
    retryable = True

    def __init__(self, what: str, /, *, reason: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.reason = reason


class CodeDeliveryError(TokenError):
    """A pushed code was not accepted by the partner's inbox; ``status`` says how."""

    advice = "Check the inbox and the keys on both sides, then push a new code."
    _default_phase = Phase.AMBIGUOUS


class CodeRefusedError(TokenError):
    """The partner refuses a code; ``refused`` is the part it names, or None.

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
    """The service refused the code: unknown, ended, used, or made for someone else."""

    advice = "Ask the source organization for a new code, for this organization's id."
    _default_phase = Phase.ANSWERED


class CodeAlreadyUsedError(CodeRejectedError):
    """The code was spent before; a code works once."""

    advice = "Ask the source organization for a new code."
    _default_phase = Phase.NOT_SENT


class ExchangeAuthenticationError(TokenError):
    """401 on an exchange: the API key was refused; the code is still good."""

    advice = "Check that the key is right, active and of this environment."
    _default_phase = Phase.ANSWERED


class AssertionRefusedError(ExchangeAuthenticationError):
    """401 on a machine grant: its assertion was refused, or else the API key."""

    advice = "Check the client's id, its public key at the service, and both clocks."


class ExchangeForbiddenError(TokenError):
    """403 on an exchange: OAuth is not enabled for this organization, or a quota."""

    advice = "OAuth is a restricted API: ask Persona's account team to enable it."
    _default_phase = Phase.ANSWERED


class ExchangeRateLimitedError(TokenError):
    """429 on an exchange for longer than the caller could wait."""

    advice = "Wait for retry_after."
    retryable = True
    _default_phase = Phase.ANSWERED


class ExchangeUnavailableError(TokenError):
    """No usable answer to the exchange came in time; the code is in doubt."""

    advice = "The same code is asked again under the same key, or a new code is used."
    retryable = True
    _default_phase = Phase.AMBIGUOUS


class ExchangeProtocolError(TokenError):
    """The answer to the exchange cannot be trusted, so no token was taken from it."""

    advice = "Something other than the service may have answered; check base_url."
    _default_phase = Phase.ANSWERED


class UnsupportedTokenTypeError(ExchangeProtocolError):
    """The token is not a bearer token and must not be used (RFC 6749 §7.1)."""


class ScopeNotGrantedError(TokenError):
    """The token covers less than was asked; ``missing`` holds what it lacks."""

    advice = "Ask the source organization to authorize the missing permissions."
    _default_phase = Phase.ANSWERED

    def __init__(self, what: str, /, *, missing: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.missing = missing
