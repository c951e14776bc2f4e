"""Errors of the transport: no usable response arrived."""

from typing import Any

from persona_share.errors.base import PersonaError, Phase


class TransportError(PersonaError):
    """No usable response arrived; ``phase`` says whether anything was sent."""

    retryable = True
    _default_phase = Phase.AMBIGUOUS


class ConnectError(TransportError):
    """No connection could be established, so nothing was sent."""

    advice = "Check base_url and the network, then call again."
    _default_phase = Phase.NOT_SENT


class PoolTimeoutError(ConnectError):
    """All connections of the pool were busy for too long."""

    advice = "Lower the concurrency, or give the client a larger pool."


class ProxyError(ConnectError):
    """The proxy refused the connection."""

    advice = "Check the URL and the credentials of the proxy."


class TLSVerificationError(ConnectError):
    """The certificate of the server cannot be verified."""

    advice = "Find out which server responded; pass ssl_context= for an authority of your own."
    retryable = False


class ConnectionLostError(TransportError):
    """The connection was lost after bytes were sent."""

    advice = "Read the state of the object before you repeat a call that changes it."


class ProtocolError(TransportError):
    """The bytes that arrived are not a complete HTTP response."""

    advice = "Check proxies and gateways on the way to the service."


class DeadlineExceededError(TransportError, TimeoutError):
    """The time limit of the call was reached."""

    advice = (
        "Raise timeout=, and read the state of the object before you repeat a change."
    )


class OutcomeUnknownError(TransportError):
    """A change was sent and may have taken effect; ``reconcile`` says how to find out."""

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
