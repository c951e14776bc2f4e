"""Fault: how an attempt ended without an answer, as a value.

An attempt becomes a value inside the frame that holds the credential; the error is
made of it in another frame, which holds none (T8).
"""

import errno
import socket
import ssl
from typing import Final

import attrs

from persona_share._policy.retry import NO_SUCH_NAME
from persona_share.errors import (
    Attempt,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    Phase,
    PoolTimeoutError,
    ProtocolError,
    ProxyError,
    ResponseTooLargeError,
    TLSVerificationError,
    TransportError,
)
from persona_share.model.policy import Timeouts


@attrs.frozen
class Fault:
    """Which error to raise, with which facts; it never holds an exception."""

    kind: type[TransportError] | type[ResponseTooLargeError]
    what: str
    phase: Phase
    reason: str
    retryable: bool = True
    status: int | None = None
    request_id: str | None = None

    def error(self, operation: str) -> TransportError | ResponseTooLargeError:
        """Answer the error, with this one attempt in it."""
        attempt = Attempt(self.phase, self.reason, self.status, self.request_id)
        error = self.kind(
            self.what,
            operation=operation,
            phase=self.phase,
            attempts=(attempt,),
            status=self.status,
            request_id=self.request_id,
        )
        error.retryable = self.retryable
        return error


def _unsent(
    kind: type[ConnectError], what: str, reason: str, *, retryable: bool = True
) -> Fault:
    return Fault(kind, what, Phase.NOT_SENT, reason, retryable)


def _lost(
    kind: type[TransportError], what: str, reason: str, *, retryable: bool = True
) -> Fault:
    return Fault(kind, what, Phase.AMBIGUOUS, reason, retryable)


_PROXY_LOGIN: Final = 407
_LATE = DeadlineExceededError
NO_TIME_LEFT: Final = Fault(
    _LATE, "no time was left to send it", Phase.NOT_SENT, "deadline", retryable=False
)
_NO_TIME_TO_CONNECT: Final = Fault(
    _LATE,
    "the time was up before there was a connection",
    Phase.NOT_SENT,
    "deadline",
    retryable=False,
)
_NO_TIME_TO_ANSWER: Final = _lost(
    _LATE, "the time was up before the answer came", "deadline", retryable=False
)
SLOW_CONNECT: Final = _unsent(
    ConnectError, "no connection was made in time", "connect timeout"
)
SLOW_ANSWER: Final = _lost(
    ConnectionLostError, "the answer took longer than an attempt may", "timeout"
)
UNWANTED: Final = _lost(
    ConnectionLostError,
    "the caller did not take the rest of the body",
    "not taken",
    retryable=False,
)
NO_PLACE: Final = _unsent(
    PoolTimeoutError, "every connection of the pool stayed busy", "pool"
)
NO_ROUTE: Final = _unsent(ConnectError, "no connection could be made", "connect")
NO_HANDSHAKE: Final = _unsent(ConnectError, "the TLS handshake was cut off", "tls")
BAD_TLS: Final = _unsent(
    ConnectError, "the TLS handshake failed", "tls", retryable=False
)
BAD_CERTIFICATE: Final = _unsent(
    TLSVerificationError,
    "the server's certificate was refused",
    "certificate",
    retryable=False,
)
NO_NAME: Final = _unsent(
    ConnectError, "the server's name could not be looked up", "dns"
)
BAD_ADDRESS: Final = _unsent(
    ConnectError, "the address cannot be used", "url", retryable=False
)
NO_PROXY: Final = _unsent(
    ProxyError, "no connection to the proxy could be made", "proxy"
)
BAD_PROXY: Final = _unsent(ProxyError, "the proxy refused", "proxy")
BAD_PROXY_LOGIN: Final = _unsent(
    ProxyError, "the proxy asks for other credentials", "proxy 407", retryable=False
)
BROKEN: Final = _lost(ConnectionLostError, "the connection broke", "connection lost")
INCOMPLETE: Final = _lost(
    ProtocolError, "the body came incomplete or garbled", "incomplete"
)
DISCONNECTED: Final = _lost(
    ConnectionLostError, "the server closed the connection", "disconnected"
)
SILENT: Final = _lost(ConnectionLostError, "the server fell silent", "read timeout")
NOT_HTTP: Final = _lost(
    ProtocolError, "the answer is not HTTP", "not http", retryable=False
)

