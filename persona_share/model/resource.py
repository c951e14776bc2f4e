"""What the API answers with: objects, references to objects, and whole documents.

An object keeps what came and decodes an attribute when it is asked for, so that an
attribute nobody reads can neither cost time nor fail. Unknown attributes stay in
``attributes``. ``repr`` shows type and id and never personal data.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, Self, TypeVar, overload

import attrs

from persona_share.errors import MalformedResponseError


T = TypeVar("T")

_NOTHING: Final[Mapping[str, Any]] = {}


class OpenEnum(enum.StrEnum):
    """A set of names that the service may extend: unknown ones are kept as they are."""

    @property
    def known(self) -> bool:
        """Whether this library has a name for it."""
        return self._name_ in type(self).__members__

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member


@attrs.frozen
class Reference:
    """The type and id of an object that another one points at."""

    type: str
    id: str


@attrs.frozen
class AnswerFacts:
    """Which request an object came with, and who answered it."""

    request_id: str | None = None
    organization_id: str | None = None
    environment_id: str | None = None


class Codec(Protocol):
    """Turns JSON values into typed ones; the one implementation is in ``_wire``."""

    def spelled(self, values: Mapping[str, Any], name: str) -> str:
        """Answer the spelling of a snake_case name that these values use."""
        ...

    def structured(self, value: object, kind: Any) -> Any:
        """Answer the value as this type; raises `TypeError` or `ValueError`."""
        ...


class Attribute(Generic[T]):
    """One attribute of a resource, decoded when it is read.

    Reading raises `MalformedResponseError` when the value is not of its type.
    """

    def __init__(self, kind: Callable[..., T] | Any, doc: str = "") -> None:
        self._kind = kind
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> T | None: ...
    def __get__(self, resource: "Resource | None", owner: type) -> Self | T | None:
        if resource is None:
            return self
        return resource.read(self._name, self._kind)  # type: ignore[no-any-return]  # T is what kind makes


@attrs.frozen(kw_only=True, eq=False)
class Resource:
    """An object of the API, of any type.

    ``attributes`` and ``relationships`` are what came, in the casing that came.
    """

    type: str
    id: str
    attributes: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    relationships: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    included: Mapping[Reference, "Resource"] = attrs.field(factory=dict, repr=False)
    answer: AnswerFacts = attrs.field(default=AnswerFacts(), repr=False)
    raw: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    _codec: Codec = attrs.field(repr=False)

    def read(self, name: str, kind: Any) -> Any:
        """Answer an attribute by its snake_case name as this type, or None."""
        value = self.attributes.get(self._codec.spelled(self.attributes, name))
        if value is None:
            return None
        try:
            return self._codec.structured(value, kind)
        except (TypeError, ValueError, KeyError, LookupError):
            message = f"attribute {name!r} of {self.type} is not what it should be"
            raise MalformedResponseError(
                message, request_id=self.answer.request_id
            ) from None

    def references(self, name: str) -> tuple[Reference, ...]:
        """Answer what a relationship points at, by its snake_case name."""
        spelled = self._codec.spelled(self.relationships, name)
        data = (self.relationships.get(spelled) or _NOTHING).get("data")
        found = data if isinstance(data, list) else [data] if data else []
        return tuple(Reference(each["type"], each["id"]) for each in found)

    def related(self, name: str) -> "tuple[Resource, ...]":
        """Answer the objects of a relationship that came along (``include=``)."""
        wanted = self.references(name)
        return tuple(self.included[each] for each in wanted if each in self.included)


@attrs.frozen(kw_only=True, eq=False)
class Document:
    """A whole answer: ``data`` as one object, several, or None; ``raw`` as it came."""

    data: Resource | tuple[Resource, ...] | None = attrs.field(default=None, repr=False)
    included: Mapping[Reference, Resource] = attrs.field(factory=dict, repr=False)
    links: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    answer: AnswerFacts = AnswerFacts()
    status: int = 200
    raw: Any = attrs.field(default=None, repr=False)
    content: bytes | None = attrs.field(default=None, repr=False)
