"""Object ids: opaque text, checked for characters that could change a URL path.

Persona may change the length and the prefix of ids at any time (its versioning policy).
So an unknown prefix is always accepted; a known prefix must fit the call.
"""

import re
from typing import Final

from persona_share.errors import InvalidIdError


MAX_ID_LENGTH: Final = 128

_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID_LENGTH}}}")
_INVALID_CHARACTER: Final = re.compile(r"[^A-Za-z0-9_-]")

#: The permission family of each id prefix that the API documents.
RESOURCE_OF_PREFIX: Final = {
    "act": "account",
    "case": "case",
    "doc": "document",
    "evt": "event",
    "inq": "inquiry",
    "lst": "list",
    "rep": "report",
    "txn": "txn",
    "ver": "verification",
}
#: The kind of object of each documented prefix, as path parameters name it.
KIND_OF_PREFIX: Final = {
    "act": "account",
    "acttp": "account-type",
    "api": "api-key",
    "case": "case",
    "cnst": "share-token",
    "cxn": "connection",
    "dev": "device",
    "doc": "document",
    "evt": "event",
    "inq": "inquiry",
    "iqse": "inquiry-session",
    "itmpl": "inquiry-template",
    "org": "organization",
    "rep": "report",
    "txn": "transaction",
    "txntp": "transaction-type",
    "ver": "verification",
    "wbh": "webhook",
    "wfl": "workflow",
    "wfr": "workflow-run",
}
_PREFIX_OF_KIND: Final = {kind: prefix for prefix, kind in KIND_OF_PREFIX.items()}


def is_id(text: str) -> bool:
    """Return whether a text can be an object id."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str, what: str = "id") -> str:
    """Return the id as a plain str; raises `InvalidIdError`, whose text omits the id.

    The text of a member of an Enum is its value, and not what ``str()`` returns.
    """
    given: object = text
    if not isinstance(given, str):
        message = f"{what} must be a str, not {type(given).__name__}"
        raise InvalidIdError(message)
    if _ID.fullmatch(text):
        return str.__str__(text)
    if not text:
        message = f"{what} is empty"
    elif bad := _INVALID_CHARACTER.search(text):
        message = f"{what} contains {bad[0]!a} at position {bad.start()}"
    else:
        message = f"{what} has {len(text)} characters; the maximum is {MAX_ID_LENGTH}"
    raise InvalidIdError(message)


def kind_of_id(object_id: str) -> str | None:
    """Return the kind of object of an id's prefix, or None if it is unknown."""
    prefix, _, rest = object_id.partition("_")
    return KIND_OF_PREFIX.get(prefix) if rest else None


def prefix_for(parameter: str) -> str:
    """Return the documented prefix of a path parameter's ids, or an empty text."""
    prefix = _PREFIX_OF_KIND.get(_kind_of_parameter(parameter))
    return "" if prefix is None else f"{prefix}_"


def _kind_of_parameter(parameter: str) -> str:
    return parameter.replace("_", "-").removesuffix("-id")


def require_prefix(object_id: str, parameter: str) -> None:
    """Raise `InvalidIdError` for the id of another kind of object.

    ``parameter`` is the name of a path parameter, such as ``inquiry-id``.
    """
    wanted = _kind_of_parameter(parameter)
    found = kind_of_id(object_id)
    if found is None or found == wanted or wanted not in _PREFIX_OF_KIND:
        return
    prefix = object_id.partition("_")[0]
    message = f"{parameter} has the prefix '{prefix}_', which is the id of {with_article(found)}"
    raise InvalidIdError(message, advice=f"Pass the id of {with_article(wanted)}.")


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def resource_of(object_id: str) -> str | None:
    """Return the permission family of an id's prefix, or None if it is unknown."""
    prefix, _, rest = object_id.partition("_")
    return RESOURCE_OF_PREFIX.get(prefix) if rest else None
