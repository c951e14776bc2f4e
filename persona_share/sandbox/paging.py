"""Pages by cursor, newest first."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from persona_share.sandbox.calls import Call
from persona_share.sandbox.problems import Problem
from persona_share.sandbox.records import Json, Record


DEFAULT_SIZE: Final = 10
MOST: Final = 100


def page_of(
    records: Sequence[Record],
    call: Call,
    *,
    prefix: str,
    repeat_query: bool,
    asked: Mapping[str, str] | None = None,
) -> tuple[Sequence[Record], Json]:
    """Answer one page of the records (in their order) and its links.

    ``asked`` is what a body says of the page; the query comes first.
    """
    query = {**(asked or {}), **dict(call.query)}
    after, before = query.get("page[after]"), query.get("page[before]")
    if after is not None and before is not None:
        raise Problem(400, "page.after and page.before exclude each other")
    size = _size(query.get("page[size]"))
    if before is not None:
        stop = _place(records, before)
        start = max(0, stop - size)
    else:
        start = 0 if after is None else _place(records, after) + 1
        stop = min(len(records), start + size)
    page = records[start:stop]

    def link(cursor: str, record: Record) -> str:
        kept = [pair for pair in call.query if pair[0] not in _CURSORS]
        pairs = [(cursor, record.id), *(kept if repeat_query else ())]
        return f"{prefix}{call.path}?{urlencode(pairs)}"

    return page, {
        "prev": link("page[before]", page[0]) if page and start else None,
        "next": link("page[after]", page[-1]) if stop < len(records) and page else None,
    }


_CURSORS: Final = ("page[after]", "page[before]")


def _size(text: str | None) -> int:
    if text is None:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise Problem(400, f"page.size must be between 1 and {MOST}")
    return int(text)


def _place(records: Sequence[Record], object_id: str) -> int:
    for place, record in enumerate(records):
        if record.id == object_id:
            return place
    raise Problem(400, "the page cursor names no object of this list")
