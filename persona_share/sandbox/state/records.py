"""The objects that the organizations own."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from persona_share.model.ids import checked_id
from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.requests import Caller


Json = dict[str, Any]

#: Families whose permission has another name. That of sessions and devices is not
#: documented; here they come with their inquiry.
PERMISSIONS_OF: Final = {
    "device": "inquiry",
    "inquiry-session": "inquiry",
    "transaction": "txn",
}
_FAMILIES_OF: Final = {
    "inquiry": ("inquiry", "inquiry-session", "device"),
    "txn": ("transaction",),
}


@attrs.frozen
class ObjectRef:
    """What a test is handed of an object that it added."""

    id: str
    type: str


@attrs.define(eq=False)
class Record:
    """One object in kebab-case, with the bodies that were made of it."""

    id: str
    type: str
    attributes: Json
    relationships: dict[str, Json]
    owner: Environment
    #: Ids whose permission covers this object, too: the inquiry of a session.
    parents: tuple[str, ...] = ()
    #: What no answer shows: relations, history, who locked it.
    internal: Json = attrs.field(factory=dict)
    number: int = 0
    changed_at: float = 0.0
    cached_bodies: dict[tuple[str, bool], bytes] = attrs.field(factory=dict)

    @property
    def family(self) -> str:
        """Return the family of types: ``verification/selfie`` is a verification."""
        return self.type.partition("/")[0]

    @property
    def name(self) -> Json:
        """Return how a relationship names this object."""
        return {"type": self.type, "id": self.id}

    def invalidate(self) -> None:
        """Forget the bodies that were made before a change."""
        self.cached_bodies.clear()

    def related(self, name: str) -> list[Mapping[str, str]] | None:
        """Return the references of one relationship, None where there is none."""
        if name not in self.relationships:
            return None
        data = self.relationships[name].get("data")
        many = data if isinstance(data, list) else [data]
        return [relationship_to for relationship_to in many if relationship_to]

    def allows(self, caller: Caller, verb: str, *, with_inquiry: bool) -> bool:
        """Return whether the caller has this verb's permission on this object."""
        permission = permission_of(self.family, verb)
        covering = (self.id, *self.parents) if with_inquiry else (self.id,)
        return any(caller.may(permission, each) for each in covering)


def permission_of(family: str, verb: str) -> str:
    """Return the permission that a verb needs on objects of a family."""
    return f"{PERMISSIONS_OF.get(family, family)}.{verb}"


class Records:
    """Every object, by id and by family, in the order of making."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._by_id: dict[str, Record] = {}
        self._by_family: dict[str, dict[str, Record]] = {}

    def add(self, record: Record) -> ObjectRef:
        """Store an object; its id must be new."""
        if checked_id(record.id) in self._by_id:
            message = "there is an object of this id already"
            raise ValueError(message)
        record.number = len(self._by_id)
        self._by_id[record.id] = record
        self._by_family.setdefault(record.family, {})[record.id] = record
        return ObjectRef(record.id, record.type)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def get(self, object_id: str) -> Record | None:
        """Return the object of this id, whoever owns it."""
        return self._by_id.get(object_id)

    def owned(self, family: str, object_id: str, owner: Environment) -> Record | None:
        """Return the object if it is of this family and belongs to this owner."""
        record = self._by_id.get(object_id)
        if record is None or record.family != family or record.owner is not owner:
            return None
        return record

    def scope_target_exists(
        self, word: str, object_id: str, owner: Environment
    ) -> bool:
        """Return whether a permission on this object makes sense for its owner."""
        families = _FAMILIES_OF.get(word, (word,))
        return any(self.owned(family, object_id, owner) for family in families)

    def authorized(
        self, family: str, object_id: str, caller: Caller, verb: str = "read"
    ) -> Record:
        """Return what the caller may read or write, or refuse with 403 or 404.

        A token outside whose scope the object lies is refused before anybody looks
        whether the object exists.
        """
        record = self.owned(family, object_id, caller.environment)
        if record is None:
            allowed = caller.may(permission_of(family, verb), object_id)
        else:
            allowed = self.allows(record, caller, verb)
        if not allowed:
            scoped = caller.token is not None
            status = self._switches.out_of_scope_status if scoped else 403
            details = "the credential does not have this permission on this object"
            raise ApiError(status, None if status == 404 else details)  # noqa: PLR2004 - a status
        if record is None:
            raise ApiError(404)
        return record

    def allows(self, record: Record, caller: Caller, verb: str = "read") -> bool:
        """Return whether the caller has this verb's permission on this object."""
        together = self._switches.sessions_come_with_inquiry
        return record.allows(caller, verb, with_inquiry=together)

    def listed(self, family: str, caller: Caller) -> Iterator[Record]:
        """Yield what the caller may list, newest first."""
        permission, token = permission_of(family, "read"), caller.token
        if token is not None:
            forbidden = self._switches.scoped_lists == "forbidden"
            if forbidden or not token.allows_some(permission):
                raise ApiError(403, "the access token does not allow this list")
        elif not caller.may(permission, ""):
            raise ApiError(403, "the API key does not have this permission")
        for record in reversed(self._by_family.get(family, {}).values()):
            if record.owner is caller.environment and self.allows(record, caller):
                yield record
