"""JSON values to typed values, strictly: nothing is coerced into another type."""

import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

from persona_share._protocol.jsonsafe import parse_json
from persona_share.model.openenum import OpenEnum
from persona_share.model.secret import Secret
from persona_share.model.spelling import ABSENT, Spelling


if TYPE_CHECKING:
    import cattrs

T = TypeVar("T")

Decoder = Callable[[Any], Any]


def _strict(kind: type[T], *accepted: type) -> Callable[[Any], T]:
    accepted = accepted or (kind,)

    def decode(value: Any) -> T:
        if type(value) not in accepted:
            message = f"expected {kind.__name__}, got {type(value).__name__}"
            raise TypeError(message)
        return value  # type: ignore[no-any-return]  # its type was just compared

    return decode


_text: Final = _strict(str)


def _datetime(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        message = "expected a time with a zone"
        raise ValueError(message)
    return moment


def _secret(value: Any) -> Secret:
    return Secret(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    """Answer a list of texts; the description allows nulls among tags and reasons."""
    if value == []:
        return ()
    return tuple([_text(each) for each in _list(value) if each is not None])


def _mapping(value: Any) -> Mapping[str, Any]:
    """Answer an object as it came: its keys are names that mean something."""
    if type(value) is not dict:
        message = "expected an object"
        raise TypeError(message)
    return value


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        message = "expected a list"
        raise TypeError(message)
    return value


_SIMPLE: Final[Mapping[Any, Decoder]] = {
    str: _text,
    int: _strict(int),
    bool: _strict(bool),
    float: _strict(float, float, int),
    datetime: _datetime,
    date: date.fromisoformat,
    Secret: _secret,
    tuple[str, ...]: _texts,
    Mapping[str, Any]: _mapping,
    Any: lambda value: value,
}


def _open_enum(kind: type[OpenEnum]) -> Decoder:
    members = {member.value: member for member in kind}

    def decode(value: Any) -> OpenEnum:
        return members.get(value) or kind(_text(value))

    return decode


def _is_open_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, OpenEnum)


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _is_mapping(kind: object) -> bool:
    return get_origin(kind) is Mapping


def _tuple_of(kind: Any) -> Decoder:
    inner = decoder(get_args(kind)[0])
    return lambda value: tuple(inner(each) for each in _list(value) if each is not None)


def _mapping_of(kind: Any) -> Decoder:
    inner = decoder(get_args(kind)[1])
    return lambda value: {
        name: inner(each) for name, each in _mapping(value).items() if each is not None
    }


def _value(kind: type[Any]) -> Decoder:
    """Answer what builds one of our values from an object in any casing.

    What is missing or null keeps the value's own default.
    """

    @cache  # not before it is needed: a value may hold others of its kind
    def parts() -> tuple[tuple[str, Spelling, Decoder], ...]:
        hints = get_type_hints(kind)
        return tuple(
            (
                each.name,
                Spelling.of(each.name),
                decoder(_without_none(hints[each.name])),
            )
            for each in attrs.fields(kind)
        )

    def decode(value: Any) -> Any:
        given = _mapping(value)
        found = {}
        for name, spelling, inner in parts():
            part = spelling.value_in(given)
            if part is not None and part is not ABSENT:
                found[name] = inner(part)
        return kind(**found)

    return decode


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else kind
    return kind


#: How each sort of type is decoded; the first that applies.
_FACTORIES: Final[Sequence[tuple[Callable[[Any], bool], Callable[[Any], Decoder]]]] = (
    (_SIMPLE.__contains__, _SIMPLE.__getitem__),
    (_is_open_enum, _open_enum),
    (_is_tuple, _tuple_of),
    (_is_mapping, _mapping_of),
    (attrs.has, _value),
)


@cache
def _converter() -> "cattrs.Converter":
    """Answer what decodes whatever other type a caller may read an attribute as."""
    import cattrs  # noqa: PLC0415 — few need it, and it is slow to import

    return cattrs.Converter(detailed_validation=False)


@cache
def decoder(kind: Any) -> Decoder:
    """Answer what decodes values of this type.

    It raises `TypeError`, `ValueError` or `LookupError` for a value of another type.
    """
    for applies, factory in _FACTORIES:
        if applies(kind):
            return factory(kind)
    hook = _converter().get_structure_hook(kind)
    return lambda value: hook(value, kind)


def parsed(body: bytes) -> Any:
    """Answer the JSON value of a body; raises `ValueError`."""
    return parse_json(body)
