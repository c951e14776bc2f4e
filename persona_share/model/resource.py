"""API objects, references to them, and facts about the response they came with.

An object stores the JSON that it was built from, and decodes an attribute when it is
read. Unknown attributes are in ``attributes``. ``repr`` shows
type and id, never personal data; pickles and `to_dict` contain no secrets.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self, TypeVar, overload

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.attribute import (
    ABSENT,
    Attribute,
    Link,
    Links,
    Spelling,
    value_of,
)
from persona_share.model.file import AttachedFile, attached_files
from persona_share.model.plain import (
    ConvertibleToDict,
    json_schema_of,
    snake_case,
    to_plain,
    to_plain_as_sent,
    without_secrets,
)
from persona_share.model.secret import Secret


T = TypeVar("T")

_NOTHING: Final[Mapping[str, Any]] = {}


class Reference(NamedTuple):
    """The type and id of an object that another object points to."""

    type: str
    id: str


class Headers(dict[str, str]):
    """Response headers with case-insensitive names."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        if lower != name and lower in self:
            return self[lower]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or the default."""
        return super().get(name.lower(), default)

    def __repr__(self) -> str:
        return f"<Headers: {', '.join(sorted(self))}>"


@attrs.frozen(repr=False)
class ResponseInfo:
    """The HTTP response of an object or a page, without its body."""

    _headers: Mapping[str, str] = _NOTHING

    @property
    def headers(self) -> Headers:
        """The response headers; the transport drops cookies."""
        return Headers(self._headers)

    @property
    def request_id(self) -> str | None:
        """The id of the request in the API logs (``Request-Id``)."""
        return self._headers.get("request-id")

    @property
    def organization_id(self) -> str | None:
        """The organization that the request acted on (``Persona-Organization-Id``)."""
        return self._headers.get("persona-organization-id")

    @property
    def environment_id(self) -> str | None:
        """The environment that the request acted on (``Persona-Environment-Id``)."""
        return self._headers.get("persona-environment-id")

    @property
    def date(self) -> str | None:
        """The time of the response by the service's clock (``Date``)."""
        return self._headers.get("date")

    def __getstate__(self) -> tuple[Any, ...]:
        return (dict(self.headers),)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        object.__setattr__(self, "_headers", state[0])

    def __repr__(self) -> str:
        return f"<ResponseInfo of request {self.request_id}>"


class HasResponseInfo:
    """A part of a response, with ``response_info`` about the whole response."""

    __slots__ = ()

    response_info: ResponseInfo

    @property
    def answer(self) -> ResponseInfo:
        """The former name of `response_info`; deprecated."""
        warnings.warn("use .response_info", DeprecationWarning, stacklevel=2)
        return self.response_info


class Codec(Protocol):
    """Turns JSON values into typed ones; implemented by `_protocol`."""

    def hook_for(self, kind: Any) -> Callable[[Any, Any], Any]:
        """Return the function that takes a JSON value and this type.

        The function raises `TypeError`, `ValueError` or `LookupError` for a value of
        another type.
        """
        ...

    def nested(self, document: Any, info: ResponseInfo) -> "Resource":
        """Return the object of a document inside another object.

        Raises `TypeError` or `LookupError` if there is none.
        """
        ...


@attrs.frozen(eq=False)
class Context:
    """The parts of a response that its objects share."""

    codec: Codec = attrs.field(repr=False)
    included: "Mapping[Reference, Resource]" = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)


