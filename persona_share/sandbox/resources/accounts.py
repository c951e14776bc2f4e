"""Accounts: one for each person."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.model.ids import is_id
from persona_share.sandbox.jsonapi.body import (
    DATE,
    OBJECT,
    STRING,
    STRING_OR_NULL,
    STRINGS,
    STRINGS_OR_NULL,
    Nullable,
    Shape,
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
    conflict,
    create_handler,
    mark_updated,
    meta_of,
    redact_route,
    referenced_record,
    tag_routes,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    Filters,
    equals,
    list_handler,
    of_attribute,
    of_fields,
    of_relationship,
    retrieve_handler,
    search_handler,
)
from persona_share.sandbox.resources.relations import list_relations, relation_routes
from persona_share.sandbox.resources.templates import default_template, known_template
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.fake_people import Person, fake_person
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller
from persona_share.sandbox.state.state import State


#: The fields of every account and their kinds.
DEFAULT_FIELDS: Final = {
    "name": "hash",
    "address": "hash",
    "identification_numbers": "hash_array",
    "birthdate": "date",
    "phone_number": "text",
    "email_address": "text",
    "selfie_photo": "file",
}


def default_account_type(state: State, owner: Environment) -> Record:
    """Return the owner's default account type."""
    return default_template(state, owner, "account-type", DEFAULT_FIELDS)


def add_account(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    person: Person | None = None,
) -> ObjectRef:
    """Create an account; ``attributes`` replace the generated ones."""
    given = kebab_keys(attributes)
    account_id = given.pop("id", None)
    person = person or fake_person(state.runtime.stream("people"))
    fields = _fields(lambda name: getattr(person, name))
    fields |= typed_fields(given.pop("fields", {}))
    record = new_account(state, owner, fields, given, account_id=account_id)
    return ObjectRef(record.id, record.type)


def new_account(
    state: State,
    owner: Environment,
    fields: Json,
    attributes: Json,
    *,
    account_id: str | None = None,
    kind: Record | None = None,
) -> Record:
    """Create an account with these fields, of the default type unless given."""
    kind = kind or default_account_type(state, owner)
    now = timestamp(state.runtime.now())
    values: Json = {
        "reference-id": None,
        "account-type-name": kind.attributes["name"],
        "account-status": "Default",
        "created-at": now,
        "updated-at": now,
        "redacted-at": None,
        "tags": [],
        "fields": blank_fields() | fields,
    }
    values |= attributes
    values["tags"] = stored_tags(state, "account", values["tags"])
    account_id = account_id or state.runtime.new_id("act")
    related = {"account-type": {"data": kind.identifier}}
    record = Record(account_id, "account", values, related, owner)
    state.records.add(record)
    return record


def blank_fields() -> Json:
    """Return the default fields without values."""
    return _fields(lambda _name: None)


def _fields(known: Callable[[str], str | None]) -> Json:
    def text(value: str | None) -> Json:
        return {"type": "string", "value": value}

    def hash_of(**parts: str | None) -> Json:
        return {"type": "hash", "value": {k: text(v) for k, v in parts.items()}}

    return {
        "name": hash_of(
            first=known("first"), middle=known("middle"), last=known("last")
        ),
        "address": hash_of(
            street_1=known("street"),
            street_2=known("unit"),
            subdivision=known("region"),
            city=known("town"),
            postal_code=known("postal_code"),
            country_code="US" if known("town") else None,
        ),
        "identification_numbers": {"type": "array", "value": []},
        "birthdate": {"type": "date", "value": known("birthdate")},
        "phone_number": text(known("phone")),
        "email_address": text(known("email")),
        "selfie_photo": {"type": "file", "value": None},
    }


_PHOTO: Final[Shape] = {"data": STRING, "filename": STRING}
#: The field, and the part of it, that each attribute sets.
_FIELD_OF_ATTRIBUTE: Final = {
    "birthdate": ("birthdate", None),
    "phone-number": ("phone_number", None),
    "email-address": ("email_address", None),
    "name-first": ("name", "first"),
    "name-middle": ("name", "middle"),
    "name-last": ("name", "last"),
    "address-street-1": ("address", "street_1"),
    "address-street-2": ("address", "street_2"),
    "address-city": ("address", "city"),
    "address-subdivision": ("address", "subdivision"),
    "address-postal-code": ("address", "postal_code"),
    "country-code": ("address", "country_code"),
}
#: Attributes that set a field, or a part of one.
FLAT_ATTRIBUTES: Final = frozenset(_FIELD_OF_ATTRIBUTE)
_COMMON_ATTRIBUTES: Final[dict[str, Shape]] = {
    "account-status": STRING,
    "reference-id": STRING,
    "selfie-photo": {"data": _PHOTO},
    "tags": STRINGS_OR_NULL,
    "social-security-number": STRING,
    "fields": OBJECT,
    **dict.fromkeys(_FIELD_OF_ATTRIBUTE, STRING),
    "birthdate": DATE,
}
CREATE: Final[Shape] = {
    "data": {"attributes": {"account-type-id": STRING, **_COMMON_ATTRIBUTES}},
    "meta": {"upsert-by": STRING_OR_NULL},
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {**_COMMON_ATTRIBUTES, "selfie-photo": {"data": Nullable(_PHOTO)}}
    }
}
CONSOLIDATE: Final[Shape] = {"meta*": {"source-account-ids*": STRINGS}}
RUN_ACTION: Final[Shape] = {
    "data*": {"account-action-id*": STRING, "parameters": OBJECT}
}

