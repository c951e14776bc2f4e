"""The endpoints, one line each.

The API's description does not say which permission an endpoint needs; the names follow
the permission families of the key settings (``inquiry.read``, ``txn.write``, …).
"""

import re
from collections.abc import Mapping
from typing import Final

import attrs

from persona_share._wire.messages import Expects
from persona_share.errors import InvalidArgumentError
from persona_share.model.ids import checked_id


_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
METHODS: Final = ("GET", "POST", "PATCH", "DELETE")


@attrs.frozen
class Route:
    """One endpoint: its method, its documented path and what repeating it means.

    ``permission`` is what a scoped token needs on the object in the path. A POST is
    ``repeatable`` when doing it twice harms nobody; ``reconcile`` names the call that
    tells what became of one whose answer was lost.
    """

    method: str
    template: str
    permission: str | None = attrs.field(default=None, kw_only=True)
    expects: Expects = attrs.field(default=Expects.JSON, kw_only=True)
    repeatable: bool = attrs.field(default=False, kw_only=True)
    reconcile: str | None = attrs.field(default=None, kw_only=True)

    @property
    def operation(self) -> str:
        """The method and the documented path."""
        return f"{self.method} {self.template}"

    def path(self, *object_ids: str) -> str:
        """Answer the path with these ids in place of its placeholders, in order."""
        remaining = iter(object_ids)
        return _PLACEHOLDER.sub(
            lambda found: checked_id(next(remaining), found[1]), self.template
        )


AUTHORIZE: Final = Route(
    "POST", "/oauth/authorize", expects=Expects.OAUTH, repeatable=True
)
TOKEN: Final = Route("POST", "/oauth/token", expects=Expects.OAUTH)
RETRIEVE_INQUIRY: Final = Route(
    "GET", "/inquiries/{inquiry-id}", permission="inquiry.read"
)
RETRIEVE_VERIFICATION: Final = Route(
    "GET", "/verifications/{verification-id}", permission="verification.read"
)

ROUTES: Final = (AUTHORIZE, TOKEN, RETRIEVE_INQUIRY, RETRIEVE_VERIFICATION)


def _pattern(route: Route) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(route.template)
    literals, names = parts[0::2], parts[1::2]
    tail = ["([A-Za-z0-9_-]{1,128})"] * len(names) + [""]
    joined = (re.escape(a) + b for a, b in zip(literals, tail, strict=True))
    return re.compile("".join(joined))


_PATTERNS: Final = tuple((route, _pattern(route)) for route in ROUTES)


def known(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Answer the route that a filled path belongs to, with the ids in it."""
    for route, pattern in _PATTERNS:
        if route.method == method and (found := pattern.fullmatch(path)):
            return route, found.groups()
    return None


def filled(method: str, template: str, params: Mapping[str, str]) -> tuple[str, str]:
    """Answer the method and the filled path of a caller's own endpoint.

    Raises `InvalidArgumentError` where method, path or parameters do not fit.
    """
    if method.upper() not in METHODS:
        message = f"method must be one of {', '.join(METHODS)}"
        raise InvalidArgumentError(message)
    names = _PLACEHOLDER.findall(template)
    if set(names) != set(params):
        message = (
            f"path_params must be exactly {sorted(set(names))}, not {sorted(params)}"
        )
        raise InvalidArgumentError(message)
    path = _PLACEHOLDER.sub(
        lambda found: checked_id(params[found[1]], found[1]), template
    )
    segments = path.split("/")
    if segments[0] or not all(map(_is_segment, segments[1:])):
        message = (
            "path must look like '/inquiries/{inquiry-id}': begin with '/', and hold "
            "letters, digits, '_', '-', '.', '~' between slashes; queries go to query="
        )
        raise InvalidArgumentError(message)
    return method.upper(), path


def _is_segment(text: str) -> bool:
    return _LITERAL.fullmatch(text) is not None and set(text) != {"."}
