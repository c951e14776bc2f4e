"""Verifications of the kinds that partners share most."""

from typing import Any, Final

from persona_share.sandbox.making import kebab_keys, moment, one, reference
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.people import Person, person
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.verification_kinds import OWN


#: The last part of a type, and the segment of its own retrieve operation.
SEGMENTS: Final = {
    "aamva": "aamvas",
    "database": "databases",
    "database-ecbsv": "database-ecbsvs",
    "database-phone-carrier": "database-phone-carriers",
    "database-serpro": "database-serpros",
    "database-standard": "database-standards",
    "database-tin": "database-tins",
    "document": "documents",
    "email-address": "email-addresses",
    "government-id": "government-ids",
    "government-id-nfc": "government-id-nfcs",
    "phone-number": "phone-numbers",
    "selfie": "selfies",
}
#: The moments that a status sets.
_UNFINISHED: Final = ("initiated", "submitted")


def add_verification(
    state: State,
    owner: Environment,
    attributes: dict[str, Any],
    who: Person | None = None,
) -> Added:
    """Make a verification, a passed government id unless the arguments say otherwise.

    ``kind=`` is the last part of its type (``"selfie"``), ``inquiry=`` names an
    inquiry of the same owner, which then names the verification, too.
    """
    given = kebab_keys(attributes)
    verification_id = given.pop("id", None) or state.world.new_id("ver")
    kind = given.pop("kind", "government-id")
    inquiry = given.pop("inquiry", None)
    who = who or person(state.world.stream("people"))
    made = _shared(state, given.get("status", "passed"), kind)
    if kind in OWN:
        made |= OWN[kind](state, who)
    relationships = _relationships(state)
    if inquiry is not None:
        relationships["inquiry"] = reference(state, inquiry, "inquiry", owner)
    record = Record(
        verification_id, f"verification/{kind}", made | given, relationships, owner
    )
    added = state.records.add(record)
    if inquiry is not None:
        _name_in_inquiry(state, inquiry, added)
    return added


def _name_in_inquiry(state: State, inquiry_id: str, added: Added) -> None:
    inquiry = state.records.get(inquiry_id)
    if inquiry is not None:
        named = inquiry.relationships["verifications"]["data"]
        named.append({"type": added.type, "id": added.id})
        inquiry.changed()


def _shared(state: State, status: str, kind: str) -> Json:
    seconds = state.world.now()
    now, stamp = moment(seconds), int(seconds)
    submitted = status != "initiated"
    completed = status not in _UNFINISHED
    return {
        "status": status,
        "created-at": now,
        "created-at-ts": stamp,
        "submitted-at": now if submitted else None,
        "submitted-at-ts": stamp if submitted else None,
        "completed-at": now if completed else None,
        "completed-at-ts": stamp if completed else None,
        "redacted-at": None,
        "country-code": "US",
        "tags": [],
        "checks": [_check(f"{kind.replace('-', '_')}_{rest}") for rest in _CHECKS],
    }


_CHECKS: Final = ("expired_detection", "compromised_detection", "entity_detection")


def _check(name: str) -> Json:
    return {
        "name": name,
        "status": "passed",
        "reasons": [],
        "requirement": "required",
        "metadata": {},
    }


def _relationships(state: State) -> dict[str, Json]:
    return {
        "inquiry": {"data": None},
        "template": {"data": None},
        "inquiry-template-version": {"data": None},
        "inquiry-template": {"data": None},
        "transaction": {"data": None},
        "verification-template": one(
            "verification-template/government-id", state.world.new_id("vtmpl")
        ),
        "verification-template-version": {"data": None},
        "accounts": {"data": []},
    }


def lock(_state: State, record: Record, _body: Json) -> None:
    """Keep a verification from being redacted while somebody looks into it."""
    record.hidden["locked"] = True


def unlock(_state: State, record: Record, _body: Json) -> None:
    """End the lock of an investigation."""
    record.hidden["locked"] = False
