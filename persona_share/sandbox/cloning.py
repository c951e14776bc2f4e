"""Copies for another organization: a new object, or the fields of one that exists."""

import copy
from collections.abc import Iterable
from typing import Any, Final

from persona_share.sandbox.files import FileUrl, StoredFile
from persona_share.sandbox.forms import kebab
from persona_share.sandbox.inquiry_acts import set_status
from persona_share.sandbox.making import moment
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.records import Json, Record
from persona_share.sandbox.state import State


_PREFIXES: Final = {"inquiry": "inq", "verification": "ver"}
#: Verifications that can be cloned.
CLONEABLE: Final = frozenset(
    f"verification/{kind}"
    for kind in (
        "government-id",
        "selfie",
        "database",
        "document",
        "email-address",
        "phone-number",
    )
)


def clone(state: State, source: Record, owner: Environment) -> Record:
    """Make a new object of a source; of an inquiry, with its verifications."""
    made = _copied(state, source, owner)
    for reference in source.related("verifications") or ():
        verification = state.records.get(reference["id"])
        if verification is not None and verification.type in CLONEABLE:
            copied = _copied(state, verification, owner)
            copied.relationships["inquiry"] = {"data": made.name}
            made.relationships["verifications"]["data"].append(copied.name)
    return made


def hydrate(
    state: State, source: Record, target: Record, mappings: Iterable[tuple[str, str]]
) -> None:
    """Copy fields into an existing object: by equal names, then by the mappings.

    An inquiry is run then, as its template would.
    """
    theirs, ours = source.attributes["fields"], target.attributes["fields"]
    spelled = {kebab(name): name for name in ours}
    taken = set()
    for name, field in theirs.items():
        mine = spelled.get(kebab(name))
        if mine is not None and _fits(field, ours[mine]):
            ours[mine] = _deep_copy(state, field)
            taken.add(mine)
    by_name = {kebab(name): field for name, field in theirs.items()}
    for from_name, to_name in mappings:
        found = by_name.get(kebab(from_name))
        to_field = spelled.get(kebab(to_name), to_name)
        fits = to_field not in ours or _fits(found, ours[to_field])
        if found is not None and to_field not in taken and fits:
            ours[to_field] = _deep_copy(state, found)
    if target.family == "inquiry":
        set_status(state, target, state.switches.hydrated_status)


def _fits(field: Any, mine: Any) -> bool:
    """Answer whether two fields of one name hold the same kind of thing."""
    both = isinstance(field, dict) and isinstance(mine, dict)
    return both and field.get("type") == mine.get("type")


def _copied(state: State, source: Record, owner: Environment) -> Record:
    attributes: Json = _deep_copy(state, source.attributes)
    now = moment(state.world.now())
    attributes |= {k: now for k in ("created-at", "updated-at") if k in attributes}
    kin = {name: _emptied(value) for name, value in source.relationships.items()}
    new_id = state.world.new_id(_PREFIXES[source.family])
    made = Record(new_id, source.type, attributes, kin, owner)
    state.records.add(made)
    return made


def _emptied(relationship: Json) -> Json:
    """Answer a relationship that names nothing of the source's."""
    return {"data": [] if isinstance(relationship.get("data"), list) else None}


def _deep_copy(state: State, value: Any) -> Any:
    """Answer a deep copy, with files of its own."""
    if isinstance(value, dict):
        return {k: _deep_copy(state, each) for k, each in value.items()}
    if isinstance(value, list):
        return [_deep_copy(state, each) for each in value]
    if isinstance(value, StoredFile):
        return state.files.add(value.filename, value.content, value.media_type)
    if isinstance(value, FileUrl):
        return FileUrl(_deep_copy(state, value.file))
    return copy.copy(value)
