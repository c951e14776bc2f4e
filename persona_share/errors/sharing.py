"""Errors of share tokens and of webhooks."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class SharingError(PersonaError):
    """A share token was not redeemed; ``share_token_id`` says which one."""

    _default_phase = Phase.ANSWERED

    def __init__(
        self, what: str, /, *, share_token_id: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.share_token_id = share_token_id


class RedemptionFailedError(SharingError):
    """The redemption failed; ``reason`` is the reason that the service gives, or None."""

    advice = "Ask the source organization for a new share token."

    def __init__(
        self, what: str, /, *, reason: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.reason = reason


class RedemptionPendingError(SharingError, TimeoutError):
    """The redemption was not decided in time; ``last_status`` is the last status seen."""

    advice = "Call wait() again; the redemption continues in the background."
    retryable = True

    def __init__(
        self, what: str, /, *, last_status: str | None = None, **facts: Any
    ) -> None:
        super().__init__(what, **facts)
        self.last_status = last_status


class ShareTokenExpiredError(SharingError):
    """The share token expired before it was redeemed."""

    advice = "Ask the source organization for a new share token."


class SignatureError(PersonaError):
    """A delivery was refused; ``reason`` says why, without quoting the delivery."""

    _default_phase = Phase.ANSWERED
    advice = (
        "Respond with 400 and ignore the delivery; check the secrets of the webhook."
    )

    def __init__(self, what: str, /, *, reason: str, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.reason = reason


class DeliveryInProgressError(PersonaError):
    """A webhook's event is being handled by another request or process."""

    retryable = True
    _default_phase = Phase.ANSWERED
    advice = "Answer 503 with Retry-After; the service delivers the event again."
