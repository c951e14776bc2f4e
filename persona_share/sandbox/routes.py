"""The table of operations by method and documented path, and how a path finds its own."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from persona_share.sandbox import (
    oauth,
    routes_accounts,
    routes_cases,
    routes_connect,
    routes_inquiries,
)
from persona_share.sandbox.operations import Operation, Table
from persona_share.sandbox.reading import Handler, rate_limits, wrong_method


TABLE: Final[Table] = {
    "POST /oauth/authorize": Operation("create-authorization", oauth.authorize),
    "POST /oauth/token": Operation("create-access-token", oauth.exchange),
    "GET /rate-limits": Operation("list-all-rate-limits", rate_limits),
    **routes_connect.TABLE,
    **routes_inquiries.TABLE,
    **routes_accounts.TABLE,
    **routes_cases.TABLE,
}


@attrs.frozen
class Served:
    """One documented operation that the sandbox serves."""

    method: str
    path: str
    operation_id: str


def served_operations() -> Iterator[Served]:
    """Go through every documented operation that is served."""
    for key, operation in TABLE.items():
        method, _, path = key.partition(" ")
        if operation.id is not None:
            yield Served(method, path, operation.id)


@attrs.frozen
class Match:
    """The operation of a request, and what its path names."""

    operation: str
    handler: Handler
    params: dict[str, str]


class Routes:
    """Finds the operation of a path; in every template the id is part 1 or 2."""

    def __init__(self, table: Mapping[str, Operation]) -> None:
        self._by_shape: dict[tuple[str, ...], tuple[str, Handler, str | None]] = {}
        for key, operation in table.items():
            method, _, template = key.partition(" ")
            parts = template[1:].split("/")
            names = [part[1:-1] for part in parts if part.startswith("{")]
            shape = ["*" if part.startswith("{") else part for part in parts]
            name = names[0] if names else None
            self._by_shape[method, *shape] = key, operation.handler, name
        self._paths = {tuple(shape) for _, *shape in self._by_shape}

    def match(self, method: str, path: str) -> Match | None:
        """Answer the operation of a path below the base URL."""
        parts, elsewhere = path[1:].split("/"), False
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
            elsewhere = elsewhere or tuple(shape) in self._paths
        return Match(f"{method} (unknown)", wrong_method, {}) if elsewhere else None
