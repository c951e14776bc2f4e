"""The objects that the two organizations own."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from persona_share.model.ids import checked_id
from persona_share.sandbox.calls import Caller
from persona_share.sandbox.organizations import Environment
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.switches import Switches


Json = dict[str, Any]


@attrs.frozen
class Added:
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
    number: int = 0
    bodies: dict[tuple[str, bool], bytes] = attrs.field(factory=dict)

    @property
    def family(self) -> str:
        """Answer the permission family: ``verification/selfie`` is a verification."""
        return self.type.partition("/")[0]

    def changed(self) -> None:
        """Forget the bodies that were made before a change."""
        self.bodies.clear()

    def related(self, name: str) -> list[Mapping[str, str]] | None:
        """Answer the references of one relationship, None where there is none."""
        if name not in self.relationships:
            return None
        data = self.relationships[name].get("data")
        many = data if isinstance(data, list) else [data]
        return [reference for reference in many if reference]


class Records:
    """Every object, by id, in the order of making."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._by_id: dict[str, Record] = {}

    def add(self, record: Record) -> Added:
        """Keep an object; its id must be new."""
        if checked_id(record.id) in self._by_id:
            message = "there is an object of this id already"
            raise ValueError(message)
        record.number = len(self._by_id)
        self._by_id[record.id] = record
        return Added(record.id, record.type)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def get(self, object_id: str) -> Record | None:
        """Answer the object of this id, whoever owns it."""
        return self._by_id.get(object_id)

    def owned(self, family: str, object_id: str, owner: Environment) -> Record | None:
        """Answer the object if it is of this family and belongs to this owner."""
        record = self._by_id.get(object_id)
        if record is None or record.family != family or record.owner is not owner:
            return None
        return record

    def visible(self, family: str, object_id: str, caller: Caller) -> Record:
        """Answer what the caller may read, or refuse with 403 or 404.

        A token outside whose scope the object lies is refused before anybody looks
        whether the object exists.
        """
        if not caller.may(f"{family}.read", object_id):
            scoped = caller.token is not None
            status = self._switches.out_of_scope_status if scoped else 403
            details = "the credential does not have this permission on this object"
            raise Problem(status, None if status == 404 else details)  # noqa: PLR2004
        record = self.owned(family, object_id, caller.environment)
        if record is None:
            raise Problem(404)
        return record

    def listed(self, family: str, caller: Caller) -> Iterator[Record]:
        """Go through what the caller may list, newest first."""
        permission, token = f"{family}.read", caller.token
        if token is not None:
            forbidden = self._switches.scoped_lists == "forbidden"
            if forbidden or not token.allows_some(permission):
                raise Problem(403, "the access token does not allow this list")
        elif not caller.may(permission, ""):
            raise Problem(403, "the API key does not have this permission")
        for record in reversed(self._by_id.values()):
            mine = record.owner is caller.environment and record.family == family
            if mine and caller.may(permission, record.id):
                yield record
