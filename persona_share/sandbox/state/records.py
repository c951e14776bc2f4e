"""The objects that the organizations own."""

from collections.abc import Collection, Iterator, Mapping
from itertools import count
from typing import Any, Final

import attrs

from persona_share.model.ids import checked_id
from persona_share.sandbox.behavior.limits import Limits
from persona_share.sandbox.behavior.switches import Switches
from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.requests import Caller


Json = dict[str, Any]

_NOT_FOUND: Final = 404
#: Families whose permission has another name. The permissions of sessions, devices,
#: templates and types of transactions are not documented.
PERMISSIONS_OF: Final = {
    "device": "inquiry",
    "inquiry-session": "inquiry",
    "account-type": "account_type",
    "api-key": "api_key",
    "api-log": "api_log",
    "case-comment": "case",
    "case-template": "case_template",
    "inquiry-template": "inquiry_template",
    "inquiry-template-version": "inquiry_template",
    "transaction": "txn",
    "transaction-type": "transaction_type",
    "webhook-event": "webhook",
    "workflow-version": "workflow",
    "workflow-run": "workflow",
}
_FAMILIES_OF: Final = {
    "inquiry": ("inquiry", "inquiry-session", "device"),
    "txn": ("transaction",),
}


@attrs.frozen
class ObjectRef:
    """The id and the type of an object that was added to the sandbox."""

    id: str
    type: str


@attrs.define(eq=False)
class Record:
    """One object with kebab-case keys, and its cached response bodies."""

    id: str
    type: str
    attributes: Json
    relationships: dict[str, Json]
    owner: Environment
    #: Ids whose permission covers this object too: the inquiry of a session.
    parents: tuple[str, ...] = ()
    #: What no response shows, such as relations and history.
    internal: Json = attrs.field(factory=dict)
    number: int = 0
    changed_at: float = 0.0
    cached_bodies: dict[tuple[str, bool], bytes] = attrs.field(factory=dict)

    @property
    def family(self) -> str:
        """Return the first part of the type: ``verification`` of ``verification/selfie``."""
        return self.type.partition("/")[0]

    @property
    def identifier(self) -> Json:
        """Return the resource identifier object, as relationships contain it."""
        return {"type": self.type, "id": self.id}

    def invalidate(self) -> None:
        """Drop the cached bodies after a change."""
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
    """Every object, by id and by family, in the order of creation."""

    def __init__(self, switches: Switches, limits: Limits) -> None:
        self._switches = switches
        self._limits = limits
        self._by_id: dict[str, Record] = {}
        self._by_family: dict[str, dict[str, Record]] = {}
        self._numbers = count()

    def add(self, record: Record) -> ObjectRef:
        """Store an object; its id must be new."""
        if checked_id(record.id) in self._by_id:
            message = "there is an object of this id already"
            raise ValueError(message)
        record.number = next(self._numbers)
        self._by_id[record.id] = record
        family = self._by_family.setdefault(record.family, {})
        family[record.id] = record
        events = record.family in {"event", "webhook-event"}
        if len(family) > (self._limits.events if events else self._limits.objects):
            oldest = next(iter(family))
            del family[oldest], self._by_id[oldest]
        return ObjectRef(record.id, record.type)

    def clear(self) -> None:
        """Drop all objects."""
        self._by_id.clear()
        self._by_family.clear()

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def get(self, object_id: str) -> Record | None:
        """Return the object with this ID, of any owner."""
        return self._by_id.get(object_id)

    def of_family(self, family: str) -> Collection[Record]:
        """Return the objects of a family, oldest first."""
        return self._by_family.get(family, {}).values()

    def owned(self, family: str, object_id: str, owner: Environment) -> Record | None:
        """Return the object if it is of this family and belongs to this owner."""
        record = self._by_id.get(object_id)
        if record is None or record.family != family or record.owner is not owner:
            return None
        return record

    def scope_target_exists(
        self, word: str, object_id: str, owner: Environment
    ) -> bool:
        """Return whether the owner has an object that this permission applies to."""
        families = _FAMILIES_OF.get(word, (word,))
        return any(self.owned(family, object_id, owner) for family in families)

    def authorized(
        self, family: str, object_id: str, caller: Caller, verb: str = "read"
    ) -> Record:
        """Return an object that the caller may read or write.

        Raises:
            ApiError: 404 for a missing object; what the switches say for a missing
                permission, which is checked first.
        """
        record = self.owned(family, object_id, caller.environment)
        if record is None:
            allowed = caller.may(permission_of(family, verb), object_id)
        else:
            allowed = self.allows(record, caller, verb)
        if not allowed:
            raise self.permission_error(family, caller)
        if record is None:
            raise ApiError(404)
        return record

    def allows(self, record: Record, caller: Caller, verb: str = "read") -> bool:
        """Return whether the caller has this verb's permission on this object."""
        together = self._switches.sessions_come_with_inquiry
        return record.allows(caller, verb, with_inquiry=together)

    def permission_error(self, family: str, caller: Caller) -> ApiError:
        """Return the error for a missing permission."""
        switches = self._switches
        if caller.token is not None:
            status = switches.out_of_scope_status
        elif family.startswith("inquiry-template"):
            status = switches.template_permission_status
        else:
            status = switches.missing_permission_status
        details = "the credential does not have this permission"
        return ApiError(status, None if status == _NOT_FOUND else details)

    def listed(self, family: str, caller: Caller) -> Iterator[Record]:
        """Yield the objects that the caller may list, newest first."""
        permission, token = permission_of(family, "read"), caller.token
        if token is not None:
            forbidden = self._switches.scoped_lists == "forbidden"
            if forbidden or not token.allows_some(permission):
                raise ApiError(403, "the access token does not allow this list")
        elif not caller.may(permission, ""):
            raise self.permission_error(family, caller)
        for record in reversed(self._by_family.get(family, {}).values()):
            if record.owner is caller.environment and self.allows(record, caller):
                yield record
