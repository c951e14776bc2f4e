"""A share token did not become what was waited for; a webhook is not what it says."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class SharingError(PersonaError):
    """A share token did not become what was waited for; ``share_token_id`` says which."""

    _default_phase = Phase.ANSWERED

    def __init__(
        self, what: str, /, *, share_token_id: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.share_token_id = share_token_id


class RedemptionFailedError(SharingError):
    """The redemption failed; ``reason`` is the service's word for why, if it has one."""

    advice = "Ask the source organization for a new share token."

    def __init__(
        self, what: str, /, *, reason: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.reason = reason


class RedemptionPendingError(SharingError, TimeoutError):
    """The time was up before it was decided; ``last_status`` is the state last seen."""

    advice = "Wait for it again; it goes on without you."
    retryable = True

    def __init__(
        self, what: str, /, *, last_status: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.last_status = last_status


class ShareTokenExpiredError(SharingError):
    """The share token ended before it was redeemed."""

    advice = "Ask the source organization for a new share token."


class SignatureError(PersonaError):
    """A webhook was refused; ``reason`` says why and nothing of what came is repeated."""

    _default_phase = Phase.ANSWERED
    advice = "Answer 400 and do nothing of what it says; check the webhook's secrets."

    def __init__(self, what: str, /, *, reason: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.reason = reason