@attrs.frozen(kw_only=True, eq=False)
class Resource(ConvertibleToDict, HasResponseInfo):
    """An object of the API, of any type.

    ``attributes`` holds the attributes as they were sent, and ``raw`` the whole object;
    their keys are those of the service, such as ``created-at``. ``id`` is empty for the
    few objects that have none. Objects compare by identity; compare `to_dict` instead.
    """

    # Objects of this class may lack an id.
    _id_optional: ClassVar[bool] = False
    # The attributes are members of the object itself, and the type is not an object type.
    _flat: ClassVar[bool] = False
    # The properties that `to_dict` contains as well.
    _computed: ClassVar[tuple[str, ...]] = ()
    # The attributes and links by name, the names of those that hold secrets, and all
    # spellings of the keys of `to_dict`.
    _members: ClassVar[Mapping[str, Any]] = _NOTHING
    _secret_names: ClassVar[frozenset[str]] = frozenset()
    _spellings: ClassVar[frozenset[str]] = frozenset({"type", "id"})

    type: str
    id: str
    attributes: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    raw: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    response_info: ResponseInfo = attrs.field(factory=ResponseInfo, repr=False)
    _context: Context = attrs.field(repr=False)

    def __init_subclass__(cls) -> None:
        """Collect the attributes and links of a class of objects."""
        own = {
            name: member
            for name, member in vars(cls).items()
            if isinstance(member, Attribute | Link | Links)
        }
        cls._members = {**cls._members, **own}
        cls._secret_names = frozenset(
            name
            for name, member in cls._members.items()
            if isinstance(member, Attribute) and member.kind is Secret
        )
        cls._spellings = frozenset(
            spelled
            for name in ("type", "id", *cls._members, *cls._computed)
            for spelled in Spelling.of(name).spellings
        )

    @property
    def relationships(self) -> Mapping[str, Any]:
        """The relationships as they were sent."""
        return _mapping(self.raw.get("relationships"))

    @property
    def included(self) -> "Mapping[Reference, Resource]":
        """The objects that the response includes (``include=``), by type and id."""
        return self._context.included

    @property
    def meta(self) -> Mapping[str, Any]:
        """The ``meta`` of the response as it was sent."""
        return self._context.meta

    def get(self, name: str) -> Any:
        """Return any attribute as it was sent, or None if it is absent.

        The name may be in snake_case, kebab-case or camelCase.
        """
        return value_of(self.attributes, name)

    @overload
    def read(self, name: str, kind: Callable[..., T]) -> T | None: ...
    @overload
    def read(self, name: str, kind: Any) -> Any: ...
    def read(self, name: str, kind: Any) -> Any:
        """Return any attribute as this type, or None if it is absent.

        Raises `MalformedResponseError` if the value has another type.
        """
        value = self.get(name)
        if value is None:
            return None
        hook = self._structure_hook(kind)
        try:
            return hook(value, kind)
        except (TypeError, ValueError, LookupError, AttributeError):
            pass  # raised below, without the value as its context
        del value  # error reports may show the locals of this frame
        raise self._malformed(name)

    def references(self, name: str) -> tuple[Reference, ...]:
        """Return the references of a relationship."""
        relationship = value_of(self.relationships, name)
        data = relationship.get("data") if isinstance(relationship, dict) else None
        found = data if isinstance(data, list) else [data] if data else []
        with suppress(TypeError, LookupError):
            references = tuple(Reference(each["type"], each["id"]) for each in found)
            if all(type(part) is str for each in references for part in each):
                return references
        raise self._malformed(name)

    def reference(self, name: str) -> Reference | None:
        """Return the one object that a relationship points to, or None."""
        return next(iter(self.references(name)), None)

    def related(self, name: str) -> "tuple[Resource, ...]":
        """Return the objects of a relationship that the response includes.

        Raises `MalformedResponseError` if one of them cannot be read.
        """
        wanted = self.references(name)
        return tuple(self.included[each] for each in wanted if each in self.included)

    def files(self) -> "tuple[AttachedFile, ...]":
        """Return the files of the object, each with the attribute that names it."""
        return attached_files(self.attributes)

    def keys(self) -> list[str]:
        """Return the keys of `to_dict`: known attributes first, then unknown ones."""
        known = ["type", "id", *self._members, *self._computed]
        others = [] if self._flat else self.attributes
        unknown = [_snake(key) for key in others if key not in self._spellings]
        return list(dict.fromkeys([*known, *unknown]))

    def __getitem__(self, name: str) -> Any:
        """Return one entry of `to_dict`."""
        if name in self._members or name in ("type", "id", *self._computed):
            with suppress(MalformedResponseError):
                return to_plain(name, getattr(self, name))
        found = Spelling.of(name).value_in(self.attributes)
        if found is ABSENT:
            if name not in self._spellings:
                raise KeyError(name)
            found = value_of(self.relationships, name)  # a link that cannot be read
        return to_plain_as_sent(name, found, self._secret_names)

    def _structure_hook(self, kind: Any) -> Callable[[Any, Any], Any]:
        return self._context.codec.hook_for(kind)

    def _nested(self, document: Any) -> "Resource":
        return self._context.codec.nested(document, self.response_info)

    def _malformed(self, name: str) -> MalformedResponseError:
        message = f"{name!r} of {self.type[:100]!a} has an unexpected form"
        return MalformedResponseError(
            message,
            advice="Use get() or raw: they contain what the service sent.",
            request_id=self.response_info.request_id,
        )

    def __copy__(self) -> Self:
        return self  # immutable

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        raw = without_secrets(self.raw, self._secret_names)
        meta = without_secrets(self.meta, self._secret_names)
        flat = self.attributes is self.raw
        return {
            "type": self.type,
            "id": self.id,
            "attributes": raw if flat else _mapping(raw.get("attributes")),
            "raw": raw,
            "response_info": self.response_info,
            "_context": attrs.evolve(self._context, meta=meta),
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: object, _handler: object
    ) -> dict[str, Any]:
        """Return the JSON schema of `to_dict`, for pydantic and OpenAPI."""
        properties = {
            name: json_schema_of(getattr(member, "kind", type(member)))
            for name, member in cls._members.items()
        }
        text = {"type": "string"}
        return {
            "type": "object",
            "title": cls.__name__,
            "properties": {"type": text, "id": text, **properties},
            "required": ["type", "id"],
        }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _snake(key: str) -> str:
    """Return the key of an attribute in snake_case, by which it can be found again."""
    snake = snake_case(key)
    return snake if key in Spelling.of(snake).spellings else Spelling.of(key).snake


# ── Objects with custom fields ─────────────────────────────────────────


_MAX_DEPTH: Final = 32
_NESTED: Final = frozenset({dict, list})
_NO_FIELDS: Final[Mapping[str, Any]] = {}


class FieldValues(dict[str, Any]):
    """The value of each field, by the name of the field.

    ``values["name_first"]`` and ``values["name-first"]`` are the same. ``repr`` shows
    no values.
    """

    def __missing__(self, name: str) -> Any:
        found = self._find(name)
        if found is ABSENT:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._find(name) is not ABSENT

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field in any spelling, or the default."""
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
    """An object with custom fields, whose names are never changed."""

    __slots__ = ()

    _computed: ClassVar[tuple[str, ...]] = ("values",)

    fields: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])

    @property
    def values(self) -> FieldValues:
        """The value of each field, without its type.

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
    """Return the value of a field; nested fields are resolved as well."""
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
