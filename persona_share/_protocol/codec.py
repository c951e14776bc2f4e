"""The codec: one strict cattrs converter between JSON values and typed ones.

Values are never coerced into another type. Names are matched in all three casings of the
API, null means the default, and null items of lists and mappings are dropped.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from persona_share.model.attribute import OpenEnum, Spelling
from persona_share.model.secret import Secret


Hook = Callable[[Any, Any], Any]


def _strict(kind: type, *accepted: type) -> Hook:
    accepted = accepted or (kind,)

    def structure(value: Any, _: Any) -> Any:
        if type(value) not in accepted:
            message = f"expected {kind.__name__}, got {type(value).__name__}"
            raise TypeError(message)
        return value

    return structure


_text: Final = _strict(str)
_list: Final = _strict(list)
_object: Final = _strict(dict)


def _datetime(value: Any, _: Any) -> datetime | None:
    if value == "":  # the service sends "" for some unknown dates
        return None
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        message = "expected a time with a time zone"
        raise ValueError(message)
    return parsed


def _date(value: Any, _: Any) -> date | None:
    return None if value == "" else date.fromisoformat(value)


def _secret(value: Any, _: Any) -> Secret:
    return Secret(_text(value, str))


def _open_enum(value: Any, kind: type[OpenEnum]) -> OpenEnum:
    known: OpenEnum | None = kind._value2member_map_.get(value)  # type: ignore[assignment]  # its own members
    return known or kind(_text(value, str))


def _tuple(kind: Any) -> Hook:
    item, *_ = get_args(kind)
    hook = hook_for(item)
    return lambda value, _: tuple(
        [hook(each, item) for each in _list(value, list) if each is not None]
    )


def _mapping(kind: Any) -> Hook:
    item = get_args(kind)[1]
    if item is Any:  # unchanged
        return _object
    hook = hook_for(item)
    return lambda value, _: {
        name: hook(each, item)
        for name, each in _object(value, dict).items()
        if each is not None
    }


def _value(kind: type[Any]) -> Hook:
    """Return a hook for one of our attrs classes, with keys in any casing."""
    attrs.resolve_types(kind)
    structure = make_dict_structure_fn(kind, _CONVERTER)
    names = {
        spelled: field.name
        for field in attrs.fields(kind)
        for spelled in Spelling.of(field.name).spellings
    }

    def from_any_casing(value: Any, _: Any) -> Any:
        given = _object(value, dict).items()
        found = {
            names[key]: part for key, part in given if part is not None and key in names
        }
        return structure(found, kind)

    return from_any_casing


def _has_origin(origin: type) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) is origin


_CONVERTER: Final = cattrs.Converter(detailed_validation=False)
# Hooks apply to subclasses too: under a frozen clock of a test, annotations name a
# subclass of datetime.
for _kind, _hook in {
    str: _text,
    int: _strict(int),
    bool: _strict(bool),
    float: _strict(float, float, int),
    date: _date,
    datetime: _datetime,
    OpenEnum: _open_enum,
    Secret: _secret,
}.items():
    _CONVERTER.register_structure_hook(_kind, _hook)
_CONVERTER.register_structure_hook_factory(attrs.has, _value)
_CONVERTER.register_structure_hook_factory(_has_origin(tuple), _tuple)
_CONVERTER.register_structure_hook_factory(_has_origin(Mapping), _mapping)


def hook_for(kind: Any) -> Hook:
    """Return the function that turns a JSON value into this type.

    It takes the value and the type, and raises `TypeError`, `ValueError` or
    `LookupError` for a value of another type.
    """
    found: Hook = _CONVERTER.get_structure_hook(kind)
    return found
