"""One page of a listing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.resource import Reference, Resource, ResponseInfo


R_co = TypeVar("R_co", bound=Resource, covariant=True)

Cursor = str | MalformedResponseError | None

_NOTHING: Final[Mapping[str, Any]] = {}


@attrs.frozen(kw_only=True, eq=False)
class Page(Generic[R_co]):
    """Some of the objects of a listing, in its order, and the way to those around.

    ``raw`` is the answer as it came.
    """

    items: tuple[R_co, ...]
    included: Mapping[Reference, Resource] = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    answer: ResponseInfo = attrs.field(factory=ResponseInfo)
    raw: Any = attrs.field(default=None, repr=False)
    _after: Cursor = attrs.field(default=None, repr=False)
    _before: Cursor = attrs.field(default=None, repr=False)

    @property
    def after(self) -> str | None:
        """The cursor with which the listing goes on after this page, if it does.

        Raises `MalformedResponseError` when the answer points anywhere else.
        """
        return _checked(self._after)

    @property
    def before(self) -> str | None:
        """The cursor of the page before this one; raises what `after` raises."""
        return _checked(self._before)

    def __iter__(self) -> Iterator[R_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _checked(cursor: Cursor) -> str | None:
    if isinstance(cursor, MalformedResponseError):
        raise cursor.fresh()
    return cursor
