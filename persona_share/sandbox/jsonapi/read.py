"""Handlers that read: query parameters, pages, lists and searches."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

import attrs

from persona_share.model.ids import is_id
from persona_share.sandbox.jsonapi.body import (
    INTEGER,
    OBJECT,
    SCALAR,
    STRING,
    Shape,
    kebab,
    read_body,
)
from persona_share.sandbox.jsonapi.rendering import (
    render_many,
    render_one,
)
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.fake_people import pdf_document, words
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import PREFIX, State


Test = Callable[[Record, str], bool]
#: The filters of a list by their name in the query.
Filters = Mapping[str, Test]

#: The parameters of an operation on one object.
ONE: Final = frozenset({"include", "fields"})
#: The parameters of a list; ``include`` gets a separate error.
MANY: Final = frozenset({"include", "fields", "page", "filter"})

#: The largest number of ids in a filter.
MAX_FILTER_IDS: Final = 100
_BRACKETS: Final = frozenset("[]")
_PAGE_PARAMETERS: Final = frozenset({"page[after]", "page[before]", "page[size]"})


def check_query(
    state: State,
    request: Request,
    families: Collection[str],
    filters: Collection[str] = (),
) -> None:
    """Refuse a parameter that the operation does not know.

    Raises:
        ApiError: 400; the name is not repeated, because a client may have sent a
            secret by mistake.
    """
    if not state.switches.refuses_unknown:
        return
    if len(dict(request.query)) != len(request.query):
        raise ApiError(400, "a query parameter was sent twice")
    for name, _ in request.query:
        if not _known(name, families, filters):
            raise ApiError(400, "a query parameter was sent that is not permitted here")


def _known(name: str, families: Collection[str], filters: Collection[str]) -> bool:
    family, bracket, rest = name.partition("[")
    if family not in families:
        return False
    if family == "page":
        return name in _PAGE_PARAMETERS
    if family == "filter":
        return rest.removesuffix("]").replace("_", "-") in filters
    if family == "fields":
        inner = rest.removesuffix("]")
        return rest not in ("", "]") and not _BRACKETS.intersection(inner)
    return not bracket


def requested_filters(
    request: Request, filters: Mapping[str, Test], required: Collection[str] = ()
) -> list[tuple[Test, str]]:
    """Return the tests of the filters in a request.

    Raises:
        ApiError: 400 for an unknown filter, too many values, or a missing filter.
    """
    requested = {
        name[7:-1].replace("_", "-"): value
        for name, value in request.query
        if name.startswith("filter[")
    }
    for name in required:
        if not requested.get(name):
            raise ApiError(400, f"filter.{name.replace('-', '_')} is missing")
    for name, value in requested.items():
        _check_filter(name, value, filters)
    return [(filters[name], value) for name, value in requested.items()]


def _check_filter(name: str, value: str, filters: Collection[str]) -> None:
    if name not in filters:
        raise ApiError(400, "a filter was sent that is not permitted here")
    if value.count(",") >= MAX_FILTER_IDS:
        raise ApiError(400, f"a filter takes {MAX_FILTER_IDS} values at most")
    if name.startswith("created-at-"):
        read_date(value)


def read_date(text: str) -> datetime:
    """Return a date and time; one without a zone is in UTC.

    Raises:
        ApiError: 400 for anything else.
    """
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, "a filter must be a date and a time") from None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


#: The relationships of each family.
RELATIONSHIPS: Final[Mapping[str, frozenset[str]]] = {
    "account": frozenset({"account-type"}),
    "case": frozenset(
        words(
            "accounts case-comments case-queue case-template inquiries reports txns "
            "verifications"
        )
    ),
    "connect": frozenset(
        words("connect-connection connection creator destination source")
    ),
    "document": frozenset(
        words(
            "document-files inquiry inquiry-template inquiry-template-version template "
            "transaction"
        )
    ),
    "inquiry": frozenset(
        words(
            "account documents inquiry-template inquiry-template-version reports "
            "reviewer selfies sessions template transaction verifications"
        )
    ),
    "inquiry-session": frozenset({"device", "inquiry", "network"}),
    "report": frozenset({"account", "inquiry", "report-template", "transaction"}),
    "transaction": frozenset(
        words("related-objects reviewer transaction-label transaction-type")
    ),
    "inquiry-template": frozenset({"latest-published-version"}),
    "workflow-run": frozenset({"creator", "workflow", "workflow-version"}),
    "verification": frozenset(
        words(
            "accounts inquiry inquiry-template inquiry-template-version template "
            "transaction verification-template verification-template-version"
        )
    ),
}
_ALL: Final = frozenset().union(*RELATIONSHIPS.values())
_MAX_STEPS: Final = 2


def without_include(request: Request) -> Request:
    """Return the request without ``include``, which lists do not take."""
    query = tuple(pair for pair in request.query if pair[0] != "include")
    return attrs.evolve(request, query=query, caller=request.caller)


def check_include(request: Request, family: str) -> None:
    """Refuse an ``include`` with an unknown relationship.

    Raises:
        ApiError: 400.
    """
    for name, value in request.query:
        if name != "include":
            continue
        for path in filter(None, (word.strip() for word in value.split(","))):
            first, *more = path.replace("_", "-").split(".")
            if len(more) >= _MAX_STEPS:
                raise ApiError(400, "include goes one level deep")
            known = RELATIONSHIPS.get(family, frozenset())
            if first not in known or not _ALL.issuperset(more):
                raise ApiError(400, "include names an unknown relationship")


DEFAULT_PAGE_SIZE: Final = 10
MAX_PAGE_SIZE: Final = 100


def paginate(
    records: Sequence[Record],
    request: Request,
    *,
    prefix: str,
    repeat_query: bool,
    requested: Mapping[str, str] | None = None,
) -> tuple[Sequence[Record], Json]:
    """Return one page of the records (in their order) and its links.

    ``requested`` is the page in a body; the query comes first.
    """
    query = {**(requested or {}), **dict(request.query)}
    after, before = query.get("page[after]"), query.get("page[before]")
    if after is not None and before is not None:
        raise ApiError(400, "page.after and page.before exclude each other")
    size = _size(query.get("page[size]"))
    if before is not None:
        stop = _position(records, before)
        start = max(0, stop - size)
    else:
        start = 0 if after is None else _position(records, after) + 1
        stop = min(len(records), start + size)
    page = records[start:stop]

    def link(cursor: str, record: Record) -> str:
        rest = [pair for pair in request.query if pair[0] not in _CURSOR_NAMES]
        pairs = [(cursor, record.id), *(rest if repeat_query else ())]
        return f"{prefix}{request.path}?{urlencode(pairs)}"

    return page, {
        "prev": link("page[before]", page[0]) if page and start else None,
        "next": link("page[after]", page[-1]) if stop < len(records) and page else None,
    }


_CURSOR_NAMES: Final = ("page[after]", "page[before]")


def _size(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE_SIZE):
        raise ApiError(400, f"page.size must be between 1 and {MAX_PAGE_SIZE}")
    return int(text)


def _position(records: Sequence[Record], object_id: str) -> int:
    for position, record in enumerate(records):
        if record.id == object_id:
            return position
    raise ApiError(400, "the page cursor names no object of this list")


def is_one_of(name: str) -> Test:
    """Return the test of an attribute against values between commas."""

    def test(record: Record, value: str) -> bool:
        return record.attributes.get(name) in value.split(",")

    return test


def equals(name: str) -> Test:
    """Return the test of an attribute against one value."""

    def test(record: Record, value: str) -> bool:
        return bool(record.attributes.get(name) == value)

    return test


def relates_to(name: str) -> Test:
    """Return the test whether a relationship has one of the IDs."""

    def test(record: Record, value: str) -> bool:
        wanted = value.split(",")
        return any(each["id"] in wanted for each in record.related(name) or ())

    return test


def has_id(record: Record, value: str) -> bool:
    """Return whether the value has the ID of the record."""
    return record.id in value.split(",")


def created_since(record: Record, value: str) -> bool:
    """Return whether the record was created at that time or later."""
    return read_date(record.attributes["created-at"]) >= read_date(value)


def created_until(record: Record, value: str) -> bool:
    """Return whether the record was created at that time or before."""
    return read_date(record.attributes["created-at"]) <= read_date(value)


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
        ApiError: 404 if there is none, 403 if the caller has no permission.
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
    """Return the handler that lists a family, in pages if the API has them."""
    families = {
        "always": MANY,
        "on_request": frozenset({"filter", "page"}),
        "never": frozenset({"filter"}),
    }[paged]

    def list_objects(state: State, request: Request) -> Response:
        check_query(state, request, families, filters)
        tests = requested_filters(request, filters, required)
        found = state.records.listed(family, request.caller)
        page_requested = any(name.startswith("page[") for name, _ in request.query)
        whole = paged == "never" or (paged == "on_request" and not page_requested)
        return paged_response(state, request, found, tests, whole=whole)

    return list_objects


def paged_response(
    state: State,
    request: Request,
    records: Iterable[Record],
    tests: Collection[tuple[Test, str]],
    *,
    whole: bool = False,
) -> Response:
    """Return the requested page of the records that pass the tests."""
    found = [each for each in records if all(test(each, v) for test, v in tests)]
    if whole:
        return render_many(state, found, {"prev": None, "next": None}, request)
    repeat = state.switches.links_repeat_query
    page, links = paginate(found, request, prefix=PREFIX, repeat_query=repeat)
    return render_many(state, page, links, request)


def not_found(_state: State, _request: Request) -> Response:
    """Return 404 for an unknown path."""
    raise ApiError(404)


def method_not_allowed(_state: State, _request: Request) -> Response:
    """Return 405 for a path with operations of other methods (RFC 9110, 15.5.6)."""
    raise ApiError(405)


def print_handler(family: str) -> Handler:
    """Return the handler that prints an object of a family."""

    def print_object(state: State, request: Request) -> Response:
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

    return print_object


#: Returns the value of an attribute that can be searched.
Attribute = Callable[[Record], Any]

SEARCH: Final[Shape] = {
    "query": OBJECT,
    "sort": {"attribute*": STRING, "direction*": STRING},
    "page": {"after": STRING, "before": STRING, "size": INTEGER},
}
_LEAF: Final = {"attribute", "operator", "value"}
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MAX_DEPTH: Final = 2
_MAX_CLAUSES: Final = 20


def of_attribute(name: str) -> Attribute:
    """Return the reader of a plain attribute."""
    return lambda record: record.attributes.get(name)


def of_relationship(name: str) -> Attribute:
    """Return the reader of the ID in a relationship."""

    def read(record: Record) -> str | None:
        references = record.related(name)
        return references[0]["id"] if references else None

    return read


def of_relationships(name: str) -> Attribute:
    """Return the reader of the IDs in a relationship."""
    return lambda record: [each["id"] for each in record.related(name) or ()]


def of_fields(record: Record) -> Json:
    """Return the values of the fields of an account or a case, in kebab-case."""
    fields = record.attributes["fields"]
    return {kebab(name): _value(field) for name, field in fields.items()}


def _value(field: Any) -> Any:
    return field.get("value") if isinstance(field, dict) else field


def _reader(attributes: Mapping[str, Attribute], name: str) -> Attribute | None:
    """Return the reader of an attribute, or of one of its fields, by name."""
    family, dot, field = name.partition(".")
    fields_of_family = attributes.get(f"{family}.*")
    if not dot or fields_of_family is None:
        return attributes.get(name.replace("-", "_"))
    return lambda record: fields_of_family(record).get(kebab(field))


def search_handler(
    family: str,
    attributes: Mapping[str, Attribute],
    *,
    ranged: Collection[str] | None = None,
) -> Handler:
    """Return the handler that searches a family.

    Only the attributes in ``ranged``, all of them if it is None, can be compared by
    other operators than ``eq``, and sorted by.
    """

    def search(state: State, request: Request) -> Response:
        check_query(state, request, ("fields", "page"))
        body = read_body(request, SEARCH, state.switches)
        if ranged is not None:
            _check_ranged(body, ranged)
        test = _clause(body.get("query", {}), attributes, 0)
        fresh = state.runtime.now() - state.switches.search_delay
        listed = state.records.listed(family, request.caller)
        found = [each for each in listed if each.changed_at <= fresh and test(each)]
        _sort(found, body.get("sort"), attributes)
        requested = {
            f"page[{name}]": str(v) for name, v in body.get("page", {}).items()
        }
        page, links = paginate(
            found, request, prefix=PREFIX, repeat_query=True, requested=requested
        )
        return render_many(state, page, links, request)

    return search


def _check_ranged(body: Json, ranged: Collection[str]) -> None:
    """Refuse to sort by or compare other attributes than these."""
    sort = body.get("sort")
    if sort is not None and sort["attribute"].replace("-", "_") not in ranged:
        raise ApiError(400, "sort.attribute is not supported")
    pending: list[Any] = [body.get("query", {})]
    while pending:
        query = pending.pop()
        if not isinstance(query, dict):
            continue
        if query.keys() == _LEAF:
            name = str(query["attribute"]).replace("-", "_")
            if query["operator"] != "eq" and name not in ranged:
                raise ApiError(400, "query.operator is not supported for the attribute")
        for inner in query.values():
            pending += inner if isinstance(inner, list) else [inner]


def _clause(
    query: Json, attributes: Mapping[str, Attribute], depth: int
) -> Callable[[Record], bool]:
    if not query and depth == 0:
        return lambda _record: True
    if query.keys() == _LEAF:
        return _comparison(query, attributes)
    if len(query) != 1 or not query.keys() <= {"and", "or", "not"}:
        raise ApiError(400, "query must be and, or, not, or a comparison")
    if depth >= _MAX_DEPTH:
        raise ApiError(400, f"query is nested deeper than {_MAX_DEPTH} levels")
    ((word, inner),) = query.items()
    parts = [inner] if word == "not" else inner
    if not isinstance(parts, list) or len(parts) > _MAX_CLAUSES:
        raise ApiError(400, f"query.{word} takes {_MAX_CLAUSES} clauses at most")
    if not all(isinstance(each, dict) and each for each in parts):
        raise ApiError(400, f"query.{word} must hold clauses")
    tests = [_clause(each, attributes, depth + 1) for each in parts]
    if word == "not":
        return lambda record: not tests[0](record)
    combine = all if word == "and" else any
    return lambda record: combine(test(record) for test in tests)


def _comparison(
    predicate: Json, attributes: Mapping[str, Attribute]
) -> Callable[[Record], bool]:
    name, word, value = (
        predicate["attribute"],
        predicate["operator"],
        predicate["value"],
    )
    if not isinstance(name, str) or not isinstance(word, str):
        raise ApiError(400, "query.attribute and query.operator must be strings")
    read, compare = _reader(attributes, name), _OPERATORS.get(word)
    if read is None or compare is None:
        raise ApiError(400, "query names an unknown attribute or operator")
    if not isinstance(value, SCALAR.types):
        raise ApiError(400, f"query.value must be {SCALAR.word}")

    def test(record: Record) -> bool:
        found = read(record)
        if isinstance(found, list):
            return word == "eq" and value in found
        return isinstance(found, type(value)) and compare(found, value)

    return test


def _sort(
    found: list[Record], sort: Json | None, attributes: Mapping[str, Attribute]
) -> None:
    if sort is None:
        return
    read = _reader(attributes, sort["attribute"])
    if read is None or sort["direction"] not in {"asc", "desc"}:
        raise ApiError(400, "sort names an unknown attribute or direction")
    descending = sort["direction"] == "desc"
    found.sort(key=lambda record: (str(read(record) or ""), record.number))
    if descending:
        found.reverse()
