"""No usable answer came; the phase tells whether anything had been sent."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class TransportError(PersonaError):
    """No usable answer came; ``phase`` tells whether anything had been sent."""

    retryable = True
    _default_phase = Phase.AMBIGUOUS


class ConnectError(TransportError):
    """No connection could be made, so nothing was sent."""

    advice = "Check the address and the network; nothing needs to be undone."
    _default_phase = Phase.NOT_SENT


class PoolTimeoutError(ConnectError):
    """Every connection of the pool stayed busy."""

    advice = "Lower the concurrency or give the client a larger pool."


class ProxyError(ConnectError):
    """The proxy refused to connect."""

    advice = "Check the proxy's address and its credentials."


class TLSVerificationError(ConnectError):
    """The server's certificate was refused."""

    advice = "Do not retry: find out who answered. Verification cannot be switched off."
    retryable = False


class ConnectionLostError(TransportError):
    """The connection broke after bytes had been sent."""

    advice = "Read the object's state before repeating a call that changes something."


class ProtocolError(TransportError):
    """The bytes that came are not a complete HTTP answer."""

    advice = "Something between here and the service is broken."


class DeadlineExceededError(TransportError, TimeoutError):
    """The time that the caller gave was used up."""

    advice = "Give the call more time, or read the object's state before repeating it."


class OutcomeUnknownError(TransportError):
    """Sent, and nobody knows whether it took effect; ``reconcile`` says how to learn."""

    retryable = False

    def __init__(
        self,
        what: str,
        /,
        *,
        idempotency_key: str | None = None,
        reconcile: str | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(what, **facts)
        self.idempotency_key = idempotency_key
        self.reconcile = reconcile
        if reconcile and "advice" not in facts:
            self.advice: str = f"Find out with {reconcile} before you repeat it."
