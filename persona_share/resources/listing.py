"""Listings: awaited for one page, or iterated over for the objects of all pages."""

from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any, Generic, TypeVar

import attrs

from persona_share._protocol import jsonapi
from persona_share._protocol.paging import CursorHistory, ListLocation, page_query
from persona_share._protocol.query import QueryValue
from persona_share._protocol.routes.route import Route
from persona_share.errors import InvalidArgumentError, MalformedResponseError
from persona_share.model.page import Page
from persona_share.model.resource import Resource
from persona_share.resources.base import Caller
from persona_share.resources.params import NO_BODY, Body
from persona_share.resources.query_options import CallOptions


R = TypeVar("R", bound=Resource)


@attrs.frozen(kw_only=True)
class ListRequest:
    """The parts that the requests for all pages of a listing share."""

    route: Route
    object_ids: tuple[str, ...] = ()
    query: Mapping[str, QueryValue] = attrs.field(factory=dict)
    body: Body = NO_BODY
    size: int | None = None
    options: CallOptions = attrs.field(factory=CallOptions)


class Listing(Generic[R]):
    """A listing that has not been requested yet.

    ``await`` it for one `Page`, iterate over it with ``async for`` for the objects of
    all pages, or iterate over its `pages`. Each page is one request, so an iteration
    may raise any error that a request may raise.
    """

    def __init__(
        self,
        caller: Caller,
        kind: type[R],
        request: ListRequest,
        *,
        after: str | None = None,
        before: str | None = None,
    ) -> None:
        if "idempotency_key" in request.options:
            message = "idempotency_key is for one call, and a listing makes several"
            raise InvalidArgumentError(message)
        self._caller = caller
        self._kind = kind
        self._request = request
        self._after = after
        self._before = before
        page_query(size=request.size, after=after, before=before)

    def __await__(self) -> Generator[Any, None, Page[R]]:
        return self._fetch(self._after, self._before).__await__()

    async def __aiter__(self) -> AsyncIterator[R]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(
        self, *, after: str | None = None, before: str | None = None
    ) -> AsyncIterator[Page[R]]:
        """Iterate over the pages, from a cursor of an earlier page.

        With ``before`` the iteration goes backwards, towards the newest object. Raises
        `MalformedResponseError` if a link leads out of the listing or to a page that
        was there before, and after 10,000 pages.
        """
        if after is None and before is None:
            after, before = self._after, self._before
        backwards = before is not None
        history = CursorHistory(before if backwards else after)
        while True:
            page = await self._fetch(after, before)
            yield page
            cursor = page.before if backwards else page.after
            if cursor is None:
                return
            self._check(history, cursor, page)
            after, before = (None, cursor) if backwards else (cursor, None)

    async def _fetch(self, after: str | None, before: str | None) -> Page[R]:
        shared = self._request
        query = page_query(size=shared.size, after=after, before=before)
        request, response = await self._caller.call(
            shared.route,
            *shared.object_ids,
            query={**shared.query, **query},
            body=shared.body,
            options=shared.options,
        )
        path = shared.route.path(*shared.object_ids)
        location = ListLocation(self._caller.base_url, path, frozenset(shared.query))
        return jsonapi.page(request, response, self._kind, location)

    def _check(self, history: CursorHistory, cursor: str, page: Page[R]) -> None:
        if (stray := history.add(cursor)) is not None:
            raise MalformedResponseError(
                stray.value,
                operation=self._request.route.operation,
                request_id=page.answer.request_id,
                advice="Continue from a later cursor with pages(after=…), if you have one.",
            )

    def __repr__(self) -> str:
        return f"<Listing of {self._kind.__name__}>"
