"""Endpoints as values: a method, a documented path, and how it may be repeated."""

import re
from collections.abc import Iterator
from typing import Final

import attrs

from persona_share._protocol.http import Expects
from persona_share.model.ids import checked_id, require_prefix


PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_-]*)\}")


@attrs.frozen
class Route:
    """One endpoint.

    ``permission`` is the permission that a scoped token needs on the object in the
    path, or None if that is not documented. A POST is ``repeatable`` if a second one
    does no harm. ``reconcile`` names the call that shows whether a POST took effect
    when its response was lost.
    """

    method: str
    template: str
    permission: str | None = attrs.field(default=None, kw_only=True)
    expects: Expects = attrs.field(default=Expects.JSON, kw_only=True)
    repeatable: bool = attrs.field(default=False, kw_only=True)
    reconcile: str | None = attrs.field(default=None, kw_only=True)
    # The text before the first placeholder; each placeholder and the text after it.
    _start: str = attrs.field(init=False, repr=False, eq=False)
    _rest: tuple[tuple[str, str], ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        start, *rest = PLACEHOLDER.split(self.template)
        object.__setattr__(self, "_start", start)
        pairs = tuple(zip(rest[::2], rest[1::2], strict=True))
        object.__setattr__(self, "_rest", pairs)

    @property
    def operation(self) -> str:
        """The method and the documented path."""
        return f"{self.method} {self.template}"

    def path(self, *object_ids: str) -> str:
        """Return the path with these ids in place of its placeholders, in order.

        Raises `InvalidIdError` for an id that cannot be sent, or of another kind.
        """
        path = self._start
        for (name, text), object_id in zip(self._rest, object_ids, strict=True):
            path += checked_id(object_id, name) + text
            require_prefix(object_id, name)
        return path


@attrs.frozen
class Family:
    """The endpoints of one kind of object; they share a permission family."""

    permission: str | None
    plural: str

    def read(self, template: str, *, expects: Expects = Expects.JSON) -> Route:
        """Return a GET that needs the family's read permission."""
        return Route("GET", template, permission=self._may("read"), expects=expects)

    def search(self, template: str) -> Route:
        """Return a POST that changes nothing, so it may be repeated."""
        return Route("POST", template, permission=self._may("read"), repeatable=True)

    def create(self, template: str, reconcile: str | None = None) -> Route:
        """Return a POST that creates an object; a list shows whether it took effect."""
        return Route(
            "POST",
            template,
            permission=self._may("write"),
            reconcile=reconcile or f"{self.plural}.list(…)",
        )

    def act(
        self, template: str, *, repeatable: bool = False, reconcile: str | None = None
    ) -> Route:
        """Return a POST that acts on an object."""
        return Route(
            "POST",
            template,
            permission=self._may("write"),
            repeatable=repeatable,
            reconcile=reconcile or f"{self.plural}.retrieve(id)",
        )

    def update(self, template: str) -> Route:
        """Return a PATCH."""
        return Route(
            "PATCH",
            template,
            permission=self._may("write"),
            reconcile=f"{self.plural}.retrieve(id)",
        )

    def redact(self, template: str) -> Route:
        """Return a DELETE; its permission is not documented."""
        return Route("DELETE", template)

    def print(self, template: str) -> Route:
        """Return a GET of a PDF; its permission is not documented."""
        return Route("GET", template, expects=Expects.PDF)

    def _may(self, verb: str) -> str | None:
        return f"{self.permission}.{verb}" if self.permission else None


def routes_in(names: dict[str, object]) -> Iterator[Route]:
    """Return the routes among the names of a module."""
    return (value for value in names.values() if isinstance(value, Route))
