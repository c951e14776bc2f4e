"""Cases: investigations and their related objects."""

from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    NUMBER_OR_NULL,
    OBJECT,
    STRING,
    STRING_OR_NULL,
    STRINGS,
    STRINGS_OR_NULL,
    Shape,
)
from persona_share.sandbox.jsonapi.objects import (
    field_values,
    kebab_keys,
    relationship,
    stored_upload,
    timestamp,
    timestamp_in,
    typed_fields,
)
from persona_share.sandbox.jsonapi.operations import (
    Operation,
    Routes,
    attributes_of,
    create_handler,
    meta_of,
    redact_route,
    referenced_record,
    tag_routes,
    update_handler,
)
from persona_share.sandbox.jsonapi.read import (
    Filters,
    is_one_of,
    list_handler,
    of_attribute,
    of_fields,
    of_relationship,
    of_relationships,
    relates_to,
    retrieve_handler,
    search_handler,
)
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Caller
from persona_share.sandbox.state.state import State


#: The relationship for the objects of each family.
CASE_RELATIONSHIPS: Final = {
    "account": "accounts",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "txns",
    "verification": "verifications",
}
_NULL_ATTRIBUTES: Final = (
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


def add_case(state: State, owner: Environment, attributes: dict[str, Any]) -> ObjectRef:
    """Create a case; ``objects=`` are IDs of objects of the owner.

    Raises:
        ValueError: if the owner has no such object.
    """
    given = kebab_keys(attributes)
    given["fields"] = typed_fields(given.get("fields", {}))
    case_id, objects = given.pop("id", None), given.pop("objects", ())
    found = [state.records.get(each) for each in objects]
    known = [each for each in found if each and each.owner is owner]
    if len(known) != len(found) or any(
        each.family not in CASE_RELATIONSHIPS for each in known
    ):
        message = "there is no object with this id for the case"
        raise ValueError(message)
    record = new_case(state, owner, given, case_id=case_id)
    for each in known:
        _references(record, each).append(each.identifier)
    return ObjectRef(record.id, record.type)


def new_case(
    state: State,
    owner: Environment,
    attributes: Json,
    template: str | None = None,
    *,
    case_id: str | None = None,
) -> Record:
    """Create a case with the given attributes."""
    now = timestamp(state.runtime.now())
    number = state.runtime.stream("cases").randrange(100, 10_000)
    defaults: Json = {
        "status": "open",
        "name": f"SBX-{number}",
        **dict.fromkeys(_NULL_ATTRIBUTES),
        "created-at": now,
        "updated-at": now,
        "creator-id": None,
        "creator-type": "api-key",
        "tags": [],
        "fields": {},
        "attachments": [],
    }
    template = template or state.runtime.new_id("ctmpl")
    relationships: dict[str, Json] = {
        name: {"data": []} for name in CASE_RELATIONSHIPS.values()
    }
    relationships |= {
        "case-comments": {"data": []},
        "case-template": relationship("case-template", template),
        "case-queue": {"data": None},
    }
    case_id = case_id or state.runtime.new_id("case")
    record = Record(case_id, "case", defaults | attributes, relationships, owner)
    state.records.add(record)
    return record


CREATE: Final[Shape] = {
    "data*": {
        "attributes": {
            "case-template-id*": STRING,
            "creator-email-address": STRING,
            "case-queue-id": STRING,
            "fields": OBJECT,
        }
    },
    "meta": {"object-ids": STRINGS, "sla-expires-in-seconds": NUMBER_OR_NULL},
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "attachments": [{"data": STRING, "filename": STRING}],
            "case-queue-id": STRING_OR_NULL,
            "fields": OBJECT,
        }
    },
    "meta": {"sla-expires-in-seconds": NUMBER_OR_NULL},
}
OBJECTS: Final[Shape] = {"meta": {"object-ids": STRINGS_OR_NULL}}
ASSIGN: Final[Shape] = {"meta*": {"user-email-address*": STRING}}
STATUS: Final[Shape] = {"meta": {"status*": STRING}}


def create(state: State, caller: Caller, body: Json) -> tuple[Record, None]:
    """Create a case of a template."""
    given, meta = attributes_of(body), meta_of(body)
    if "case-template-id" not in given:
        raise ApiError(400, "data.attributes.case_template_id is missing")
    attributes: Json = {"fields": field_values(state, given.get("fields", {}), {})}
    if "creator-email-address" in given:
        attributes["creator-id"] = given["creator-email-address"]
        attributes["creator-type"] = "user"
    if meta.get("sla-expires-in-seconds") is not None:
        attributes["sla-expires-at"] = timestamp_in(
            state, meta["sla-expires-in-seconds"]
        )
    related = [
        referenced_record(state, each, caller, *CASE_RELATIONSHIPS)
        for each in meta.get("object-ids", ())
    ]
    record = new_case(state, caller.environment, attributes, given["case-template-id"])
    _queue(record, given.get("case-queue-id"))
    for each in related:
        _attach(record, each)
    return record, None


def update(state: State, record: Record, body: Json) -> None:
    """Replace the given attributes; fields and attachments are added."""
    given, meta = attributes_of(body), meta_of(body)
    fields = field_values(state, given.get("fields", {}), {})
    files = [
        stored_upload(state, each.get("data", ""), each.get("filename", "file.bin"))
        for each in given.get("attachments", ())
    ]
    record.attributes["fields"] |= fields
    record.attributes["attachments"].extend(files)
    if "case-queue-id" in given:
        _queue(record, given["case-queue-id"])
    if "sla-expires-in-seconds" in meta:
        seconds = meta["sla-expires-in-seconds"]
        until = None if seconds is None else timestamp_in(state, seconds)
        record.attributes["sla-expires-at"] = until


