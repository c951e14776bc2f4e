"""From page to page: the cursor in a link, and never the link itself (T2, F58).

A link of an answer says where the server would go on. Following it would send the
credential wherever a server, or whoever speaks for it, likes. So a link is only
trusted with one thing, the cursor, and only if everything else in it is our own.
"""

import enum
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

import attrs

from persona_share._protocol.query import QueryValue
from persona_share.errors import InvalidArgumentError


#: More pages than this belong to no listing that anybody wants.
MOST_PAGES: Final = 10_000
LARGEST_PAGE: Final = 100

AFTER: Final = "page[after]"
BEFORE: Final = "page[before]"
SIZE: Final = "page[size]"

_CURSOR: Final = re.compile(r"[!-~]{1,512}")
_PRINTABLE: Final = re.compile(r"[!-~]{1,8192}")
_OFFICIAL_ROOT: Final = "/api/v1"
_PORTS: Final = {"http": 80, "https": 443}


class Stray(enum.Enum):
    """Why a link, or a walk, does not go on with the listing."""

    UNREADABLE = "the link to another page is no plain address"
    ORIGIN = "the link to another page leads to another origin"
    PATH = "the link to another page leads to another path"
    TWICE = "the link to another page says something twice"
    QUERY = "the link to another page asks for something else"
    CURSOR = "the link to another page has no cursor for that direction"
    CYCLE = "the listing comes back to a page that it had before"
    ENDLESS = f"the listing has more than {MOST_PAGES} pages"


@attrs.frozen
class ListLocation:
    """Where a listing lives: the base URL, its path below that, and its query keys."""

    base_url: str
    path: str
    keys: frozenset[str] = frozenset()

    def roots(self) -> frozenset[str]:
        """Answer the paths that stand for this listing.

        A base URL of one's own, such as a proxy's, may hide the service's own path.
        """
        root = urlsplit(self.base_url).path.rstrip("/")
        return frozenset({root + self.path, _OFFICIAL_ROOT + self.path})


def cursor_in(link: object, wanted: str, location: ListLocation) -> str | Stray | None:
    """Answer the cursor (`AFTER` or `BEFORE`) in a link, or None if there is no link.

    A link to anything but another page of this listing is answered as a `Stray`.
    """
    if link is None or link == "":
        return None
    # Checked first: urlsplit() drops tabs and line ends without a word.
    if not isinstance(link, str) or not _PRINTABLE.fullmatch(link):
        return Stray.UNREADABLE
    try:
        parts = urlsplit(link)
        origin = _origin(parts)
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=64
        )
    except ValueError:
        return Stray.UNREADABLE
    if link.startswith("//") or origin not in (
        None,
        _origin(urlsplit(location.base_url)),
    ):
        return Stray.ORIGIN
    if parts.path not in location.roots() or "#" in link:
        return Stray.PATH
    return _cursor(pairs, wanted, location)


def _cursor(
    pairs: list[tuple[str, str]], wanted: str, location: ListLocation
) -> str | Stray:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        return Stray.TWICE
    if not set(names) <= location.keys | {AFTER, BEFORE, SIZE}:
        return Stray.QUERY
    other = BEFORE if wanted == AFTER else AFTER
    cursor = dict(pairs).get(wanted, "")
    if other in names or not _CURSOR.fullmatch(cursor):
        return Stray.CURSOR
    return cursor


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    """Answer scheme, authority and port, or None for an address without those.

    The authority is compared to the letter: a user, a trailing dot or a look-alike is
    another one. Raises `ValueError` for a port that is none.
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
    """Answer the query of one page; raises `InvalidArgumentError`."""
    if after is not None and before is not None:
        message = "pass after= or before=, not both"
        raise InvalidArgumentError(message)
    for name, cursor in (("after", after), ("before", before)):
        given: object = cursor
        if given is None:
            continue
        if not isinstance(given, str) or not _CURSOR.fullmatch(given):
            message = f"{name} must be a cursor, as a page answered it"
            raise InvalidArgumentError(message)
    if size is not None and (type(size) is not int or not 1 <= size <= LARGEST_PAGE):
        message = f"page_size must be an int from 1 to {LARGEST_PAGE}"
        raise InvalidArgumentError(message)
    values: Mapping[str, QueryValue] = {SIZE: size, AFTER: after, BEFORE: before}
    return {name: value for name, value in values.items() if value is not None}


class Trail:
    """The cursors that a walk came by, so that it ends even where the server does not."""

    def __init__(self, start: str | None) -> None:
        self._seen = {start}

    def step(self, cursor: str) -> Stray | None:
        """Note the next cursor, or answer why the walk must not go there."""
        if cursor in self._seen:
            return Stray.CYCLE
        if len(self._seen) >= MOST_PAGES:
            return Stray.ENDLESS
        self._seen.add(cursor)
        return None
