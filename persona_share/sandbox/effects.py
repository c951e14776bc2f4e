"""What faults do, and the answers they give."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any

import attrs
import orjson

from persona_share.sandbox.calls import Reply
from persona_share.sandbox.limits import over_limit_text
from persona_share.sandbox.problems import Problem


class Effect(Enum):
    """What a fault does."""

    ANSWER = "answer before the idempotency layer"
    STORED_ANSWER = "answer as a real outcome"
    LOSE_ANSWER = "act, then cut the connection"
    CUT = "cut the connection before acting"
    DELAY = "act late"
    HANG = "never get to the request"
    HANG_ACTED = "act, then never answer"
    TRUNCATE = "send half of the body"
    OVERSIZE = "send more bytes than were announced"
    FAIL_REDEMPTION = "let a redemption fail"


@attrs.define(eq=False)
class Fault:
    """One planned fault; ``times`` of None means for ever."""

    effect: Effect
    operation: str
    times: int | None = 1
    reply: Reply | None = None
    seconds: float = 0.0
    size: int = 0
    reason: str = ""


def fault_of(kind: str | int) -> Fault:
    """Answer the fault of a word, or the one that answers a status."""
    if isinstance(kind, int):
        reply = reply_of(kind, None, None, None, None)
        return Fault(Effect.ANSWER, "*", reply=reply)
    if kind == "stored_500":
        reply = reply_of(500, None, None, None, None)
        return Fault(Effect.STORED_ANSWER, "*", reply=reply)
    words = {
        "cut": Effect.CUT,
        "lose_answer": Effect.LOSE_ANSWER,
        "truncate": Effect.TRUNCATE,
        "hang": Effect.HANG,
    }
    if kind not in words:
        message = f"{kind!r} is no kind of fault"
        raise ValueError(message)
    return Fault(words[kind], "*")


def reply_of(
    status: int,
    title: str | None,
    details: str | None,
    headers: Mapping[str, str | None] | None,
    body: Any,
) -> Reply:
    """Answer a reply as a fault asks for it, in Persona's shape where it says little."""
    headers = dict(headers or {})
    if status == HTTPStatus.TOO_MANY_REQUESTS and title is None:
        details = details or over_limit_text(300)
        headers = {"RateLimit-Remaining": "0"} | headers
    if body is None:
        body = Problem(status, details or "asked for", title=title).body()
    elif isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = orjson.dumps(body)
    return Reply(status, body, headers)
