"""Connect connections: created by a source, accepted by a partner, deactivated by either."""

from typing import Final

from persona_share.sandbox.jsonapi.body import STRING, Shape, read_body
from persona_share.sandbox.jsonapi.objects import timestamp
from persona_share.sandbox.jsonapi.operations import (
    NOTHING,
    Operation,
    Routes,
    attributes_of,
)
from persona_share.sandbox.jsonapi.read import (
    MANY,
    Filters,
    check_query,
    is_one_of,
    paged_response,
    requested_filters,
)
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import Organization
from persona_share.sandbox.state.records import ARCHIVED, Connection, Json, Record
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import State


CREATE: Final[Shape] = {
    "data": {"attributes": {"destination-organization-id*": STRING}}
}
_FIELDS: Final = frozenset({"fields"})


def list_connections(state: State, request: Request) -> Response:
    """List the caller's connections, inbound and outbound."""
    require_connect_access(state, request.caller)
    check_query(state, request, MANY, FILTERS)
    tests = requested_filters(request, FILTERS)
    connections = state.sharing.connections_of(request.caller)
    views = (view_of(each, request.caller) for each in connections)
    return paged_response(state, request, views, tests)


def create(state: State, request: Request) -> Response:
    """Offer a connection to an organization."""
    require_connect_access(state, request.caller)
    check_query(state, request, _FIELDS)
    body = read_body(request, CREATE, state.switches)
    partner = attributes_of(body).get("destination-organization-id")
    if partner is None:
        missing = "data.attributes.destination_organization_id is missing"
        raise ApiError(400, missing)
    if partner not in state.organizations:
        status = state.switches.share_refusal_status
        raise ApiError(status, "destination_organization_id is not found")
    organization_id = request.caller.organization_id
    if state.switches.one_connection_per_destination and any(
        (each.source_id, each.destination_id) == (organization_id, partner)
        and each.status not in {"inactive", ARCHIVED}
        for each in state.sharing.connections.values()
    ):
        raise ApiError(409, "Resource already exists as an active resource")
    now = state.runtime.now()
    connection = Connection(
        id=state.runtime.new_id("cxn"),
        source_id=organization_id,
        destination_id=partner,
        creator=creator_relationship(request.caller),
        created_at=now,
        updated_at=now,
    )
    state.sharing.add_connection(connection)
    view = view_of(connection, request.caller)
    _schedule_acceptance(state, connection)
    return render_one(state, view, request, status=201)


def retrieve(state: State, request: Request) -> Response:
    """Return one connection."""
    check_query(state, request, _FIELDS)
    connection = _requested_connection(state, request)
    return render_one(state, view_of(connection, request.caller), request)


def deactivate(state: State, request: Request) -> Response:
    """Deactivate a connection; either organization may."""
    check_query(state, request, ())
    connection = _requested_connection(state, request)
    read_body(request, NOTHING, state.switches)
    if connection.status == "inactive":
        raise _conflict(state, "the connection is inactive already")
    return _changed(state, connection, "inactive", request)


def reactivate(state: State, request: Request) -> Response:
    """Offer a connection again; only its source may."""
    check_query(state, request, ())
    connection = _requested_connection(state, request)
    read_body(request, NOTHING, state.switches)
    if connection.source_id != request.caller.organization_id:
        status = state.switches.not_the_source_status
        raise ApiError(status, "only the source may reactivate a connection")
    if connection.status != "inactive":
        raise _conflict(state, "the connection is not inactive")
    response = _changed(state, connection, "pending", request)
    _schedule_acceptance(state, connection)
    return response


def accept(state: State, connection_id: str, at: float | None = None) -> None:
    """Accept a pending connection, as the partner does in the dashboard.

    Raises:
        ValueError: if no pending connection has this ID.
    """
    connection = state.sharing.connections.get(connection_id)
    if connection is None or connection.status != "pending":
        message = "there is no pending connection of this id"
        raise ValueError(message)
    connection.status = "active"
    connection.updated_at = state.runtime.now() if at is None else at


