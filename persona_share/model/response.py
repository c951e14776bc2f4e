"""A whole answer, and the objects that came along with it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from persona_share.model.resource import Reference, Resource, ResponseInfo


_NOTHING: Final[Mapping[str, Any]] = {}


class Included(Mapping[Reference, Resource]):
    """The objects that came along with an answer, built when the first is asked for."""

    def __init__(
        self, raw: object, make: "Callable[[Any, Included], Resource]"
    ) -> None:
        self._raw = raw if isinstance(raw, list) else []
        self._make = make
        self._found: dict[Reference, Resource] | None = None

    def _all(self) -> dict[Reference, Resource]:
        if self._found is None:
            made = [self._make(each, self) for each in self._raw]
            self._found = {Reference(each.type, each.id): each for each in made}
        return self._found

    def __getitem__(self, key: Reference) -> Resource:
        return self._all()[key]

    def __iter__(self) -> Iterator[Reference]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"<Included of {len(self._raw)}>"


@attrs.frozen(kw_only=True, eq=False)
class ApiResponse:
    """A whole answer: ``data`` as one object, several, or None; ``raw`` as it came."""

    data: Resource | tuple[Resource, ...] | None = attrs.field(default=None, repr=False)
    included: Mapping[Reference, Resource] = attrs.field(factory=dict, repr=False)
    links: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    meta: Mapping[str, Any] = attrs.field(default=_NOTHING, repr=False)
    answer: ResponseInfo = attrs.field(factory=ResponseInfo)
    status: int = 200
    raw: Any = attrs.field(default=None, repr=False)
    content: bytes | None = attrs.field(default=None, repr=False)
