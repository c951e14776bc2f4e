"""New objects: their timestamps, relationships, fields and events."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from persona_share.sandbox.jsonapi.body import kebab
from persona_share.sandbox.jsonapi.rendering import resource_object
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.state import State
from persona_share.sandbox.state.webhooks import Delivery


_MAX_SECONDS: Final = 10 * 365 * 24 * 3600


def timestamp(seconds: float) -> str:
    """Return a time as the API writes it: UTC, milliseconds, Z."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def relationship_to(
    state: State, object_id: str, family: str, owner: Environment
) -> Json:
    """Return a relationship to an object that the owner has.

    Raises:
        ValueError: if there is no such object.
    """
    record = state.records.owned(family, object_id, owner)
    if record is None:
        message = f"there is no {family} of this id to relate to"
        raise ValueError(message)
    return {"data": {"type": record.type, "id": record.id}}


def add_to_inquiry(
    state: State, inquiry_id: str | None, relationship: str, record: Record
) -> None:
    """Add an object to a relationship of an inquiry, if there is such an inquiry."""
    inquiry = None if inquiry_id is None else state.records.get(inquiry_id)
    if inquiry is not None:
        inquiry.relationships[relationship]["data"].append(record.identifier)
        inquiry.invalidate()


def timestamp_in(state: State, seconds: float) -> str:
    """Return the timestamp of a time in seconds from now, at most ten years."""
    return timestamp(state.runtime.now() + min(max(seconds, 0), _MAX_SECONDS))


def relationship(object_type: str, object_id: str) -> Json:
    """Return a relationship to one object by type and id."""
    return {"data": {"type": object_type, "id": object_id}}


def stored_tags(state: State, family: str, tags: Iterable[str]) -> list[str]:
    """Return tags as they are stored: in capitals, as the live service does."""
    capitals = family in {"inquiry", "account"} or state.switches.other_tags_in_capitals
    return list(dict.fromkeys(tag.upper() if capitals else tag for tag in tags))


def kebab_keys(attributes: Mapping[str, Any]) -> Json:
    """Return keyword arguments as attributes."""
    return {name.replace("_", "-"): value for name, value in attributes.items()}


def typed_fields(fields: Mapping[str, Any]) -> Json:
    """Return fields with types; a bare value is a string."""
    return {
        name: value if isinstance(value, dict) else {"type": "string", "value": value}
        for name, value in fields.items()
    }


_TYPES: Final = {bool: "boolean", int: "number", float: "number", list: "array"}
#: The kinds of fields by name. ``text`` and ``date`` are a string or null, ``hash`` is an
#: object of strings, ``hash_array`` a list of these, and ``file`` bytes in base64. The
#: other kinds have the API's names.
Kinds = Mapping[str, str]


def field_values(
    state: State,
    fields: Mapping[str, Any],
    kinds: Kinds,
    *,
    declared_only: bool = False,
) -> Json:
    """Return fields with their types, under their declared names.

    Raises:
        ApiError: 400 for a value of another type than declared, and with
            ``declared_only`` for a field that is not declared.
    """
    spelled = {kebab(name): name for name in kinds}
    values: Json = {}
    for name, value in fields.items():
        known = spelled.get(kebab(name))
        if known is None and declared_only:
            # The name is not repeated: a client may have sent a secret by mistake.
            details = "data.attributes.fields has a field that is not declared"
            raise ApiError(400, details, pointer="/data/attributes/fields")
        if known is None:
            values[name] = {"type": _TYPES.get(type(value), "string"), "value": value}
            if isinstance(value, dict):
                values[name]["type"] = "hash"
        else:
            values[known] = _READERS[kinds[known]](state, known, value)
    return values


def _text(_state: State, name: str, value: Any) -> Json:
    return {"type": "string", "value": _checked(name, value)}


def _date(_state: State, name: str, value: Any) -> Json:
    return {"type": "date", "value": _checked(name, value)}


