"""The mapping of aiohttp's exceptions to failures."""

import builtins
import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from persona_share._policy.retry import NO_SUCH_NAME
from persona_share._protocol import body
from persona_share._transport import http
from persona_share._transport.failures import _BY_NAME, failure_of, kind_of
from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    Phase,
    ProtocolError,
    ProxyError,
    TLSVerificationError,
    TransportError,
)


LINE = ConnectionKey("api.example", 443, True, True, None, None, None)
INFO = aiohttp.RequestInfo("http://x/", "GET", {"Authorization": "CANARY"}, "http://x/")


def connector(kind, cause):
    return kind(LINE, cause)


@pytest.mark.parametrize("name", sorted(_BY_NAME))
def test_every_name_of_the_table_is_the_name_of_an_exception(name):
    known = [getattr(home, name, None) for home in (aiohttp, body, http, builtins)]
    assert any(isinstance(each, type) for each in known)


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
DNS = aiohttp.ClientConnectorDNSError

CASES = [
    # Exceptions that forbid a retry come first: they are subclasses of retryable ones.
    (
        connector(aiohttp.ClientConnectorCertificateError, CERTIFICATE),
        (TLSVerificationError, Phase.NOT_SENT, False),
    ),
    (
        connector(aiohttp.ClientConnectorSSLError, ssl.SSLError(1, "protocol")),
        (ConnectError, Phase.NOT_SENT, False),
    ),
    (
        connector(aiohttp.ClientConnectorSSLError, ssl.SSLEOFError(8, "eof")),
        (ConnectError, Phase.NOT_SENT, True),
    ),
    (
        aiohttp.ServerFingerprintMismatch(b"a", b"b", "x", 1),
        (TLSVerificationError, Phase.NOT_SENT, False),
    ),
    (aiohttp.InvalidURL("x"), (ConnectError, Phase.NOT_SENT, False)),
    # Nothing was sent.
    (connector(DNS, OSError(None, "x")), (ConnectError, Phase.NOT_SENT, True)),
    (
        connector(aiohttp.ClientConnectorError, OSError(111, "x")),
        (ConnectError, Phase.NOT_SENT, True),
    ),
    (
        connector(aiohttp.ClientProxyConnectionError, OSError(111, "x")),
        (ProxyError, Phase.NOT_SENT, True),
    ),
    (
        aiohttp.ClientHttpProxyError(INFO, (), status=503),
        (ProxyError, Phase.NOT_SENT, True),
    ),
    (
        aiohttp.ClientHttpProxyError(INFO, (), status=407),
        (ProxyError, Phase.NOT_SENT, False),
    ),
    (aiohttp.ConnectionTimeoutError(), (ConnectError, Phase.NOT_SENT, True)),
    (OSError(errno.EMFILE, "x"), (ConnectError, Phase.NOT_SENT, True)),
    (aiohttp.ClientOSError(errno.ENFILE, "x"), (ConnectError, Phase.NOT_SENT, True)),
    # Perhaps it was.
    (aiohttp.ServerDisconnectedError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (
        aiohttp.ClientOSError(errno.EPIPE, "x"),
        (ConnectionLostError, Phase.AMBIGUOUS, True),
    ),
    (
        aiohttp.ClientConnectionResetError(),
        (ConnectionLostError, Phase.AMBIGUOUS, True),
    ),
    (http.DeleteLostError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (aiohttp.ClientConnectionError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (ConnectionResetError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (aiohttp.SocketTimeoutError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (TimeoutError(), (ConnectionLostError, Phase.AMBIGUOUS, True)),
    (aiohttp.ClientPayloadError(), (ProtocolError, Phase.AMBIGUOUS, True)),
    (aiohttp.ClientResponseError(INFO, ()), (ProtocolError, Phase.AMBIGUOUS, False)),
    (body.BodyDecodingError(), (ProtocolError, Phase.AMBIGUOUS, True)),
    (body.UnsupportedEncodingError(), (ProtocolError, Phase.AMBIGUOUS, False)),
    # Unknown: perhaps sent, and never repeated.
    (aiohttp.ClientError("CANARY"), (TransportError, Phase.AMBIGUOUS, False)),
    (RuntimeError("CANARY"), (TransportError, Phase.AMBIGUOUS, False)),
]


@pytest.mark.parametrize(
    ("failure", "expected"),
    CASES,
    ids=[f"{number} {type(case[0]).__name__}" for number, case in enumerate(CASES)],
)
def test_each_exception_has_its_error_its_phase_and_whether_it_may_be_repeated(
    failure, expected
):
    found = kind_of(failure)
    assert (found.error, found.phase, found.retryable) == expected
    assert "CANARY" not in str(failure_of(failure, "host:1").as_error("GET /x"))


def test_f3_missing_name_and_failing_name_server_raise_different_errors():
    unknown = socket.gaierror(socket.EAI_NONAME, "x")
    failing = socket.gaierror(socket.EAI_AGAIN, "x")
    assert kind_of(connector(DNS, unknown)).reason == NO_SUCH_NAME
    assert kind_of(connector(DNS, failing)).reason == "dns"


def test_error_has_one_attempt_with_the_same_reason():
    error = failure_of(TimeoutError(), "host:1").as_error("GET /x")
    assert error.phase is error.attempts[0].phase
    assert [attempt.reason for attempt in error.attempts] == ["timeout"]
