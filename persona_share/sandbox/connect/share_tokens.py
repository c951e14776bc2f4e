"""Share tokens: created by the source, redeemed by the destination."""

from typing import Any, Final

from persona_share.sandbox.connect.connections import (
    creator_relationship,
    require_connect_access,
)
from persona_share.sandbox.jsonapi.body import INTEGER, STRING, Shape, kebab, read_body
from persona_share.sandbox.jsonapi.create import timestamp
from persona_share.sandbox.jsonapi.events import emit
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.query import (
    MANY,
    ONE,
    Filters,
    check_include,
    check_query,
    is_one_of,
    requested_filters,
)
from persona_share.sandbox.jsonapi.read import paged_response
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.jsonapi.update import NOTHING, attributes_of
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import PERMISSIONS_OF, Json, Record
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.sharing import ARCHIVED, Connection, ShareToken
from persona_share.sandbox.state.state import State


def view_of(
    state: State, token: ShareToken, caller: Caller, *, peek: bool = False
) -> Record:
    """Return a share token as an object, as this caller sees it."""
    is_source, is_destination = token.is_source(caller), token.is_destination(caller)
    direction = "outbound" if is_source else "inbound"
    if is_source and is_destination:
        direction = state.switches.self_direction
    view = _view(state, token, caller.environment, direction, outbound=is_source)
    if peek and is_destination and state.switches.can_peek:
        data = source_preview(state, token.source)
        if data is not None:
            view.attributes["source-data"] = data
    return view


def emit_share_token_events(
    state: State, token: ShareToken, what: str, at: float
) -> None:
    """Emit the event of a share token to both organizations."""
    source = token.owner
    partner = state.organizations[token.connection.destination_id]
    ends: dict[str, Environment] = {
        "outbound": source,
        "inbound": token.redeemer or partner.environments[source.kind],
    }
    for direction, environment in ends.items():
        view = _view(
            state, token, environment, direction, outbound=direction == "outbound"
        )
        emit(state, view, f"connect/share-token.{direction}-{what}", at)


def type_name(record: Record) -> str:
    """Return a type as Connect's relationships call it: a transaction is a txn."""
    return PERMISSIONS_OF.get(record.type, record.type)


def _view(
    state: State,
    token: ShareToken,
    environment: Environment,
    direction: str,
    *,
    outbound: bool,
) -> Record:
    shape = state.switches.share_shape
    attributes = _attributes(token, direction)
    connection = {"type": "connect/connection", "id": token.connection.id}
    related_records: dict[str, Json] = {"connection": {"data": connection}}
    if outbound:
        source = {"type": _source_type(token.source), "id": token.source.id}
        related_records |= {
            "creator": {"data": token.creator},
            "source": {"data": source},
        }
    else:
        related_records["destination"] = {"data": token.destination}
    if shape != "current":
        attributes["source-id"] = token.source.id
    if shape == "open_beta":
        related_records["connect-connection"] = related_records.pop("connection")
    if shape == "closed_beta":
        related_records = {}
        if attributes["status"] == "created":
            attributes["status"] = "new"
    view = Record(
        token.id, "connect/share-token", attributes, related_records, environment
    )
    view.internal["connection"] = token.connection.id
    return view


def _attributes(token: ShareToken, direction: str) -> Json:
    return {
        "status": token.status,
        "direction": direction,
        "created-at": timestamp(token.created_at),
        "updated-at": timestamp(token.updated_at),
        "pending-at": _moment(token.pending_at),
        "redeemed-at": _moment(token.redeemed_at),
        "expires-at": timestamp(token.expires_at),
        "failed-at": _moment(token.failed_at),
        "failure-reason": token.failure_reason,
        "redeem-mode": token.redeem_mode,
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _source_type(record: Record) -> str:
    """Return the type of a source: of a verification, the family alone."""
    return PERMISSIONS_OF.get(record.family, record.family)


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            "connection-id*": STRING,
            "source-id*": STRING,
            "expires-in-seconds": INTEGER,
        }
    }
}
#: The body of the closed beta.
CREATE_BY_BRIDGE: Final[Shape] = {
    "data*": {"attributes*": {"bridge-id*": STRING, "source-id*": STRING}}
}
SHORTEST, LONGEST, DEFAULT = 60, 21 * 86_400, 14 * 86_400
_FAMILIES: Final = ("inquiry", "account", "transaction", "verification")


