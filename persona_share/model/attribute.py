"""Descriptors for resource classes: typed attributes, and links to other objects.

A resource stores the JSON that it was built from. An attribute is decoded when it is
read, so an attribute that is never read costs nothing and cannot fail.
"""

import enum
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, overload

import attrs


if TYPE_CHECKING:
    from persona_share.model.resource import Reference, Resource

T = TypeVar("T")

#: The marker for a missing name; None is a valid value.
ABSENT: Final = object()


@attrs.frozen
class Spelling:
    """A name in the three casings that the API may use (header ``Key-Inflection``)."""

    snake: str
    kebab: str
    camel: str

    @classmethod
    def of(cls, name: str) -> "Spelling":
        """Return the spellings of a name in snake_case or kebab-case."""
        snake = name.replace("-", "_")
        first, *rest = snake.split("_")
        camel = first + "".join(map(str.capitalize, rest))
        return cls(snake, snake.replace("_", "-"), camel)

    @property
    def spellings(self) -> tuple[str, str, str]:
        """The three spellings, the most frequent one first."""
        return self.kebab, self.snake, self.camel

    def value_in(self, values: Mapping[str, Any]) -> Any:
        """Return the value under any of the spellings, or `ABSENT`."""
        for spelled in self.spellings:
            if spelled in values:
                return values[spelled]
        return ABSENT


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """Return the value under a name in any casing, or None."""
    found = Spelling.of(name).value_in(values)
    return None if found is ABSENT else found


class Attribute(Generic[T]):
    """One attribute of a resource, decoded when it is read.

    Reading raises `MalformedResponseError` if the value has another type. With
    ``of="meta"`` the value is read from the ``meta`` of the response.
    """

    name: str

    def __init__(self, kind: Callable[..., T] | Any, *, of: str = "attributes") -> None:
        self.kind: Any = kind
        self.of: str = of
        self._in_meta = of == "meta"
        self._hook: Callable[[Any, Any], Any] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self._spelling = Spelling.of(name)
        self._kebab = self._spelling.kebab

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> T | None: ...
    def __get__(self, resource: "Resource | None", owner: type) -> Any:
        if resource is None:
            return self
        values = resource.meta if self._in_meta else resource.attributes
        value = values.get(self._kebab, ABSENT)
        if value is ABSENT:
            value = self._spelling.value_in(values)
        if value is None or value is ABSENT:
            return None
        hook = self._hook
        if hook is None:
            hook = self._hook = resource._structure_hook(self.kind)  # noqa: SLF001  # same package
        try:
            return hook(value, self.kind)
        except (TypeError, ValueError, LookupError, AttributeError):
            pass  # raised below, without the value as its context
        value = values = {}  # error reports may show the locals of this frame
        raise resource._malformed(self.name)  # noqa: SLF001  # same package


class Link:
    """A relationship to one object; its names in older API versions are read as well."""

    name: str

    def __init__(self, *older: str) -> None:
        self._older = older

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> "Reference | None": ...
    def __get__(
        self, resource: "Resource | None", owner: type
    ) -> "Self | Reference | None":
        if resource is None:
            return self
        found = map(resource.reference, (self.name, *self._older))
        return next((each for each in found if each is not None), None)


class Links:
    """A relationship to several objects."""

    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    @overload
    def __get__(self, resource: "Resource", owner: type) -> "tuple[Reference, ...]": ...
    def __get__(
        self, resource: "Resource | None", owner: type
    ) -> "Self | tuple[Reference, ...]":
        return self if resource is None else resource.references(self.name)


# ── Enums ────────────────────────────────────────────────────────────────────


_NO_OLDER_VALUES: Final[Mapping[str, str]] = {}


class OpenEnum(enum.StrEnum):
    """An enum that Persona may extend; an unknown value becomes a new member.

    Compare by equality, not by identity: each unknown value is a new member.
    """

    @property
    def known(self) -> bool:
        """Whether this library knows the value."""
        return self._name_ in type(self).__members__

    @classmethod
    def older(cls) -> Mapping[str, str]:
        """Return the names of members for the values of older API versions."""
        return _NO_OLDER_VALUES

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        if (name := cls.older().get(value)) is not None:
            return cls[name]
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member
