"""The operations that make and work on cases."""

from typing import Final

from persona_share.sandbox.bodies import (
    BAG,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TEXTS_OR_NULL,
    Shape,
)
from persona_share.sandbox.calls import Caller
from persona_share.sandbox.cases import PLACES, new_case
from persona_share.sandbox.entering import entered, uploaded
from persona_share.sandbox.making import in_time, moment, one
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State
from persona_share.sandbox.writing import attributes_of, found, meta_of


CREATE: Final[Shape] = {
    "data*": {
        "attributes": {
            "case-template-id*": TEXT,
            "creator-email-address": TEXT,
            "case-queue-id": TEXT,
            "fields": BAG,
        }
    },
    "meta": {"object-ids": TEXTS, "sla-expires-in-seconds": NUMBER_OR_NULL},
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "attachments": [{"data": TEXT, "filename": TEXT}],
            "case-queue-id": TEXT_OR_NULL,
            "fields": BAG,
        }
    },
    "meta": {"sla-expires-in-seconds": NUMBER_OR_NULL},
}
OBJECTS: Final[Shape] = {"meta": {"object-ids": TEXTS_OR_NULL}}
ASSIGN: Final[Shape] = {"meta*": {"user-email-address*": TEXT}}
STATUS: Final[Shape] = {"meta": {"status*": TEXT}}


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Make a case of a template."""
    given, meta = attributes_of(body), meta_of(body)
    if "case-template-id" not in given:
        raise Problem(400, "data.attributes.case_template_id is missing")
    attributes: Json = {"fields": entered(state, given.get("fields", {}), {})}
    if "creator-email-address" in given:
        attributes["creator-id"] = given["creator-email-address"]
        attributes["creator-type"] = "user"
    if meta.get("sla-expires-in-seconds") is not None:
        attributes["sla-expires-at"] = in_time(state, meta["sla-expires-in-seconds"])
    kin = [found(state, each, caller, *PLACES) for each in meta.get("object-ids", ())]
    record = new_case(state, caller.environment, attributes, given["case-template-id"])
    _queue(record, given.get("case-queue-id"))
    for each in kin:
        _put(record, each)
    return record, None


def update(state: State, record: Record, body: Json) -> None:
    """Replace what the body names; fields and attachments are added."""
    given, meta = attributes_of(body), meta_of(body)
    fields = entered(state, given.get("fields", {}), {})
    files = [
        uploaded(state, each.get("data", ""), each.get("filename", "file.bin"))
        for each in given.get("attachments", ())
    ]
    record.attributes["fields"] |= fields
    record.attributes["attachments"].extend(files)
    if "case-queue-id" in given:
        _queue(record, given["case-queue-id"])
    if "sla-expires-in-seconds" in meta:
        seconds = meta["sla-expires-in-seconds"]
        until = None if seconds is None else in_time(state, seconds)
        record.attributes["sla-expires-at"] = until


def add_objects(state: State, record: Record, body: Json) -> None:
    """Put objects into a case."""
    for kin in _objects(state, record, body):
        _put(record, kin)


def remove_objects(state: State, record: Record, body: Json) -> None:
    """Take objects out of a case."""
    for kin in _objects(state, record, body):
        named = record.relationships[PLACES[kin.family]]["data"]
        if kin.name in named:
            named.remove(kin.name)


def _objects(state: State, record: Record, body: Json) -> list[Record]:
    ids = meta_of(body).get("object-ids") or ()
    return [found(state, each, record, *PLACES) for each in ids]


def assign(state: State, record: Record, body: Json) -> None:
    """Give a case to a user, whose id comes from the address."""
    address: str = meta_of(body)["user-email-address"]
    record.attributes |= {
        "assignee-id": f"user_{state.world.digest(address)}",
        "assigned-at": moment(state.world.now()),
        "assigner-type": "api-key",
    }


def set_status(state: State, record: Record, body: Json) -> None:
    """Set the status of a case, any word of its template."""
    status = meta_of(body).get("status")
    if status is None:
        raise Problem(400, "meta.status is missing")
    record.attributes["status"] = status
    resolved = status.lower() in {"resolved", "approved", "declined"}
    now = moment(state.world.now()) if resolved else None
    record.attributes |= {
        "resolved-at": now,
        "resolution": status if resolved else None,
    }


def _put(record: Record, kin: Record) -> None:
    named = record.relationships[PLACES[kin.family]]["data"]
    if kin.name not in named:
        named.append(kin.name)


def _queue(record: Record, queue_id: str | None) -> None:
    queue = {"data": None} if queue_id is None else one("case-queue", queue_id)
    record.relationships["case-queue"] = queue
