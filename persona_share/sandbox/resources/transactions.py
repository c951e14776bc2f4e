"""Transactions: created, changed, labeled and related."""

from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    NUMBER,
    OBJECT,
    STRING,
    STRINGS,
    STRINGS_OR_NULL,
    Shape,
    kebab,
)
from persona_share.sandbox.jsonapi.objects import (
    field_values,
    kebab_keys,
    stored_tags,
    timestamp,
    typed_fields,
)
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    attributes_of,
    create_handler,
    meta_of,
    redact_biometrics,
    redact_route,
    tag_routes,
    unless_null,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    Filters,
    equals,
    list_handler,
    relates_to,
    retrieve_handler,
)
from persona_share.sandbox.resources.relations import relation_routes
from persona_share.sandbox.resources.templates import (
    default_template,
    field_kinds,
    kinds_of,
    known_template,
)
from persona_share.sandbox.state.fake_people import fake_person
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller
from persona_share.sandbox.state.state import State


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            "transaction-type-id*": STRING,
            "fields": OBJECT,
            "reference-id": STRING,
            "tags": STRINGS_OR_NULL,
        }
    },
    "meta": {},
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "fields": OBJECT,
            "status": STRING,
            "reference-id": STRING,
            "label": STRING,
            "tags": STRINGS,
        }
    }
}
LABEL: Final[Shape] = {
    "meta": {"label": STRING, "score": NUMBER, "model-version": STRING}
}


#: The declared fields of the default transaction type and their kinds.
DEFAULT_FIELDS: Final = {
    "name_first": "text",
    "name_last": "text",
    "country": "text",
    "amount": "number",
}


def default_transaction_type(state: State, owner: Environment) -> Record:
    """Return the owner's default transaction type."""
    return default_template(state, owner, "transaction-type", DEFAULT_FIELDS)


def add_transaction(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create a transaction; ``objects=`` are IDs of related objects of the owner.

    Raises:
        ValueError: if the owner has no such object.
    """
    given = kebab_keys(attributes)
    person = fake_person(state.runtime.stream("people"))
    fields: Json = {
        "name_first": {"type": "string", "value": person.first},
        "name_last": {"type": "string", "value": person.last},
        "country": {"type": "string", "value": "US"},
        "amount": {"type": "number", "value": 1250},
    }
    fields |= typed_fields(given.pop("fields", {}))
    transaction_id, objects = given.pop("id", None), given.pop("objects", ())
    related = [state.records.get(each) for each in objects]
    if any(each is None or each.owner is not owner for each in related):
        message = "there is no object of this id to relate to"
        raise ValueError(message)
    record = new_transaction(state, owner, {"fields": fields} | given, transaction_id)
    references = [each.identifier for each in related if each is not None]
    record.relationships["related-objects"] = {"data": references}
    record.internal["objects"] = [each["id"] for each in references]
    return ObjectRef(record.id, record.type)


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Create a transaction."""
    given = unless_null(attributes_of(body))
    owner, type_id = caller.environment, given.pop("transaction-type-id")
    kind = known_template(state, owner, "transaction-type", type_id, status=404)
    given["fields"] = field_values(
        state,
        given.get("fields", {}),
        kinds_of(kind),
        declared_only=state.switches.others_check_fields,
    )
    return new_transaction(state, owner, given, kind=kind), None


def update(state: State, record: Record, body: Json) -> None:
    """Replace the given attributes; fields are merged."""
    given = attributes_of(body)
    kinds = field_kinds(record.attributes["fields"].items())
    fields = field_values(
        state,
        given.pop("fields", {}),
        kinds,
        declared_only=state.switches.others_check_fields,
    )
    record.attributes["fields"] |= fields
    if "tags" in given:
        given["tags"] = stored_tags(state, "transaction", given["tags"])
    if (name := given.pop("label", None)) is not None:
        _set_label(state, record, {"label": name})
    record.attributes |= given


def label(state: State, record: Record, body: Json) -> None:
    """Give a transaction a label."""
    _set_label(state, record, meta_of(body))


def _set_label(state: State, record: Record, meta: Json) -> None:
    now = timestamp(state.runtime.now())
    attributes: Json = {
        "model-label": meta.get("label", ""),
        "model-version": meta.get("model-version"),
        "created-at": now,
        "updated-at": now,
    }
    label_record = Record(
        state.runtime.new_id("txnl"), "transaction-label", attributes, {}, record.owner
    )
    state.records.add(label_record)
    record.relationships["transaction-label"] = {"data": label_record.identifier}


def new_transaction(
    state: State,
    owner: Environment,
    attributes: Json,
    transaction_id: str | None = None,
    kind: Record | None = None,
) -> Record:
    """Create a transaction, of the default type unless given."""
    kind = kind or default_transaction_type(state, owner)
    now = timestamp(state.runtime.now())
    defaults: Json = {
        "status": "created",
        "reference-id": None,
        "fields": {},
        "signals": {},
        "tags": [],
        "created-at": now,
        "updated-at": now,
    }
    relationships: dict[str, Json] = {
        "reviewer": {"data": None},
        "transaction-label": {"data": None},
        "transaction-type": {"data": kind.identifier},
        "related-objects": {"data": []},
        "sentinel-sessions": {"data": []},
    }
    transaction_id = transaction_id or state.runtime.new_id("txn")
    record = Record(
        transaction_id, "transaction", defaults | attributes, relationships, owner
    )
    state.records.add(record)
    return record


def _has_field(record: Record, value: str) -> bool:
    return kebab(value) in map(kebab, record.attributes["fields"])


def _has_value(record: Record, value: str) -> bool:
    fields = record.attributes["fields"].values()
    return any(isinstance(f, dict) and f.get("value") == value for f in fields)


FILTERS: Final[Filters] = {
    "reference-id": equals("reference-id"),
    "transaction-type-id": relates_to("transaction-type"),
    "identifier][key": _has_field,
    "identifier][value": _has_value,
}
_TRANSACTION: Final = "/transactions/{transaction-id}"
ROUTES: Final[Routes] = {
    "GET /transactions": Operation(
        "list-all-transactions", list_handler("transaction", FILTERS)
    ),
    "POST /transactions": Operation(
        "create-a-transaction",
        create_handler("transaction", create, CREATE, event="transaction.created"),
    ),
    f"GET {_TRANSACTION}": Operation(
        "retrieve-a-transaction", retrieve_handler("transaction")
    ),
    f"PATCH {_TRANSACTION}": Operation(
        "update-a-transaction", update_handler("transaction", update, UPDATE)
    ),
    **redact_route("transaction", _TRANSACTION, "redact-a-transaction"),
    f"POST {_TRANSACTION}/label": Operation(
        "create-a-transaction-label", update_handler("transaction", label, LABEL)
    ),
    f"POST {_TRANSACTION}/redact-biometrics": Operation(
        "redact-transaction-biometrics",
        update_handler("transaction", redact_biometrics),
    ),
    **relation_routes("transaction", _TRANSACTION),
    **tag_routes(
        "transaction",
        _TRANSACTION,
        "transactions-add-tag",
        "transactions-remove-tag",
        "transactions-set-tags",
    ),
}
