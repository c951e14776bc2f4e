"""What goes with every answer: its headers, and its entry in the log."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.limits import Window, rate_headers
from persona_share.sandbox.log import Entry
from persona_share.sandbox.state import State


BANNER: Final = {"Persona-Sandbox": "persona_share"}


def headers_of(
    state: State, call: Call, reply: Reply, window: Window | None
) -> dict[str, str]:
    """Answer the headers; a 401 names neither request nor limits (its schema has none).

    What the reply itself names comes last; None takes a header away.
    """
    now = state.world.now()
    first = reply.replayed and state.switches.replay_date == "first"
    headers: dict[str, str | None] = {
        **BANNER,
        "Content-Type": reply.content_type,
        "Date": formatdate(reply.at if first else now, usegmt=True),
    }
    known = call.known_caller
    refused = reply.status == HTTPStatus.UNAUTHORIZED
    if known is not None and not refused:
        headers["Request-Id"] = _request_id(state, call, reply)
        headers["Persona-Environment-Id"] = known.named.id
        headers["Persona-Organization-Id"] = known.named.organization_id
    if refused:
        window = _shown_on_401(state, window)
    if window is not None:
        headers |= rate_headers(window, now, state.switches)
    headers |= reply.headers
    return {name: value for name, value in headers.items() if value is not None}


def entry_of(state: State, call: Call, reply: Reply | None) -> Entry:
    """Answer what the log keeps of a call: hashes where there were secrets."""
    known, key = call.known_caller, call.headers.get("Idempotency-Key")
    request_id = call.request_id if reply is None else _request_id(state, call, reply)
    return Entry(
        at=call.arrived_at,
        operation=call.operation,
        status=None if reply is None else reply.status,
        organization=known.organization_id if known else None,
        credential=known.kind if known else None,
        token=known.token.digest if known and known.token else None,
        idempotency_key=state.world.digest(key) if key else None,
        object_id=call.object_id,
        request_id=request_id or None,
        replayed=reply is not None and reply.replayed,
    )


def _request_id(state: State, call: Call, reply: Reply) -> str:
    if reply.replayed and state.switches.replay_request_id == "first":
        return reply.request_id
    return call.request_id


def _shown_on_401(state: State, window: Window | None) -> Window | None:
    if not state.switches.rate_limit_headers_on_401:
        return None
    if window is None:
        # Nobody is known; the window of the first organization has to do.
        window = next(iter(state.organizations.values())).environment.window
    return window
