"""JSON values to typed values, strictly: nothing is coerced into another type."""

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from persona_share._wire.jsonsafe import parse_json
from persona_share.model.resource import OpenEnum


T = TypeVar("T")


def _strict(kind: type[T], *accepted: type) -> Callable[[Any, type[T]], T]:
    accepted = accepted or (kind,)

    def structure(value: Any, _kind: type[T]) -> T:
        if type(value) not in accepted:
            message = f"expected {kind.__name__}, got {type(value).__name__}"
            raise TypeError(message)
        return value  # type: ignore[no-any-return]  # its type was just compared

    return structure


def _datetime(value: Any, _kind: type[datetime]) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        message = "expected a time with a zone"
        raise ValueError(message)
    return moment


def _date(value: Any, _kind: type[date]) -> date:
    return date.fromisoformat(_text(value))


def _text(value: Any) -> str:
    if type(value) is not str:
        message = f"expected str, got {type(value).__name__}"
        raise TypeError(message)
    return value


def _open_enum(value: Any, kind: type[OpenEnum]) -> OpenEnum:
    return kind(_text(value))


def _is_open_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, OpenEnum)


def _kebab(converter: cattrs.Converter, kind: type[Any]) -> Callable[[Any, Any], Any]:
    names = {
        field.name: override(rename=field.name.replace("_", "-"))
        for field in attrs.fields(kind)
    }
    return make_dict_structure_fn(kind, converter, **names)  # type: ignore[arg-type]


def _made() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for kind, structure in (
        (str, _strict(str)),
        (int, _strict(int)),
        (bool, _strict(bool)),
        (float, _strict(float, float, int)),
        (datetime, _datetime),
        (date, _date),
    ):
        # By identity: an open enum is a str, and must not be taken for one.
        converter.register_structure_hook_func(partial(operator.is_, kind), structure)
    converter.register_structure_hook_func(_is_open_enum, _open_enum)
    converter.register_structure_hook_factory(
        attrs.has, lambda kind: _kebab(converter, kind)
    )
    return converter


_CONVERTER: Final = _made()


def parsed(body: bytes) -> Any:
    """Answer the JSON value of a body; raises `ValueError`."""
    return parse_json(body)


def structured(value: object, kind: Any) -> Any:
    """Answer the value as this type; raises `TypeError` or `ValueError`."""
    return _CONVERTER.structure(value, kind)


def spelled(values: Mapping[str, Any], name: str) -> str:
    """Answer the spelling of a snake_case name that these values use."""
    kebab = name.replace("_", "-")
    if kebab in values:
        return kebab
    first, *rest = name.split("_")
    camel = first + "".join(word.title() for word in rest)
    return camel if camel in values else name
