"""The partner protocol over HTTP: a form-encoded POST, with errors as in RFC 6749 §5.2.

This module does not depend on a web framework. The applications read a request, call
`respond`, and write the `Reply`.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import attrs
import orjson

from persona_share.errors import InvalidScopeError
from persona_share.model.scope import Scope
from persona_share.partner.keys import (
    ASSERTION_TYPE,
    CLOCK_SKEW,
    Assertion,
    InvalidAssertion,
    PublicKey,
    verify,
)
from persona_share.partner.records import is_first_use
from persona_share.ports import Runtime, Store


#: The maximum body in bytes: a scope and an assertion, percent-encoded.
MAX_BODY: Final = 64 * 1024
_MAX_FIELDS: Final = 16
_FORM: Final = "application/x-www-form-urlencoded"
#: RFC 6749 §3.3: single spaces, and no control characters, quotes or backslashes.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_LOG: Final = logging.getLogger("persona_share")
_STATUS: Final = {
    "access_denied": 403,
    "invalid_client": 401,
    "invalid_request": 400,
    "invalid_scope": 400,
    "temporarily_unavailable": 503,
}

Lifespan = Callable[[], AbstractAsyncContextManager[object]]


@attrs.frozen
class Reply:
    """An HTTP response: a status, headers, and a JSON object if there is a body."""

    status: int
    body: dict[str, Any] | None = attrs.field(default=None, repr=False)
    extra: tuple[tuple[str, str], ...] = ()

    def headers(self) -> dict[str, str]:
        """Return the headers; no response of this endpoint may be cached."""
        kind = {} if self.body is None else {"Content-Type": "application/json"}
        return {"Cache-Control": "no-store", **kind, **dict(self.extra)}


def refusal(
    error: str,
    description: str,
    *,
    status: int | None = None,
    refused: Scope | None = None,
    retry_after: float | None = None,
    allow: str | None = None,
) -> Reply:
    """Return an error response (RFC 6749 §5.2); ``refused`` is the refused scope."""
    body = {"error": error, "error_description": description}
    if refused:
        body["refused"] = str(refused)
    extra: tuple[tuple[str, str], ...] = ()
    if allow is not None:
        extra = (("Allow", allow),)
    if retry_after is not None:
        extra += (("Retry-After", str(max(1, -int(-retry_after // 1)))),)
    return Reply(status or _STATUS[error], body, extra)


class Endpoint(Protocol):
    """The handler of the POST requests to one path."""

    @property
    def path(self) -> str:
        """The last segment of its path, such as ``/codes``."""
        ...

    @property
    def lifespan(self) -> Lifespan:
        """The lifespan that opens and closes the endpoint."""
        ...

    async def post(self, content_type: str | None, body: bytes) -> Reply:
        """Respond to one request; nothing is raised."""
        ...


class BodyTooLargeError(Exception):
    """The body of a request is larger than `MAX_BODY`."""


async def respond(
    endpoint: Endpoint,
    method: str,
    path: str,
    content_type: str | None,
    read: Callable[[], Awaitable[bytes]],
) -> Reply:
    """Respond to any HTTP request."""
    if not path.rstrip("/").endswith(endpoint.path):
        description = f"the path of this service ends in {endpoint.path}"
        return refusal("invalid_request", description, status=404)
    if method != "POST":
        description = "only POST is supported"
        return refusal("invalid_request", description, status=405, allow="POST")
    try:
        body = await read()
    except BodyTooLargeError:
        description = f"the body is longer than {MAX_BODY} bytes"
        return refusal("invalid_request", description, status=413)
    return await endpoint.post(content_type, body)


def read_form(content_type: str | None, body: bytes) -> dict[str, str] | Reply:
    """Return the parameters of a form; each may be given once (RFC 6749 §3.2)."""
    if (content_type or "").partition(";")[0].strip().lower() != _FORM:
        return refusal("invalid_request", f"the body must be {_FORM}", status=415)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        return refusal("invalid_request", "the body is not a form")
    form = dict(pairs)
    if len(form) < len(pairs):
        return refusal("invalid_request", "a parameter is repeated")
    return form


def read_scope(text: str | None) -> Scope | Reply:
    """Return the scope of a request, or the refusal of one that cannot be read."""
    if not text:
        return refusal("invalid_request", "scope is missing")
    if not _SCOPE.fullmatch(text):
        description = "scope must be permission:object_id pairs with single spaces"
        return refusal("invalid_scope", description)
    try:
        scope = Scope.from_text(text)
    except InvalidScopeError as error:
        return refusal("invalid_scope", error.what)
    if any(object_id is None for _, object_id in scope.pairs()):
        return refusal("invalid_scope", "each permission must name an object")
    return scope


@attrs.frozen
class Authenticator:
    """Accepts the assertions of known organizations for one audience, each one once."""

    audience: str
    keys_of: Callable[[str], Sequence[PublicKey] | None]
    store: Store
    runtime: Runtime

    async def check(self, form: dict[str, str]) -> Assertion | InvalidAssertion:
        """Return the verified assertion of a form, or why it was refused.

        Raises:
            StoreError: it is not known whether the assertion was used before.
        """
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            return InvalidAssertion("assertion_missing")
        now = self.runtime.clock.wall().timestamp()
        found = verify(
            form.get("client_assertion", ""),
            self.keys_of,
            audience=self.audience,
            now=now,
        )
        if isinstance(found, InvalidAssertion):
            return found
        # Recorded for a little longer than the assertion would be accepted.
        ttl = found.expires_at - now + 3 * CLOCK_SKEW
        if not await is_first_use(
            self.store, self.runtime, found.issuer, found.id, ttl
        ):
            return InvalidAssertion("assertion_replayed")
        return found


def unavailable(what: str, error: BaseException) -> Reply:
    """Return the response to a request that failed here, and log why."""
    _LOG.error("%s: %s", what, describe(error))
    description = "the service cannot decide at the moment"
    return refusal("temporarily_unavailable", description, retry_after=5)


def describe(error: BaseException) -> str:
    """Return an error for the log: our own text, or only the type of a foreign one."""
    return str(error) if hasattr(error, "advice") else type(error).__name__


#: The response to every refused assertion; an attacker does not learn the reason.
CLIENT_REFUSED: Final = refusal("invalid_client", "the client assertion was refused")

# ── The protocol as an OpenAPI document ───────────────────────────────────────


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of both endpoints."""
    text = files(__package__).joinpath("openapi.json").read_bytes()
    document: dict[str, Any] = orjson.loads(text)
    return document
