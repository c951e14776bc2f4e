"""Connect connections: offered by a source, accepted by a partner, ended by either."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, Shape, read_body
from persona_share.sandbox.calls import Call, Caller, Reply
from persona_share.sandbox.filters import CONNECTIONS
from persona_share.sandbox.making import moment
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import MANY, asked_filters, check_query
from persona_share.sandbox.reading import paged_reply
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.sharing import Connection
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import NOTHING, attributes_of


CREATE: Final[Shape] = {"data": {"attributes": {"destination-organization-id*": TEXT}}}
_FIELDS: Final = frozenset({"fields"})


def listed(state: State, call: Call) -> Reply:
    """List the caller's connections, inbound and outbound."""
    admit(state, call.caller)
    check_query(state, call, MANY, CONNECTIONS)
    tests = asked_filters(call, CONNECTIONS)
    mine = state.sharing.connections_of(call.caller)
    views = (view_of(each, call.caller) for each in mine)
    return paged_reply(state, call, views, tests)


def create(state: State, call: Call) -> Reply:
    """Offer a connection to an organization."""
    admit(state, call.caller)
    check_query(state, call, _FIELDS)
    body = read_body(call, CREATE, state.switches)
    partner = attributes_of(body).get("destination-organization-id")
    if partner is None:
        missing = "data.attributes.destination_organization_id is missing"
        raise Problem(400, missing)
    if partner not in state.organizations:
        status = state.switches.share_refusal_status
        raise Problem(status, "destination_organization_id is not found")
    mine = call.caller.organization_id
    if state.switches.one_connection_per_destination and any(
        (each.source_id, each.destination_id) == (mine, partner)
        and each.status != "inactive"
        for each in state.sharing.connections.values()
    ):
        raise Problem(409, "Resource already exists as an active resource")
    now = state.world.now()
    connection = Connection(
        id=state.world.new_id("cxn"),
        source_id=mine,
        destination_id=partner,
        creator=creator_of(call.caller),
        created_at=now,
        updated_at=now,
    )
    state.sharing.connections[connection.id] = connection
    view = view_of(connection, call.caller)
    _offer(state, connection)
    return state.rendering.one(view, call, status=201)


def retrieve(state: State, call: Call) -> Reply:
    """Answer one connection."""
    check_query(state, call, _FIELDS)
    connection = _named(state, call)
    return state.rendering.one(view_of(connection, call.caller), call)


def deactivate(state: State, call: Call) -> Reply:
    """End a connection; either organization may."""
    check_query(state, call, ())
    connection = _named(state, call)
    read_body(call, NOTHING, state.switches)
    if connection.status == "inactive":
        raise _conflict(state, "the connection is inactive already")
    return _changed(state, connection, "inactive", call)


def reactivate(state: State, call: Call) -> Reply:
    """Offer a connection once more; its source may."""
    check_query(state, call, ())
    connection = _named(state, call)
    read_body(call, NOTHING, state.switches)
    if connection.source_id != call.caller.organization_id:
        status = state.switches.not_the_source_status
        raise Problem(status, "only the source may reactivate a connection")
    if connection.status != "inactive":
        raise _conflict(state, "the connection is not inactive")
    reply = _changed(state, connection, "pending", call)
    _offer(state, connection)
    return reply


def accept(state: State, connection_id: str, at: float | None = None) -> None:
    """Let the partner accept a pending connection.

    Raises:
        ValueError: where there is none of this id that is pending.
    """
    connection = state.sharing.connections.get(connection_id)
    if connection is None or connection.status != "pending":
        message = "there is no pending connection of this id"
        raise ValueError(message)
    connection.status = "active"
    connection.updated_at = state.world.now() if at is None else at


def view_of(connection: Connection, caller: Caller) -> Record:
    """Answer a connection as an object."""
    attributes: Json = {
        "status": connection.status,
        "source-organization-id": connection.source_id,
        "destination-organization-id": connection.destination_id,
        "created-at": moment(connection.created_at),
        "updated-at": moment(connection.updated_at),
    }
    creator = {"creator": {"data": connection.creator}}
    return Record(
        connection.id,
        "connect/connection",
        attributes,
        creator,
        caller.environment,
    )


def admit(state: State, caller: Caller) -> None:
    """Refuse an access token where the switch says so."""
    if caller.token is not None and not state.switches.token_may_call_connect:
        raise Problem(403, "an access token may not call this operation")


def creator_of(caller: Caller) -> Json:
    """Answer who made something, as a relationship names it."""
    return {"type": "api-key", "id": f"api_{caller.identity}"}


def _named(state: State, call: Call) -> Connection:
    admit(state, call.caller)
    connection = state.sharing.connections.get(call.object_id or "")
    if connection is None or not connection.concerns(call.caller):
        raise Problem(404)
    return connection


def _changed(state: State, connection: Connection, status: str, call: Call) -> Reply:
    connection.status = status
    connection.updated_at = state.world.now()
    connection.offer += 1
    return state.rendering.one(view_of(connection, call.caller), call)


def _offer(state: State, connection: Connection) -> None:
    """Let a partner accept by itself, where the switch says so."""
    after, offer = state.switches.accepts_after, connection.offer
    if after is None:
        return

    def accepted(due: float) -> None:
        if connection.status == "pending" and connection.offer == offer:
            accept(state, connection.id, due)

    state.agenda.at(state.world.now() + after, accepted)


def _conflict(state: State, details: str) -> Problem:
    return Problem(state.switches.state_conflict_status, details)
