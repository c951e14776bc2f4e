"""Which query parameters an operation knows."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from persona_share.sandbox.calls import Call
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Record
from persona_share.sandbox.state import State


Test = Callable[[Record, str], bool]

#: What an operation on one object knows.
ONE: Final = frozenset({"include", "fields"})
#: What a list knows; ``include`` is refused by name.
MANY: Final = frozenset({"include", "fields", "page", "filter"})

#: The most ids of one filter.
MOST_IDS: Final = 100
_BRACKETS: Final = frozenset("[]")
_CURSORS: Final = frozenset({"page[after]", "page[before]", "page[size]"})


def check_query(
    state: State, call: Call, families: Collection[str], filters: Collection[str] = ()
) -> None:
    """Refuse a parameter that the operation does not know.

    Raises:
        Problem: 400; the name is not repeated, as a careless client may have sent a
            secret.
    """
    if not state.switches.refuses_unknown:
        return
    if len(dict(call.query)) != len(call.query):
        raise Problem(400, "a query parameter was sent twice")
    for name, _ in call.query:
        if not _known(name, families, filters):
            raise Problem(400, "a query parameter was sent that is not permitted here")


def _known(name: str, families: Collection[str], filters: Collection[str]) -> bool:
    family, bracket, rest = name.partition("[")
    if family not in families:
        return False
    if family == "page":
        return name in _CURSORS
    if family == "filter":
        return rest.removesuffix("]").replace("_", "-") in filters
    if family == "fields":
        inner = rest.removesuffix("]")
        return rest not in ("", "]") and not _BRACKETS.intersection(inner)
    return not bracket


def asked_filters(
    call: Call, filters: Mapping[str, Test], required: Collection[str] = ()
) -> list[tuple[Test, str]]:
    """Answer the tests that the filters of a call ask for.

    Raises:
        Problem: 400 for an unknown filter, too many values, or a missing filter.
    """
    asked = {
        name[7:-1].replace("_", "-"): value
        for name, value in call.query
        if name.startswith("filter[")
    }
    for name in required:
        if not asked.get(name):
            raise Problem(400, f"filter.{name.replace('-', '_')} is missing")
    for name, value in asked.items():
        _check_filter(name, value, filters)
    return [(filters[name], value) for name, value in asked.items()]


def _check_filter(name: str, value: str, filters: Collection[str]) -> None:
    if name not in filters:
        raise Problem(400, "a filter was sent that is not permitted here")
    if value.count(",") >= MOST_IDS:
        raise Problem(400, f"a filter takes {MOST_IDS} values at most")
    if name.startswith("created-at-"):
        read_date(value)


def read_date(text: str) -> datetime:
    """Answer a date and time; one without a zone is in UTC.

    Raises:
        Problem: 400 for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(400, "a filter must be a date and a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
