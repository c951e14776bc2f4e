"""AttemptFailure: an attempt without a usable response, as a value.

The frame that holds the credential returns a value; the error is raised from another
frame, which holds none, so no traceback shows the credential.
"""

import errno
import socket
import ssl
from typing import Final

import attrs

from persona_share._policy.retry import NO_SUCH_NAME
from persona_share._protocol.redaction import escaped
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


@attrs.frozen
class FailureKind:
    """A kind of failure: the error that it raises, and its attributes.

    ``what`` may contain ``{peer}``, the host and port of the other side.
    """

    error: type[TransportError] | type[ResponseTooLargeError]
    what: str
    phase: Phase
    reason: str
    retryable: bool = True

    def at(self, peer: str) -> "AttemptFailure":
        """Return this failure of an attempt to reach a peer."""
        return AttemptFailure(
            self.error,
            self.what.format(peer=peer),
            self.phase,
            self.reason,
            self.retryable,
        )


@attrs.frozen
class AttemptFailure:
    """The failure of one attempt; it never holds an exception of a library."""

    error: type[TransportError] | type[ResponseTooLargeError]
    what: str
    phase: Phase
    reason: str
    retryable: bool = True
    status: int | None = None
    request_id: str | None = None

    def as_error(self, operation: str) -> TransportError | ResponseTooLargeError:
        """Return the error, with this one attempt in it."""
        attempt = Attempt(self.phase, self.reason, self.status, self.request_id)
        error = self.error(
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
    error: type[TransportError], what: str, reason: str, *, retryable: bool = True
) -> FailureKind:
    return FailureKind(error, what, Phase.NOT_SENT, reason, retryable)


def _lost(
    error: type[TransportError], what: str, reason: str, *, retryable: bool = True
) -> FailureKind:
    return FailureKind(error, what, Phase.AMBIGUOUS, reason, retryable)


NO_TIME_LEFT: Final = _unsent(
    DeadlineExceededError,
    "the deadline passed before the request was sent",
    "deadline",
    retryable=False,
)
NO_TIME_TO_CONNECT: Final = _unsent(
    DeadlineExceededError,
    "the deadline passed before there was a connection to {peer}",
    "deadline",
    retryable=False,
)
DEADLINE_TOO_SHORT: Final = _lost(
    DeadlineExceededError,
    "the deadline passed before {peer} responded",
    "deadline",
    retryable=False,
)
SLOW_CONNECT: Final = _unsent(
    ConnectError, "connecting to {peer} timed out", "connect timeout"
)
SLOW_RESPONSE: Final = _lost(
    ConnectionLostError,
    "the response of {peer} took longer than one attempt may take",
    "timeout",
)
UNWANTED: Final = _lost(
    ConnectionLostError,
    "the caller did not read the rest of the body",
    "not read",
    retryable=False,
)
POOL_BUSY: Final = _unsent(
    PoolTimeoutError, "all connections of the pool stayed busy", "pool"
)
NO_ROUTE: Final = _unsent(ConnectError, "no connection to {peer}", "connect")
HANDSHAKE_CUT: Final = _unsent(
    ConnectError, "{peer} closed the connection during the TLS handshake", "tls"
)
BAD_TLS: Final = _unsent(
    ConnectError, "the TLS handshake with {peer} failed", "tls", retryable=False
)
BAD_CERTIFICATE: Final = _unsent(
    TLSVerificationError,
    "the certificate of {peer} is not trusted",
    "certificate",
    retryable=False,
)
NO_NAME: Final = _unsent(
    ConnectError, "the host name of {peer} could not be resolved", "dns"
)
BAD_ADDRESS: Final = _unsent(
    ConnectError, "the address of {peer} cannot be used", "url", retryable=False
)
NO_PROXY: Final = _unsent(ProxyError, "no connection to the proxy {peer}", "proxy")
BAD_PROXY: Final = _unsent(ProxyError, "the proxy {peer} refused to connect", "proxy")
BAD_PROXY_LOGIN: Final = _unsent(
    ProxyError,
    "the proxy {peer} requires other credentials",
    "proxy 407",
    retryable=False,
)
BROKEN: Final = _lost(
    ConnectionLostError, "the connection to {peer} was lost", "connection lost"
)
INCOMPLETE: Final = _lost(
    ProtocolError, "the body from {peer} is incomplete or malformed", "incomplete"
)
DISCONNECTED: Final = _lost(
    ConnectionLostError,
    "{peer} closed the connection before it responded",
    "disconnected",
)
CLOSED: Final = _lost(
    ConnectionLostError,
    "the client was closed before {peer} responded",
    "client closed",
    retryable=False,
)
SILENT: Final = _lost(ConnectionLostError, "{peer} stopped sending", "read timeout")
NOT_HTTP: Final = _lost(
    ProtocolError, "the response of {peer} is not HTTP", "not http", retryable=False
)
_PROXY_KINDS: Final = (NO_PROXY, BAD_PROXY, BAD_PROXY_LOGIN)

