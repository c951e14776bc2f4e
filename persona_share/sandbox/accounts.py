"""Accounts: one for each person."""

from collections.abc import Callable
from typing import Any, Final

from persona_share.sandbox.making import kebab_keys, moment, one, worded_fields
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


#: The usual fields and their kinds.
USUAL: Final = {
    "name": "bag",
    "address": "bag",
    "identification_numbers": "rows",
    "birthdate": "date",
    "phone_number": "text",
    "email_address": "text",
    "selfie_photo": "file",
}


def add_account(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    who: Person | None = None,
) -> Added:
    """Make an account; what ``attributes`` names replaces what the dice say."""
    given = kebab_keys(attributes)
    account_id = given.pop("id", None)
    who = who or person(state.world.stream("people"))
    fields = _fields(lambda name: getattr(who, name))
    fields |= worded_fields(given.pop("fields", {}))
    record = new_account(state, owner, fields, given, account_id)
    return Added(record.id, record.type)


def new_account(
    state: State,
    owner: Environment,
    fields: Json,
    attributes: Json,
    account_id: str | None = None,
) -> Record:
    """Make an account of just what is given."""
    now = moment(state.world.now())
    made: Json = {
        "reference-id": None,
        "account-type-name": "User",
        "account-status": "Default",
        "created-at": now,
        "updated-at": now,
        "redacted-at": None,
        "tags": [],
        "fields": blank_fields() | fields,
    }
    account_id = account_id or state.world.new_id("act")
    kind = {"account-type": one("account-type", state.world.new_id("acttp"))}
    record = Record(account_id, "account", made | attributes, kind, owner)
    state.records.add(record)
    return record


def blank_fields() -> Json:
    """Answer the usual fields, empty."""
    return _fields(lambda _name: None)


def _fields(known: Callable[[str], str | None]) -> Json:
    def text(value: str | None) -> Json:
        return {"type": "string", "value": value}

    def bag(**parts: str | None) -> Json:
        return {"type": "hash", "value": {k: text(v) for k, v in parts.items()}}

    return {
        "name": bag(first=known("first"), middle=known("middle"), last=known("last")),
        "address": bag(
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
