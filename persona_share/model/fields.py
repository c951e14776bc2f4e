"""Field values: the data of a person or a template, under names of its own."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from persona_share.errors import MalformedResponseError
from persona_share.model.attribute import ABSENT, Attribute, Spelling
from persona_share.model.resource import Resource


_MAX_DEPTH: Final = 32
_NESTED: Final = frozenset({dict, list})
_NO_FIELDS: Final[Mapping[str, Any]] = {}


class FieldValues(dict[str, Any]):
    """The value of each field, by the name of the field.

    ``values["name_first"]`` and ``values["name-first"]`` are the same, whichever way
    the organization spells it. ``repr`` shows no values.
    """

    def __missing__(self, name: str) -> Any:
        found = self._find(name)
        if found is ABSENT:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._find(name) is not ABSENT

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field in either spelling, or the default."""
        if super().__contains__(name):
            return self[name]
        found = self._find(name)
        return default if found is ABSENT else found

    def _find(self, name: object) -> Any:
        if not isinstance(name, str):
            return ABSENT
        for spelled in Spelling.of(name).spellings:
            if super().__contains__(spelled):
                return self[spelled]
        return ABSENT

    def __repr__(self) -> str:
        return f"<FieldValues of {len(self)} fields>"


class ResourceWithFields(Resource):
    """An object with fields of its own; their names are never changed."""

    __slots__ = ()

    _computed: ClassVar[tuple[str, ...]] = ("values",)

    fields: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])

    @property
    def values(self) -> FieldValues:
        """The value of each field, without the type beside it.

        Raises `MalformedResponseError` for a field that is nested too deeply.
        """
        found = {}
        for name, field in (self.fields or _NO_FIELDS).items():
            # Few fields are nested: calling `_value` for all takes twice as long.
            try:
                value = field["value"]
            except (TypeError, KeyError):
                value = field
            found[name] = _value(field) if type(value) in _NESTED else value
        return FieldValues(found)


def _value(field: object, depth: int = _MAX_DEPTH) -> Any:
    """Return the value of a field, with the fields inside it resolved as well."""
    if not isinstance(field, dict) or "value" not in field:
        return field
    value = field["value"]
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        message = f"a field is nested more than {_MAX_DEPTH} levels deep"
        raise MalformedResponseError(message)
    if isinstance(value, list):
        return [_value(each, depth - 1) for each in value]
    if field.get("type") == "file":
        return value
    return {name: _value(each, depth - 1) for name, each in value.items()}
