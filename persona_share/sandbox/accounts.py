"""Accounts: one for each person."""

from typing import Any

from persona_share.sandbox.making import kebab_keys, moment, one, worded_fields
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


def add_account(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    who: Person | None = None,
) -> Added:
    """Make an account; what ``attributes`` names replaces what the dice say."""
    given = kebab_keys(attributes)
    account_id = given.pop("id", None) or state.world.new_id("act")
    who = who or person(state.world.stream("people"))
    fields = _fields(who) | worded_fields(given.pop("fields", {}))
    now = moment(state.world.now())
    made: Json = {
        "reference-id": None,
        "account-type-name": "User",
        "account-status": "Default",
        "created-at": now,
        "updated-at": now,
        "redacted-at": None,
        "tags": [],
        "fields": fields,
    }
    kind = {"account-type": one("account-type", state.world.new_id("acttp"))}
    return state.records.add(Record(account_id, "account", made | given, kind, owner))


def _fields(who: Person) -> Json:
    def text(value: str | None) -> Json:
        return {"type": "string", "value": value}

    def bag(**parts: str | None) -> Json:
        return {"type": "hash", "value": {k: text(v) for k, v in parts.items()}}

    return {
        "name": bag(first=who.first, middle=who.middle, last=who.last),
        "address": bag(
            street_1=who.street,
            street_2=who.unit,
            subdivision=who.region,
            city=who.town,
            postal_code=who.postal_code,
            country_code="US",
        ),
        "identification_numbers": {"type": "array", "value": []},
        "birthdate": {"type": "date", "value": who.birthdate},
        "phone_number": text(who.phone),
        "email_address": text(who.email),
        "selfie_photo": {"type": "file", "value": None},
    }
