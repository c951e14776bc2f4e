"""Transactions, and the operations that make and change them."""

from typing import Any, Final

from persona_share.sandbox.bodies import (
    BAG,
    NUMBER,
    TEXT,
    TEXTS,
    TEXTS_OR_NULL,
    Shape,
)
from persona_share.sandbox.calls import Caller
from persona_share.sandbox.entering import entered
from persona_share.sandbox.making import kebab_keys, moment, one, worded_fields
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import attributes_of, meta_of, unless_null


CREATE: Final[Shape] = {
    "data": {
        "attributes": {
            "transaction-type-id": TEXT,
            "fields": BAG,
            "reference-id": TEXT,
            "tags": TEXTS_OR_NULL,
        }
    },
    "meta": {},
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "fields": BAG,
            "status": TEXT,
            "reference-id": TEXT,
            "label": TEXT,
            "tags": TEXTS,
        }
    }
}
LABEL: Final[Shape] = {"meta": {"label": TEXT, "score": NUMBER, "model-version": TEXT}}


def add_transaction(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> Added:
    """Make a transaction; ``objects=`` are ids of the owner's that it relates to.

    Raises:
        ValueError: where the owner has no such object.
    """
    given = kebab_keys(attributes)
    who = person(state.world.stream("people"))
    fields: Json = {
        "name_first": {"type": "string", "value": who.first},
        "name_last": {"type": "string", "value": who.last},
        "country": {"type": "string", "value": "US"},
        "amount": {"type": "number", "value": 1250},
    }
    fields |= worded_fields(given.pop("fields", {}))
    transaction_id, objects = given.pop("id", None), given.pop("objects", ())
    kin = [state.records.get(each) for each in objects]
    if any(each is None or each.owner is not owner for each in kin):
        message = "there is no object of this id to relate to"
        raise ValueError(message)
    record = _made(state, owner, {"fields": fields} | given, transaction_id)
    names = [each.name for each in kin if each is not None]
    record.relationships["related-objects"] = {"data": names}
    record.hidden["objects"] = [each["id"] for each in names]
    return Added(record.id, record.type)


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Make a transaction."""
    given = unless_null(attributes_of(body))
    kind = given.pop("transaction-type-id", None)
    given["fields"] = entered(state, given.get("fields", {}), {})
    record = _made(state, caller.environment, given)
    if kind is not None:
        record.relationships["transaction-type"] = one("transaction-type", kind)
    return record, None


def update(state: State, record: Record, body: Json) -> None:
    """Replace what the body names; fields are merged."""
    given = attributes_of(body)
    fields = entered(state, given.pop("fields", {}), {})
    record.attributes["fields"] |= fields
    if (name := given.pop("label", None)) is not None:
        _name_label(state, record, {"label": name})
    record.attributes |= given


def label(state: State, record: Record, body: Json) -> None:
    """Give a transaction a label."""
    _name_label(state, record, meta_of(body))


def _name_label(state: State, record: Record, meta: Json) -> None:
    now = moment(state.world.now())
    made: Json = {
        "model-label": meta.get("label", ""),
        "model-version": meta.get("model-version"),
        "created-at": now,
        "updated-at": now,
    }
    named = Record(
        state.world.new_id("txnl"), "transaction-label", made, {}, record.owner
    )
    state.records.add(named)
    record.relationships["transaction-label"] = {"data": named.name}


def _made(
    state: State,
    owner: Environment,
    attributes: Json,
    transaction_id: str | None = None,
) -> Record:
    now = moment(state.world.now())
    made: Json = {
        "status": "created",
        "reference-id": None,
        "fields": {},
        "tags": [],
        "created-at": now,
        "updated-at": now,
    }
    kin: dict[str, Json] = {
        "reviewer": {"data": None},
        "transaction-label": {"data": None},
        "transaction-type": one("transaction-type", state.world.new_id("txntp")),
        "related-objects": {"data": []},
    }
    transaction_id = transaction_id or state.world.new_id("txn")
    record = Record(transaction_id, "transaction", made | attributes, kin, owner)
    state.records.add(record)
    return record
