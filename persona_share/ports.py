"""Protocols between layers, and the runtime of a client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeGuard, runtime_checkable

import attrs

from persona_share._policy.shared_limit import Share
from persona_share._protocol.http import Request, Response
from persona_share._protocol.limits import LimitState
from persona_share.model.batch import RateLimitStatus
from persona_share.model.events import HookEvent
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode


class Sender(Protocol):
    """Sends a request and returns its response.

    An exception means that there is no usable response: a `TransportError`, or an error
    that was raised before anything was sent.
    """

    async def send(self, request: Request) -> Response:
        """Send a request and return its response, with any status."""
        ...


class Clock(Protocol):
    """The source of time."""

    def wall(self) -> datetime:
        """Return the date and time in UTC, for display and for storage."""
        ...

    def now(self) -> float:
        """Return the time of a monotonic clock in seconds; it includes suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds."""
        ...


@attrs.frozen
class Runtime:
    """The clock, random numbers, new keys and nonces of a client.

    ``after_fork`` registers a bound method that is called in every forked child while its
    object exists. ``boot_id`` identifies the boot of the machine, or is empty if it is
    unknown. ``wrap_transport`` lets a test clock count the requests in progress.
    """

    clock: Clock
    random: Callable[[], float]
    new_key: Callable[[], str]
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
    """The parts of a client that a token manager uses."""

    @property
    def runtime(self) -> Runtime:
        """The clock, random numbers and new keys of the client."""
        ...

    @property
    def origin(self) -> str:
        """The base URL as a string."""
        ...

    @property
    def naming_secret(self) -> bytes:
        """The secret that names records in a token store, derived from the API key."""
        ...

    @property
    def exchanger(self) -> Sender:
        """A sender with the client's API key and without retries."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request of the client."""
        ...

    def sender_for(self, source: "CredentialSource") -> Sender:
        """Return a stack of senders that uses the credentials of this source."""
        ...

    @property
    def file_access(self) -> "FileAccess":
        """Access to the hosts of files and to the local disk."""
        ...

    @property
    def timeout(self) -> float:
        """The timeout of a call in seconds."""
        ...

    @property
    def check_identity(self) -> bool:
        """Whether a response must be about the object of its request."""
        ...

    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the current rate limit, or None while it is unknown."""
        ...

    def wait_at_most(self, seconds: float) -> None:
        """Limit the wait of a call for the rate limit, unless the policy limits it."""
        ...

    def require_open(self) -> None:
        """Raise an error if the client is not open, or used from another event loop."""
        ...


class HasClientContext(Protocol):
    """Anything with a client context, such as a `PersonaClient`."""

    @property
    def context(self) -> ClientContext:
        """The client context."""
        ...


#: A request is repeated at most this many times after a 401.
MAX_REPLAYS: Final = 2


class CredentialSource(Protocol):
    """Supplies credentials, and decides what happens after a 401."""

    def cached(self) -> Authorization | None:
        """Return a cached, fresh credential, or None."""
        ...

    async def get(self, deadline: float) -> Authorization:
        """Return a credential; wait until the deadline if necessary."""
        ...

    def on_success(self, authorization: Authorization, route: str) -> None:
        """Record that the service accepted a credential for an operation."""
        ...

    async def on_unauthorized(
        self, authorization: Authorization, refusals: int, deadline: float, route: str
    ) -> Authorization | None:
        """Return the credential to repeat a request with after a 401, or None."""
        ...


class CodeSource(Protocol):
    """Any async callable that asks the source organization for a code."""

    def __call__(self, scope: Scope, /) -> Awaitable[str | AuthorizationCode | None]:
        """Return a new code for this scope, or None if the partner refuses one.

        `CodeRefusedError` says the same with a reason.
        """
        ...


class Hook(Protocol):
    """A callable that receives events, which contain no secrets."""

    def __call__(self, event: HookEvent, /) -> object:
        """Handle an event; the return value and exceptions are ignored."""
        ...


class NewFile(Protocol):
    """A file that did not exist before, readable by its owner alone."""

    @property
    def path(self) -> Path:
        """The path of the file."""
        ...

    async def restart(self) -> None:
        """Truncate the file."""
        ...

    async def write(self, piece: bytes) -> None:
        """Append a piece."""
        ...

    def close(self, *, keep: bool) -> None:
        """Close the file, and delete it unless ``keep``."""
        ...


class FileAccess(Protocol):
    """Access to the hosts of files and to the local disk."""

    async def file_host(self, url: Secret) -> tuple[Sender, str]:
        """Return a sender for the host of a file, and the path and query of the file.

        It sends no credential. Raises `InvalidArgumentError` for any other host.
        """
        ...

    async def new_file(self, path: str | Path) -> NewFile:
        """Create a file; raises `FileExistsError` if the path exists."""
        ...


# ── Stores ───────────────────────────────────────────────────────────────────


@attrs.frozen
class Versioned:
    """A record and its etag.

    ``value`` is None and ``etag`` is ``""`` if there is no record. ``now`` is the time
    of the store's clock in seconds; compare it with times of the same store only.
    """

    value: bytes | None = attrs.field(repr=False)
    etag: str
    now: float


@runtime_checkable
class Store(Protocol):
    """Keeps small records under keys, for several managers or processes.

    Every operation raises `StoreUnavailableError` if the store cannot do it, and its
    subclass `StoreCorruptError` if one record cannot be read. Losing a race is not an
    error: `write` then returns False.
    """

    async def open(self) -> None:
        """Connect, and check that the store is usable; a second call does nothing.

        Raises `StoreRefusedError` if an operator has to change something.
        """
        ...

    async def read(self, key: str) -> Versioned:
        """Return the current record under this key."""
        ...

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; ``""`` means absent.

        ``value=None`` deletes it. The record expires ``ttl`` seconds after the write,
        or never for ``math.inf``. Return False if the record was not as expected.
        After an error the record may have been written: read it again.
        """
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that start with this prefix, in any order."""
        ...

    async def aclose(self) -> None:
        """Close every connection; records stay, and a later operation connects again."""
        ...


class SharedWindow(Protocol):
    """A rate-limit window that several processes share."""

    async def open(self, runtime: Runtime) -> None:
        """Connect in the running event loop; a second call does nothing."""
        ...

    async def close(self) -> None:
        """Close everything that was opened."""
        ...

    async def take(
        self, name: str, wanted: int, seen: LimitState | None, *, first: bool = False
    ) -> Share:
        """Acquire slots of the window, and report the state that a response showed.

        ``name`` identifies an API key without revealing it. ``first`` means that this
        caller has acquired none in this window yet. Raises `StoreUnavailableError` if the window
        cannot be reached.
        """
        ...


def is_store(value: object) -> TypeGuard[Store]:
    """Return whether an object has the operations of a store.

    This includes objects that forward them with ``__getattr__``, which ``isinstance``
    with a protocol has not detected since Python 3.12.
    """
    if isinstance(value, type):
        return False
    names = ("open", "read", "write", "keys", "aclose")
    return all(callable(getattr(value, name, None)) for name in names)
