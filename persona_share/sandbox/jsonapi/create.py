"""Timestamps, relationships and attributes of new objects."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json
from persona_share.sandbox.state.state import State


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
        ValueError: where there is no such object.
    """
    record = state.records.owned(family, object_id, owner)
    if record is None:
        message = f"there is no {family} of this id to relate to"
        raise ValueError(message)
    return {"data": {"type": record.type, "id": record.id}}


def timestamp_in(state: State, seconds: float) -> str:
    """Return the moment so many seconds from now; far beyond is ten years."""
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
    """Return fields with their type, which a bare value does not name."""
    return {
        name: value if isinstance(value, dict) else {"type": "string", "value": value}
        for name, value in fields.items()
    }
