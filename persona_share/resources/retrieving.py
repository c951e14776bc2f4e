"""Retrieving by id alone: which collection it takes follows from a permission."""

from collections.abc import Awaitable, Callable
from typing import Final, cast

from persona_share.errors import InvalidArgumentError, InvalidIdError
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope
from persona_share.resources.api import ResourceAccessors
from persona_share.resources.base import Caller


Retrieve = Callable[[str], Awaitable[Resource]]

_READ: Final = "read"
#: The collection in which the objects of a permission family are found.
COLLECTIONS: Final = {
    "account": "accounts",
    "case": "cases",
    "document": "documents",
    "event": "events",
    "inquiry": "inquiries",
    "report": "reports",
    "txn": "transactions",
    "verification": "verifications",
}


def family_of(permission: str) -> str:
    """Answer the family that a permission to read is about.

    Raises `InvalidArgumentError` for one that reads nothing that has a collection.
    """
    family, _, verb = permission.partition(".")
    if verb != _READ or family not in COLLECTIONS:
        message = "permission must be one to read, such as 'inquiry.read'"
        raise InvalidArgumentError(message)
    return family


def readable(scope: Scope) -> dict[str, str]:
    """Answer each object that a scope lets one read, with its family."""
    found = {}
    for permission, object_id in scope.pairs():
        family, _, verb = permission.partition(".")
        if object_id is not None and verb == _READ and family in COLLECTIONS:
            found[object_id] = family
    return found


def retriever(
    caller: Caller, *, family: str | None = None, scope: Scope | None = None
) -> Retrieve:
    """Answer what retrieves an object by its id: from one family, or by its prefix.

    A prefix that is not known is looked for in the scope.
    """
    surface = ResourceAccessors(caller)
    named = readable(scope) if scope is not None else {}
    by_family: dict[str, Retrieve] = {}

    def retrieve(object_id: str) -> Awaitable[Resource]:
        wanted = family or named.get(object_id) or resource_of(checked_id(object_id))
        method = by_family.get(wanted or "")
        if method is None:
            method = by_family[wanted or ""] = _method(surface, wanted)
        return method(object_id)

    return retrieve


def _method(surface: ResourceAccessors, family: str | None) -> Retrieve:
    if family not in COLLECTIONS:
        message = "the prefix of the id does not tell what it names"
        raise InvalidIdError(message)
    return cast("Retrieve", getattr(surface, COLLECTIONS[family]).retrieve)
