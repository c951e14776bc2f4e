"""Rendering JSON:API documents: ``include``, sparse ``fields``, inflection, version."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from persona_share.sandbox.jsonapi.inflection import FIELDS_STAY_SINCE, inflected
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.files import contains_files
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


_OK: Final = 200


@attrs.frozen
class _View:
    """What the query selects of a document."""

    include: tuple[str, ...] | None
    fields: Mapping[str, frozenset[str]]


def json_response(document: Any, request: Request, status: int = _OK) -> Response:
    """Return a document in the inflection of the request."""
    stay = request.version >= FIELDS_STAY_SINCE
    if request.inflection != "kebab" or not stay:
        document = inflected(document, request.inflection, fields_stay=stay)
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
        # The URL of a file expires, so each response needs a new one.
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
    if record.family == "connect":  # Connect responses include nothing
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
