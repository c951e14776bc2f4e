"""Handlers that create and change objects."""

from collections.abc import Callable

from persona_share.sandbox.jsonapi.body import Shape, read_body
from persona_share.sandbox.jsonapi.create import timestamp
from persona_share.sandbox.jsonapi.events import emit
from persona_share.sandbox.jsonapi.query import ONE, check_include, check_query
from persona_share.sandbox.jsonapi.read import Handler, requested_record
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record, permission_of
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import State


#: Changes an object as the body says; returns the ``meta`` of the response.
Change = Callable[[State, Record, Json], Json | None]
#: Creates an object as the body says; returns it with the ``meta`` of the response.
Create = Callable[[State, Caller, Json], tuple[Record, Json | None]]

#: The schema of an operation without a body.
NOTHING: Shape = {}


def update_handler(
    family: str,
    change: Change,
    shape: Shape = NOTHING,
    *,
    event: str | None = None,
    status: int | Callable[[State], int] = 200,
    object_type: str | None = None,
) -> Handler:
    """Return the handler that changes one object of a family."""

    def update_object(state: State, request: Request) -> Response:
        check_query(state, request, ONE)
        check_include(request, family)
        record = requested_record(
            state, request, family, "write", object_type=object_type
        )
        body = read_body(request, shape, state.switches)
        refuse_redacted(record)
        meta = change(state, record, body)
        mark_updated(state, record)
        if event is not None:
            emit(state, record, event)
        code = status(state) if callable(status) else status
        return render_one(state, record, request, status=code, meta=meta)

    return update_object


def create_handler(
    family: str, create: Create, shape: Shape, *, event: str | None = None
) -> Handler:
    """Return the handler that creates an object of a family."""

    def create_object(state: State, request: Request) -> Response:
        check_query(state, request, ONE)
        check_include(request, family)
        require_write_permission(state, request.caller, family)
        body = read_body(request, shape, state.switches)
        record, meta = create(state, request.caller, body)
        if event is not None:
            emit(state, record, event)
        return render_one(state, record, request, status=201, meta=meta)

    return create_object


def require_write_permission(state: State, caller: Caller, family: str) -> None:
    """Refuse a caller without the write permission on all objects of a family."""
    if not caller.may(permission_of(family, "write"), ""):
        raise state.records.permission_error(family, caller)


def mark_updated(state: State, record: Record) -> None:
    """Record that an object was changed just now."""
    record.changed_at = state.runtime.now()
    if "updated-at" in record.attributes:
        record.attributes["updated-at"] = timestamp(record.changed_at)
    record.invalidate()


def is_redacted(record: Record) -> bool:
    """Return whether the personal data of an object are gone."""
    internal = record.internal.get("redacted")
    return bool(record.attributes.get("redacted-at") or internal)


def refuse_redacted(record: Record) -> None:
    """Refuse to change a redacted object, with 409."""
    if is_redacted(record):
        raise ApiError(409, title=f"{record.family.title()} already redacted")


def conflict(state: State, details: str) -> ApiError:
    """Return the error for a change that the object's status does not allow."""
    return ApiError(state.switches.state_conflict_status, details)


def referenced_record(
    state: State, record_id: str, owner: Record | Caller, *families: str
) -> Record:
    """Return the object that a body names, of the same owner.

    Raises:
        ApiError: where the switches say so, for one that is not there.
    """
    environment = owner.owner if isinstance(owner, Record) else owner.environment
    for family in families:
        record = state.records.owned(family, record_id, environment)
        if record is not None:
            return record
    raise ApiError(
        state.switches.unknown_reference_status, "an object is named that is not found"
    )


def attributes_of(body: Json) -> Json:
    """Return ``data.attributes`` of a body that was read."""
    attributes: Json = body.get("data", {}).get("attributes", {})
    return attributes


def meta_of(body: Json) -> Json:
    """Return ``meta`` of a body that was read."""
    meta: Json = body.get("meta", {})
    return meta


def unless_null(given: Json) -> Json:
    """Return what is not null."""
    return {name: value for name, value in given.items() if value is not None}
