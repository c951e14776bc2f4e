"""A page of a listing, and a whole response with its included objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from persona_share.errors import MalformedResponseError
from persona_share.model.plain import ConvertibleToDict, without_secrets
from persona_share.model.resource import (
    HasResponseInfo,
    Reference,
    Resource,
    ResponseInfo,
)


# ── Pages ────────────────────────────────────────────────────────────────────


R_co = TypeVar("R_co", bound=Resource, covariant=True)

Cursor = str | MalformedResponseError | None

_NOTHING: Final[Mapping[str, Any]] = {}
_KEYS: Final = ("items", "after", "before")


@attrs.frozen(kw_only=True, eq=False)
class Page(ConvertibleToDict, HasResponseInfo, Generic[R_co]):
    """Objects of a listing in order, and the cursors of the next and previous page.

    ``raw`` is the response body as it was sent.
    """

    items: tuple[R_co, ...]
    included: Mapping[Reference, Resource] = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    response_info: ResponseInfo = attrs.field(factory=ResponseInfo)
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

    def keys(self) -> tuple[str, ...]:
        """Return the keys of `to_dict`: the items and both cursors."""
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


# ── Whole responses ──────────────────────────────────────────────────────────


Build = Callable[[Any, ResponseInfo, "Included"], Resource]


class Included(Mapping[Reference, Resource]):
    """The included objects of a response, built on first access.

    An invalid object is left out. `MalformedResponseError` is raised only by a lookup
    that this object may match.
    """

    def __init__(self, raw: object, info: ResponseInfo, build: Build) -> None:
        self._raw = raw if isinstance(raw, list) else []
        self._info = info
        self._build = build
        self._objects: dict[Reference, Resource] | None = None
        self._broken: Sequence[object] = ()

    def _all(self) -> dict[Reference, Resource]:
        if self._objects is None:
            objects, broken = {}, []
            for each in self._raw:
                try:
                    found = self._build(each, self._info, self)
                except (TypeError, LookupError, AttributeError):
                    broken.append(each)
                else:
                    objects[Reference(found.type, found.id)] = found
            self._objects, self._broken = objects, broken
        return self._objects

    def __getitem__(self, key: Reference) -> Resource:
        if (found := self._all().get(key)) is not None:
            return found
        if any(_could_be(each, key) for each in self._broken):
            message = "the included object has no readable type and id"
            raise MalformedResponseError(message, request_id=self._info.request_id)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        """Return whether an object is included, even if it cannot be read."""
        if not isinstance(key, tuple) or len(key) != len(Reference._fields):
            return False
        return key in self._all() or any(_could_be(each, key) for each in self._broken)

    def __iter__(self) -> Iterator[Reference]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __getstate__(self) -> dict[str, Any]:
        return {
            "_raw": without_secrets(self._raw),
            "_info": self._info,
            "_build": self._build,
            "_objects": None,
            "_broken": (),
        }

    def __repr__(self) -> str:
        return f"<Included of {len(self._raw)}>"


def _could_be(member: object, key: tuple[Any, ...]) -> bool:
    """Return whether an object without a valid type or id may be this one."""
    if not isinstance(member, dict):
        return False
    type_name, object_id = member.get("type"), member.get("id")
    given = [
        (value, wanted)
        for value, wanted in ((type_name, key[0]), (object_id, key[1]))
        if isinstance(value, str)
    ]
    return bool(given) and all(value == wanted for value, wanted in given)


@attrs.frozen(kw_only=True, eq=False)
class ApiResponse(HasResponseInfo):
    """A whole response, returned by `request`.

    ``data`` is one object, several, or None; ``raw`` is the JSON as it was sent, and
    ``content`` the bytes of a PDF.
    """

    data: Resource | tuple[Resource, ...] | None = attrs.field(default=None, repr=False)
    included: Mapping[Reference, Resource] = attrs.field(factory=dict, repr=False)
    links: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    response_info: ResponseInfo = attrs.field(factory=ResponseInfo)
    status: int = 200
    raw: Any = attrs.field(default=None, repr=False)
    content: bytes | None = attrs.field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        state = attrs.asdict(self, recurse=False)
        data = self.data if isinstance(self.data, tuple) else (self.data,)
        names = {name for each in data if each for name in each._secret_names}  # noqa: SLF001  # same package
        if self.data is None:
            names.add("code")  # of `POST /oauth/authorize`
        for name in ("links", "meta", "raw"):
            state[name] = without_secrets(state[name], names)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
