"""What the making of every kind of object has in common."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.records import Json
from persona_share.sandbox.state import State


_FAR: Final = 10 * 365 * 24 * 3600


def moment(seconds: float) -> str:
    """Answer a time as the API writes it: UTC, milliseconds, Z."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def reference(state: State, object_id: str, family: str, owner: Environment) -> Json:
    """Answer a relationship to an object that the owner has.

    Raises:
        ValueError: where there is no such object.
    """
    record = state.records.owned(family, object_id, owner)
    if record is None:
        message = f"there is no {family} of this id to relate to"
        raise ValueError(message)
    return {"data": {"type": record.type, "id": record.id}}


def in_time(state: State, seconds: float) -> str:
    """Answer the moment so many seconds from now; far beyond is ten years."""
    return moment(state.world.now() + min(max(seconds, 0), _FAR))


def one(object_type: str, object_id: str) -> Json:
    """Answer a relationship to one object that is not kept here."""
    return {"data": {"type": object_type, "id": object_id}}


def kebab_keys(attributes: Mapping[str, Any]) -> Json:
    """Answer keyword arguments as attributes."""
    return {name.replace("_", "-"): value for name, value in attributes.items()}


def worded_fields(fields: Mapping[str, Any]) -> Json:
    """Answer fields with their type, which a bare value does not name."""
    return {
        name: value if isinstance(value, dict) else {"type": "string", "value": value}
        for name, value in fields.items()
    }