# The failure for each class of exception, by name. The most specific name in the
# class's own order of resolution counts, so a subclass that must not be retried wins
# over its retryable base.
_BY_NAME: Final = {
    "BodyDecodingError": _lost(
        ProtocolError, "the body from {peer} could not be decoded", "undecodable"
    ),
    "ClientConnectionError": BROKEN,
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
    "TimeoutError": SLOW_RESPONSE,
    "TooManyInformationalError": _lost(
        ProtocolError,
        "{peer} sent more than 100 informational responses",
        "informational",
        retryable=False,
    ),
    "UnrequestedDataError": _unsent(
        ConnectError, "{peer} sent data before the request", "unrequested data"
    ),
    "UnsupportedEncodingError": _lost(
        ProtocolError,
        "the body from {peer} has a content encoding that was not requested",
        "coding",
        retryable=False,
    ),
}

# Messages for the operating system's errors about a failed connection.
_CONNECT_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused by {peer}",
    errno.ECONNRESET: "connection reset by {peer}",
    errno.EHOSTUNREACH: "no route to {peer}",
    errno.ENETUNREACH: "the network of {peer} is unreachable",
    errno.ETIMEDOUT: "connecting to {peer} timed out",
}
_TOO_MANY_FILES: Final = attrs.evolve(
    NO_ROUTE,
    what="no connection to {peer}: this process has too many open files",
    reason="too many open files",
)
_PROXY_LOGIN_NEEDED: Final = 407
_MAX_REASON: Final = 100


def kind_of(failure: Exception) -> FailureKind:
    """Return what an exception of the HTTP library means for the call."""
    names = (base.__name__ for base in type(failure).__mro__)
    found = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    if found is None:  # perhaps sent, and a retry is not known to help
        return _lost(
            TransportError,
            "the attempt failed with an unexpected error",
            type(failure).__name__,
            retryable=False,
        )
    cause = getattr(failure, "os_error", failure)
    if isinstance(cause, OSError):
        return _refined(found, cause)
    if found is NOT_HTTP and "chunk" in getattr(failure, "message", ""):
        return INCOMPLETE  # the head was well formed; only the body was not
    if found is BAD_PROXY and getattr(failure, "status", None) == _PROXY_LOGIN_NEEDED:
        return BAD_PROXY_LOGIN
    return found


def failure_of(
    failure: Exception, peer: str, proxy: str = "", *, closed: bool = False
) -> AttemptFailure:
    """Return how an attempt failed, naming the peer, or the proxy where it failed.

    ``closed``: the client was closed while the attempt ran.
    """
    kind = CLOSED if closed else kind_of(failure)
    at_proxy = proxy and (kind in _PROXY_KINDS or kind.error is ProxyError)
    return kind.at(proxy if at_proxy else peer)


def _refined(kind: FailureKind, cause: OSError) -> FailureKind:
    """Return a kind made more exact by the operating system's own error."""
    number = cause.errno
    if number is None and isinstance(cause, ConnectionResetError):
        number = errno.ECONNRESET
    if number in (errno.EMFILE, errno.ENFILE):
        return _TOO_MANY_FILES
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = escaped(getattr(cause, "verify_message", "") or "", _MAX_REASON)
        reason = reason.replace("{", "(").replace("}", ")")
        what = f"{BAD_CERTIFICATE.what}{reason and f' ({reason})'}"
        return attrs.evolve(BAD_CERTIFICATE, what=what)
    if isinstance(cause, ssl.SSLError) and kind.phase is Phase.NOT_SENT:
        cut = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return HANDSHAKE_CUT if cut else BAD_TLS
    if isinstance(cause, socket.gaierror):
        unknown = number == socket.EAI_NONAME
        return attrs.evolve(kind, reason=NO_SUCH_NAME) if unknown else kind
    if (
        number is None
        or kind not in (NO_ROUTE, NO_PROXY)
        or number not in errno.errorcode
    ):
        return kind
    what = _CONNECT_WORDS.get(number, kind.what)
    if kind is NO_PROXY and number in _CONNECT_WORDS:
        what = what.replace("{peer}", "the proxy {peer}")
    return attrs.evolve(
        kind,
        what=what,
        reason=f"connect {errno.errorcode[number]}",
    )


def by_deadline(
    failure: AttemptFailure, peer: str, *, connecting: bool
) -> AttemptFailure:
    """Return the failure of an attempt whose time the deadline had cut short.

    ``connecting``: the deadline left less time than the connect timeout.
    """
    if failure.reason == SLOW_RESPONSE.reason:
        return DEADLINE_TOO_SHORT.at(peer)
    if failure.reason == SLOW_CONNECT.reason and connecting:
        return NO_TIME_TO_CONNECT.at(peer)
    return failure


def too_large(status: int, request_id: str | None) -> AttemptFailure:
    """Return the failure for a body over its cap."""
    return AttemptFailure(
        ResponseTooLargeError,
        "the body is larger than the limit for this response",
        Phase.ANSWERED,
        "too large",
        retryable=False,
        status=status,
        request_id=request_id,
    )
