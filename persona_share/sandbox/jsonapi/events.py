"""Events with a snapshot of their object, and their delivery to webhooks."""

from typing import Any

import orjson

from persona_share.sandbox.jsonapi.create import kebab_keys, timestamp
from persona_share.sandbox.jsonapi.rendering import resource_object
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.state import State
from persona_share.sandbox.state.webhooks import Delivery


def emit(state: State, record: Record, name: str, at: float | None = None) -> ObjectRef:
    """Create an event about an object, for its owner."""
    resource = orjson.loads(orjson.dumps(resource_object(state, record)))
    return _made(state, record.owner, name, {"data": resource}, at)


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
    return _made(state, owner, name, payload, None, event_id=event_id, more=given)


def _made(
    state: State,
    owner: Environment,
    name: str,
    payload: Any,
    at: float | None,
    *,
    event_id: str | None = None,
    more: Json | None = None,
) -> ObjectRef:
    made: Json = {
        "name": name,
        "payload": payload,
        "created-at": timestamp(state.runtime.now() if at is None else at),
        "context": {},
    }
    event = Record(
        event_id or state.runtime.new_id("evt"), "event", made | (more or {}), {}, owner
    )
    ref = state.records.add(event)
    deliver_event(state, event)
    return ref


def deliver_event(state: State, event: Record) -> None:
    """Schedule the delivery of an event to each webhook that wants it."""
    name, now = event.attributes["name"], state.runtime.now()
    for webhook in state.webhooks:
        if webhook.wants(event.owner, name):
            made: Json = {
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
                state.runtime.new_id("wbhe"), "webhook-event", made, {}, event.owner
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
