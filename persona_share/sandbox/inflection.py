"""Keys in kebab-case, camelCase or snake_case; values never change."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from persona_share.sandbox.problems import Problem


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
    """Answer the name of a casing, or refuse it with 400."""
    if name not in _CASINGS:
        raise Problem(400, "Key-Inflection must be camel, kebab or snake")
    return name


def inflected(document: Any, casing: str, *, fields_stay: bool) -> Any:
    """Answer the document with its keys in another casing."""
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
    return {
        casing(key): _walk(each, casing, fields_stay=fields_stay, path=(*path, key))
        for key, each in value.items()
    }
