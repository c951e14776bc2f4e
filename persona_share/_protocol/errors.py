"""The error of a response: each status has one exception class."""

import re
from collections.abc import Iterator
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from persona_share._protocol.http import (
    Expects,
    Problem,
    Request,
    Response,
    is_json,
    problem_of,
)
from persona_share._protocol.json import NotJsonError, parse_json
from persona_share._protocol.limits import retry_after_of
from persona_share._protocol.redaction import escaped, scrubbed, shown_id
from persona_share.errors import (
    ApiError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IdempotencyMismatchError,
    MalformedResponseError,
    NotFoundError,
    PermissionDeniedError,
    Phase,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    UnexpectedContentTypeError,
    UnexpectedRedirectError,
    UnprocessableError,
)


E = TypeVar("E", bound=ApiError)

_OF_STATUS: Final[dict[int, type[ApiError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitedError,
}
_REQUEST_TIMEOUT: Final = 408
_QUOTAS: Final = frozenset({403, 429})
_SERVER_ERRORS: Final = range(500, 600)
_REDIRECTS: Final = range(300, 400)
_EXCERPT: Final = 200
_MAX_SECRET: Final = 8 * 1024
_BEFORE_JSON: Final = b"\xef\xbb\xbf \t\r\n"
_PLAIN_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}")
# Form fields that are not secret.
_PUBLIC_FIELDS: Final = frozenset(
    {"grant-type", "grant_type", "response-type", "client-assertion-type"}
)


def error_in(request: Request, response: Response) -> ApiError | None:
    """Return the error of a response, or None for a success with the expected type."""
    if not response.ok:
        return error_of(request, response)
    if not response.body:
        return None
    is_expected = _is_pdf if request.expects is Expects.PDF else is_json
    if is_expected(response.headers.get("content-type", "")):
        return None
    excerpt = None
    if request.expects is not Expects.OAUTH and _is_page(response):
        # Long enough to mask a secret that the excerpt would cut in two.
        text = response.body[: _EXCERPT + _MAX_SECRET].decode(errors="replace")
        excerpt = escaped(scrubbed(text, secrets_of(request, response)), _EXCERPT)
    kind = response.headers.get("content-type", "") or "nothing named"
    return _build(
        UnexpectedContentTypeError,
        f"the body is {escaped(kind, 100)}, not {_expected_type(request.expects)}",
        request,
        response,
        Problem(details=excerpt or ""),
    )


def error_of(request: Request, response: Response) -> ApiError:
    """Return the error for an unsuccessful response (API page "Errors")."""
    status = response.status
    if status in _REDIRECTS:
        what = f"the service responded with {status}, a redirect to {_target(response)}"
        return _build(UnexpectedRedirectError, what, request, response, Problem())
    problem = problem_of(response)
    title = _shown(problem.title, request, response)
    what = f"the service responded with {status}{title and f' {title}'}"
    error = _build(_kind_of(status, problem), what, request, response, problem)
    if status == _REQUEST_TIMEOUT:
        error.retryable = True
    return error


def malformed(
    request: Request, response: Response, reason: str
) -> MalformedResponseError:
    """Return the error of a successful response with an unusable body.

    ``reason`` must not contain any part of the body.
    """
    return _build(MalformedResponseError, reason, request, response, Problem())


def secrets_of(request: Request, response: Response | None = None) -> tuple[str, ...]:
    """Return the secrets of a request, to be masked in its response.

    The sender adds the credential, so it may be known from the response only.
    """
    secrets = []
    credential = request.authorization
    if credential is None and response is not None:
        credential = response.credential
    if credential is not None:
        scheme, _, token = credential.partition(" ")
        secrets.append(token or scheme)
    if request.idempotency_key is not None:
        secrets.append(request.idempotency_key.reveal())
    if request.body is not None and request.expects is Expects.OAUTH:
        secrets.extend(_values(request.body))
    return tuple(secrets)


def request_id_of(request: Request, response: Response) -> str | None:
    """Return the request id of a response, with secrets masked."""
    text = response.headers.get("request-id")
    if not text:
        return None
    return shown_id(scrubbed(text, secrets_of(request, response)))


def attempts_of(request: Request, response: Response) -> tuple[Attempt, ...]:
    """Return the attempts of a call: those recorded in the response, or one."""
    if response.attempts:
        return response.attempts
    status = response.status
    request_id = request_id_of(request, response)
    return (Attempt(Phase.ANSWERED, str(status), status, request_id),)


def _build(
    kind: type[E], what: str, request: Request, response: Response, problem: Problem
) -> E:
    headers = response.headers
    return kind(
        what,
        operation=request.operation,
        title=_shown(problem.title, request, response) or None,
        details=_shown(problem.details, request, response) or None,
        pointer=_shown(problem.pointer, request, response) or None,
        organization_id=shown_id(headers.get("persona-organization-id")),
        environment_id=shown_id(headers.get("persona-environment-id")),
        status=response.status,
        request_id=request_id_of(request, response),
        retry_after=retry_after_of(response),
        attempts=attempts_of(request, response),
        advice=response.advice or kind.advice,
    )


def _shown(text: str, request: Request, response: Response) -> str:
    return escaped(scrubbed(text, secrets_of(request, response))) if text else ""


def _kind_of(status: int, problem: Problem) -> type[ApiError]:
    if status in _QUOTAS and problem.quota:
        return QuotaExceededError
    if status in _SERVER_ERRORS:
        return ServerError
    kind = _OF_STATUS.get(status, ApiError)
    if kind is BadRequestError and problem.mismatch:
        return IdempotencyMismatchError
    return kind


def _is_pdf(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/pdf"


def _is_page(response: Response) -> bool:
    """Return whether a body is the page of a gateway rather than an API object.

    An object has data of a person, and a response to an exchange has a token.
    """
    kind = response.headers.get("content-type", "").strip().lower()
    return kind.startswith("text/") and not response.body.lstrip(
        _BEFORE_JSON
    ).startswith((b"{", b"[", b'"'))


def _expected_type(expects: Expects) -> str:
    return "PDF" if expects is Expects.PDF else "JSON"


def _target(response: Response) -> str:
    """Return the origin of a redirect, without its path, which may contain anything."""
    headers = response.headers
    location = headers.get("location") or headers.get("uri") or ""
    try:
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an invalid URL"
    if not host:
        return "its own origin" if location else "nowhere"
    if not _PLAIN_HOST.fullmatch(host):
        return "an invalid URL"
    scheme = parts.scheme if parts.scheme in ("http", "https") else ""
    return f"{scheme}://{host}" if scheme else host


def _values(body: bytes) -> Iterator[str]:
    text = body.decode(errors="replace")
    try:
        document = parse_json(body)
    except NotJsonError:
        pairs: list[tuple[str, object]] = list(parse_qsl(text))
    else:
        pairs = list(document.items()) if isinstance(document, dict) else []
    for name, value in pairs:
        if isinstance(value, str) and name not in _PUBLIC_FIELDS:
            yield value
