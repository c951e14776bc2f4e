"""Searches by POST: boolean clauses over a few attributes of a family."""

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import (
    INTEGER,
    OBJECT,
    SCALAR,
    STRING,
    Shape,
    kebab,
    read_body,
)
from persona_share.sandbox.jsonapi.query import check_query, paginate
from persona_share.sandbox.jsonapi.read import Handler
from persona_share.sandbox.jsonapi.rendering import render_many
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.records import Json, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import PREFIX, State


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
_MOST_CLAUSES: Final = 20


def of_attribute(name: str) -> Attribute:
    """Return the reader of a plain attribute."""
    return lambda record: record.attributes.get(name)


def of_relationship(name: str) -> Attribute:
    """Return the reader of the id that a relationship names."""

    def read(record: Record) -> str | None:
        references = record.related(name)
        return references[0]["id"] if references else None

    return read


def of_relationships(name: str) -> Attribute:
    """Return the reader of the ids that a relationship names."""
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
    bag = attributes.get(f"{family}.*")
    if not dot or bag is None:
        return attributes.get(name.replace("-", "_"))
    return lambda record: bag(record).get(kebab(field))


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
    """Refuse to sort by, or to compare the range of, other attributes than these."""
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
    if not isinstance(parts, list) or len(parts) > _MOST_CLAUSES:
        raise ApiError(400, f"query.{word} takes {_MOST_CLAUSES} clauses at most")
    if not all(isinstance(each, dict) and each for each in parts):
        raise ApiError(400, f"query.{word} must hold clauses")
    tests = [_clause(each, attributes, depth + 1) for each in parts]
    if word == "not":
        return lambda record: not tests[0](record)
    together = all if word == "and" else any
    return lambda record: together(test(record) for test in tests)


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
        mine = read(record)
        if isinstance(mine, list):
            return word == "eq" and value in mine
        return isinstance(mine, type(value)) and compare(mine, value)

    return test


def _sort(
    found: list[Record], sort: Json | None, attributes: Mapping[str, Attribute]
) -> None:
    if sort is None:
        return
    read = _reader(attributes, sort["attribute"])
    if read is None or sort["direction"] not in {"asc", "desc"}:
        raise ApiError(400, "sort names an unknown attribute or direction")
    backwards = sort["direction"] == "desc"
    found.sort(key=lambda record: (str(read(record) or ""), record.number))
    if backwards:
        found.reverse()
