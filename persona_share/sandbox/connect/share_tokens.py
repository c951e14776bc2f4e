"""Connect share tokens: created by a source, redeemed by clone or by hydration."""

import copy
from collections.abc import Iterable
from typing import Any, Final

from persona_share.sandbox.behavior.faults import Effect
from persona_share.sandbox.connect.connections import (
    creator_relationship,
    require_connect_access,
)
from persona_share.sandbox.jsonapi.body import INTEGER, STRING, Shape, kebab, read_body
from persona_share.sandbox.jsonapi.objects import emit, timestamp
from persona_share.sandbox.jsonapi.operations import (
    NOTHING,
    Operation,
    Routes,
    attributes_of,
    is_redacted,
    mark_updated,
    meta_of,
)
from persona_share.sandbox.jsonapi.read import (
    MANY,
    ONE,
    Filters,
    check_include,
    check_query,
    is_one_of,
    paged_response,
    requested_filters,
)
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.resources.inquiries import set_status
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import (
    ARCHIVED,
    PERMISSIONS_OF,
    Connection,
    FileUrl,
    Json,
    Record,
    ShareToken,
    StoredFile,
)
from persona_share.sandbox.state.requests import Caller, Request
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
    environments: dict[str, Environment] = {
        "outbound": source,
        "inbound": token.redeemer or partner.environments[source.kind],
    }
    for direction, environment in environments.items():
        view = _view(
            state, token, environment, direction, outbound=direction == "outbound"
        )
        emit(state, view, f"connect/share-token.{direction}-{what}", at)


def type_name(record: Record) -> str:
    """Return the type in Connect's relationships, where a transaction is a ``txn``."""
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
    relationships: dict[str, Json] = {"connection": {"data": connection}}
    if outbound:
        source = {"type": _source_type(token.source), "id": token.source.id}
        relationships |= {
            "creator": {"data": token.creator},
            "source": {"data": source},
        }
    else:
        relationships["destination"] = {"data": token.destination}
    if shape != "current":
        attributes["source-id"] = token.source.id
    if shape == "open_beta":
        relationships["connect-connection"] = relationships.pop("connection")
    if shape == "closed_beta":
        relationships = {}
        if attributes["status"] == "created":
            attributes["status"] = "new"
    view = Record(
        token.id, "connect/share-token", attributes, relationships, environment
    )
    view.internal["connection"] = token.connection.id
    return view


def _attributes(token: ShareToken, direction: str) -> Json:
    return {
        "status": token.status,
        "direction": direction,
        "created-at": timestamp(token.created_at),
        "updated-at": timestamp(token.updated_at),
        "pending-at": _optional_timestamp(token.pending_at),
        "redeemed-at": _optional_timestamp(token.redeemed_at),
        "expires-at": timestamp(token.expires_at),
        "failed-at": _optional_timestamp(token.failed_at),
        "failure-reason": token.failure_reason,
        "redeem-mode": token.redeem_mode,
    }


def _optional_timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _source_type(record: Record) -> str:
    """Return the type of a source; of a verification only the family."""
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
MIN_LIFETIME, MAX_LIFETIME, DEFAULT_LIFETIME = 60, 21 * 86_400, 14 * 86_400
_FAMILIES: Final = ("inquiry", "account", "transaction", "verification")


def list_share_tokens(state: State, request: Request) -> Response:
    """List the share tokens of the caller, outbound and inbound."""
    require_connect_access(state, request.caller)
    check_query(state, request, MANY, FILTERS)
    tests = requested_filters(request, FILTERS)
    tokens = state.sharing.share_tokens_of(request.caller)
    views = (view_of(state, each, request.caller) for each in tokens)
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
    seconds = given.get(
        "expires-in-seconds", 86_400 if closed_beta else DEFAULT_LIFETIME
    )
    if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
        limits = f"must be between {MIN_LIFETIME} and {MAX_LIFETIME}"
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
    state.scheduler.at(token.expires_at, token, _expire_at)
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
        ApiError: 404 if the caller sees no share token of this ID.
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
        details = f"the connection is {connection.status}"
        raise _creation_error(state, _NO_CONNECTION if archived else details)
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
#: Attributes and fields whose value is visible; of others, only the presence is.
_FULLY_VISIBLE: Final = frozenset(
    {"status", "name", "name-first", "name-middle", "name-last", "country", "amount"}
)


def source_preview(state: State, source: Record) -> Json | None:
    """Return the preview of a source, None for a type that has none."""
    if source.type not in _SOURCES:
        return None
    data = _preview(source)
    if source.family == "inquiry":
        data["related-objects"] = [
            _preview(each) for each in _related_records(state, source)
        ]
    return data


