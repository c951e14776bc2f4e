"""The table of operations: one line each, by method and documented path."""

from typing import Final

import attrs

from persona_share.sandbox import oauth
from persona_share.sandbox.reading import (
    ACCOUNT_FILTERS,
    INQUIRY_FILTERS,
    Handler,
    list_verifications,
    lister,
    rate_limits,
    retriever,
)
from persona_share.sandbox.verifications import SEGMENTS


TABLE: Final[dict[str, Handler]] = {
    "POST /oauth/authorize": oauth.authorize,
    "POST /oauth/token": oauth.exchange,
    "GET /accounts": lister("account", ACCOUNT_FILTERS),
    "GET /accounts/{account-id}": retriever("account"),
    "GET /inquiries": lister("inquiry", INQUIRY_FILTERS),
    "GET /inquiries/{inquiry-id}": retriever("inquiry"),
    "GET /rate-limits": rate_limits,
    "GET /verifications": list_verifications,
    "GET /verifications/{verification-id}": retriever("verification"),
    **{
        f"GET /verification/{segment}/{{verification-id}}": retriever(
            "verification", f"verification/{kind}"
        )
        for kind, segment in SEGMENTS.items()
    },
}


@attrs.frozen
class Match:
    """The operation of a request, and what its path names."""

    operation: str
    handler: Handler
    params: dict[str, str]


class Routes:
    """Finds the operation of a path; in every template the id is part 1 or 2."""

    def __init__(self, table: dict[str, Handler]) -> None:
        self._by_shape: dict[tuple[str, ...], tuple[str, Handler, str | None]] = {}
        for operation, handler in table.items():
            method, _, template = operation.partition(" ")
            parts = template[1:].split("/")
            names = [part[1:-1] for part in parts if part.startswith("{")]
            shape = ["*" if part.startswith("{") else part for part in parts]
            name = names[0] if names else None
            self._by_shape[method, *shape] = operation, handler, name

    def match(self, method: str, path: str) -> Match | None:
        """Answer the operation of a path below the base URL."""
        parts = path[1:].split("/")
        for place in (1, 2, None):
            if place is None:
                shape, value = parts, None
            elif place < len(parts):
                shape = [*parts[:place], "*", *parts[place + 1 :]]
                value = parts[place]
            else:
                continue
            found = self._by_shape.get((method, *shape))
            if found is not None:
                operation, handler, name = found
                params = {name: value} if name and value is not None else {}
                return Match(operation, handler, params)
        return None
