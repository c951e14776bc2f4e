"""Events as objects of the API."""

from typing import Final

from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.query import Filters, has_id, is_one_of
from persona_share.sandbox.jsonapi.read import list_handler, retrieve_handler
from persona_share.sandbox.state.records import Record


def _is_about(record: Record, value: str) -> bool:
    payload = record.attributes["payload"]
    data = payload.get("data") if isinstance(payload, dict) else None
    return isinstance(data, dict) and data.get("id") in value.split(",")


FILTERS: Final[Filters] = {
    "id": has_id,
    "name": is_one_of("name"),
    "object-id": _is_about,
}
ROUTES: Final[Routes] = {
    "GET /events": Operation("list-all-events", list_handler("event", FILTERS)),
    "GET /events/{event-id}": Operation("retrieve-an-event", retrieve_handler("event")),
}
