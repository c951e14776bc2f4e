"""Rendering JSON:API documents: ``include``, sparse ``fields``, inflection, version."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

import attrs
import orjson

from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record, contains_files
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


#: From this version on, the keys in ``attributes.fields`` are not inflected.
FIELDS_STAY_SINCE: Final = "2025-10-27"


@cache
def _camel(key: str) -> str:
    first, *rest = key.split("-")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@cache
def _snake(key: str) -> str:
    return key.replace("-", "_")


@cache
def _kebab(key: str) -> str:
    return key.replace("_", "-")


_CASINGS: Final[dict[str, Callable[[str], str]]] = {
    "camel": _camel,
    "kebab": _kebab,
    "snake": _snake,
}


def checked_inflection(name: str) -> str:
    """Return the name of a casing, or refuse it with 400."""
    if name not in _CASINGS:
        raise ApiError(400, "Key-Inflection must be camel, kebab or snake")
    return name


def inflected(document: Any, casing: str, *, fields_stay: bool) -> Any:
    """Return the document with its keys in another casing."""
    return _walk(document, _CASINGS[casing], fields_stay=fields_stay, path=())


def _walk(
    value: Any,
    casing: Callable[[str], str],
    *,
    fields_stay: bool,
    path: tuple[str, ...],
) -> Any:
    if isinstance(value, list):
        return [
            _walk(each, casing, fields_stay=fields_stay, path=path) for each in value
        ]
    if not isinstance(value, dict):
        return value
    if fields_stay and path[-2:] == ("attributes", "fields"):
        return value
    custom = str(value.get("name", "")).startswith("custom.")
    return {
        casing(key): each
        if custom and key == "payload"  # the payload of a custom event is not inflected
        else _walk(each, casing, fields_stay=fields_stay, path=(*path, key))
        for key, each in value.items()
    }


_VERSION: Final = re.compile(r"20\d\d-[01]\d-[0-3]\d")


def checked_version(text: str) -> str:
    """Return the version; any date is accepted, as Persona adds some every year.

    A header that was sent twice with the same date is accepted too.
    """
    first, *others = (part.strip() for part in text.split(","))
    if not _VERSION.fullmatch(first) or any(each != first for each in others):
        raise ApiError(400, "Persona-Version must be a date")
    return first


_OK: Final = 200


@attrs.frozen
class _View:
    """The parts of a document that a query selects."""

    include: tuple[str, ...] | None
    fields: Mapping[str, frozenset[str]]


def json_response(document: Any, request: Request, status: int = _OK) -> Response:
    """Return a document in the inflection of the request."""
    fields_stay = request.version >= FIELDS_STAY_SINCE
    if request.inflection != "kebab" or not fields_stay:
        document = inflected(document, request.inflection, fields_stay=fields_stay)
    return Response(status, orjson.dumps(document))


def render_one(
    state: State,
    record: Record,
    request: Request,
    *,
    status: int = _OK,
    meta: Json | None = None,
) -> Response:
    """Return the document of one object; the body without options is cached."""
    modern = request.version >= FIELDS_STAY_SINCE
    if request.query or not modern or meta is not None or status != _OK:
        return _render_with_options(state, record, request, status, meta)
    body = record.cached_bodies.get((request.inflection, modern))
    if body is None:
        body = json_response({"data": resource_object(state, record)}, request).body
        # Not cached: each response needs new file URLs, because they expire.
        if not contains_files(record.attributes):
            record.cached_bodies[request.inflection, modern] = body
    return Response(_OK, body)


def render_many(
    state: State, records: Iterable[Record], links: Json | None, request: Request
) -> Response:
    """Return the document of one page."""
    view = _view_of(request.query)
    if view.include is not None:
        raise ApiError(400, "include is not accepted by a list")
    document: Json = {"data": [_sparse(state, record, view) for record in records]}
    if links is not None:
        document["links"] = links
    return json_response(document, request)


def resource_object(state: State, record: Record) -> Json:
    """Return the complete resource object of a record."""
    attributes = state.files.with_urls(record.attributes)
    document: Json = {"type": record.type, "id": record.id, "attributes": attributes}
    if record.relationships:
        document["relationships"] = record.relationships
    return document


def _view_of(query: Iterable[tuple[str, str]]) -> _View:
    include: tuple[str, ...] | None = None
    fields: dict[str, frozenset[str]] = {}
    for name, value in query:
        words = tuple(filter(None, (word.strip() for word in value.split(","))))
        if name == "include":
            include = words
        elif name.startswith("fields[") and name.endswith("]"):
            fields[name[7:-1]] = frozenset(words)
    return _View(include, fields)


def _render_with_options(
    state: State, record: Record, request: Request, status: int, meta: Json | None
) -> Response:
    view = _view_of(request.query)
    document: Json = {"data": _sparse(state, record, view)}
    paths = view.include
    if paths is None and request.version < FIELDS_STAY_SINCE:
        paths = tuple(record.relationships)
    if paths is not None:
        included = _included(state, record, paths, request)
        document["included"] = [_sparse(state, each, view) for each in included]
    if meta is not None:
        document["meta"] = meta
    return json_response(document, request, status)


def _included(
    state: State, record: Record, paths: Iterable[str], request: Request
) -> list[Record]:
    found: dict[str, Record] = {}
    for path in paths:
        level = [record]
        for step in path.split("."):
            level = [
                related
                for each in level
                for related in _includable(state, each, step, request)
            ]
            found.update((each.id, each) for each in level)
    return list(found.values())


def _includable(
    state: State, record: Record, name: str, request: Request
) -> list[Record]:
    if record.family == "connect":  # responses of Connect never include objects
        return []
    references = record.related(name.replace("_", "-")) or ()
    found = [state.records.get(reference["id"]) for reference in references]
    return [each for each in found if each and _may_include(state, each, request)]


def _may_include(state: State, record: Record, request: Request) -> bool:
    caller = request.caller
    if record.owner is not caller.environment:
        return False
    if caller.token is not None and not state.switches.included_needs_pair:
        return True
    return state.records.allows(record, caller)


def _sparse(state: State, record: Record, view: _View) -> Json:
    wanted = view.fields.get(record.type)
    if wanted is None:
        return resource_object(state, record)
    names = {name.replace("_", "-") for name in wanted}
    attributes = {k: v for k, v in record.attributes.items() if k in names}
    inner = {name.partition(".")[2] for name in wanted if name.startswith("fields.")}
    if inner and "fields" not in attributes:
        fields = record.attributes.get("fields", {})
        attributes["fields"] = {k: v for k, v in fields.items() if k in inner}
    shown = state.files.with_urls(attributes)
    return {"type": record.type, "id": record.id, "attributes": shown}
