"""Conversion of values to JSON types without secrets, and JSON schemas of types."""

import types
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.secret import Secret


#: The text that replaces a secret.
MASK: Final = "<masked>"

# URLs of files contain an access token (page "Downloading files").
_ACCESS: Final = "access_token="
_MAX_DEPTH: Final = 64
# Names of credentials in any object.
_SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "confirmation_code",
        "custom_http_headers",
        "one_time_link",
        "one_time_link_short",
        "secret",
        "secrets",
        "session_token",
    }
)
# Objects whose keys the organization chose; such keys are never names of secrets.
_NAMED_BY_ORGANIZATION: Final = frozenset({"fields", "values"})


def to_plain(name: str, value: Any) -> Any:
    """Return the value of a typed attribute as JSON types, with secrets masked.

    Raises `MalformedResponseError` for a value that is nested too deeply.
    """
    return _plain(value, _MAX_DEPTH, named=name not in _NAMED_BY_ORGANIZATION)


def to_plain_as_sent(name: str, value: Any, names: Collection[str]) -> Any:
    """Return the JSON value of an attribute with secrets masked.

    ``names`` are the snake_case names of further secret attributes.
    """
    secret = value is not None and _is_secret(name, names)
    return MASK if secret else to_plain(name, value)


def _plain(value: Any, depth: int, *, named: bool) -> Any:
    """Return a value as JSON types; ``named`` says that the API chose its keys."""
    _check_depth(depth)
    if isinstance(value, Mapping):
        return {
            str(key): MASK
            if named and each is not None and _is_secret(str(key), ())
            else _plain(
                each, depth - 1, named=named and key not in _NAMED_BY_ORGANIZATION
            )
            for key, each in value.items()
        }
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [_plain(each, depth - 1, named=named) for each in value]
    if (entries := _entries(value)) is not None:
        return {
            key: _plain(each, depth - 1, named=key not in _NAMED_BY_ORGANIZATION)
            for key, each in entries.items()
        }
    return _scalar(value)


def _entries(value: Any) -> Mapping[str, Any] | None:
    """Return the attributes of a typed value that becomes a JSON object."""
    if isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined, no-any-return]  # a NamedTuple
    if attrs.has(type(value)):
        return {x.name: getattr(value, x.name) for x in attrs.fields(type(value))}
    return None


def _scalar(value: Any) -> Any:
    match value:
        case Secret():
            return MASK
        case Enum():
            return _scalar(value.value)
        case str():
            return MASK if _ACCESS in value else str(value)
        case date():
            return value.isoformat()
        case _:
            return value


def without_secrets(
    value: Any, names: Collection[str] = (), depth: int = _MAX_DEPTH
) -> Any:
    """Return a copy of a JSON value without credentials and URLs of files.

    ``names`` are the snake_case names of further secret attributes. The keys of
    ``fields`` are defined by the organization, so they are never secret names.
    """
    _check_depth(depth)
    if isinstance(value, list):
        found = (without_secrets(each, names, depth - 1) for each in value)
        return [each for each in found if each is not MASK]
    if isinstance(value, Mapping):
        return {
            key: copy
            for key, each in value.items()
            if not _is_secret(key, names)
            and (copy := _copy(key, each, names, depth - 1)) is not MASK
        }
    return MASK if isinstance(value, str) and _ACCESS in value else value


def _copy(key: str, value: Any, names: Collection[str], depth: int) -> Any:
    if key == "fields":
        return _fields(value, depth)
    return without_secrets(value, names, depth)


def _fields(value: Any, depth: int) -> Any:
    """Return a copy of field values without URLs of files."""
    _check_depth(depth)
    if isinstance(value, list):
        found = (_fields(each, depth - 1) for each in value)
        return [each for each in found if each is not MASK]
    if isinstance(value, Mapping):
        copies = {key: _fields(each, depth - 1) for key, each in value.items()}
        return {key: copy for key, copy in copies.items() if copy is not MASK}
    return MASK if isinstance(value, str) and _ACCESS in value else value


def _is_secret(key: str, names: Collection[str]) -> bool:
    snake = snake_case(key)
    return snake in _SECRET_NAMES or snake in names


def snake_case(name: str) -> str:
    """Return a name in any of the casings of the API in snake_case."""
    snake = name.replace("-", "_")
    if snake.islower():
        return snake
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in snake)


def _check_depth(depth: int) -> None:
    if depth <= 0:
        message = f"a value is nested more than {_MAX_DEPTH} levels deep"
        raise MalformedResponseError(message)


_SCHEMAS: Final[Mapping[Any, Mapping[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    Secret: {"type": "string"},
    Any: {},
}


def json_schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of `to_plain` for a value of this type or None."""
    schema = _schema(kind)
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _schema(kind: Any) -> dict[str, Any]:
    if kind in _SCHEMAS:
        return dict(_SCHEMAS[kind])
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        kinds = [_schema(each) for each in parts if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is tuple:
        return {"type": "array", "items": _schema(parts[0])}
    if isinstance(kind, type) and issubclass(kind, str):
        return {"type": "string"}
    return {"type": "object"}


# ── Values with to_dict ──────────────────────────────────────────────────────


class ConvertibleToDict:
    """A frozen value that converts to JSON types and can be serialized by pydantic."""

    __slots__ = ()

    def keys(self) -> Iterable[str]:
        """Return the keys of `to_dict`, so that ``dict(value)`` is the same."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        """Return one entry of `to_dict`."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types.

        Names are in snake_case, but for the keys of ``fields`` and ``values``, which the
        organization chose and which are never changed. Times become ISO 8601 strings and links
        ``{"type", "id"}``. Secrets, such as the URLs of files, are masked; `raw` has the
        value as it was sent.
        """
        return {key: self[key] for key in self.keys()}  # not a mapping

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: object
    ) -> dict[str, Any]:
        """Return how pydantic, and with it FastAPI, checks and serializes a value."""
        serialize = {"type": "function-plain", "function": cls.to_dict}
        return {"type": "is-instance", "cls": cls, "serialization": serialize}
