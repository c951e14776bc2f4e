"""The JSON:API envelope: bytes to a `ApiResponse`, a page, or the object asked for."""

from typing import Any, Final, TypeVar

from persona_share._protocol import errors
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.jsonsafe import parse_json
from persona_share._protocol.objects import ALONE, along, flat, mapping, resource
from persona_share._protocol.paging import AFTER, BEFORE, Place, Stray, cursor_in
from persona_share.errors import MalformedResponseError
from persona_share.model.page import Cursor, Page
from persona_share.model.resource import Resource, ResponseInfo
from persona_share.model.response import ApiResponse


R = TypeVar("R", bound=Resource)
T = TypeVar("T")

_FACTS: Final = tuple.__new__  # past a constructor that is slower than all else here


def facts_of(response: Response) -> ResponseInfo:
    """Answer which request this was and who answered it."""
    get = response.headers.get
    names = (
        get("request-id"),
        get("persona-organization-id"),
        get("persona-environment-id"),
        get("date"),
    )
    return _FACTS(ResponseInfo, names)


def document(request: Request, response: Response) -> ApiResponse:
    """Read a successful answer; raises `MalformedResponseError` if it is no document."""
    return _or_raised(_document(request, response))


def _document(
    request: Request, response: Response
) -> ApiResponse | MalformedResponseError:
    facts = facts_of(response)
    if not response.body:
        return ApiResponse(answer=facts, status=response.status)
    if request.expects is Expects.PDF:
        return ApiResponse(answer=facts, status=response.status, content=response.body)
    raw = _object(response)
    if raw is None:
        return _no_object(request, response)
    shared, data = along(raw, facts), raw.get("data")
    found: Resource | tuple[Resource, ...] | None = None
    try:
        if isinstance(data, list):
            found = tuple(resource(each, facts, shared) for each in data)
        elif data is not None:
            found = resource(data, facts, shared)
    except (TypeError, LookupError, AttributeError):
        return _nameless(request, response)
    return ApiResponse(
        data=found,
        included=shared.included,
        links=mapping(raw.get("links")),
        meta=shared.meta,
        answer=facts,
        status=response.status,
        raw=raw,
    )


def one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R:
    """Answer the one object that was asked for.

    Raises `MalformedResponseError` for any other object: an answer that belongs to
    another request must never be taken for ours (F57).
    """
    return _or_raised(_one(request, response, kind, object_id))


def _one(
    request: Request, response: Response, kind: type[R], object_id: str | None
) -> R | MalformedResponseError:
    raw = _object(response)
    if raw is None:
        return _no_object(request, response)
    facts = facts_of(response)
    try:
        shared = along(raw, facts) if len(raw) > 1 else ALONE
        found = resource(raw["data"], facts, shared)
    except (TypeError, LookupError, AttributeError):
        return _nameless(request, response)
    if not isinstance(found, kind):
        why = f"the answer is not one {kind.__name__}"
        return errors.malformed(request, response, why)
    if object_id is not None and found.id != object_id:
        return errors.malformed(request, response, "the answer is another object")
    return found


def page(request: Request, response: Response, kind: type[R], place: Place) -> Page[R]:
    """Answer one page of a listing of this kind of object.

    Raises `MalformedResponseError` for anything else, but for a link that leads
    elsewhere only when somebody wants to go there.
    """
    return _or_raised(_page(request, response, kind, place))


def _page(
    request: Request, response: Response, kind: type[R], place: Place
) -> Page[R] | MalformedResponseError:
    raw = _object(response)
    if raw is None:
        return _no_object(request, response)
    facts = facts_of(response)
    shared, data = along(raw, facts), raw.get("data")
    if not isinstance(data, list):
        return errors.malformed(request, response, "the answer is not a list")
    try:
        items = [
            flat(each, kind, facts, shared)
            if kind.flat
            else resource(each, facts, shared)
            for each in data
        ]
    except (TypeError, LookupError, AttributeError):
        return _nameless(request, response)
    found = tuple(each for each in items if isinstance(each, kind))
    if len(found) != len(items):
        why = f"the answer is not a list of {kind.__name__} alone"
        return errors.malformed(request, response, why)
    links = mapping(raw.get("links"))

    def cursor(name: str, wanted: str) -> Cursor:
        found = cursor_in(links.get(name), wanted, place)
        if isinstance(found, Stray):
            return errors.malformed(request, response, found.value)
        return found

    return Page(
        items=found,
        included=shared.included,
        meta=shared.meta,
        answer=facts,
        raw=raw,
        after=cursor("next", AFTER),
        before=cursor("prev", BEFORE),
    )


def _or_raised(found: T | MalformedResponseError) -> T:
    """Answer what was read, or raise why not.

    A report of the error may show the locals of its frames: in this one and above it
    nothing stands of what came (T8).
    """
    if isinstance(found, MalformedResponseError):
        raise found
    return found


def _object(response: Response) -> dict[str, Any] | None:
    try:
        raw: Any = parse_json(response.body)
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None


def _no_object(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "the body is not a JSON object")


def _nameless(request: Request, response: Response) -> MalformedResponseError:
    return errors.malformed(request, response, "an object lacks its type or id")
