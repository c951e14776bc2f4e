"""What a resource has: attributes that are decoded when they are read, and links.

They are descriptors, so that a thing's file reads like a list of what it has.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, overload

from persona_share.model.spelling import ABSENT, Spelling


if TYPE_CHECKING:
    from persona_share.model.resource import Reference, Resource

T = TypeVar("T")


if TYPE_CHECKING:
    _Property = object
else:
    # What Python itself knows to read needs half of the time of a `__get__` of ours.
    _Property = property


class Attribute(_Property, Generic[T]):
    """One attribute of a resource, decoded when it is read.

    Reading raises `MalformedResponseError` when the value is not of its type. With
    ``of="meta"`` it stands in the answer's ``meta`` instead.
    """

    def __init__(self, kind: Callable[..., T] | Any, *, of: str = "attributes") -> None:
        super().__init__()
        self._kind = kind
        self._of = of

    def __set_name__(self, owner: type, name: str) -> None:
        if self._of == "attributes":
            getter = _quick_getter(name, self._kind)
        else:
            getter = _getter(name, self._kind, self._of)
        super().__init__(getter)  # type: ignore[call-arg]  # of a property

    if TYPE_CHECKING:

        @overload
        def __get__(self, resource: None, owner: type) -> Self: ...
        @overload
        def __get__(self, resource: "Resource", owner: type) -> T | None: ...
        def __get__(
            self, resource: "Resource | None", owner: type
        ) -> Self | T | None: ...


def _getter(name: str, kind: Any, of: str) -> "Callable[[Resource], Any]":
    """Answer what reads an attribute, in any casing and of any type."""
    spelling = Spelling.of(name)

    def get(resource: "Resource") -> Any:
        values = resource.attributes if of == "attributes" else resource.meta
        value = spelling.value_in(values)
        if value is None or value is ABSENT:
            return None
        try:
            return resource.decoder(kind)(value)
        except (TypeError, ValueError, LookupError, AttributeError):
            # Raised below, so that the value is not carried along as a context.
            pass
        del value, values  # nor do reports of the error show them as locals
        raise resource.malformed(name)

    return get


def _quick_getter(name: str, kind: Any) -> "Callable[[Resource], Any]":
    """Answer what reads an attribute that comes as it usually does.

    Another casing, another type or an error goes the long way, which takes four times
    as long: five attributes are read of nearly every object of a large fetch.
    """
    kebab = Spelling.of(name).kebab
    the_long_way = _getter(name, kind, "attributes")
    usual = _USUAL.get(kind)
    decode: Callable[[Any], Any] | None = None

    def get(resource: "Resource") -> Any:
        nonlocal decode
        try:
            value = resource.attributes[kebab]
            if value is None or type(value) is usual:
                return value
            if decode is None:
                decode = resource.decoder(kind)
            return decode(value)
        except (TypeError, ValueError, LookupError, AttributeError):
            pass  # it says so without this one's value as a context
        value = None  # nor as a local
        return the_long_way(resource)

    return get


#: The types whose values come as what they are.
_USUAL: Final = {str: str, Mapping[str, Any]: dict, int: int, bool: bool}


class Link:
    """The one object that a relationship points at; older names are read, too."""

    def __init__(self, *older: str) -> None:
        self._names = older

    def __set_name__(self, owner: type, name: str) -> None:
        self._names = (name, *self._names)

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> "Reference | None": ...
    def __get__(
        self, resource: "Resource | None", owner: type
    ) -> "Self | Reference | None":
        if resource is None:
            return self
        found = map(resource.reference, self._names)
        return next((each for each in found if each is not None), None)


class Links:
    """All the objects that a relationship points at."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> "tuple[Reference, ...]": ...
    def __get__(
        self, resource: "Resource | None", owner: type
    ) -> "Self | tuple[Reference, ...]":
        return self if resource is None else resource.references(self._name)
