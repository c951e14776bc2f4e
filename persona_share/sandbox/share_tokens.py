"""Share tokens: made by the source, seen by both, redeemed by the destination."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, WHOLE, Shape, read_body
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.filters import SHARE_TOKENS
from persona_share.sandbox.includes import check_include
from persona_share.sandbox.partners import admit, creator_of
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import MANY, ONE, asked_filters, check_query
from persona_share.sandbox.reading import paged_reply
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.share_view import events_of, view_of
from persona_share.sandbox.sharing import Connection, ShareToken
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import NOTHING, attributes_of


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            "connection-id*": TEXT,
            "source-id*": TEXT,
            "expires-in-seconds": WHOLE,
        }
    }
}
#: The body of the closed beta.
CREATE_BY_BRIDGE: Final[Shape] = {
    "data*": {"attributes*": {"bridge-id*": TEXT, "source-id*": TEXT}}
}
SHORTEST, LONGEST, DEFAULT = 60, 21 * 86_400, 14 * 86_400
_FAMILIES: Final = ("inquiry", "account", "transaction", "verification")


def listed(state: State, call: Call) -> Reply:
    """List the share tokens that the caller gives and gets."""
    admit(state, call.caller)
    check_query(state, call, MANY, SHARE_TOKENS)
    tests = asked_filters(call, SHARE_TOKENS)
    mine = state.sharing.share_tokens_of(call.caller)
    views = (view_of(state, each, call.caller) for each in mine)
    return paged_reply(state, call, views, tests)


def create(state: State, call: Call) -> Reply:
    """Make a share token of one object for the partner of a connection."""
    admit(state, call.caller)
    check_query(state, call, ONE)
    check_include(call, "connect")
    closed_beta = state.switches.share_shape == "closed_beta"
    shape = CREATE_BY_BRIDGE if closed_beta else CREATE
    given = attributes_of(read_body(call, shape, state.switches))
    connection = _connection(state, call, given)
    source = _source(state, call, given["source-id"])
    seconds = given.get("expires-in-seconds", 86_400 if closed_beta else DEFAULT)
    if not SHORTEST <= seconds <= LONGEST:
        limits = f"must be between {SHORTEST} and {LONGEST}"
        raise _refusal(state, f"data.attributes.expires_in_seconds {limits}")
    now = state.world.now()
    token = ShareToken(
        id=state.world.new_id("cnst"),
        connection=connection,
        source=source,
        creator=creator_of(call.caller),
        created_at=now,
        updated_at=now,
        expires_at=now + seconds,
    )
    state.sharing.share_tokens[token.id] = token
    state.agenda.at(token.expires_at, lambda due: _expire_at(token, due))
    events_of(state, token, "created", now)
    view = view_of(state, token, call.caller)
    return state.rendering.one(view, call, status=201)


def retrieve(state: State, call: Call) -> Reply:
    """Answer one share token, with a look at its source where that is allowed."""
    check_query(state, call, {*ONE, "peek-source-data"})
    check_include(call, "connect")
    token = named(state, call)
    peek = dict(call.query).get("peek-source-data", "false")
    if peek not in {"true", "false"}:
        raise Problem(400, "peek_source_data must be true or false")
    view = view_of(state, token, call.caller, peek=peek == "true")
    return state.rendering.one(view, call)


def expire(state: State, call: Call) -> Reply:
    """End a share token before its time."""
    check_query(state, call, ONE)
    check_include(call, "connect")
    token = named(state, call)
    read_body(call, NOTHING, state.switches)
    either = state.switches.expires_by == "either"
    if not either and not token.from_(call.caller):
        status = state.switches.not_the_source_status
        raise Problem(status, "only the source may expire a share token")
    if token.status != "created":
        raise conflict(state, token)
    _expire_at(token, state.world.now())
    return state.rendering.one(view_of(state, token, call.caller), call)


def named(state: State, call: Call) -> ShareToken:
    """Answer the share token that the path names.

    Raises:
        Problem: 404 where the caller sees none of this id.
    """
    admit(state, call.caller)
    token = state.sharing.share_tokens.get(call.object_id or "")
    if token is None or not token.seen_by(call.caller):
        raise Problem(404)
    return token


def conflict(state: State, token: ShareToken) -> Problem:
    """Answer the refusal of what the state of a share token does not allow."""
    status = state.switches.share_conflict_status
    return Problem(status, f"the share token is {token.status}")


def _expire_at(token: ShareToken, due: float) -> None:
    if token.status == "created":
        token.status, token.updated_at, token.expires_at = "expired", due, due


def _connection(state: State, call: Call, given: Json) -> Connection:
    connection_id: str = given.get("connection-id") or given.get("bridge-id") or ""
    connection = state.sharing.connections.get(connection_id)
    if connection is None or connection.source_id != call.caller.organization_id:
        raise _refusal(state, "data.attributes.connection_id is not found")
    pending = connection.status == "pending" and state.switches.shares_on_pending
    if connection.status != "active" and not pending:
        raise _refusal(state, f"the connection is {connection.status}")
    return connection


def _source(state: State, call: Call, source_id: str) -> Record:
    for family in _FAMILIES:
        source = state.records.owned(family, source_id, call.caller.environment)
        if source is not None:
            return source
    raise _refusal(state, "data.attributes.source_id is not found")


def _refusal(state: State, details: str) -> Problem:
    return Problem(state.switches.share_refusal_status, details)
