"""The operations that make and change accounts."""

from typing import Final

from persona_share.model.ids import is_id
from persona_share.sandbox.accounts import USUAL, blank_fields, new_account
from persona_share.sandbox.bodies import (
    BAG,
    DATE,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TEXTS_OR_NULL,
    Maybe,
    Shape,
)
from persona_share.sandbox.calls import Caller
from persona_share.sandbox.entering import entered
from persona_share.sandbox.making import one
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import (
    attributes_of,
    conflict,
    found,
    meta_of,
    touch,
)


_PHOTO: Final[Shape] = {"data": TEXT, "filename": TEXT}
#: Attributes that stand for a field, and for a part of it.
_FLAT: Final = {
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
_SHARED: Final[dict[str, Shape]] = {
    "account-status": TEXT,
    "reference-id": TEXT,
    "selfie-photo": {"data": _PHOTO},
    "tags": TEXTS_OR_NULL,
    "social-security-number": TEXT,
    "fields": BAG,
    **dict.fromkeys(_FLAT, TEXT),
    "birthdate": DATE,
}
CREATE: Final[Shape] = {
    "data": {"attributes": {"account-type-id": TEXT, **_SHARED}},
    "meta": {"upsert-by": TEXT_OR_NULL},
}
UPDATE: Final[Shape] = {
    "data": {"attributes": {**_SHARED, "selfie-photo": {"data": Maybe(_PHOTO)}}}
}
CONSOLIDATE: Final[Shape] = {"meta*": {"source-account-ids*": TEXTS}}
RUN_ACTION: Final[Shape] = {"data*": {"account-action-id*": TEXT, "parameters": BAG}}

_MOST_SOURCES: Final = 100


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Make an account, or find it again where the body asks for that."""
    given, upsert_by = attributes_of(body), body.get("meta", {}).get("upsert-by")
    if upsert_by is not None:
        again = _known(state, caller, given, upsert_by)
        if again is not None:
            update(state, again, body)
            touch(state, again)
            return again, None
    record = new_account(
        state, caller.environment, _fields(state, blank_fields(), given), {}
    )
    if "account-type-id" in given:
        kind = one("account-type", given["account-type-id"])
        record.relationships["account-type"] = kind
    _plain(record, given)
    return record, None


def _known(state: State, caller: Caller, given: Json, by: str) -> Record | None:
    if by.replace("_", "-") != "reference-id" or "reference-id" not in given:
        raise Problem(422, "meta.upsert_by must be reference-id, and one must be given")
    for record in state.records.listed("account", caller):
        if record.attributes["reference-id"] == given["reference-id"]:
            return record
    return None


def update(state: State, record: Record, body: Json) -> None:
    """Replace what the body names; fields are merged."""
    given = attributes_of(body)
    record.attributes["fields"] |= _fields(state, record.attributes["fields"], given)
    _plain(record, given)


def _fields(state: State, known: Json, given: Json) -> Json:
    """Answer the fields that the body changes, all of them or a refusal."""
    changed = entered(state, given.get("fields", {}), USUAL)
    for name, (field, part) in _FLAT.items():
        if name not in given:
            continue
        now = changed.get(field) or known[field]
        text = given[name]
        if part is not None:
            inner = now["value"] if isinstance(now["value"], dict) else {}
            text = {**inner, part: {"type": "string", "value": text}}
        changed[field] = {**now, "value": text}
    photo = given.get("selfie-photo", {}).get("data")
    if photo is not None:
        changed |= entered(state, {"selfie_photo": photo}, USUAL)
    return changed


def _plain(record: Record, given: Json) -> None:
    for name in ("account-status", "reference-id", "tags"):
        if given.get(name) is not None:
            record.attributes[name] = given[name]


def consolidate(state: State, record: Record, body: Json) -> None:
    """Take over what belongs to other accounts, which are then archived."""
    ids = meta_of(body)["source-account-ids"]
    if not 0 < len(ids) <= _MOST_SOURCES or record.id in ids:
        raise Problem(422, "meta.source_account_ids must name other accounts")
    sources = [found(state, each, record, "account") for each in ids]
    if any(each.hidden.get("archived") for each in [record, *sources]):
        raise conflict(state, "an account was consolidated before")
    for source in sources:
        source.hidden["archived"] = True
        touch(state, source)
    taken = {source.id for source in sources}
    for kin in state.records:
        account = kin.relationships.get("account")
        if account and account["data"] and account["data"]["id"] in taken:
            kin.relationships["account"] = {"data": record.name}
            touch(state, kin)


def run_action(state: State, _record: Record, body: Json) -> Json:
    """Answer the workflow run that an action began."""
    if not is_id(body["data"]["account-action-id"]):
        raise Problem(400, "data.account_action_id is no id")
    return {"workflow-run-id": state.world.new_id("wfr")}
