"""Keys in kebab-case, camelCase or snake_case; values never change."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from persona_share.sandbox.responses import ApiError


#: From this version on, the keys inside ``attributes.fields`` stay as they are.
FIELDS_STAY_SINCE: Final = "2025-10-27"


@cache
def _camel(key: str) -> str:
    first, *rest = key.split("-")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@cache
def _snake(key: str) -> str:
    return key.replace("-", "_")


@cache
def _kebab(key: str) -> str:
    return key.replace("_", "-")


_CASINGS: Final[dict[str, Callable[[str], str]]] = {
    "camel": _camel,
    "kebab": _kebab,
    "snake": _snake,
}


def checked_inflection(name: str) -> str:
    """Return the name of a casing, or refuse it with 400."""
    if name not in _CASINGS:
        raise ApiError(400, "Key-Inflection must be camel, kebab or snake")
    return name


def inflected(document: Any, casing: str, *, fields_stay: bool) -> Any:
    """Return the document with its keys in another casing."""
    return _walk(document, _CASINGS[casing], fields_stay=fields_stay, path=())


def _walk(
    value: Any,
    casing: Callable[[str], str],
    *,
    fields_stay: bool,
    path: tuple[str, ...],
) -> Any:
    if isinstance(value, list):
        return [
            _walk(each, casing, fields_stay=fields_stay, path=path) for each in value
        ]
    if not isinstance(value, dict):
        return value
    if fields_stay and path[-2:] == ("attributes", "fields"):
        return value
    custom = str(value.get("name", "")).startswith("custom.")
    return {
        casing(key): each
        if custom and key == "payload"  # the payload of a custom event is any JSON
        else _walk(each, casing, fields_stay=fields_stay, path=(*path, key))
        for key, each in value.items()
    }


_VERSION: Final = re.compile(r"20\d\d-[01]\d-[0-3]\d")


def checked_version(text: str) -> str:
    """Return the version; any date is accepted, as Persona adds some every year.

    A header that was sent twice with the same date is accepted too.
    """
    first, *others = (part.strip() for part in text.split(","))
    if not _VERSION.fullmatch(first) or any(each != first for each in others):
        raise ApiError(400, "Persona-Version must be a date")
    return first