def add_connection(
    state: State, source: Organization, destination: Organization
) -> str:
    """Add an active connection and return its id."""
    now = state.runtime.now()
    key = state.keys[source.api_key]
    connection = Connection(
        id=state.runtime.new_id("cxn"),
        source_id=source.id,
        destination_id=destination.id,
        creator={"type": "api-key", "id": key.id},
        created_at=now,
        updated_at=now,
        status="active",
    )
    state.sharing.add_connection(connection)
    return connection.id


def archive(state: State, connection_id: str) -> None:
    """Archive a connection: afterwards only its share tokens refer to it.

    Raises:
        ValueError: if there is no connection of this id.
    """
    connection = state.sharing.connections.get(connection_id)
    if connection is None:
        message = "there is no connection of this id"
        raise ValueError(message)
    connection.status = ARCHIVED
    connection.updated_at = state.runtime.now()


def view_of(connection: Connection, caller: Caller) -> Record:
    """Return a connection as an object."""
    attributes: Json = {
        "status": connection.status,
        "source-organization-id": connection.source_id,
        "destination-organization-id": connection.destination_id,
        "created-at": timestamp(connection.created_at),
        "updated-at": timestamp(connection.updated_at),
    }
    creator = {"creator": {"data": connection.creator}}
    return Record(
        connection.id,
        "connect/connection",
        attributes,
        creator,
        caller.environment,
    )


def require_connect_access(state: State, caller: Caller) -> None:
    """Refuse an access token if the switch says so."""
    if caller.token is not None and not state.switches.token_may_call_connect:
        raise ApiError(403, "an access token may not call this operation")


def creator_relationship(caller: Caller) -> Json:
    """Return the creator of an object as a relationship."""
    key_id = caller.key.id if caller.key is not None else f"api_{caller.identity}"
    return {"type": "api-key", "id": key_id}


def _requested_connection(state: State, request: Request) -> Connection:
    require_connect_access(state, request.caller)
    connection = state.sharing.connections.get(request.object_id or "")
    if (
        connection is None
        or connection.status == ARCHIVED
        or not connection.concerns(request.caller)
    ):
        raise ApiError(404)
    return connection


def _changed(
    state: State, connection: Connection, status: str, request: Request
) -> Response:
    connection.status = status
    connection.updated_at = state.runtime.now()
    connection.offer_number += 1
    return render_one(state, view_of(connection, request.caller), request)


def _schedule_acceptance(state: State, connection: Connection) -> None:
    """Schedule the acceptance of a connection if the switch says so."""
    after, offer_number = state.switches.accepts_after, connection.offer_number
    if after is None:
        return

    def accept_if_pending(each: Connection, due: float) -> None:
        if each.status == "pending" and each.offer_number == offer_number:
            accept(state, each.id, due)

    state.scheduler.at(state.runtime.now() + after, connection, accept_if_pending)


def _conflict(state: State, details: str) -> ApiError:
    return ApiError(state.switches.state_conflict_status, details)


FILTERS: Final[Filters] = {
    "status": is_one_of("status"),
    "destination-organization-id": is_one_of("destination-organization-id"),
}
_CONNECTION: Final = "/connect/connections/{connection-id}"
ROUTES: Final[Routes] = {
    "GET /connect/connections": Operation(
        "list-all-connect-connections", list_connections
    ),
    "POST /connect/connections": Operation("create-a-connect-connection", create),
    f"GET {_CONNECTION}": Operation("retrieve-a-connect-connection", retrieve),
    f"POST {_CONNECTION}/deactivate": Operation(
        "deactivate-a-connect-connection", deactivate
    ),
    f"POST {_CONNECTION}/reactivate": Operation(
        "reactivate-a-connect-connection", reactivate
    ),
}
