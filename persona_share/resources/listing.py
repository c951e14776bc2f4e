"""A listing: awaited it is a page, iterated it is every object of every page."""

from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any, Generic, TypeVar

import attrs

from persona_share._protocol import jsonapi
from persona_share._protocol.paging import ListLocation, Trail, page_query
from persona_share._protocol.query import QueryValue
from persona_share._protocol.routes.route import Route
from persona_share.errors import InvalidArgumentError, MalformedResponseError
from persona_share.model.page import Page
from persona_share.model.resource import Resource
from persona_share.resources.base import Caller
from persona_share.resources.bodies import NO_BODY, Body
from persona_share.resources.options import CallOptions


R = TypeVar("R", bound=Resource)


@attrs.frozen(kw_only=True)
class Ask:
    """What every page of a listing is asked for with."""

    route: Route
    object_ids: tuple[str, ...] = ()
    query: Mapping[str, QueryValue] = attrs.field(factory=dict)
    body: Body = NO_BODY
    size: int | None = None
    options: CallOptions = attrs.field(factory=CallOptions)


class Listing(Generic[R]):
    """A listing that was not asked for yet.

    ``await`` it for one `Page`; ``async for`` goes over all of its objects, page after
    page; `pages` goes over the pages, from any cursor. Each page is one request, and a
    walk may end in any error that a request may end in.
    """

    def __init__(
        self,
        caller: Caller,
        kind: type[R],
        ask: Ask,
        *,
        after: str | None = None,
        before: str | None = None,
    ) -> None:
        if "idempotency_key" in ask.options:
            message = "an idempotency key belongs to one call, a listing makes several"
            raise InvalidArgumentError(message)
        self._caller = caller
        self._kind = kind
        self._ask = ask
        self._after = after
        self._before = before
        page_query(size=ask.size, after=after, before=before)

    def __await__(self) -> Generator[Any, None, Page[R]]:
        return self._fetch(self._after, self._before).__await__()

    async def __aiter__(self) -> AsyncIterator[R]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(
        self, *, after: str | None = None, before: str | None = None
    ) -> AsyncIterator[Page[R]]:
        """Go over the pages, from a cursor that an earlier page answered.

        With ``before`` it goes backwards, towards the newest. Raises
        `MalformedResponseError` where a page leads out of the listing, back to one that
        was there, or over 10,000 pages.
        """
        if after is None and before is None:
            after, before = self._after, self._before
        backwards = before is not None
        trail = Trail(before if backwards else after)
        while True:
            page = await self._fetch(after, before)
            yield page
            cursor = page.before if backwards else page.after
            if cursor is None:
                return
            self._note(trail, cursor, page)
            after, before = (None, cursor) if backwards else (cursor, None)

    async def _fetch(self, after: str | None, before: str | None) -> Page[R]:
        ask = self._ask
        query = page_query(size=ask.size, after=after, before=before)
        request, response = await self._caller.call(
            ask.route,
            *ask.object_ids,
            query={**ask.query, **query},
            body=ask.body,
            options=ask.options,
        )
        path = ask.route.path(*ask.object_ids)
        place = ListLocation(self._caller.base_url, path, frozenset(ask.query))
        return jsonapi.page(request, response, self._kind, place)

    def _note(self, trail: Trail, cursor: str, page: Page[R]) -> None:
        if (stray := trail.step(cursor)) is not None:
            raise MalformedResponseError(
                stray.value,
                operation=self._ask.route.operation,
                request_id=page.answer.request_id,
                advice="Go on from a later cursor with pages(after=…), if there is one.",
            )

    def __repr__(self) -> str:
        return f"<Listing of {self._kind.__name__}>"