def _hash(_state: State, name: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise _type_error(name, "an object")
    return {
        "type": "hash",
        "value": {
            kebab(part).replace("-", "_"): {
                "type": "string",
                "value": _checked(name, each),
            }
            for part, each in value.items()
        },
    }


def _hash_array(state: State, name: str, value: Any) -> Json:
    if not isinstance(value, list):
        raise _type_error(name, "an array")
    rows = [_hash(state, name, each) for each in value]
    if any(part["value"] is None for row in rows for part in row["value"].values()):
        raise _type_error(name, "an array of objects of strings")
    return {"type": "array", "value": rows}


def _file(state: State, name: str, value: Any) -> Json:
    if value is None:
        return {"type": "file", "value": None}
    if not isinstance(value, dict):
        raise _type_error(name, "an object")
    data, filename = value.get("data"), value.get("filename", "file.bin")
    if not isinstance(data, str) or not isinstance(filename, str):
        raise _type_error(name, "an object with data and filename")
    return {"type": "file", "value": stored_upload(state, data, filename)}


def stored_upload(state: State, data: str, filename: str) -> object:
    """Store the base64 of a body and return the file.

    Raises:
        ApiError: 422 if it is not base64.
    """
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(422, "the data of a file must be base64") from None
    return state.files.add(filename, content, "application/octet-stream")


def _checked(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _type_error(name, "a string")


def _type_error(name: str, word: str) -> ApiError:
    pointer = f"/data/attributes/fields/{name}"
    details = f"data.attributes.fields.{kebab(name)} must be {word}"
    return ApiError(400, details, pointer=pointer)


def _plain(kind: str, word: str, *types: type) -> "_Reader":
    """Return the reader of values of some JSON types, or null."""

    def read(_state: State, name: str, value: Any) -> Json:
        is_boolean = isinstance(value, bool) and bool not in types
        if value is not None and (is_boolean or not isinstance(value, types)):
            raise _type_error(name, word)
        return {"type": kind, "value": value}

    return read


def _multi_choices(_state: State, name: str, value: Any) -> Json:
    strings = isinstance(value, list) and all(isinstance(e, str) for e in value)
    if value is not None and not strings:
        raise _type_error(name, "an array of strings")
    return {"type": "multi_choices", "value": value}


def _document(kind: str) -> "_Reader":
    """Return the reader of references to documents."""

    def read(_state: State, name: str, value: Any) -> Json:
        if value is not None and not (
            isinstance(value, dict) and value.keys() == {"id", "type"}
        ):
            raise _type_error(name, "an object with id and type")
        return {"type": kind, "value": value}

    return read


_Reader = Callable[[State, str, Any], Json]
_READERS: Final[Mapping[str, _Reader]] = {
    "boolean": _plain("boolean", "a boolean", bool),
    "choices": _plain("choices", "a string", str),
    "generic": _document("generic"),
    "government_id": _document("government_id"),
    "json": _plain("json", "JSON", dict, list, str, int, float, bool),
    "multi_choices": _multi_choices,
    "number": _plain("number", "a number", int, float),
    "selfie": _document("selfie"),
    "text": _text,
    "date": _date,
    "hash": _hash,
    "hash_array": _hash_array,
    "file": _file,
}


def emit(state: State, record: Record, name: str, at: float | None = None) -> ObjectRef:
    """Create an event about an object, for its owner."""
    resource = orjson.loads(orjson.dumps(resource_object(state, record)))
    return _create_event(state, record.owner, name, {"data": resource}, at)


def add_event(
    state: State, owner: Environment, attributes: dict[str, Any]
) -> ObjectRef:
    """Create an event; ``object=`` is the id of its subject.

    ``payload=`` is any JSON, as custom events have it.

    Raises:
        ValueError: if the owner has no such object.
    """
    given = kebab_keys(attributes)
    object_id, name = given.pop("object", None), given.pop("name", "inquiry.completed")
    event_id = given.pop("id", None)
    subject = {"data": {"type": name.partition(".")[0], "id": "unknown"}}
    payload: Any = given.pop("payload", subject)
    if object_id is not None:
        record = state.records.get(object_id)
        if record is None or record.owner is not owner:
            message = "there is no object of this id for an event"
            raise ValueError(message)
        resource = orjson.loads(orjson.dumps(resource_object(state, record)))
        payload = {"data": resource}
    return _create_event(
        state, owner, name, payload, None, event_id=event_id, more=given
    )


def _create_event(
    state: State,
    owner: Environment,
    name: str,
    payload: Any,
    at: float | None,
    *,
    event_id: str | None = None,
    more: Json | None = None,
) -> ObjectRef:
    attributes: Json = {
        "name": name,
        "payload": payload,
        "created-at": timestamp(state.runtime.now() if at is None else at),
        "context": {},
    }
    event = Record(
        event_id or state.runtime.new_id("evt"),
        "event",
        attributes | (more or {}),
        {},
        owner,
    )
    ref = state.records.add(event)
    deliver_event(state, event)
    return ref


def deliver_event(state: State, event: Record) -> None:
    """Schedule the delivery of an event to each webhook that it is enabled for."""
    name, now = event.attributes["name"], state.runtime.now()
    for webhook in state.webhooks:
        if webhook.wants(event.owner, name):
            attributes: Json = {
                "status": "pending",
                "event-name": name,
                "webhook-id": webhook.id,
                "event-id": event.id,
                "result-code": None,
                "attempts-made": 0,
                "last-attempted-at": None,
                "created-at": timestamp(now),
                "updated-at": timestamp(now),
            }
            record = Record(
                state.runtime.new_id("wbhe"),
                "webhook-event",
                attributes,
                {},
                event.owner,
            )
            record.internal["related"] = related_ids(event)
            state.records.add(record)
            state.webhooks.enqueue(Delivery(webhook, event, record, now))


def related_ids(event: Record) -> list[str]:
    """Return the ids in the payload of an event."""
    payload = event.attributes["payload"]
    data = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(data, dict):
        return []
    found = [data.get("id")]
    for relationship in (data.get("relationships") or {}).values():
        others = relationship.get("data")
        found += [
            each["id"]
            for each in (others if isinstance(others, list) else [others])
            if each
        ]
    return [each for each in found if isinstance(each, str)]
