"""How an answer is shaped and what is asked for: `include`, `fields`, `filter`, pages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from persona_share._protocol.query import QueryValue
from persona_share.errors import InvalidArgumentError
from persona_share.resources.options import CallOptions


Include = Sequence[str]
Fields = Mapping[str, Sequence[str]]
Filter = Mapping[str, Any]


class RetrieveOptions(CallOptions, total=False):
    """The options of a call that answers an object.

    ``include`` names relationships whose objects come along; ``fields`` maps a type to
    the attributes wanted of it. Source: page "Response body".
    """

    include: Include | None
    fields: Fields | None


class IncludeOptions(CallOptions, total=False):
    """The options of a call that sends field values under the name ``fields``."""

    include: Include | None


class FieldsOptions(CallOptions, total=False):
    """The options of a call whose answer has nothing that could be included."""

    fields: Fields | None


def split(options: Mapping[str, Any]) -> tuple[dict[str, QueryValue], CallOptions]:
    """Answer the query of ``include`` and ``fields``, and the options of the call."""
    rest = dict(options)
    query = shaping(rest.pop("include", None), rest.pop("fields", None))
    return query, cast("CallOptions", rest)


def shaping(include: Include | None, fields: Fields | None) -> dict[str, QueryValue]:
    """Answer the query of ``include`` and ``fields`` (JSON:API sparse fields)."""
    query: dict[str, QueryValue] = {}
    if include is not None:
        query["include"] = _names("include", include)
    for type_name, names in (fields or {}).items():
        query[f"fields[{type_name}]"] = _names(f"fields[{type_name}]", names)
    return query


def filtering(given: Filter | None, **named: Any) -> dict[str, QueryValue]:
    """Answer the query of a filter, from its mapping and from named conditions.

    Names may be spelled as in Python; several values become one comma list.
    """
    conditions = {**(given or {})}
    for name, value in named.items():
        if value is None:
            continue
        if name in conditions or name.replace("_", "-") in conditions:
            message = f"{name} stands in filter= as well"
            raise InvalidArgumentError(message)
        conditions[name] = value
    query: dict[str, QueryValue] = {}
    for name, value in conditions.items():
        key = f"filter[{name.replace('_', '-')}]"
        if isinstance(value, Mapping):
            inner = {f"{key}[{part}]": each for part, each in value.items()}
            query |= cast("dict[str, QueryValue]", inner)
        else:
            query[key] = value
    return query


def wire_names(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Answer those of the values that have these names, spelled as the API does."""
    return {name.replace("_", "-"): values[name] for name in names if name in values}


def _names(what: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        message = f"{what} must be a sequence of names"
        raise InvalidArgumentError(message)
    return tuple(cast("Sequence[str]", value))
