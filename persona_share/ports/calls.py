"""The plugs between rooms: what calls, accounts and code sources need."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

import attrs

from persona_share._protocol.http import Request, Response
from persona_share.model.batch import RateLimitStatus
from persona_share.model.events import Event
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode


class Sender(Protocol):
    """Whatever sends: a request in, an answer out.

    An exception means that no answer came; it is a `TransportError`, or one of our own
    refusals before a byte left.
    """

    async def send(self, request: Request) -> Response:
        """Send and answer with whatever status came."""
        ...


class Clock(Protocol):
    """The only source of time."""

    def wall(self) -> datetime:
        """Answer the date and time in UTC, for display and for storage."""
        ...

    def now(self) -> float:
        """Answer seconds that never step back and that count suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""
        ...


@attrs.frozen
class Runtime:
    """Time, dice, new keys and nonces, to be passed to whoever must ask for them.

    ``after_fork`` takes a bound method that is called in every forked child, for as
    long as its object lives. ``boot_id`` tells the boots of a machine apart; it is empty
    where the system does not say. ``wrap_transport`` lets a test clock see which requests
    are under way.
    """

    clock: Clock
    random: Callable[[], float]
    new_key: Callable[[], str]
    fingerprint_key: bytes = attrs.field(repr=False)
    new_bytes: Callable[[int], bytes] = attrs.field(repr=False)
    after_fork: Callable[[Callable[[], None]], None] = attrs.field(
        default=lambda _: None, repr=False
    )
    boot_id: str = ""
    wrap_transport: Callable[[Sender], Sender] = attrs.field(
        default=lambda sender: sender, repr=False
    )


class Authorization(Protocol):
    """The right to use one credential for one request."""

    @property
    def header(self) -> Secret:
        """The value of the Authorization header."""
        ...


class ClientContext(Protocol):
    """What a token manager needs of the client that it stands on."""

    @property
    def runtime(self) -> Runtime:
        """The clock, the dice and the keys of the client."""
        ...

    @property
    def origin(self) -> str:
        """The base URL, as text."""
        ...

    @property
    def naming_secret(self) -> bytes:
        """What the names in a token store are made with: it follows from the API key."""
        ...

    @property
    def exchanger(self) -> Sender:
        """Sends with the client's API key and never repeats by itself."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that every request of the client carries."""
        ...

    def sender_for(self, source: "CredentialSource") -> Sender:
        """Answer a whole stack that takes its credential from this source."""
        ...

    @property
    def file_access(self) -> "FileAccess":
        """The hosts of files, and the local disk."""
        ...

    @property
    def timeout(self) -> float:
        """The longest time that a call may take, in seconds."""
        ...

    def rate_limit_status(self) -> RateLimitStatus | None:
        """Answer the rate limit as it stands, or None while it is not known."""
        ...

    def wait_at_most(self, seconds: float) -> None:
        """Limit how long a call waits for the rate limit, where its policy does not."""
        ...

    def require_open(self) -> None:
        """Raise the clear error if the client cannot be used here and now."""
        ...


class HasClientContext(Protocol):
    """Whatever has an context; a `PersonaClient` is one."""

    @property
    def context(self) -> ClientContext:
        """The context itself."""
        ...


class CredentialSource(Protocol):
    """Supplies the credential of a request and hears when it was refused."""

    def cached(self) -> Authorization | None:
        """Answer a credential that is at hand and fresh, without waiting."""
        ...

    async def get(self, deadline: float) -> Authorization:
        """Answer a credential, waiting until the deadline at most."""
        ...

    def on_success(self, authorization: Authorization, route: str) -> None:
        """Note that the service accepted a credential for an operation."""
        ...

    async def on_unauthorized(
        self, authorization: Authorization, refusals: int, deadline: float, route: str
    ) -> Authorization | None:
        """Return what to repeat a request with after a 401, or None to give up."""
        ...


class CodeSource(Protocol):
    """Any async callable that asks the source organization for a code."""

    def __call__(self, scope: Scope, /) -> Awaitable[str | AuthorizationCode | None]:
        """Return a new code for this scope, or None if the partner refuses one.

        `CodeRefusedError` says the same with a reason.
        """
        ...


class Hook(Protocol):
    """Any callable that is told what happens; it gets values without secrets."""

    def __call__(self, event: Event, /) -> object:
        """Take note of an event; what it returns or raises changes nothing."""
        ...


class NewFile(Protocol):
    """A file that did not exist before, readable by its owner alone."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    async def restart(self) -> None:
        """Forget what was written."""
        ...

    async def write(self, piece: bytes) -> None:
        """Write a piece at the end."""
        ...

    def close(self, *, keep: bool) -> None:
        """Close it, and take it away again unless it is to be kept."""
        ...


class FileAccess(Protocol):
    """What lies beside the API: the hosts of its files, and the local disk."""

    async def file_host(self, url: str) -> tuple[Sender, str]:
        """Answer what sends to the host of a file, and the file's path and query.

        It sends no credential. Raises `InvalidArgumentError` for any other host.
        """
        ...

    async def new_file(self, path: str | Path) -> NewFile:
        """Make a file; raises `FileExistsError` for anything that is there."""
        ...
