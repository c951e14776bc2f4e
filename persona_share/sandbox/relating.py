"""Relations between accounts and transactions, by the key of their schema."""

from typing import Final

from persona_share.sandbox.bodies import TEXT, Shape
from persona_share.sandbox.calls import Call, Reply
from persona_share.sandbox.filters import RELATIONS
from persona_share.sandbox.includes import check_include, without_include
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.queries import MANY, asked_filters, check_query
from persona_share.sandbox.reading import named
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import found, meta_of


RELATION: Final[Shape] = {
    "meta*": {"relation-schema-key*": TEXT, "target-object-id*": TEXT}
}


def add(state: State, record: Record, body: Json) -> None:
    """Relate an object to another one."""
    key, target = _asked(state, record, body)
    related = _of_key(record, key)
    if target.id not in related:
        related.append(target.id)
    _show(state, record)


def remove(state: State, record: Record, body: Json) -> None:
    """End a relation."""
    key, target = _asked(state, record, body)
    related = _of_key(record, key)
    if target.id not in related:
        raise Problem(404, "the relation is not found")
    related.remove(target.id)
    _show(state, record)


def listed(state: State, call: Call) -> Reply:
    """List what an account is related to under one key, without pages."""
    check_query(state, call, MANY - {"page"}, RELATIONS)
    check_include(call, "account")
    record = named(state, call, "account")
    tests = asked_filters(call, RELATIONS, required=("key",))
    key = next(value for name, value in call.query if name == "filter[key]")
    related = record.hidden.get("relations", {}).get(key, [])
    kin = [state.records.get(each) for each in reversed(related)]
    shown = [
        each
        for each in kin
        if each is not None
        and state.records.allows(each, call.caller)
        and all(test(each, value) for test, value in tests)
    ]
    links = {"prev": None, "next": None}
    return state.rendering.many(shown, links, without_include(call))


def _asked(state: State, record: Record, body: Json) -> tuple[str, Record]:
    meta = meta_of(body)
    target = found(state, meta["target-object-id"], record, "account", "transaction")
    return meta["relation-schema-key"], target


def _of_key(record: Record, key: str) -> list[str]:
    related: list[str] = record.hidden.setdefault("relations", {}).setdefault(key, [])
    return related


def _show(state: State, record: Record) -> None:
    """Name the related objects where an object has a relationship for them."""
    if "related-objects" not in record.relationships:
        return
    ids = [each for key in record.hidden["relations"].values() for each in key]
    kin = [state.records.get(each) for each in dict.fromkeys(ids)]
    record.relationships["related-objects"] = {"data": [k.name for k in kin if k]}
