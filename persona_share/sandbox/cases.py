"""Cases: what somebody looks into, and the objects that belong to it."""

from typing import Any, Final

from persona_share.sandbox.making import kebab_keys, moment, one, worded_fields
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.records import Added, Json, Record
from persona_share.sandbox.state import State


#: The relationship that an object of a family goes into.
PLACES: Final = {
    "account": "accounts",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "txns",
    "verification": "verifications",
}
_UNSET: Final = (
    "resolution",
    "assigned-at",
    "resolved-at",
    "redacted-at",
    "sla-expires-at",
    "assignee-id",
    "assigner-id",
    "assigner-type",
    "resolver-id",
    "resolver-type",
    "updater-id",
    "updater-type",
)


def add_case(state: State, owner: Environment, attributes: dict[str, Any]) -> Added:
    """Make a case; ``objects=`` are ids of the owner's that belong to it.

    Raises:
        ValueError: where the owner has no such object.
    """
    given = kebab_keys(attributes)
    given["fields"] = worded_fields(given.get("fields", {}))
    case_id, objects = given.pop("id", None), given.pop("objects", ())
    kin = [state.records.get(each) for each in objects]
    known = [each for each in kin if each and each.owner is owner]
    if len(known) != len(kin) or any(each.family not in PLACES for each in known):
        message = "there is no object of this id to belong to a case"
        raise ValueError(message)
    record = new_case(state, owner, given, case_id=case_id)
    for each in known:
        record.relationships[PLACES[each.family]]["data"].append(each.name)
    return Added(record.id, record.type)


def new_case(
    state: State,
    owner: Environment,
    attributes: Json,
    template: str | None = None,
    *,
    case_id: str | None = None,
) -> Record:
    """Make a case of just what is given."""
    now = moment(state.world.now())
    number = state.world.stream("cases").randrange(100, 10_000)
    made: Json = {
        "status": "open",
        "name": f"SBX-{number}",
        **dict.fromkeys(_UNSET),
        "created-at": now,
        "updated-at": now,
        "creator-id": None,
        "creator-type": "api-key",
        "tags": [],
        "fields": {},
        "attachments": [],
    }
    template = template or state.world.new_id("ctmpl")
    kin: dict[str, Json] = {name: {"data": []} for name in PLACES.values()}
    kin |= {
        "case-comments": {"data": []},
        "case-template": one("case-template", template),
        "case-queue": {"data": None},
    }
    case_id = case_id or state.world.new_id("case")
    record = Record(case_id, "case", made | attributes, kin, owner)
    state.records.add(record)
    return record
