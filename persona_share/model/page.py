"""One page of a listing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.plain import without_secrets
from persona_share.model.resource import Reference, Resource, ResponseInfo


R_co = TypeVar("R_co", bound=Resource, covariant=True)

Cursor = str | MalformedResponseError | None

_NOTHING: Final[Mapping[str, Any]] = {}
_KEYS: Final = ("items", "after", "before")


@attrs.frozen(kw_only=True, eq=False)
class Page(Generic[R_co]):
    """Some objects of a listing, in its order, and the cursors of the pages around.

    ``raw`` is the response body as it was sent.
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
        """The cursor of the next page, or None on the last page.

        Raises `MalformedResponseError` if the link leads out of the listing.
        """
        return _checked(self._after)

    @property
    def before(self) -> str | None:
        """The cursor of the previous page; raises the same error as `after`."""
        return _checked(self._before)

    def to_dict(self) -> dict[str, Any]:
        """Return the items (`Resource.to_dict`) and both cursors as JSON types."""
        return {name: self[name] for name in _KEYS}

    def keys(self) -> tuple[str, ...]:
        """Return the keys of `to_dict`, so that ``dict(page)`` is the same."""
        return _KEYS

    def __getitem__(self, key: str | int) -> Any:
        """Return one entry of `to_dict`, or the object at an index."""
        if isinstance(key, int):
            return self.items[key]
        if key == "items":
            return [each.to_dict() for each in self.items]
        if key in _KEYS:
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[R_co]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getstate__(self) -> dict[str, Any]:
        state = {each.name: getattr(self, each.name) for each in attrs.fields(Page)}
        names = {name for each in self.items for name in each._secret_names}  # noqa: SLF001  # same package
        for name in ("meta", "raw"):
            state[name] = without_secrets(state[name], names)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: object
    ) -> dict[str, Any]:
        """Return how pydantic, and with it FastAPI, checks and serializes a page."""
        serialize = {"type": "function-plain", "function": cls.to_dict}
        return {"type": "is-instance", "cls": cls, "serialization": serialize}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: object, _handler: object
    ) -> dict[str, Any]:
        """Return the JSON schema of `to_dict`, for pydantic and OpenAPI."""
        cursor = {"anyOf": [{"type": "string"}, {"type": "null"}]}
        items = {"type": "array", "items": {"type": "object"}}
        return {
            "type": "object",
            "title": "Page",
            "properties": {"items": items, "after": cursor, "before": cursor},
        }


def _checked(cursor: Cursor) -> str | None:
    if isinstance(cursor, MalformedResponseError):
        raise cursor.fresh()
    return cursor
