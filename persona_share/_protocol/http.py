"""A request before it is sent and a response after it was read: plain values.

A response is a value until the last step: a 401 or a 429 is a `Response`, too.
"""

import enum
from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from persona_share.errors import Attempt
from persona_share.model.secret import MaskedText, Secret


_NO_HEADERS: Final[Mapping[str, str]] = {}


class Expects(enum.Enum):
    """The kind of response that a request expects, with its cap in bytes."""

    JSON = 16 * 1024 * 1024
    OAUTH = 64 * 1024
    PDF = 100 * 1024 * 1024

    @property
    def cap(self) -> int:
        """The most bytes that are read, after decompression."""
        return int(self.value)


class Sink(Protocol):
    """Takes the body of a success as it comes, in place of the response.

    An exception of it ends the call; its creator keeps the reason.
    """

    @property
    def cap(self) -> int:
        """The most bytes that it takes, after decompression."""
        ...

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Get ready for a body, and forget what came of an earlier attempt."""
        ...

    async def write(self, piece: bytes) -> None:
        """Take the next piece."""
        ...


@attrs.frozen(kw_only=True, slots=False)  # quicker to fill than slots, twice a call
class Request:
    """One call, ready to be sent and to be repeated exactly.

    ``route`` is the path as documented, with its placeholders; it is what logs and
    errors show. ``target`` is the path and query that are sent. ``deadline`` is
    an instant of the clock that counts suspension. ``retries`` is how many further
    attempts there may be, where that was said.
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

    @property
    def operation(self) -> str:
        """The method and the documented path, as logs and errors show them."""
        return f"{self.method} {self.route}"

    def with_authorization(self, authorization: MaskedText) -> "Request":
        """Return the same request with a credential.

        It does what `attrs.evolve` does, at a tenth of the cost, for every call.
        """
        twin = _NEW(Request)
        fields = vars(twin)
        fields.update(vars(self))
        fields["authorization"] = authorization
        return twin


_NEW: Final = object.__new__


@attrs.frozen(kw_only=True, slots=False)  # for the same reason
class Response:
    """One complete response. ``headers`` has lower-case names.

    ``first_sent_at`` is when the first byte of the first attempt left, by the clock
    that counts suspension: a response may be a replay, and its age counts from there.
    ``credential`` is what the request carried, so that no error repeats an echo of it.
    ``advice`` is what an error should advise in place of its usual words.
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