def _preview(record: Record) -> Json:
    type_of_source = PERMISSIONS_OF.get(record.type, record.type)
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
        "type": f"connect/source-data/{type_of_source}",
        "id": record.id,
        "peekable-attributes": attributes,
    }


def _shown(name: str, value: Any) -> Json:
    if kebab(name) in _FULLY_VISIBLE:
        return {"visibility": "full", "value": value}
    return {"visibility": "presence", "value": value is not None}


def _related_records(state: State, inquiry: Record) -> list[Record]:
    references = [
        *(inquiry.related("verifications") or ()),
        *(inquiry.related("account") or ()),
    ]
    found = [state.records.get(each["id"]) for each in references]
    return [each for each in found if each is not None and each.type in _RELATED]


FILTERS: Final[Filters] = {
    "connection-id": lambda record, value: record.internal["connection"] == value,
    "status": is_one_of("status"),
    "direction": is_one_of("direction"),
}
_SHARE_TOKEN: Final = "/connect/share-tokens/{share-token-id}"  # noqa: S105 - a path


REDEEM: Final[Shape] = {
    "data": {"attributes": {"destination-id": STRING}},
    "meta": {
        "field-mappings": [
            {"source-field-name*": STRING, "destination-field-name*": STRING}
        ]
    },
}
_HYDRATABLE: Final = ("account", "inquiry", "transaction")


def redeem(state: State, request: Request) -> Response:
    """Start a redemption; the response has the status ``pending``."""
    check_query(state, request, ONE)
    check_include(request, "connect")
    token = _redeemable_by(state, request)
    body = read_body(request, REDEEM, state.switches)
    _check_state(state, token)
    destination_id = attributes_of(body).get("destination-id")
    mappings = meta_of(body).get("field-mappings", [])
    if destination_id is None:
        _check_clone(state, token, mappings)
        target = None
    else:
        target = _target(state, request, token, destination_id)
    now = state.runtime.now()
    token.status, token.pending_at, token.updated_at = "pending", now, now
    token.failed_at = token.failure_reason = None
    token.redeem_mode = "clone" if target is None else "hydrate"
    token.redeemer = request.caller.environment
    token.destination = None if target is None else _identifier(target)
    token.mappings = tuple(
        (each["source-field-name"], each["destination-field-name"]) for each in mappings
    )
    due = now + state.switches.redemption_seconds
    state.scheduler.at(due, token, lambda each, at: _finish(state, each, target, at))
    view = view_of(state, token, request.caller)
    return render_one(state, view, request, status=202)


def _redeemable_by(state: State, request: Request) -> ShareToken:
    """Return the share token, also for the destination's other environment."""
    token = state.sharing.share_tokens.get(request.object_id or "")
    if token is not None and token.is_destination(request.caller):
        if request.caller.environment.kind != token.owner.kind:
            status = state.switches.redeem_refusal_status
            raise ApiError(status, "the share token is of another type of environment")
    else:
        token = requested_share_token(state, request)
    if not token.is_destination(request.caller):
        raise ApiError(403, "only the destination may redeem a share token")
    return requested_share_token(state, request)


def _check_state(state: State, token: ShareToken) -> None:
    retry = token.status == "failed" and state.switches.failed_can_be_redeemed
    if token.status != "created" and not retry:
        raise conflict(state, token)
    if token.connection.status != "active":
        status = state.switches.share_conflict_status
        raise ApiError(status, f"the connection is {token.connection.status}")


def _check_clone(state: State, token: ShareToken, mappings: list[Json]) -> None:
    source = token.source
    if source.family != "inquiry" and source.type not in CLONEABLE:
        status = state.switches.redeem_refusal_status
        raise ApiError(status, "this source needs data.attributes.destination_id")
    if mappings and state.switches.mappings_with_clone == "refused":
        raise ApiError(
            400, "meta.field_mappings is not permitted without a destination"
        )


def _target(
    state: State, request: Request, token: ShareToken, destination_id: str
) -> Record:
    if token.source.family not in _HYDRATABLE:
        status = state.switches.redeem_refusal_status
        raise ApiError(status, "this source cannot hydrate another object")
    for family in _HYDRATABLE:
        target = state.records.owned(family, destination_id, request.caller.environment)
        if target is not None:
            return target
    raise ApiError(404, "data.attributes.destination_id is not found")


