"""Relations between accounts and transactions, by the key of their schema."""

from typing import Final

from persona_share.sandbox.jsonapi.body import STRING, Shape
from persona_share.sandbox.jsonapi.query import (
    MANY,
    Filters,
    check_include,
    check_query,
    created_since,
    created_until,
    requested_filters,
    without_include,
)
from persona_share.sandbox.jsonapi.read import requested_record
from persona_share.sandbox.jsonapi.rendering import render_many
from persona_share.sandbox.jsonapi.update import meta_of, referenced_record
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


RELATION: Final[Shape] = {
    "meta*": {"relation-schema-key*": STRING, "target-object-id*": STRING}
}

FILTERS: Final[Filters] = {
    "key": lambda _record, _value: True,
    "created-at-start": created_since,
    "created-at-end": created_until,
}


def add(state: State, record: Record, body: Json) -> None:
    """Relate an object to another one."""
    key, target = _asked(state, record, body)
    related = _caller_of_key(record, key)
    if target.id not in related:
        related.append(target.id)
    _show(state, record)


def remove(state: State, record: Record, body: Json) -> None:
    """End a relation."""
    key, target = _asked(state, record, body)
    related = _caller_of_key(record, key)
    if target.id not in related:
        raise ApiError(404, "the relation is not found")
    related.remove(target.id)
    _show(state, record)


def list_relations(state: State, request: Request) -> Response:
    """List what an account is related to under one key, without pages."""
    check_query(state, request, MANY - {"page"}, FILTERS)
    check_include(request, "account")
    record = requested_record(state, request, "account")
    tests = requested_filters(request, FILTERS, required=("key",))
    key = next(value for name, value in request.query if name == "filter[key]")
    related = record.internal.get("relations", {}).get(key, [])
    related_records = [state.records.get(each) for each in reversed(related)]
    shown = [
        each
        for each in related_records
        if each is not None
        and state.records.allows(each, request.caller)
        and all(test(each, value) for test, value in tests)
    ]
    links = {"prev": None, "next": None}
    return render_many(state, shown, links, without_include(request))


def _asked(state: State, record: Record, body: Json) -> tuple[str, Record]:
    meta = meta_of(body)
    target = referenced_record(
        state, meta["target-object-id"], record, "account", "transaction"
    )
    return meta["relation-schema-key"], target


def _caller_of_key(record: Record, key: str) -> list[str]:
    related: list[str] = record.internal.setdefault("relations", {}).setdefault(key, [])
    return related


def _show(state: State, record: Record) -> None:
    """Name the related objects where an object has a relationship for them."""
    if "related-objects" not in record.relationships:
        return
    ids = [each for key in record.internal["relations"].values() for each in key]
    related_records = [state.records.get(each) for each in dict.fromkeys(ids)]
    record.relationships["related-objects"] = {
        "data": [k.identifier for k in related_records if k]
    }
