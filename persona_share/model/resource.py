"""What the API answers with: objects, and references to objects.

An object keeps what came and decodes an attribute when it is asked for, so that an
attribute nobody reads can neither cost time nor fail. Unknown attributes stay in
``attributes``. ``repr`` shows type and id and never personal data.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar, overload

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.spelling import value_of


T = TypeVar("T")

_NOTHING: Final[Mapping[str, Any]] = {}


@attrs.frozen
class Reference:
    """The type and id of an object that another one points at."""

    type: str
    id: str


class ResponseInfo(NamedTuple):
    """Which request an object came with, and who answered it.

    ``date`` is when that was by the service's clock, as it writes it.
    """

    request_id: str | None = None
    organization_id: str | None = None
    environment_id: str | None = None
    date: str | None = None


class Codec(Protocol):
    """Turns JSON values into typed ones; the one implementation is in ``_protocol``."""

    def decoder(self, kind: Any) -> Callable[[Any], Any]:
        """Answer what decodes this type; that raises `TypeError` or `ValueError`."""
        ...

    def nested(self, document: Any, answer: ResponseInfo) -> "Resource":
        """Answer the object in a document that stands inside another one."""
        ...


@attrs.frozen(eq=False)
class Along:
    """What the objects of one answer share."""

    codec: Codec = attrs.field(repr=False)
    included: "Mapping[Reference, Resource]" = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)


@attrs.frozen(kw_only=True, eq=False)
class Resource:
    """An object of the API, of any type.

    ``attributes`` is what came, in the casing that came, and ``raw`` all of it. ``id``
    is empty for the few things that have none.
    """

    #: Whether objects of this class may lack an id.
    nameless: ClassVar[bool] = False
    #: Whether their attributes stand beside ``type`` and ``id``, for any type.
    flat: ClassVar[bool] = False

    type: str
    id: str
    attributes: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    raw: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    answer: ResponseInfo = attrs.field(factory=ResponseInfo, repr=False)
    _along: Along = attrs.field(repr=False)

    @property
    def relationships(self) -> Mapping[str, Any]:
        """What it is related to, as it came, in the casing that came."""
        found = self.raw.get("relationships")
        return found if isinstance(found, dict) else _NOTHING

    @property
    def included(self) -> "Mapping[Reference, Resource]":
        """The objects that came along with the answer."""
        return self._along.included

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the answer said beside the object."""
        return self._along.meta

    def get(self, name: str) -> Any:
        """Answer any attribute by its snake_case name, as it came, or None."""
        return value_of(self.attributes, name)

    @overload
    def read(self, name: str, kind: Callable[..., T]) -> T | None: ...
    @overload
    def read(self, name: str, kind: Any) -> Any: ...
    def read(self, name: str, kind: Any) -> Any:
        """Answer any attribute by its snake_case name as this type, or None.

        Raises `MalformedResponseError` when the value is not of this type.
        """
        value = self.get(name)
        if value is None:
            return None
        try:
            return self.decoder(kind)(value)
        except (TypeError, ValueError, LookupError, AttributeError):
            pass  # raised below, so that the value is not carried along as a context
        del value  # nor shown as a local of this frame
        raise self.malformed(name)

    def references(self, name: str) -> tuple[Reference, ...]:
        """Answer what a relationship points at, by its snake_case name."""
        relationship = value_of(self.relationships, name)
        data = relationship.get("data") if isinstance(relationship, dict) else None
        found = data if isinstance(data, list) else [data] if data else []
        try:
            return tuple(Reference(each["type"], each["id"]) for each in found)
        except (TypeError, LookupError):
            pass
        raise self.malformed(name)

    def reference(self, name: str) -> Reference | None:
        """Answer the one thing that a relationship points at, or None."""
        return next(iter(self.references(name)), None)

    def related(self, name: str) -> "tuple[Resource, ...]":
        """Answer the objects of a relationship that came along (``include=``)."""
        wanted = self.references(name)
        return tuple(self.included[each] for each in wanted if each in self.included)

    def decoder(self, kind: Any) -> Callable[[Any], Any]:
        """Answer what decodes values of this type."""
        return self._along.codec.decoder(kind)

    def nested(self, document: Any) -> "Resource":
        """Answer the object of a document that stands inside this one.

        Raises `TypeError` or `LookupError` where there is none.
        """
        return self._along.codec.nested(document, self.answer)

    def malformed(self, name: str) -> MalformedResponseError:
        """Answer the error of an attribute or a relationship that cannot be read."""
        message = f"{name!r} of {self.type[:100]!a} is not what it should be"
        return MalformedResponseError(message, request_id=self.answer.request_id)
