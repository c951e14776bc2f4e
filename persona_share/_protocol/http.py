"""HTTP messages as values, the errors in responses, and the versions of the API.

A response is a value until the last step: a 401 or a 429 is a `Response`, too.
"""

import enum
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from persona_share._protocol.json import NotJsonError, parse_json
from persona_share.errors import Attempt
from persona_share.model.secret import MaskedText, Secret


if TYPE_CHECKING:
    from attrs import frozen as _frozen
else:
    # Only type checkers enforce that messages are immutable: at runtime it would double
    # the time to create one, and each call creates three (3 % of its CPU time).
    from attrs import define as _frozen

_NO_HEADERS: Final[Mapping[str, str]] = {}


class Expects(enum.Enum):
    """The kind of body that a request expects, with its size limit in bytes."""

    JSON = 16 * 1024 * 1024
    OAUTH = 64 * 1024
    PDF = 100 * 1024 * 1024

    def __init__(self, cap: int) -> None:
        #: The maximum size of the body after decompression, in bytes.
        self.cap: int = cap


class Sink(Protocol):
    """Receives the body of a successful response in pieces.

    An exception that it raises ends the call.
    """

    @property
    def cap(self) -> int:
        """The maximum size of the body after decompression, in bytes."""
        ...

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Start a body; discard the pieces of an earlier attempt."""
        ...

    async def write(self, piece: bytes) -> None:
        """Receive the next piece."""
        ...


@_frozen(kw_only=True)
class Request:
    """One call, ready to be sent and to be repeated exactly.

    ``route`` is the documented path with its placeholders, which logs and errors show.
    ``target`` is the path and query that are sent. ``deadline`` is a time of the
    monotonic clock. ``retries`` is the maximum number of further attempts; None leaves
    it to the retry policy. ``confine`` returns the request as it may be sent with a
    credential, or raises an error if it could reach more than it is meant for.
    """

    method: str
    route: str
    target: str = attrs.field(repr=False)
    deadline: float
    headers: Mapping[str, str] = attrs.field(default=_NO_HEADERS, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    content_type: str | None = None
    idempotency_key: Secret | None = None
    authorization: MaskedText | None = attrs.field(default=None, repr=False)
    expects: Expects = Expects.JSON
    repeatable: bool = False
    reconcile: str | None = None
    retries: int | None = None
    sink: Sink | None = attrs.field(default=None, repr=False)
    confine: Callable[["Request", Any], "Request"] | None = attrs.field(
        default=None, repr=False
    )

    @property
    def operation(self) -> str:
        """The method and the documented path, as logs and errors show them."""
        return f"{self.method} {self.route}"

    def with_authorization(self, authorization: MaskedText) -> "Request":
        """Return the same request with a credential."""
        # `attrs.evolve` takes three times as long, for every attempt.
        return Request(
            method=self.method,
            route=self.route,
            target=self.target,
            deadline=self.deadline,
            headers=self.headers,
            body=self.body,
            content_type=self.content_type,
            idempotency_key=self.idempotency_key,
            authorization=authorization,
            expects=self.expects,
            repeatable=self.repeatable,
            reconcile=self.reconcile,
            retries=self.retries,
            sink=self.sink,
            confine=self.confine,
        )


@_frozen(kw_only=True)
class Response:
    """One complete response. ``headers`` has lower-case names.

    ``first_sent_at`` is the time of the monotonic clock at which the first attempt was
    sent; the age of a replayed response counts from there. ``credential`` is the
    credential of the request, so that errors can mask an echo of it. ``advice``
    replaces the advice of an error.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    first_sent_at: float = 0.0
    attempts: tuple[Attempt, ...] = ()
    credential: MaskedText | None = attrs.field(default=None, repr=False)
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether this is a success (2xx)."""
        return 200 <= self.status < 300  # noqa: PLR2004


# ── Errors in a response ──────────────────────────────────────────────────────


_FIRST_ERROR_STATUS: Final = 400


@attrs.frozen
class Problem:
    """The texts of one error (API page "Errors"), unescaped and unmasked."""

    title: str = attrs.field(default="", repr=False)
    details: str = attrs.field(default="", repr=False)
    pointer: str = attrs.field(default="", repr=False)

    @property
    def quota(self) -> bool:
        """Whether the quota of a product is used up; the status is 403 or 429."""
        return "quota" in self.title.lower()

    @property
    def mismatch(self) -> bool:
        """Whether an idempotency key was used for two different requests."""
        return self.title.lower() == "idempotency error"


_NO_PROBLEM: Final = Problem()


@lru_cache(maxsize=64)  # called for every response
def is_json(content_type: str) -> bool:
    """Return whether a Content-Type is JSON; parameters and case are ignored."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def problem_of(response: Response) -> Problem:
    """Return the first error of a response, or an empty one if it has none."""
    if response.status < _FIRST_ERROR_STATUS or not response.body:
        return _NO_PROBLEM
    if not is_json(response.headers.get("content-type", "")):
        return _NO_PROBLEM
    try:
        document = parse_json(response.body)
    except NotJsonError:
        return _NO_PROBLEM
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return _NO_PROBLEM
    return Problem(
        _text(first, "title"),
        # Persona documents "details"; JSON:API defines "detail".
        _text(first, "details") or _text(first, "detail"),
        _text(first.get("source"), "pointer"),
    )


def _text(values: object, name: str) -> str:
    value = values.get(name) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) else ""


# ── Versions ──────────────────────────────────────────────────────────────────


#: The default version, which is the newest one; the models are written for it.
DEFAULT_VERSION: Final = "2026-09-29"
#: The versions that Persona documents.
KNOWN_VERSIONS: Final = frozenset(
    {
        "2020-05-18",
        "2021-02-21",
        "2021-05-14",
        "2021-07-05",
        "2021-08-18",
        "2022-09-01",
        "2023-01-05",
        "2025-10-27",
        "2025-12-08",
        DEFAULT_VERSION,
    }
)
#: Since this version a response includes related objects only if they are requested.
NOTHING_INCLUDED_SINCE: Final = "2025-10-27"
#: The message about a value that is not a version.
NOT_A_VERSION: Final = f"persona_version must be a date such as '{DEFAULT_VERSION}'"

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_version(value: object) -> bool:
    """Return whether a value has the form of a version; only those can be sent."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def warning_about_version(version: str) -> str | None:
    """Return a warning if Persona does not document the version; it may be newer."""
    if version in KNOWN_VERSIONS:
        return None
    return f"persona_version {version} is not known to persona_share; it is sent anyway"
