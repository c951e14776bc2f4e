"""Handlers that retrieve, list and print objects."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

from persona_share.model.ids import is_id
from persona_share.sandbox.jsonapi.query import (
    MANY,
    ONE,
    Test,
    check_include,
    check_query,
    paginate,
    requested_filters,
)
from persona_share.sandbox.jsonapi.rendering import (
    render_many,
    render_one,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.fake_people import pdf_document
from persona_share.sandbox.state.records import Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import PREFIX, State


Handler = Callable[[State, Request], Response]


def retrieve_handler(family: str, object_type: str | None = None) -> Handler:
    """Return the handler that retrieves one object of a family, or of one type only."""

    def retrieve(state: State, request: Request) -> Response:
        check_query(state, request, ONE)
        check_include(request, family)
        record = requested_record(state, request, family, object_type=object_type)
        return render_one(state, record, request)

    return retrieve


def requested_record(
    state: State,
    request: Request,
    family: str,
    verb: str = "read",
    *,
    object_type: str | None = None,
) -> Record:
    """Return the object that the path names.

    Raises:
        ApiError: 404 where there is none, 403 where the caller has no permission.
    """
    object_id = request.object_id or ""
    if not is_id(object_id):
        raise ApiError(404)
    record = state.records.authorized(family, object_id, request.caller, verb)
    if object_type is not None and record.type != object_type:
        raise ApiError(404)
    return record


def list_handler(
    family: str,
    filters: Mapping[str, Test],
    *,
    required: Collection[str] = (),
    paged: Literal["always", "on_request", "never"] = "always",
) -> Handler:
    """Return the handler that lists a family, by pages where the API has them."""
    families = {
        "always": MANY,
        "on_request": frozenset({"filter", "page"}),
        "never": frozenset({"filter"}),
    }[paged]

    def listed(state: State, request: Request) -> Response:
        check_query(state, request, families, filters)
        tests = requested_filters(request, filters, required)
        found = state.records.listed(family, request.caller)
        asked = any(name.startswith("page[") for name, _ in request.query)
        whole = paged == "never" or (paged == "on_request" and not asked)
        return paged_response(state, request, found, tests, whole=whole)

    return listed


def paged_response(
    state: State,
    request: Request,
    records: Iterable[Record],
    tests: Collection[tuple[Test, str]],
    *,
    whole: bool = False,
) -> Response:
    """Return the page that a call asks for of what passes the tests."""
    found = [each for each in records if all(test(each, v) for test, v in tests)]
    if whole:
        return render_many(state, found, {"prev": None, "next": None}, request)
    repeat = state.switches.links_repeat_query
    page, links = paginate(found, request, prefix=PREFIX, repeat_query=repeat)
    return render_many(state, page, links, request)


def not_found(_state: State, _request: Request) -> Response:
    """Return a path that is no operation."""
    raise ApiError(404)


def method_not_allowed(_state: State, _request: Request) -> Response:
    """Return a path that other methods have operations for (RFC 9110, 15.5.6)."""
    raise ApiError(405)


def print_handler(family: str) -> Handler:
    """Return the handler that prints an object of a family."""

    def printed(state: State, request: Request) -> Response:
        check_query(state, request, ())
        record = requested_record(state, request, family)
        if request.caller.token is not None and not state.switches.scoped_print:
            raise ApiError(403, "an access token may not print")
        lines = [
            "persona_share sandbox",
            f"{record.type} {record.id}",
            f"status: {record.attributes.get('status')}",
        ]
        return Response(200, pdf_document(lines), content_type="application/pdf")

    return printed
