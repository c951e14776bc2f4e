"""Handlers that create, change and redact objects, and the table of operations."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from persona_share.sandbox.jsonapi.body import STRING, STRINGS, Shape, read_body
from persona_share.sandbox.jsonapi.objects import emit, stored_tags, timestamp
from persona_share.sandbox.jsonapi.read import (
    ONE,
    Handler,
    check_include,
    check_query,
    requested_record,
)
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record, permission_of
from persona_share.sandbox.state.requests import Caller, Request
from persona_share.sandbox.state.state import State


#: Changes an object according to a body; returns the ``meta`` of the response.
Change = Callable[[State, Record, Json], Json | None]
#: Creates an object from a body; returns it with the ``meta`` of the response.
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
    """Return whether an object was redacted."""
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
        ApiError: with the switch's status for an unknown object.
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
    """Return the attributes that are not null."""
    return {name: value for name, value in given.items() if value is not None}


#: Attributes without personal data.
KEPT: Final = frozenset(
    {
        "account-status",
        "account-type-name",
        "behaviors",
        "checks",
        "country-code",
        "creator",
        "has-match",
        "is-continuous",
        "is-recurring",
        "kind",
        "name",
        "next-step-name",
        "previous-step-name",
        "report-template-version-name",
        "resolution",
        "status",
        "tags",
    }
)
_BIOMETRIC: Final = frozenset({"verification/selfie", "verification/government-id"})


def redact_handler(family: str, event: str | None = None) -> Handler:
    """Return the handler that redacts an object and its related objects."""

    def redact(state: State, request: Request) -> Response:
        check_query(state, request, ONE)
        check_include(request, family)
        record = requested_record(state, request, family, "write")
        if request.caller.token is not None and not state.switches.scoped_redact:
            raise ApiError(403, "an access token may not redact")
        if request.body:
            raise ApiError(400, "this operation takes no body")
        refuse_redacted(record)
        if record.internal.get("locked"):
            raise conflict(state, "the object is locked by an investigation")
        _redact(state, record)
        related = list(_related_records(state, record))
        if state.switches.redacts_related_at_once:
            _redact_all(state, related)
        else:
            state.scheduler.at(
                state.runtime.now() + 1,
                record,
                lambda _record, _due: _redact_all(state, related),
            )
        if event is not None:
            emit(state, record, event)
        return render_one(state, record, request)

    return redact


def redact_biometrics(state: State, record: Record, _body: object) -> None:
    """Redact the biometric data of a transaction and of its related objects."""
    if record.internal.get("biometrics-redacted"):
        raise ApiError(409, title="Biometrics already redacted")
    record.internal["biometrics-redacted"] = True
    related = _related_records(state, record)
    _redact_all(state, [each for each in related if each.type in _BIOMETRIC])


def _redact_all(state: State, records: Iterable[Record]) -> None:
    for record in records:
        if not is_redacted(record) and not record.internal.get("locked"):
            _redact(state, record)


def _redact(state: State, record: Record) -> None:
    now = timestamp(state.runtime.now())
    for name, value in list(record.attributes.items()):
        if name in KEPT or name.endswith(("-at", "-at-ts")):
            continue
        state.files.forget(value)
        if record.family == "report":  # its attributes must not be null
            del record.attributes[name]
        else:
            record.attributes[name] = _redacted_value(value)
    if "redacted-at" in record.attributes:
        record.attributes["redacted-at"] = now
    record.internal["redacted"] = now
    mark_updated(state, record)


def _redacted_value(value: Any) -> Any:
    """Return the value that replaces personal data."""
    if isinstance(value, list):
        return []
    if isinstance(value, dict):
        if "value" in value and not isinstance(value["value"], dict | list):
            return value | {"value": None}
        return {
            name: each if name == "type" else _redacted_value(each)
            for name, each in value.items()
        }
    return value if isinstance(value, bool) else None


def _related_records(state: State, record: Record) -> Iterable[Record]:
    """Yield the related objects that are redacted with an object."""
    for name in ("verifications", "documents", "reports", "sessions"):
        for reference in record.related(name) or ():
            related = state.records.get(reference["id"])
            if related is not None and related.owner is record.owner:
                yield related
    for object_id in record.internal.get("objects", ()):
        related = state.records.get(object_id)
        if related is not None:
            yield related


@attrs.frozen
class Operation:
    """One operation; the id is None if Persona does not document it."""

    id: str | None
    handler: Handler

    def __call__(self, state: State, request: Request) -> Response:
        """Return the response to a request."""
        return self.handler(state, request)


#: Operations by method and documented path.
Routes = dict[str, Operation]


def redact_route(family: str, template: str, operation_id: str) -> Routes:
    """Return the operation that redacts an object."""
    handler = redact_handler(family, f"{family}.redacted")
    return {f"DELETE {template}": Operation(operation_id, handler)}


ONE_TAG: Final[Shape] = {"meta": {"tag-name": STRING, "tag-id": STRING}}
ALL_TAGS: Final[Shape] = {"meta": {"tag-name": STRINGS, "tag-id": STRINGS}}


def tag_routes(family: str, template: str, *ids: str) -> Routes:
    """Return the operations that add a tag, remove a tag, and set all tags."""
    event = f"{family}.updated-tags" if family == "inquiry" else None

    def operation(operation_id: str, change: Change, shape: Shape) -> Operation:
        handler = update_handler(family, change, shape, event=event)
        return Operation(operation_id, handler)

    add, remove, replace = ids
    return {
        f"POST {template}/add-tag": operation(add, _add_tag, ONE_TAG),
        f"POST {template}/remove-tag": operation(remove, _remove_tag, ONE_TAG),
        f"POST {template}/set-tags": operation(replace, _set_tags, ALL_TAGS),
    }


def _add_tag(state: State, record: Record, body: Json) -> None:
    tags = record.attributes["tags"]
    (tag,) = stored_tags(state, record.family, [_requested_tag(body)])
    if tag not in tags:
        tags.append(tag)


def _remove_tag(state: State, record: Record, body: Json) -> None:
    tags = record.attributes["tags"]
    (tag,) = stored_tags(state, record.family, [_requested_tag(body)])
    if tag not in tags:
        raise ApiError(404, "meta.tag_name is not found")
    tags.remove(tag)


def _set_tags(state: State, record: Record, body: Json) -> None:
    meta = meta_of(body)
    if not meta:
        raise ApiError(400, "meta.tag_name is missing")
    names = [*meta.get("tag-name", ()), *meta.get("tag-id", ())]
    record.attributes["tags"] = stored_tags(state, record.family, names)


def _requested_tag(body: Json) -> str:
    """Return the tag; the id of a tag is used as its name, which the API does not have."""
    meta = meta_of(body)
    name: str | None = meta.get("tag-name") or meta.get("tag-id")
    if not name:
        raise ApiError(400, "meta.tag_name is missing")
    return name