def list_share_tokens(state: State, request: Request) -> Response:
    """List the share tokens of the caller, outbound and inbound."""
    require_connect_access(state, request.caller)
    check_query(state, request, MANY, FILTERS)
    tests = requested_filters(request, FILTERS)
    mine = state.sharing.share_tokens_of(request.caller)
    views = (view_of(state, each, request.caller) for each in mine)
    return paged_response(state, request, views, tests)


def create(state: State, request: Request) -> Response:
    """Create a share token of one object for the destination of a connection."""
    require_connect_access(state, request.caller)
    check_query(state, request, ONE)
    check_include(request, "connect")
    closed_beta = state.switches.share_shape == "closed_beta"
    shape = CREATE_BY_BRIDGE if closed_beta else CREATE
    given = attributes_of(read_body(request, shape, state.switches))
    connection = _connection(state, request, given)
    source = _source(state, request, given["source-id"])
    seconds = given.get("expires-in-seconds", 86_400 if closed_beta else DEFAULT)
    if not SHORTEST <= seconds <= LONGEST:
        limits = f"must be between {SHORTEST} and {LONGEST}"
        raise _creation_error(state, f"data.attributes.expires_in_seconds {limits}")
    now = state.runtime.now()
    token = ShareToken(
        id=state.runtime.new_id("cnst"),
        connection=connection,
        source=source,
        creator=creator_relationship(request.caller),
        created_at=now,
        updated_at=now,
        expires_at=now + seconds,
    )
    state.sharing.add_share_token(token)
    state.scheduler.at(token.expires_at, lambda due: _expire_at(token, due))
    emit_share_token_events(state, token, "created", now)
    view = view_of(state, token, request.caller)
    return render_one(state, view, request, status=201)


def retrieve(state: State, request: Request) -> Response:
    """Return one share token, with a preview of its source on request."""
    check_query(state, request, {*ONE, "peek-source-data"})
    check_include(request, "connect")
    token = requested_share_token(state, request)
    peek = dict(request.query).get("peek-source-data", "false")
    if peek not in {"true", "false"}:
        raise ApiError(400, "peek_source_data must be true or false")
    view = view_of(state, token, request.caller, peek=peek == "true")
    return render_one(state, view, request)


def expire(state: State, request: Request) -> Response:
    """Expire a share token."""
    check_query(state, request, ONE)
    check_include(request, "connect")
    token = requested_share_token(state, request)
    read_body(request, NOTHING, state.switches)
    either = state.switches.expires_by == "either"
    if not either and not token.is_source(request.caller):
        status = state.switches.not_the_source_status
        raise ApiError(status, "only the source may expire a share token")
    if token.status != "created":
        raise conflict(state, token)
    _expire_at(token, state.runtime.now())
    return render_one(state, view_of(state, token, request.caller), request)


def requested_share_token(state: State, request: Request) -> ShareToken:
    """Return the share token that the path names.

    Raises:
        ApiError: 404 where the caller sees none of this id.
    """
    require_connect_access(state, request.caller)
    token = state.sharing.share_tokens.get(request.object_id or "")
    if token is None or not token.visible_to(request.caller):
        raise ApiError(404)
    return token


def conflict(state: State, token: ShareToken) -> ApiError:
    """Return the error for a change that the status does not allow."""
    status = state.switches.share_conflict_status
    return ApiError(status, f"the share token is {token.status}")


def _expire_at(token: ShareToken, due: float) -> None:
    if token.status == "created":
        token.status, token.updated_at, token.expires_at = "expired", due, due


_NO_CONNECTION: Final = "data.attributes.connection_id is not found"