# The fault of each exception class by its name: the most specific name in the class's
# own order of resolution counts, so that what may not be repeated comes first (R5).
_BY_NAME: Final = {
    "BodyUndecodableError": _lost(
        ProtocolError, "the body could not be decoded", "undecodable"
    ),
    "ClientConnectionResetError": BROKEN,
    "ClientConnectorCertificateError": BAD_CERTIFICATE,
    "ClientConnectorDNSError": NO_NAME,
    "ClientConnectorError": NO_ROUTE,
    "ClientConnectorSSLError": BAD_TLS,
    "ClientHttpProxyError": BAD_PROXY,
    "ClientOSError": BROKEN,
    "ClientPayloadError": INCOMPLETE,
    "ClientProxyConnectionError": NO_PROXY,
    "ClientResponseError": NOT_HTTP,
    "ClientSSLError": BAD_TLS,
    "ConnectionTimeoutError": SLOW_CONNECT,
    "InvalidURL": BAD_ADDRESS,
    "OSError": BROKEN,
    "ServerDisconnectedError": DISCONNECTED,
    "ServerFingerprintMismatch": BAD_CERTIFICATE,
    "SocketTimeoutError": SILENT,
    "TimeoutError": SLOW_ANSWER,
    "UnknownCodingError": _lost(
        ProtocolError,
        "the body has a coding nobody asked for",
        "coding",
        retryable=False,
    ),
}


def fault_of(failure: Exception) -> Fault:
    """Answer what an exception of the HTTP library means for the call (R5)."""
    names = (base.__name__ for base in type(failure).__mro__)
    found = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    if found is None:  # unknown: perhaps sent, and nothing is known to help
        return _lost(
            TransportError,
            "the attempt failed in an unknown way",
            type(failure).__name__,
            retryable=False,
        )
    return _refined(found, getattr(failure, "os_error", failure), failure)


def _refined(fault: Fault, cause: BaseException, failure: Exception) -> Fault:
    """Answer a fault made more exact by what else the exception knows."""
    if isinstance(cause, OSError):
        return refined_by_system(fault, cause)
    if fault is NOT_HTTP and "chunk" in getattr(failure, "message", ""):
        return INCOMPLETE  # only the body was garbled, which came with the head
    if fault is BAD_PROXY and getattr(failure, "status", None) == _PROXY_LOGIN:
        return BAD_PROXY_LOGIN
    return fault


def refined_by_system(fault: Fault, cause: OSError) -> Fault:
    """Answer a fault made more exact by the operating system's own error."""
    number = cause.errno
    if number in (errno.EMFILE, errno.ENFILE):
        return attrs.evolve(NO_ROUTE, reason="too many open files")
    if fault is BAD_TLS and isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return NO_HANDSHAKE
    if isinstance(cause, socket.gaierror) and number == socket.EAI_NONAME:
        return attrs.evolve(fault, reason=NO_SUCH_NAME)
    if fault is NO_ROUTE and number is not None and number in errno.errorcode:
        return attrs.evolve(fault, reason=f"connect {errno.errorcode[number]}")
    return fault


def by_deadline(fault: Fault, left: float, timeouts: Timeouts) -> Fault:
    """Answer the fault of an attempt that had less time than an attempt may take."""
    if fault is SLOW_ANSWER:
        return _NO_TIME_TO_ANSWER
    if fault is SLOW_CONNECT and left <= timeouts.connect:
        return _NO_TIME_TO_CONNECT
    return fault


def too_large(status: int, request_id: str | None) -> Fault:
    """Answer the fault of a body over its cap."""
    return Fault(
        ResponseTooLargeError,
        "the body is larger than anything that was asked for",
        Phase.ANSWERED,
        "too large",
        retryable=False,
        status=status,
        request_id=request_id,
    )