_MAX_SOURCES: Final = 100


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Create an account, or update an existing one for ``upsert-by``."""
    given, upsert_by = attributes_of(body), body.get("meta", {}).get("upsert-by")
    if upsert_by is not None:
        existing = _existing(state, caller, given, upsert_by)
        if existing is not None:
            update(state, existing, body)
            mark_updated(state, existing)
            return existing, None
    owner, kind = caller.environment, None
    if "account-type-id" in given:
        kind = known_template(
            state, owner, "account-type", given["account-type-id"], status=404
        )
    fields = _changed_fields(state, blank_fields(), given)
    record = new_account(state, owner, fields, {}, kind=kind)
    _update_attributes(state, record, given)
    return record, None


def _existing(
    state: State, caller: Caller, given: Json, upsert_by: str
) -> Record | None:
    if upsert_by.replace("_", "-") != "reference-id" or "reference-id" not in given:
        raise ApiError(
            422, "meta.upsert_by must be reference-id, and one must be given"
        )
    for record in state.records.listed("account", caller):
        if record.attributes["reference-id"] == given["reference-id"]:
            return record
    return None


def update(state: State, record: Record, body: Json) -> None:
    """Replace the given attributes; fields are merged."""
    given = attributes_of(body)
    record.attributes["fields"] |= _changed_fields(
        state, record.attributes["fields"], given
    )
    _update_attributes(state, record, given)


def _changed_fields(state: State, known: Json, given: Json) -> Json:
    """Return the fields that the body changes."""
    field_changes = field_values(
        state,
        given.get("fields", {}),
        DEFAULT_FIELDS,
        declared_only=state.switches.others_check_fields,
    )
    for name, (field, part) in _FIELD_OF_ATTRIBUTE.items():
        if name not in given:
            continue
        current = field_changes.get(field) or known[field]
        value = given[name]
        if part is not None:
            inner = current["value"] if isinstance(current["value"], dict) else {}
            value = {**inner, part: {"type": "string", "value": value}}
        field_changes[field] = {**current, "value": value}
    photo = given.get("selfie-photo", {}).get("data")
    if photo is not None:
        field_changes |= field_values(state, {"selfie_photo": photo}, DEFAULT_FIELDS)
    return field_changes


def _update_attributes(state: State, record: Record, given: Json) -> None:
    for name in ("account-status", "reference-id"):
        if given.get(name) is not None:
            record.attributes[name] = given[name]
    if given.get("tags") is not None:
        record.attributes["tags"] = stored_tags(state, "account", given["tags"])


def consolidate(state: State, record: Record, body: Json) -> None:
    """Move the related objects of other accounts here, and archive those."""
    ids = meta_of(body)["source-account-ids"]
    if not 0 < len(ids) <= _MAX_SOURCES or record.id in ids:
        raise ApiError(422, "meta.source_account_ids must name other accounts")
    sources = [referenced_record(state, each, record, "account") for each in ids]
    if any(each.internal.get("archived") for each in [record, *sources]):
        raise conflict(state, "an account was consolidated before")
    for source in sources:
        source.internal["archived"] = True
        mark_updated(state, source)
    source_ids = {source.id for source in sources}
    for each in state.records:
        account = each.relationships.get("account")
        if account and account["data"] and account["data"]["id"] in source_ids:
            each.relationships["account"] = {"data": record.identifier}
            mark_updated(state, each)


def run_action(state: State, _record: Record, body: Json) -> Json:
    """Return the workflow run that an action started."""
    if not is_id(body["data"]["account-action-id"]):
        raise ApiError(400, "data.account_action_id is not an id")
    return {"workflow-run-id": state.runtime.new_id("wfr")}


def _consolidate_status(state: State) -> int:
    return state.switches.consolidate_status


FILTERS: Final[Filters] = {"reference-id": equals("reference-id")}
_ACCOUNT: Final = "/accounts/{account-id}"
_SEARCHED: Final = {
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
    "type": of_relationship("account-type"),
    "status": of_attribute("account-status"),
    "fields.*": of_fields,
}
ROUTES: Final[Routes] = {
    "GET /accounts": Operation("list-all-accounts", list_handler("account", FILTERS)),
    "POST /accounts": Operation(
        "create-an-account",
        create_handler("account", create, CREATE, event="account.created"),
    ),
    "POST /accounts/search": Operation(
        "search-accounts", search_handler("account", _SEARCHED)
    ),
    f"GET {_ACCOUNT}": Operation("retrieve-an-account", retrieve_handler("account")),
    f"PATCH {_ACCOUNT}": Operation(
        "update-an-account", update_handler("account", update, UPDATE)
    ),
    **redact_route("account", _ACCOUNT, "redact-an-account"),
    f"GET {_ACCOUNT}/relations": Operation(
        "accounts-list-all-relations", list_relations
    ),
    **relation_routes("account", _ACCOUNT),
    f"POST {_ACCOUNT}/consolidate": Operation(
        "consolidate-into-an-account",
        update_handler("account", consolidate, CONSOLIDATE, status=_consolidate_status),
    ),
    f"POST {_ACCOUNT}/run-action": Operation(
        "runAccountAction", update_handler("account", run_action, RUN_ACTION)
    ),
    **tag_routes(
        "account",
        _ACCOUNT,
        "accounts-add-tag",
        "accounts-remove-tag",
        "accounts-set-all-tags",
    ),
}
