"""What every sender puts on the wire, and how it reads what comes back.

A sender shows the answer of its library as `Incoming`; from there on all are alike.
"""

import io
from collections.abc import Awaitable
from functools import cache
from importlib import import_module
from typing import Final, Protocol

from persona_share._protocol.body import ERROR_CAP, BodyTooLargeError, Intake
from persona_share._protocol.http import Request, Response, Sink
from persona_share._protocol.redaction import shown_id
from persona_share._transport.faults import UNWANTED, Fault, too_large
from persona_share.model.secret import MaskedText


_LARGE: Final = 1024 * 1024


class Incoming(Protocol):
    """An answer whose head is there; ``headers`` has lower-case names."""

    status: int
    headers: dict[str, str]

    def at_eof(self) -> bool:
        """Answer whether it is known that nothing follows."""
        ...

    async def read(self) -> bytes:
        """Answer the next piece as it came, and no bytes at the end."""
        ...

    def close(self) -> None:
        """Give the rest up, with its connection; nothing is drained."""
        ...


def body_of(request: Request) -> bytes | io.BytesIO | None:
    """Answer the body so that a large one is sent in pieces, and without a warning."""
    body = request.body
    if body is None or len(body) <= _LARGE:
        return body
    return io.BytesIO(body)


def own_headers() -> dict[str, str]:
    """Answer the headers that every request of a sender carries."""
    return {"User-Agent": _user_agent(), "Accept-Encoding": "gzip"}


def headers_of(request: Request) -> dict[str, str]:
    """Answer the headers that a request has beside its own, the credential first."""
    headers: dict[str, str] = {}
    if request.authorization is not None:
        headers["Authorization"] = request.authorization
    if request.idempotency_key is not None:
        headers["Idempotency-Key"] = MaskedText(request.idempotency_key.reveal())
    if request.content_type is not None:
        headers["Content-Type"] = request.content_type
    return headers


async def read(request: Request, answer: Incoming, started: float) -> Response | Fault:
    """Answer the complete response, reading no more of it than anybody needs."""
    status, headers = answer.status, answer.headers
    headers.pop("set-cookie", None)  # nobody here keeps cookies (T6)
    if 300 <= status < 400:  # noqa: PLR2004 — never followed, so never read either
        answer.close()
        return Response(status=status, headers=headers, first_sent_at=started)
    success = 200 <= status < 300  # noqa: PLR2004 — 101 is none
    if success and request.sink is not None:
        return await _pour(request.sink, answer, started)
    cap = request.expects.cap if success else ERROR_CAP
    coding = headers.get("content-encoding", "")
    piece = await answer.read()
    if not coding and answer.at_eof() and len(piece) <= cap:  # as most answers come
        return Response(
            status=status,
            headers=headers,
            body=piece,
            first_sent_at=started,
            credential=request.authorization,
        )
    intake = Intake(cap, coding)
    try:
        body = await _whole(intake, piece, answer)
    except BodyTooLargeError:
        answer.close()  # never drained
        if success:
            return too_large(status, shown_id(headers.get("request-id")))
        body = intake.head  # an error is an error, however much it says
    return Response(
        status=status,
        headers=headers,
        body=body,
        first_sent_at=started,
        credential=request.authorization,
    )


async def _whole(intake: Intake, piece: bytes, answer: Incoming) -> bytes:
    """Answer a whole body that begins with this piece."""
    while piece:
        intake.feed(piece)
        piece = b"" if answer.at_eof() else await answer.read()
    return intake.end()


async def _pour(sink: Sink, answer: Incoming, started: float) -> Response | Fault:
    """Answer a response without its body, which went into a sink as it came."""
    status, headers = answer.status, answer.headers
    intake = Intake(sink.cap, headers.get("content-encoding", ""))
    try:
        if not await _taken(sink.begin(headers)):
            return _unwanted(answer)
        while piece := await answer.read():
            intake.feed(piece)
            if not await _taken(sink.write(intake.drain())):
                return _unwanted(answer)
        if not await _taken(sink.write(intake.end())):
            return _unwanted(answer)
    except BodyTooLargeError:
        answer.close()  # never drained
        return too_large(status, shown_id(headers.get("request-id")))
    return Response(status=status, headers=headers, first_sent_at=started)


async def _taken(step: Awaitable[None]) -> bool:
    """Answer whether a sink took what it was given; why not, its maker knows."""
    try:
        await step
    except Exception:  # noqa: BLE001 — a full disk must not look like a lost connection
        return False
    return True


def _unwanted(answer: Incoming) -> Fault:
    answer.close()
    return UNWANTED


@cache
def _user_agent() -> str:
    metadata = import_module("importlib.metadata")  # slow to import, wanted once
    try:
        return f"persona_share/{metadata.version('persona-share')}"
    except metadata.PackageNotFoundError:  # run from a checkout
        return "persona_share/0"