def add_objects(state: State, record: Record, body: Json) -> None:
    """Add objects to a case."""
    for each in _objects(state, record, body):
        _attach(record, each)


def remove_objects(state: State, record: Record, body: Json) -> None:
    """Remove objects from a case."""
    for each in _objects(state, record, body):
        references = _references(record, each)
        if each.identifier in references:
            references.remove(each.identifier)


def _objects(state: State, record: Record, body: Json) -> list[Record]:
    ids = meta_of(body).get("object-ids") or ()
    return [referenced_record(state, each, record, *CASE_RELATIONSHIPS) for each in ids]


def assign(state: State, record: Record, body: Json) -> None:
    """Assign a case to a user, whose id is derived from the email address."""
    address: str = meta_of(body)["user-email-address"]
    record.attributes |= {
        "assignee-id": f"user_{state.runtime.digest(address)}",
        "assigned-at": timestamp(state.runtime.now()),
        "assigner-type": "api-key",
    }


def set_status(state: State, record: Record, body: Json) -> None:
    """Set the status of a case; any word is accepted."""
    status = meta_of(body).get("status")
    if status is None:
        raise ApiError(400, "meta.status is missing")
    record.attributes["status"] = status
    resolved = status.lower() in {"resolved", "approved", "declined"}
    now = timestamp(state.runtime.now()) if resolved else None
    record.attributes |= {
        "resolved-at": now,
        "resolution": status if resolved else None,
    }


def _attach(record: Record, related: Record) -> None:
    references = _references(record, related)
    if related.identifier not in references:
        references.append(related.identifier)


def _references(record: Record, related: Record) -> list[Json]:
    """Return the references of a case to objects of the same family."""
    references: list[Json] = record.relationships[CASE_RELATIONSHIPS[related.family]][
        "data"
    ]
    return references


def _queue(record: Record, queue_id: str | None) -> None:
    queue = {"data": None} if queue_id is None else relationship("case-queue", queue_id)
    record.relationships["case-queue"] = queue


COMMENT: Final[Shape] = {"meta*": {"message*": STRING}}


def add_comment(state: State, record: Record, body: Json) -> None:
    """Add a comment to a case."""
    message: str = meta_of(body)["message"]
    if not message:
        raise ApiError(400, "meta.message must not be empty", pointer="/meta/message")
    now = timestamp(state.runtime.now())
    comment = Record(
        state.runtime.new_id("comment"),
        "case-comment",
        {
            "message": message,
            "created-at": now,
            "updated-at": now,
            "commenter-id": "sandbox",
            "commenter-type": "api-key",
        },
        {},
        record.owner,
        parents=(record.id,),
    )
    state.records.add(comment)
    record.relationships["case-comments"]["data"].append(comment.identifier)


FILTERS: Final[Filters] = {
    "status": is_one_of("status"),
    "case-template-id": relates_to("case-template"),
    "account-id": relates_to("accounts"),
    "reference-id": lambda record, value: record.internal.get("reference-id") == value,
    "inquiry-id": relates_to("inquiries"),
    "report-id": relates_to("reports"),
}
_CASE: Final = "/cases/{case-id}"
_SEARCHED: Final = {
    "template": of_relationship("case-template"),
    "status": of_attribute("status"),
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
    "resolved_at": of_attribute("resolved-at"),
    "sla_expires_at": of_attribute("sla-expires-at"),
    "assignee": of_attribute("assignee-id"),
    "case_queue": of_relationship("case-queue"),
    "case_template_id": of_relationship("case-template"),
    "case_queue_id": of_relationship("case-queue"),
    "resolution": of_attribute("resolution"),
    "state": of_attribute("state"),
    "account_id": of_relationships("accounts"),
    "inquiry_id": of_relationships("inquiries"),
    "tag_id": of_attribute("tags"),
    "resolver": of_attribute("resolver-id"),
    "fields.*": of_fields,
}
ROUTES: Final[Routes] = {
    "GET /cases": Operation("list-all-cases", list_handler("case", FILTERS)),
    "POST /cases": Operation(
        "create-a-case", create_handler("case", create, CREATE, event="case.created")
    ),
    "POST /cases/search": Operation("search-cases", search_handler("case", _SEARCHED)),
    f"GET {_CASE}": Operation("retrieve-case", retrieve_handler("case")),
    f"PATCH {_CASE}": Operation(
        "update-a-case", update_handler("case", update, UPDATE)
    ),
    **redact_route("case", _CASE, "redact-a-case"),
    f"POST {_CASE}/add-objects": Operation(
        "add-persona-objects", update_handler("case", add_objects, OBJECTS)
    ),
    f"POST {_CASE}/remove-objects": Operation(
        "remove-persona-objects", update_handler("case", remove_objects, OBJECTS)
    ),
    f"POST {_CASE}/assign": Operation(
        "assign-a-case", update_handler("case", assign, ASSIGN)
    ),
    f"POST {_CASE}/set-status": Operation(
        "set-status-for-a-case", update_handler("case", set_status, STATUS)
    ),
    f"POST {_CASE}/add-comment": Operation(
        "add-comment",
        update_handler("case", add_comment, COMMENT, event="case.updated"),
    ),
    **tag_routes("case", _CASE, "add-tag", "remove-tag", "set-tags"),
}
