"""JSON:API responses: bytes to an `ApiResponse`, a page, or the object asked for."""

from typing import Any, Final, TypeVar

from persona_share._protocol import errors
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.json import parse_json
from persona_share._protocol.objects import context_of, flat, mapping, resource
from persona_share._protocol.paging import AFTER, BEFORE, ListLocation, Stray, cursor_in
from persona_share.errors import MalformedResponseError
from persona_share.model.page import Cursor, Page
from persona_share.model.resource import Resource, ResponseInfo
from persona_share.model.response import ApiResponse


R = TypeVar("R", bound=Resource)
T = TypeVar("T")

_UNREADABLE: Final = (TypeError, LookupError, AttributeError)


def document(request: Request, response: Response) -> ApiResponse:
    """Read any successful response; raises `MalformedResponseError`."""
    return _or_raise(_document(request, response))


def _document(
    request: Request, response: Response
) -> ApiResponse | MalformedResponseError:
    info = ResponseInfo(response.headers)
    if not response.body:
        return ApiResponse(answer=info, status=response.status)
    if request.expects is Expects.PDF:
        return ApiResponse(answer=info, status=response.status, content=response.body)
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    context, data = context_of(raw, info), raw.get("data")
    found: Resource | tuple[Resource, ...] | None = None
    try:
        if isinstance(data, list):
            found = tuple(resource(each, info, context) for each in data)
        elif data is not None:
            found = resource(data, info, context)
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    return ApiResponse(
        data=found,
        included=context.included,
        links=mapping(raw.get("links")),
        meta=context.meta,
        answer=info,
        status=response.status,
        raw=raw,
    )


def one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R:
    """Return the one object that was asked for.

    Raises `MalformedResponseError` for any other object: a response that belongs to
    another request must never be taken for this one's.
    """
    return _or_raise(_one(request, response, kind, object_id))


def _one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R | MalformedResponseError:
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    info = ResponseInfo(response.headers)
    try:
        found = resource(raw["data"], info, context_of(raw, info))
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    if not isinstance(found, kind):
        why = f"the response is not one {kind.__name__}"
        return errors.malformed(request, response, why)
    if object_id is not None and found.id != object_id:
        why = "the response contains another object than the one asked for"
        return errors.malformed(request, response, why)
    return found


def page(
    request: Request, response: Response, kind: type[R], location: ListLocation
) -> Page[R]:
    """Return one page of a listing of this kind of object.

    Raises `MalformedResponseError` for anything else. A link that leads out of the
    listing raises it only when it is followed.
    """
    return _or_raise(_page(request, response, kind, location))


def _page(
    request: Request, response: Response, kind: type[R], location: ListLocation
) -> Page[R] | MalformedResponseError:
    raw = _json_object(response)
    if raw is None:
        return _not_an_object(request, response)
    info = ResponseInfo(response.headers)
    context, data = context_of(raw, info), raw.get("data")
    if not isinstance(data, list):
        return errors.malformed(request, response, "the response is not a list")
    try:
        if kind._flat:  # noqa: SLF001  # the class says how it is written
            items = [flat(each, kind, info, context) for each in data]
        else:
            items = [resource(each, info, context) for each in data]
    except _UNREADABLE:
        return _no_type_or_id(request, response)
    found = tuple(each for each in items if isinstance(each, kind))
    if len(found) != len(items):
        why = f"the response contains objects other than {kind.__name__}"
        return errors.malformed(request, response, why)
    links = mapping(raw.get("links"))

    def cursor(name: str, wanted: str) -> Cursor:
        found = cursor_in(links.get(name), wanted, location)
        if isinstance(found, Stray):
            return errors.malformed(request, response, found.value)
        return found

    return Page(
        items=found,
        included=context.included,
        meta=context.meta,
        answer=info,
        raw=raw,
        after=cursor("next", AFTER),
        before=cursor("prev", BEFORE),
    )


def _or_raise(found: T | MalformedResponseError) -> T:
    """Return what was read, or raise why it could not be.

    Error reports may show the locals of a traceback's frames. No frame from here up
    holds any part of the body.
    """
    if isinstance(found, MalformedResponseError):
        raise found
    return found


def _json_object(response: Response) -> dict[str, Any] | None:
    try:
        raw: Any = parse_json(response.body)
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None


def _not_an_object(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "the body is not a JSON object")


def _no_type_or_id(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "an object has no readable type and id")
