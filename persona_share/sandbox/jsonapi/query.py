"""Query parameters: filters, ``include``, ``fields`` and pages."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import attrs

from persona_share.sandbox.responses import ApiError
from persona_share.sandbox.state.fake_people import words
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


Test = Callable[[Record, str], bool]
#: The filters of a list by their name in the query.
Filters = Mapping[str, Test]

#: The parameters of an operation on one object.
ONE: Final = frozenset({"include", "fields"})
#: The parameters of a list; ``include`` gets an error of its own.
MANY: Final = frozenset({"include", "fields", "page", "filter"})

#: The largest number of ids in a filter.
MOST_IDS: Final = 100
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
        ApiError: 400; the name is not repeated, as a careless client may have sent a
            secret.
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
    if value.count(",") >= MOST_IDS:
        raise ApiError(400, f"a filter takes {MOST_IDS} values at most")
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
_MOST_STEPS: Final = 2


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
            if len(more) >= _MOST_STEPS:
                raise ApiError(400, "include goes one level deep")
            known = RELATIONSHIPS.get(family, frozenset())
            if first not in known or not _ALL.issuperset(more):
                raise ApiError(400, "include names an unknown relationship")


DEFAULT_SIZE: Final = 10
MAXIMUM: Final = 100


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
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAXIMUM):
        raise ApiError(400, f"page.size must be between 1 and {MAXIMUM}")
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
    """Return the test whether a relationship names one of the ids."""

    def test(record: Record, value: str) -> bool:
        wanted = value.split(",")
        return any(each["id"] in wanted for each in record.related(name) or ())

    return test


def has_id(record: Record, value: str) -> bool:
    """Return whether the value names the record."""
    return record.id in value.split(",")


def created_since(record: Record, value: str) -> bool:
    """Return whether the record was created at that time or later."""
    return read_date(record.attributes["created-at"]) >= read_date(value)


def created_until(record: Record, value: str) -> bool:
    """Return whether the record was created at that time or before."""
    return read_date(record.attributes["created-at"]) <= read_date(value)
