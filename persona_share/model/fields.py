"""Field values: what a person or a template filled in, under names of its own."""

from collections.abc import Mapping
from typing import Any, Final

from persona_share.errors import MalformedResponseError
from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource


_DEEPEST: Final = 32
_DEEP: Final = frozenset({dict, list})
_NO_FIELDS: Final[Mapping[str, Any]] = {}


class Fielded(Resource):
    """An object with fields of its own; their names are never changed."""

    __slots__ = ()

    fields: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])

    @property
    def values(self) -> Mapping[str, Any]:
        """The value of each field, without the type that came beside it."""
        found = {}
        for name, field in (self.fields or _NO_FIELDS).items():
            # Nearly every field is a text or nothing: `plain` would cost the most.
            try:
                value = field["value"]
            except (TypeError, KeyError):
                value = field
            found[name] = plain(field) if type(value) in _DEEP else value
        return found


def plain(field: object) -> Any:
    """Answer the value of one field, with the fields inside it resolved as well.

    Raises `MalformedResponseError` for one that is nested beyond reason.
    """
    return _inner(field, _DEEPEST)


def _inner(field: object, depth: int) -> Any:
    if depth == 0:
        message = "a field is nested too deeply"
        raise MalformedResponseError(message)
    if not isinstance(field, dict) or "value" not in field:
        return field
    value = field["value"]
    if isinstance(value, list):
        return [_inner(each, depth - 1) for each in value]
    if isinstance(value, dict) and field.get("type") != "file":
        return {name: _inner(each, depth - 1) for name, each in value.items()}
    return value
