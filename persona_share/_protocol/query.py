"""Query strings, and the cursors of pages.

Every name and value is percent-encoded, ``+`` as ``%2B`` (page "Protocol"). The cursor
in a link to another page is used, but the link is never followed: following it would
send the credential wherever the response says. So only the cursor is read, and only if
the rest of the link is the listing itself.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from math import isfinite
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

import attrs

from persona_share.errors import InvalidArgumentError


Scalar = str | int | float | bool | date | None
QueryValue = Scalar | Iterable[Scalar]


# Iterables that are not lists of values; only text can be sent.
_NOT_LISTS: Final = (str, bytes, bytearray, Mapping)


def _text(name: str, value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime() if value.tzinfo is None:
            message = f"{name} needs a datetime with a time zone"
            raise InvalidArgumentError(message)
        case date():
            return value.isoformat()
        case int():
            return str(value)
        case float() if isfinite(value):
            return str(value)
        case _:
            message = f"{name} cannot be a {type(value).__name__} in a query"
            raise InvalidArgumentError(message)


def encoded_query(values: Mapping[str, QueryValue]) -> str:
    """Return ``?name=value&…``, or an empty text if every value is None.

    An iterable of values becomes one comma list.
    """
    pairs = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, Iterable) and not isinstance(value, _NOT_LISTS):
            text = ",".join(_text(name, each) for each in value)
        else:
            text = _text(name, value)
        try:
            pairs.append(f"{quote(name, safe='')}={quote(text, safe='')}")
        except UnicodeEncodeError:  # its text contains the value
            message = f"{name!a} has a character that UTF-8 cannot encode"
        else:
            continue
        raise InvalidArgumentError(message)
    return "?" + "&".join(pairs) if pairs else ""


# ── Pages ─────────────────────────────────────────────────────────────────────


#: The maximum number of pages of one iteration.
MAX_PAGES: Final = 10_000
MAX_PAGE_SIZE: Final = 100

AFTER: Final = "page[after]"
BEFORE: Final = "page[before]"
SIZE: Final = "page[size]"

_CURSOR: Final = re.compile(r"[!-~]{1,512}")
_PRINTABLE: Final = re.compile(r"[!-~]{1,8192}")
_OFFICIAL_ROOT: Final = "/api/v1"
_PORTS: Final = {"http": 80, "https": 443}


class InvalidLink(enum.Enum):
    """The reason why a link is not another page of the listing."""

    UNREADABLE = "the link to another page is not a URL"
    ORIGIN = "the link to another page leads to another origin"
    PATH = "the link to another page leads to another path"
    TWICE = "the link to another page repeats a parameter"
    QUERY = "the link to another page has other parameters"
    CURSOR = "the link to another page has no cursor for that direction"
    CYCLE = "the listing returns to an earlier page"
    ENDLESS = f"the listing has more than {MAX_PAGES} pages"


@attrs.frozen
class ListLocation:
    """The location of a listing: base URL, path, and query keys."""

    base_url: str
    path: str
    keys: frozenset[str] = frozenset()

    def roots(self) -> frozenset[str]:
        """Return the possible paths of this listing.

        If the base URL is that of a proxy, links may still have the service's own path.
        """
        root = urlsplit(self.base_url).path.rstrip("/")
        return frozenset({root + self.path, _OFFICIAL_ROOT + self.path})


def cursor_in(
    link: object, wanted: str, location: ListLocation
) -> str | InvalidLink | None:
    """Return the cursor (`AFTER` or `BEFORE`) in a link, or None if there is no link.

    Returns a `InvalidLink` if the link is not another page of this listing.
    """
    if link is None or link == "":
        return None
    # Checked first: urlsplit() removes tabs and line breaks.
    if not isinstance(link, str) or not _PRINTABLE.fullmatch(link):
        return InvalidLink.UNREADABLE
    try:
        parts = urlsplit(link)
        origin = _origin(parts)
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=64
        )
    except ValueError:
        return InvalidLink.UNREADABLE
    if link.startswith("//") or origin not in (
        None,
        _origin(urlsplit(location.base_url)),
    ):
        return InvalidLink.ORIGIN
    if parts.path not in location.roots() or "#" in link:
        return InvalidLink.PATH
    return _cursor(pairs, wanted, location)


def _cursor(
    pairs: list[tuple[str, str]], wanted: str, location: ListLocation
) -> str | InvalidLink:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        return InvalidLink.TWICE
    if not set(names) <= location.keys | {AFTER, BEFORE, SIZE}:
        return InvalidLink.QUERY
    other = BEFORE if wanted == AFTER else AFTER
    cursor = dict(pairs).get(wanted, "")
    if other in names or not _CURSOR.fullmatch(cursor):
        return InvalidLink.CURSOR
    return cursor


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    """Return scheme, authority and port, or None for a relative URL.

    The authority is compared exactly, including a user or a trailing dot.
    Raises `ValueError` for an invalid port.
    """
    if not parts.scheme and not parts.netloc:
        return None
    host = parts.netloc.lower().removesuffix(f":{parts.port}")
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme, 0)


def page_query(
    *,
    size: int | None = None,
    after: str | None = None,
    before: str | None = None,
) -> dict[str, QueryValue]:
    """Return the query of one page; raises `InvalidArgumentError`."""
    if after is not None and before is not None:
        message = "pass after= or before=, not both"
        raise InvalidArgumentError(message)
    for name, cursor in (("after", after), ("before", before)):
        given: object = cursor
        if given is None:
            continue
        if not isinstance(given, str) or not _CURSOR.fullmatch(given):
            message = f"{name} must be a cursor of an earlier page"
            raise InvalidArgumentError(message)
    if size is not None and (type(size) is not int or not 1 <= size <= MAX_PAGE_SIZE):
        message = f"page_size must be an int from 1 to {MAX_PAGE_SIZE}"
        raise InvalidArgumentError(message)
    values: Mapping[str, QueryValue] = {SIZE: size, AFTER: after, BEFORE: before}
    return {name: value for name, value in values.items() if value is not None}


class CursorHistory:
    """The cursors of an iteration, to end it if the server repeats one."""

    def __init__(self, start: str | None) -> None:
        self._seen = {start}

    def add(self, cursor: str) -> InvalidLink | None:
        """Add the next cursor, or return the reason why it is invalid."""
        if cursor in self._seen:
            return InvalidLink.CYCLE
        if len(self._seen) >= MAX_PAGES:
            return InvalidLink.ENDLESS
        self._seen.add(cursor)
        return None
