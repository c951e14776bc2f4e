"""Listings, and the methods that several kinds of objects have in common."""

from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack, cast

import attrs

from persona_share._protocol import jsonapi
from persona_share._protocol.http import Sink
from persona_share._protocol.query import (
    CursorHistory,
    ListLocation,
    QueryValue,
    page_query,
)
from persona_share._protocol.routes import Route, Routes
from persona_share.errors import InvalidArgumentError, MalformedResponseError
from persona_share.model.ids import checked_id
from persona_share.model.resource import Resource
from persona_share.model.response import Page
from persona_share.resources.base import Caller
from persona_share.resources.files import MAX_BYTES, Download, write_body
from persona_share.resources.params import NO_BODY, Body, meta_body
from persona_share.resources.query_options import (
    CallOptions,
    Fields,
    PageOptions,
    RetrieveOptions,
    checked_list,
    checked_mapping,
    checked_options,
    filter_query,
    select_query,
    wire_names,
)


# ── Listings ─────────────────────────────────────────────────────────────────


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
    """A lazy listing.

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
        `MalformedResponseError` if a link leads out of the listing or to an earlier page,
        and after 10,000 pages.
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
        if (invalid := history.add(cursor)) is not None:
            raise MalformedResponseError(
                invalid.value,
                operation=self._request.route.operation,
                request_id=page.response_info.request_id,
                advice="Continue from a later cursor with pages(after=…), if you have one.",
            )

    def __repr__(self) -> str:
        return f"<Listing of {self._kind.__name__}>"


# ── Collections ──────────────────────────────────────────────────────────────


Other = TypeVar("Other", bound=Resource)

_COMMON: Final = RetrieveOptions.__optional_keys__
_PAGE: Final = ("page_size", "after", "before")


class Collection(Generic[R]):
    """The objects of one kind; ``routes`` has their endpoints."""

    _kind: type[R]
    _routes: ClassVar[type[Routes]]

    __slots__ = ("_caller",)

    def __init_subclass__(
        cls, *, kind: type[R] | None = None, routes: type[Routes] | None = None
    ) -> None:
        """Set the class of the objects and of their routes."""
        super().__init_subclass__()
        if kind is not None:
            cls._kind = kind
        if routes is not None:
            cls._routes = routes

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _one(
        self,
        route: Route,
        *object_ids: str,
        options: Mapping[str, Any],
        body: Body = NO_BODY,
        query: Mapping[str, QueryValue] | None = None,
        same_object: bool = True,
    ) -> Coroutine[Any, Any, R]:
        """Call an endpoint and return the object of its response."""
        return self._caller.one(
            route,
            self._kind,
            *object_ids,
            options=options,
            body=body,
            query=query,
            same_object=same_object,
        )

    async def _send(
        self,
        route: Route,
        *object_ids: str,
        values: Mapping[str, Any],
        attributes: type,
        meta: type | None = None,
        type_name: str | None = None,
    ) -> R:
        """Create or change an object with named values.

        ``attributes`` and ``meta`` are the typed dictionaries of the values that belong
        there. The value ``attributes`` is sent unchanged.
        """
        named, in_meta = _names(attributes), _names(meta)
        common = _COMMON - named
        unknown = set(values) - named - in_meta - common - {"attributes"}
        if unknown:
            message = f"unknown argument: {', '.join(sorted(unknown))}"
            advice = "Pass what this library does not know in attributes={…}."
            raise InvalidArgumentError(message, advice=advice)
        extra = checked_mapping("attributes", values.get("attributes", {}))
        inner = {**wire_names(values, named), **extra}
        outer = wire_names(values, in_meta)
        data: dict[str, Any] = {"attributes": inner}
        if type_name is not None:
            data["type"] = type_name
        document = {"data": data, **({"meta": outer} if outer else {})}
        options = {name: values[name] for name in common if name in values}
        return await self._one(
            route, *object_ids, options=options, body=Body.of_json(document)
        )

    def _list(
        self,
        route: Route,
        *object_ids: str,
        filters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any],
    ) -> Listing[R]:
        """Return a listing of this kind of object."""
        return self._list_of(
            self._kind, route, *object_ids, filters=filters, options=options
        )

    def _list_of(
        self,
        kind: type[Other],
        route: Route,
        *object_ids: str,
        filters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any],
        body: Body = NO_BODY,
    ) -> Listing[Other]:
        """Return a listing of another kind of object."""
        rest = dict(options)
        size, after, before = (rest.pop(name, None) for name in _PAGE)
        select = select_query(rest.pop("include", None), rest.pop("fields", None))
        conditions = filter_query(rest.pop("filter", None), filters or {})
        request = ListRequest(
            route=route,
            object_ids=object_ids,
            query={**select, **conditions},
            body=body,
            size=size,
            options=checked_options(cast("CallOptions", rest)),
        )
        return Listing(self._caller, kind, request, after=after, before=before)


class Retrievable(Collection[R]):
    """Objects that can be retrieved by id."""

    __slots__ = ()

    async def retrieve(self, object_id: str, **options: Unpack[RetrieveOptions]) -> R:
        """Return one object.

        ``include`` names relationships whose objects are returned as well, and
        ``fields`` maps a type to the attributes to return.
        """
        route, kind = self._routes.RETRIEVE, self._kind
        return await self._caller.one(route, kind, object_id, options=options)


class Redactable(Collection[R]):
    """Objects whose personal data can be deleted."""

    __slots__ = ()

    async def redact(
        self, object_id: str, **options: Unpack[RetrieveOptions]
    ) -> R | None:
        """Delete the personal data of an object and of its parts, permanently.

        Returns None if an earlier attempt of this call deleted it.
        """
        route, kind = self._routes.REDACT, self._kind
        return await self._caller.redact(route, kind, object_id, options)


class Taggable(Collection[R]):
    """Objects with tags; a tag is given by name or by id."""

    __slots__ = ()

    async def add_tag(
        self,
        object_id: str,
        tag_name: str | None = None,
        *,
        tag_id: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Add a tag; an existing one stays."""
        body = _tag(tag_name, tag_id)
        return await self._one(
            self._routes.ADD_TAG, object_id, body=body, options=options
        )

    async def remove_tag(
        self,
        object_id: str,
        tag_name: str | None = None,
        *,
        tag_id: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Remove a tag."""
        body = _tag(tag_name, tag_id)
        return await self._one(
            self._routes.REMOVE_TAG, object_id, body=body, options=options
        )

    async def set_tags(
        self,
        object_id: str,
        tag_names: Sequence[str] | None = None,
        *,
        tag_ids: Sequence[str] | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Replace all tags."""
        body = _tag(_several(tag_names), _several(tag_ids))
        return await self._one(
            self._routes.SET_TAGS, object_id, body=body, options=options
        )


class Relatable(Collection[R]):
    """Objects with relations to others, by the keys of their type's schema."""

    __slots__ = ()

    async def add_relation(
        self,
        object_id: str,
        target_object_id: str,
        *,
        relation_schema_key: str,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Relate an object to another one."""
        body = _relation(target_object_id, relation_schema_key)
        return await self._one(
            self._routes.ADD_RELATION, object_id, body=body, options=options
        )

    async def remove_relation(
        self,
        object_id: str,
        target_object_id: str,
        *,
        relation_schema_key: str,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Remove the relation to another object."""
        body = _relation(target_object_id, relation_schema_key)
        return await self._one(
            self._routes.REMOVE_RELATION, object_id, body=body, options=options
        )


class ObjectContainer(Collection[R]):
    """Objects to which inquiries, reports and the like can be attached."""

    __slots__ = ()

    async def add_objects(
        self,
        object_id: str,
        object_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Attach up to 100 objects, such as inquiries and reports."""
        body = meta_body(object_ids=checked_ids(object_ids, "object_ids"))
        return await self._one(
            self._routes.ADD_OBJECTS, object_id, body=body, options=options
        )

    async def remove_objects(
        self,
        object_id: str,
        object_ids: Sequence[str],
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Detach up to 100 objects."""
        body = meta_body(object_ids=checked_ids(object_ids, "object_ids"))
        return await self._one(
            self._routes.REMOVE_OBJECTS, object_id, body=body, options=options
        )


class Searchable(Collection[R]):
    """Objects that can be searched."""

    __slots__ = ()

    def search(
        self,
        query: Mapping[str, Any] | None = None,
        *,
        sort: Mapping[str, str] | None = None,
        fields: Fields | None = None,
        **options: Unpack[PageOptions],
    ) -> Listing[R]:
        """Search by attributes; the index is about a minute behind.

        ``query`` is ``{"attribute", "operator", "value"}``, or such clauses under
        ``and``, ``or`` and ``not``: two levels and 20 clauses at most. ``sort`` is
        ``{"attribute", "direction"}``.
        """
        terms = {"query": query, "sort": sort}
        given = {name: term for name, term in terms.items() if term is not None}
        return self._list_of(
            self._kind,
            self._routes.SEARCH,
            body=Body.of_json(given),
            options={**options, "fields": fields},
        )


class Printable(Collection[R]):
    """Objects that can be printed as PDF."""

    __slots__ = ()

    def print(
        self,
        object_id: str,
        *,
        max_bytes: int = MAX_BYTES,
        **options: Unpack[CallOptions],
    ) -> Download:
        """Return an object as a PDF: ``await`` it, iterate over it, or ``save`` it."""
        checked_options(options)

        async def fetch(sink: Sink) -> None:
            _, response = await self._caller.call(
                self._routes.PRINT, object_id, options=options, sink=sink
            )
            await write_body(response, sink)

        access = self._caller.file_access
        return Download(fetch, access, max_bytes=max_bytes, kind="application/pdf")


def _names(kind: type | None) -> frozenset[str]:
    """Return the names of a typed dictionary, all of which are optional."""
    return frozenset(getattr(kind, "__optional_keys__", ()))


def _tag(name: object, tag_id: object) -> Body:
    if (name is None) == (tag_id is None):
        message = "pass either the names or the ids of tags"
        raise InvalidArgumentError(message)
    return meta_body(tag_name=name, tag_id=tag_id)


def _several(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else checked_list("tags", values, of="str")


def checked_ids(object_ids: Sequence[str], what: str) -> list[str]:
    """Return the ids as a list; raises `InvalidArgumentError` for one text."""
    return [checked_id(each, what) for each in checked_list(what, object_ids, of="ids")]


def _relation(target_object_id: str, key: str) -> Body:
    checked_id(target_object_id, "target_object_id")
    return meta_body(relation_schema_key=key, target_object_id=target_object_id)
