"""What the resources have in common: their caller, and the verbs that recur."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack, cast

from persona_share._protocol.query import QueryValue
from persona_share._protocol.routes.route import Route
from persona_share.errors import InvalidArgumentError
from persona_share.model.ids import checked_id
from persona_share.model.resource import Resource
from persona_share.resources.base import Caller
from persona_share.resources.bodies import NO_BODY, Body, meta_body
from persona_share.resources.listing import Ask, Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    RetrieveOptions,
    shaping,
    wire_names,
)


R = TypeVar("R", bound=Resource)
Other = TypeVar("Other", bound=Resource)

_COMMON: Final = RetrieveOptions.__optional_keys__


class Collection(Generic[R]):
    """The objects of one kind, as one caller reaches them."""

    _kind: ClassVar[type[Resource]]

    __slots__ = ("_caller",)

    def __init_subclass__(cls, *, kind: type[Resource] | None = None) -> None:
        """Take note of the class of the objects."""
        super().__init_subclass__()
        if kind is not None:
            cls._kind = kind

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def _own(self) -> type[R]:
        return cast("type[R]", self._kind)

    def _one(
        self,
        route: Route,
        *object_ids: str,
        options: Mapping[str, Any],
        body: Body = NO_BODY,
        query: Mapping[str, QueryValue] | None = None,
    ) -> Coroutine[Any, Any, R]:
        """Answer the object of a call on it."""
        kind = cast("type[R]", self._kind)
        return self._caller.one(
            route, kind, *object_ids, options=options, body=body, query=query
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
        """Answer what was made or changed by named values.

        ``attributes`` and ``meta`` are the typed dictionaries that name those which
        belong there; ``attributes=`` among the values goes out as it is.
        """
        named, told = _names(attributes), _names(meta)
        common = _COMMON - named
        unknown = set(values) - named - told - common - {"attributes"}
        if unknown:
            message = f"no such argument: {', '.join(sorted(unknown))}"
            raise InvalidArgumentError(message)
        inner = {**wire_names(values, named), **values.get("attributes", {})}
        outer = wire_names(values, told)
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
        query: Mapping[str, QueryValue] | None = None,
        fields: Fields | None = None,
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        options: CallOptions | None = None,
    ) -> Listing[R]:
        """Answer a listing of this kind of object."""
        return self._listing(
            self._own,
            Ask(
                route=route,
                object_ids=object_ids,
                query={**shaping(None, fields), **(query or {})},
                size=page_size,
                options=options or {},
            ),
            after=after,
            before=before,
        )

    def _listing(
        self,
        kind: type[Other],
        ask: Ask,
        *,
        after: str | None = None,
        before: str | None = None,
    ) -> Listing[Other]:
        return Listing(self._caller, kind, ask, after=after, before=before)


class Redacted(Collection[R]):
    """Objects whose personal data can be deleted."""

    _redact: ClassVar[Route]

    __slots__ = ()

    async def redact(
        self, object_id: str, **options: Unpack[RetrieveOptions]
    ) -> R | None:
        """Delete the personal data of an object for ever, and of what belongs to it.

        Answers None where an earlier attempt of this call had done it.
        """
        return await self._caller.gone(self._redact, self._own, object_id, options)


class Tagged(Collection[R]):
    """Objects that carry tags; a tag is named, or told by its id."""

    _add_tag: ClassVar[Route]
    _remove_tag: ClassVar[Route]
    _set_tags: ClassVar[Route]

    __slots__ = ()

    async def add_tag(
        self,
        object_id: str,
        tag_name: str | None = None,
        *,
        tag_id: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Add a tag; one that is there already stays."""
        body = _tag(tag_name, tag_id)
        return await self._one(self._add_tag, object_id, body=body, options=options)

    async def remove_tag(
        self,
        object_id: str,
        tag_name: str | None = None,
        *,
        tag_id: str | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Take a tag away."""
        body = _tag(tag_name, tag_id)
        return await self._one(self._remove_tag, object_id, body=body, options=options)

    async def set_tags(
        self,
        object_id: str,
        tag_names: Sequence[str] | None = None,
        *,
        tag_ids: Sequence[str] | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """Replace all tags by these."""
        body = _tag(_several(tag_names), _several(tag_ids))
        return await self._one(self._set_tags, object_id, body=body, options=options)


class Related(Collection[R]):
    """Objects that are related to others by the keys of their type's schema."""

    _add_relation: ClassVar[Route]
    _remove_relation: ClassVar[Route]

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
            self._add_relation, object_id, body=body, options=options
        )

    async def remove_relation(
        self,
        object_id: str,
        target_object_id: str,
        *,
        relation_schema_key: str,
        **options: Unpack[RetrieveOptions],
    ) -> R:
        """End a relation to another object."""
        body = _relation(target_object_id, relation_schema_key)
        return await self._one(
            self._remove_relation, object_id, body=body, options=options
        )


class Searched(Collection[R]):
    """Objects that can be searched for."""

    _search: ClassVar[Route]

    __slots__ = ()

    def search(
        self,
        query: Mapping[str, Any] | None = None,
        *,
        sort: Mapping[str, str] | None = None,
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[R]:
        """Search with a query of attributes; the index is about a minute behind.

        ``query`` is ``{"attribute", "operator", "value"}``, or such clauses under
        ``and``, ``or`` and ``not``, at most two deep and 20 side by side; ``sort`` is
        ``{"attribute", "direction"}``.
        """
        terms = {"query": query, "sort": sort}
        body = {name: term for name, term in terms.items() if term is not None}
        ask = Ask(
            route=self._search,
            query=shaping(None, fields),
            body=Body.of_json(body),
            size=page_size,
            options=options,
        )
        return self._listing(self._own, ask, after=after, before=before)


def _names(kind: type | None) -> frozenset[str]:
    """Answer the names in a typed dictionary, all of whose names are optional."""
    return frozenset(getattr(kind, "__optional_keys__", ()))


def _tag(name: object, tag_id: object) -> Body:
    if (name is None) == (tag_id is None):
        message = "pass names or ids of tags, one of the two"
        raise InvalidArgumentError(message)
    return meta_body(tag_name=name, tag_id=tag_id)


def _several(values: Sequence[str] | None) -> list[str] | None:
    if isinstance(values, str):
        message = "pass a sequence of tags"
        raise InvalidArgumentError(message)
    return None if values is None else list(values)


def _relation(target_object_id: str, key: str) -> Body:
    checked_id(target_object_id, "target_object_id")
    return meta_body(relation_schema_key=key, target_object_id=target_object_id)
