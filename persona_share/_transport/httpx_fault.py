"""What an exception of httpx means for a call; the faults are those of every sender."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from anyio import CancelScope

from persona_share._transport import faults
from persona_share._transport.faults import Fault
from persona_share.errors import Phase


_PROXY_LOGIN: Final = "407"
_NO_ANSWER: Final = "Server disconnected"
_NORMAL: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Progress:
    """How far an attempt got, as httpcore traces it.

    A transport that traces nothing leaves it unknown whether anything was sent.
    """

    def __init__(self, *, proxied: bool = False) -> None:
        self.traced = False
        self.connected = not proxied
        self.shaking_hands = False
        self.sent = False
        self.answered = False
        self._stream: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of an event."""
        self.traced = True
        if event.endswith("connect_tcp.complete"):
            self._stream = info.get("return_value")
        elif event.endswith("start_tls.started"):
            self.shaking_hands = True
        elif event.endswith("start_tls.complete"):
            self.shaking_hands = False
            # Until the tunnel stands, a request is for the proxy.
            self.connected = self.connected or event.startswith("proxy.")
        elif event.endswith("send_request_headers.started"):
            self.sent = self.sent or self.connected

    async def let_go(self) -> None:
        """Close what httpcore leaves open when a handshake is cancelled."""
        if self.shaking_hands and self._stream is not None:
            with CancelScope(shield=True):
                await self._stream.aclose()


def fault_of(failure: Exception, progress: Progress) -> Fault:
    """Answer what an exception means for a call that got so far (R5)."""
    names = (base.__name__ for base in type(failure).__mro__)
    found = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    if found is None:
        fault = faults.fault_of(failure)
    else:
        fault = found if isinstance(found, Fault) else found(failure, progress)
    unsent = progress.traced and not progress.sent
    if unsent and fault.phase is Phase.AMBIGUOUS:
        return _unsent(fault)
    return fault


def _unsent(fault: Fault) -> Fault:
    """Answer the fault of an attempt that broke off before the request."""
    if fault is faults.SLOW_ANSWER:
        return faults.SLOW_CONNECT
    return attrs.evolve(faults.NO_ROUTE, reason=fault.reason, retryable=fault.retryable)


def _unconnected(failure: Exception, progress: Progress) -> Fault:
    causes = tuple(_causes(failure))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return faults.BAD_CERTIFICATE
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _NORMAL):
            return faults.refined_by_system(faults.BAD_TLS, cause)
    if progress.shaking_hands:
        return faults.NO_HANDSHAKE
    if not progress.connected:
        return faults.NO_PROXY
    system = [each for each in causes if isinstance(each, OSError)]
    named = isinstance(system[-1], socket.gaierror) if system else False
    fault = faults.NO_NAME if named else faults.NO_ROUTE
    return faults.refined_by_system(fault, system[-1]) if system else fault


def _proxy_refused(failure: Exception, _: Progress) -> Fault:
    login = str(failure).startswith(_PROXY_LOGIN)
    return faults.BAD_PROXY_LOGIN if login else faults.BAD_PROXY


def _broken(_: Exception, progress: Progress) -> Fault:
    return faults.INCOMPLETE if progress.answered else faults.BROKEN


def _against_the_protocol(failure: Exception, progress: Progress) -> Fault:
    if progress.answered:
        return faults.INCOMPLETE
    silent = str(failure).startswith(_NO_ANSWER)
    return faults.DISCONNECTED if silent else faults.NOT_HTTP


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """Answer what is behind an exception, the first cause last."""
    while failure is not None:
        if isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
            continue
        yield failure
        failure = failure.__cause__ or failure.__context__


_BY_NAME: Final[Mapping[str, Fault | Callable[[Exception, Progress], Fault]]] = {
    "ConnectError": _unconnected,
    "ConnectTimeout": faults.SLOW_CONNECT,
    "InvalidURL": faults.BAD_ADDRESS,
    "NetworkError": _broken,
    "PoolTimeout": faults.NO_PLACE,
    "ProxyError": _proxy_refused,
    "ReadTimeout": faults.SILENT,
    "RemoteProtocolError": _against_the_protocol,
    "UnsupportedProtocol": faults.BAD_ADDRESS,
    "WriteTimeout": faults.SILENT,
}
