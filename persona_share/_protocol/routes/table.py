"""The table of all endpoints, and the route of a path."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Final

from persona_share._protocol.routes.route import PLACEHOLDER, Route, routes_in
from persona_share.errors import InvalidArgumentError
from persona_share.model.ids import checked_id


#: The modules of this package that hold endpoints.
FAMILIES: Final = (
    "oauth",
    "connections",
    "share_tokens",
    "inquiries",
    "inquiry_sessions",
    "verifications",
    "accounts",
    "transactions",
    "reports",
    "documents",
    "cases",
    "devices",
    "events",
    "rate_limits",
    "webhooks",
    "templates",
    "workflows",
    "batch_jobs",
    "api_keys",
    "api_logs",
)
METHODS: Final = ("GET", "POST", "PATCH", "DELETE")

_LITERAL: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")


@cache
def routes() -> tuple[Route, ...]:
    """Return every endpoint that has a method of its own."""
    families = (import_module(f"{__package__}.{name}") for name in FAMILIES)
    return tuple(route for family in families for route in routes_in(vars(family)))


@cache
def _patterns() -> Mapping[tuple[str, int], tuple[tuple[Route, re.Pattern[str]], ...]]:
    """Return the endpoints by method and number of segments."""
    found: dict[tuple[str, int], tuple[tuple[Route, re.Pattern[str]], ...]] = {}
    for route in routes():
        key = route.method, route.template.count("/")
        found[key] = (*found.get(key, ()), (route, _pattern(route)))
    return found


def _pattern(route: Route) -> re.Pattern[str]:
    parts = PLACEHOLDER.split(route.template)
    literals, names = parts[0::2], parts[1::2]
    tail = ["([A-Za-z0-9_-]{1,128})"] * len(names) + [""]
    joined = (re.escape(a) + b for a, b in zip(literals, tail, strict=True))
    return re.compile("".join(joined))


def known(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a path and the ids in it, or None."""
    for route, pattern in _patterns().get((method, path.count("/")), ()):
        if found := pattern.fullmatch(path):
            return route, found.groups()
    return None


def filled(method: str, template: str, params: Mapping[str, str]) -> tuple[str, str]:
    """Return the method and the path of any endpoint, with its parameters filled in.

    Raises `InvalidArgumentError` if method, path or parameters cannot be sent.
    """
    if method.upper() not in METHODS:
        message = f"method must be one of {', '.join(METHODS)}"
        raise InvalidArgumentError(message)
    names = PLACEHOLDER.findall(template)
    if set(names) != set(params):
        message = (
            f"path_params must be exactly {sorted(set(names))}, not {sorted(params)}"
        )
        raise InvalidArgumentError(message)
    path = PLACEHOLDER.sub(
        lambda found: checked_id(params[found[1]], found[1]), template
    )
    first, *segments = path.split("/")
    if first or not segments or not all(map(_is_segment, segments)):
        message = (
            "path must look like '/inquiries/{inquiry-id}': begin with '/', and hold "
            "letters, digits, '_', '-', '.', '~' between slashes; queries go to query="
        )
        raise InvalidArgumentError(message)
    return method.upper(), path


def _is_segment(text: str) -> bool:
    return _LITERAL.fullmatch(text) is not None and set(text) != {"."}