def _finish(state: State, token: ShareToken, target: Record | None, due: float) -> None:
    token.updated_at = due
    reason = _failure(state, token)
    if reason is not None:
        token.status, token.failed_at, token.failure_reason = "failed", due, reason
        return
    if token.redeemer is None:
        return
    if target is None:
        target = clone(state, token.source, token.redeemer)
    else:
        hydrate(state, token.source, target, token.mappings)
        mark_updated(state, target)
    token.destination = _identifier(target)
    token.status, token.redeemed_at = "redeemed", due
    emit_share_token_events(state, token, "redeemed", due)


def _failure(state: State, token: ShareToken) -> str | None:
    """Return the reason why a redemption fails, or None."""
    fault = state.faults.take("*", Effect.FAIL_REDEMPTION)
    if fault is not None:
        return fault.reason
    return "source_redacted" if is_redacted(token.source) else None


def _identifier(record: Record) -> Json:
    return {"type": type_name(record), "id": record.id}


_PREFIXES: Final = {"inquiry": "inq", "verification": "ver"}
#: Verifications that can be cloned.
CLONEABLE: Final = frozenset(
    f"verification/{kind}"
    for kind in (
        "government-id",
        "selfie",
        "database",
        "document",
        "email-address",
        "phone-number",
    )
)


def clone(state: State, source: Record, owner: Environment) -> Record:
    """Create a new object of a source; of an inquiry, with its verifications."""
    new = _copied(state, source, owner)
    for reference in source.related("verifications") or ():
        verification = state.records.get(reference["id"])
        if verification is not None and verification.type in CLONEABLE:
            copied = _copied(state, verification, owner)
            copied.relationships["inquiry"] = {"data": new.identifier}
            new.relationships["verifications"]["data"].append(copied.identifier)
    return new


def hydrate(
    state: State, source: Record, target: Record, mappings: Iterable[tuple[str, str]]
) -> None:
    """Copy fields into an existing object: by equal names, then by the mappings.

    An inquiry is then completed, as its template would do.
    """
    source_fields, fields = source.attributes["fields"], target.attributes["fields"]
    spelled = {kebab(name): name for name in fields}
    copied = set()
    for name, field in source_fields.items():
        to_field = spelled.get(kebab(name))
        if to_field is not None and _has_same_type(field, fields[to_field]):
            fields[to_field] = _deep_copy(state, field)
            copied.add(to_field)
    by_name = {kebab(name): field for name, field in source_fields.items()}
    for from_name, to_name in mappings:
        found = by_name.get(kebab(from_name))
        to_field = spelled.get(kebab(to_name), to_name)
        fits = to_field not in fields or _has_same_type(found, fields[to_field])
        if found is not None and to_field not in copied and fits:
            fields[to_field] = _deep_copy(state, found)
    if target.family == "inquiry":
        set_status(state, target, state.switches.hydrated_status)


def _has_same_type(field: Any, other: Any) -> bool:
    """Return whether two fields have the same type."""
    are_fields = isinstance(field, dict) and isinstance(other, dict)
    return are_fields and field.get("type") == other.get("type")


def _copied(state: State, source: Record, owner: Environment) -> Record:
    attributes: Json = _deep_copy(state, source.attributes)
    now = timestamp(state.runtime.now())
    attributes |= {k: now for k in ("created-at", "updated-at") if k in attributes}
    relationships = {
        name: _without_objects(value) for name, value in source.relationships.items()
    }
    new_id = state.runtime.new_id(_PREFIXES[source.family])
    record = Record(new_id, source.type, attributes, relationships, owner)
    state.records.add(record)
    return record


def _without_objects(relationship: Json) -> Json:
    """Return a relationship without the objects of the source."""
    return {"data": [] if isinstance(relationship.get("data"), list) else None}


def _deep_copy(state: State, value: Any) -> Any:
    """Return a deep copy with its own files."""
    if isinstance(value, dict):
        return {k: _deep_copy(state, each) for k, each in value.items()}
    if isinstance(value, list):
        return [_deep_copy(state, each) for each in value]
    if isinstance(value, StoredFile):
        return state.files.add(value.filename, value.content, value.media_type)
    if isinstance(value, FileUrl):
        return FileUrl(_deep_copy(state, value.file))
    return copy.copy(value)


ROUTES: Final[Routes] = {
    "GET /connect/share-tokens": Operation("list-all-share-tokens", list_share_tokens),
    "POST /connect/share-tokens": Operation("create-a-share-token", create),
    f"GET {_SHARE_TOKEN}": Operation("retrieve-a-share-token", retrieve),
    f"POST {_SHARE_TOKEN}/expire": Operation("expire-share-token", expire),
    f"POST {_SHARE_TOKEN}/redeem": Operation("redeem-share-token", redeem),
}
