"""Relations between objects: by the key of a schema, or attached to one object."""

from typing import Final

from persona_share.sandbox.jsonapi.body import STRING, STRINGS, Shape
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    mark_updated,
    meta_of,
    referenced_record,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    MANY,
    Filters,
    check_include,
    check_query,
    created_since,
    created_until,
    requested_filters,
    requested_record,
    without_include,
)
from persona_share.sandbox.jsonapi.rendering import render_many
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


RELATION: Final[Shape] = {
    "meta*": {"relation-schema-key*": STRING, "target-object-id*": STRING}
}
OBJECTS: Final[Shape] = {"meta*": {"object-ids*": STRINGS}}
FILTERS: Final[Filters] = {
    "key": lambda _record, _value: True,
    "created-at-start": created_since,
    "created-at-end": created_until,
}
_MAX_OBJECTS: Final = 100
#: Families that can be attached to an account or a transaction.
_ATTACHABLE: Final = ("document", "inquiry", "report", "selfie", "verification")


def add(state: State, record: Record, body: Json) -> None:
    """Relate an object to another one."""
    key, target = _requested(state, record, body)
    related = _related_ids(record, key)
    if target.id not in related:
        related.append(target.id)
    _update_relationship(state, record)


def remove(state: State, record: Record, body: Json) -> None:
    """Remove a relation."""
    key, target = _requested(state, record, body)
    related = _related_ids(record, key)
    if target.id not in related:
        raise ApiError(404, "the relation is not found")
    related.remove(target.id)
    _update_relationship(state, record)


def list_relations(state: State, request: Request) -> Response:
    """List the objects that an account is related to under one key."""
    check_query(state, request, MANY - {"page"}, FILTERS)
    check_include(request, "account")
    record = requested_record(state, request, "account")
    tests = requested_filters(request, FILTERS, required=("key",))
    key = next(value for name, value in request.query if name == "filter[key]")
    ids = record.internal.get("relations", {}).get(key, [])
    found = [state.records.get(each) for each in reversed(ids)]
    visible = [
        each
        for each in found
        if each is not None
        and state.records.allows(each, request.caller)
        and all(test(each, value) for test, value in tests)
    ]
    links = {"prev": None, "next": None}
    return render_many(state, visible, links, without_include(request))


def attach(state: State, record: Record, body: Json) -> None:
    """Attach objects to an account or a transaction."""
    attached = record.internal.setdefault("attached", [])
    for each in _requested_objects(state, record, body):
        if each.id not in attached:
            attached.append(each.id)
        if record.family == "account":
            _set_account(state, each, record)
    _update_relationship(state, record)


def detach(state: State, record: Record, body: Json) -> None:
    """Detach objects from an account or a transaction."""
    attached = record.internal.setdefault("attached", [])
    for each in _requested_objects(state, record, body):
        if each.id in attached:
            attached.remove(each.id)
        if record.family == "account":
            _set_account(state, each, None, former=record)
    _update_relationship(state, record)


def _set_account(
    state: State, record: Record, account: Record | None, former: Record | None = None
) -> None:
    if "account" in record.relationships:
        data = None if account is None else account.identifier
        record.relationships["account"] = {"data": data}
    elif "accounts" in record.relationships:
        listed = record.relationships["accounts"]["data"]
        if account is not None and account.identifier not in listed:
            listed.append(account.identifier)
        if former is not None and former.identifier in listed:
            listed.remove(former.identifier)
    mark_updated(state, record)


def _requested_objects(state: State, record: Record, body: Json) -> list[Record]:
    ids = meta_of(body)["object-ids"]
    if len(ids) > _MAX_OBJECTS:
        details = f"meta.object_ids takes {_MAX_OBJECTS} ids at most"
        raise ApiError(400, details, pointer="/meta/object-ids")
    return [referenced_record(state, each, record, *_ATTACHABLE) for each in ids]


def _requested(state: State, record: Record, body: Json) -> tuple[str, Record]:
    meta = meta_of(body)
    target = referenced_record(
        state, meta["target-object-id"], record, "account", "transaction"
    )
    return meta["relation-schema-key"], target


def _related_ids(record: Record, key: str) -> list[str]:
    related: list[str] = record.internal.setdefault("relations", {}).setdefault(key, [])
    return related


def _update_relationship(state: State, record: Record) -> None:
    """Update the relationship of a transaction to its related objects."""
    if "related-objects" not in record.relationships:
        return
    ids_of_keys = record.internal.get("relations", {}).values()
    ids = [each for ids_of_key in ids_of_keys for each in ids_of_key]
    ids += record.internal.get("attached", ())
    found = [state.records.get(each) for each in dict.fromkeys(ids)]
    references = [each.identifier for each in found if each]
    record.relationships["related-objects"] = {"data": references}


def relation_routes(family: str, path: str) -> Routes:
    """Return the operations on the relations of accounts or of transactions."""
    handlers = {
        "add-relation": (add, RELATION),
        "remove-relation": (remove, RELATION),
        "add-objects": (attach, OBJECTS),
        "remove-objects": (detach, OBJECTS),
    }
    return {
        f"POST {path}/{action}": Operation(
            f"{family}s-{action}", update_handler(family, handler, shape)
        )
        for action, (handler, shape) in handlers.items()
    }