def _connection(state: State, request: Request, given: Json) -> Connection:
    connection_id: str = given.get("connection-id") or given.get("bridge-id") or ""
    connection = state.sharing.connections.get(connection_id)
    if connection is None or connection.source_id != request.caller.organization_id:
        raise _creation_error(state, _NO_CONNECTION)
    pending = connection.status == "pending" and state.switches.shares_on_pending
    if connection.status != "active" and not pending:
        archived = connection.status == ARCHIVED
        why = _NO_CONNECTION if archived else f"the connection is {connection.status}"
        raise _creation_error(state, why)
    return connection


def _source(state: State, request: Request, source_id: str) -> Record:
    for family in _FAMILIES:
        source = state.records.owned(family, source_id, request.caller.environment)
        if source is not None:
            return source
    raise _creation_error(state, "data.attributes.source_id is not found")


def _creation_error(state: State, details: str) -> ApiError:
    return ApiError(state.switches.share_refusal_status, details)


_PREVIEWED_VERIFICATIONS: Final = (
    "verification/business-website",
    "verification/database",
    "verification/database-business",
    "verification/database-tin",
    "verification/database-uk-dvla",
    "verification/email-address",
    "verification/phone-number",
)
#: Sources with a documented preview.
_SOURCES: Final = frozenset(
    {
        "inquiry",
        "account",
        "transaction",
        "report/adverse-media",
        "report/watchlist",
        *_PREVIEWED_VERIFICATIONS,
    }
)
#: The types of related objects in the preview of an inquiry.
_RELATED: Final = frozenset(
    {
        "account",
        *_PREVIEWED_VERIFICATIONS,
        "verification/government-id",
        "verification/selfie",
        "verification/document",
    }
)
#: Attributes and fields whose value is visible; of others, only their presence.
_OPEN: Final = frozenset(
    {"status", "name", "name-first", "name-middle", "name-last", "country", "amount"}
)


def source_preview(state: State, source: Record) -> Json | None:
    """Return what the destination may see, None for a source without a shape."""
    if source.type not in _SOURCES:
        return None
    data = _preview(source)
    if source.family == "inquiry":
        data["related-objects"] = [
            _preview(related_records)
            for related_records in _related_records(state, source)
        ]
    return data


def _preview(record: Record) -> Json:
    word = PERMISSIONS_OF.get(record.type, record.type)
    attributes: Json = {}
    for name in ("status", "reference-id"):
        if name in record.attributes:
            attributes[name] = _shown(name, record.attributes[name])
    if record.family != "verification":
        attributes["fields"] = {
            name: _shown(name, field.get("value") if isinstance(field, dict) else field)
            for name, field in record.attributes["fields"].items()
        }
    return {
        "type": f"connect/source-data/{word}",
        "id": record.id,
        "peekable-attributes": attributes,
    }


def _shown(name: str, value: Any) -> Json:
    if kebab(name) in _OPEN:
        return {"visibility": "full", "value": value}
    return {"visibility": "presence", "value": value is not None}


def _related_records(state: State, inquiry: Record) -> list[Record]:
    names = [
        *(inquiry.related("verifications") or ()),
        *(inquiry.related("account") or ()),
    ]
    found = [state.records.get(each["id"]) for each in names]
    return [each for each in found if each is not None and each.type in _RELATED]


FILTERS: Final[Filters] = {
    "connection-id": lambda record, value: record.internal["connection"] == value,
    "status": is_one_of("status"),
    "direction": is_one_of("direction"),
}
_SHARE_TOKEN: Final = "/connect/share-tokens/{share-token-id}"  # noqa: S105 - a path
ROUTES: Final[Routes] = {
    "GET /connect/share-tokens": Operation("list-all-share-tokens", list_share_tokens),
    "POST /connect/share-tokens": Operation("create-a-share-token", create),
    f"GET {_SHARE_TOKEN}": Operation("retrieve-a-share-token", retrieve),
    f"POST {_SHARE_TOKEN}/expire": Operation("expire-share-token", expire),
}
