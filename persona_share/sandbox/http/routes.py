"""The operations by method and documented path, and how a path finds its operation."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from persona_share.sandbox.connect import connections, redemption, share_tokens
from persona_share.sandbox.jsonapi.operations import Operation, Routes
from persona_share.sandbox.jsonapi.read import Handler, method_not_allowed
from persona_share.sandbox.oauth import authorization
from persona_share.sandbox.resources import (
    accounts,
    api_usage,
    batch_jobs,
    cases,
    documents,
    events,
    inquiries,
    inquiry_sessions,
    reports,
    templates,
    transactions,
    verifications,
    workflows,
)
from persona_share.sandbox.webhooks import resource


ROUTES: Final[Routes] = {
    **authorization.ROUTES,
    **api_usage.ROUTES,
    **connections.ROUTES,
    **share_tokens.ROUTES,
    **redemption.ROUTES,
    **inquiries.ROUTES,
    **inquiry_sessions.ROUTES,
    **verifications.ROUTES,
    **accounts.ROUTES,
    **transactions.ROUTES,
    **reports.ROUTES,
    **cases.ROUTES,
    **documents.ROUTES,
    **events.ROUTES,
    **templates.ROUTES,
    **workflows.ROUTES,
    **batch_jobs.ROUTES,
    **resource.ROUTES,
}


@attrs.frozen
class ServedOperation:
    """One documented operation that the sandbox serves."""

    method: str
    path: str
    operation_id: str


def served_operations() -> Iterator[ServedOperation]:
    """Yield every documented operation that is served."""
    for key, operation in ROUTES.items():
        method, _, path = key.partition(" ")
        if operation.id is not None:
            yield ServedOperation(method, path, operation.id)


@attrs.frozen
class Match:
    """The operation of a request, and the parameters of its path."""

    operation: str
    handler: Handler
    params: dict[str, str]


class Router:
    """Finds the operation of a path; the id is its second or third segment."""

    def __init__(self, routes: Mapping[str, Operation]) -> None:
        self._by_pattern: dict[tuple[str, ...], tuple[str, Handler, str | None]] = {}
        for key, operation in routes.items():
            method, _, template = key.partition(" ")
            parts = template[1:].split("/")
            names = [part[1:-1] for part in parts if part.startswith("{")]
            pattern = ["*" if part.startswith("{") else part for part in parts]
            name = names[0] if names else None
            self._by_pattern[method, *pattern] = key, operation.handler, name
        self._paths = {tuple(pattern) for _, *pattern in self._by_pattern}

    def match(self, method: str, path: str) -> Match | None:
        """Return the operation of a path below the base URL, None for no such path."""
        parts, other_method = path[1:].split("/"), False
        for position in (None, 1, 2):
            if position is None:
                pattern, value = parts, None
            elif position < len(parts):
                pattern = [*parts[:position], "*", *parts[position + 1 :]]
                value = parts[position]
            else:
                continue
            found = self._by_pattern.get((method, *pattern))
            if found is not None:
                operation, handler, name = found
                params = {name: value} if name and value is not None else {}
                return Match(operation, handler, params)
            other_method = other_method or tuple(pattern) in self._paths
        if other_method:
            return Match(f"{method} (unknown)", method_not_allowed, {})
        return None
