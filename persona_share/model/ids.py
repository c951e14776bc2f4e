"""Ids: opaque text, checked for what could change a path, and for nothing else.

Persona may change the length and the prefix of an id at any time (versioning policy),
so only the characters are checked; an id becomes part of a URL's path.
"""

import re
from typing import Final

from persona_share.errors import InvalidIdError


_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

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


def is_id(text: str) -> bool:
    """Answer whether this text can be an object id."""
    return _ID.fullmatch(text) is not None


def checked_id(text: str, what: str = "id") -> str:
    """Answer the id unchanged, or raise `InvalidIdError` without repeating it."""
    given: object = text
    if not isinstance(given, str):
        message = f"{what} must be a str, not {type(given).__name__}"
        raise InvalidIdError(message)
    if is_id(text):
        return text
    if not text:
        message = f"{what} is empty"
    elif bad := re.search(r"[^A-Za-z0-9_-]", text):
        message = f"{what} has {bad[0]!a} at position {bad.start()}"
    else:
        message = f"{what} has {len(text)} characters; 128 are the most"
    raise InvalidIdError(message)


def resource_of(object_id: str) -> str | None:
    """Answer the permission family that an id's prefix names, if it is a known one."""
    prefix, _, rest = object_id.partition("_")
    return RESOURCE_OF_PREFIX.get(prefix) if rest else None
