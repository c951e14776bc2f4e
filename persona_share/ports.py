"""Protocols: what the layers need of each other."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeGuard, runtime_checkable

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

    An exception means that there is no response: a `TransportError`, or an error of our
    own before anything was sent.
    """

    async def send(self, request: Request) -> Response:
        """Send, and return the response whatever its status is."""
        ...


class Clock(Protocol):
    """The only source of time."""

    def wall(self) -> datetime:
        """Return the date and time in UTC, for display and for storage."""
        ...

    def now(self) -> float:
        """Return seconds that never step back and that count suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that many seconds have passed."""
        ...


@attrs.frozen
class Runtime:
    """The clock, random numbers, new keys and nonces of a client.

    ``after_fork`` takes a bound method that is called in every forked child, for as
    long as its object lives. ``boot_id`` tells the boots of a machine apart; it is empty
    where the system does not say. ``wrap_transport`` lets a test clock see which requests
    are under way.
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
    """What a token manager needs of its client."""

    @property
    def runtime(self) -> Runtime:
        """The clock, random numbers and new keys of the client."""
        ...

    @property
    def origin(self) -> str:
        """The base URL, as text."""
        ...

    @property
    def naming_secret(self) -> bytes:
        """The secret of the keys in a token store; it is derived from the API key."""
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
        """Return a stack of senders that takes its credential from this source."""
        ...

    @property
    def file_access(self) -> "FileAccess":
        """The hosts of files, and the local disk."""
        ...

    @property
    def timeout(self) -> float:
        """The longest time that a call may take, in seconds."""
        ...

    @property
    def check_identity(self) -> bool:
        """Whether a response must be about the object of its request."""
        ...

    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit as it is now, or None while it is not known."""
        ...

    def wait_at_most(self, seconds: float) -> None:
        """Limit how long a call waits for the rate limit, where its policy does not."""
        ...

    def require_open(self) -> None:
        """Raise the clear error if the client cannot be used here and now."""
        ...


class HasClientContext(Protocol):
    """Anything with a client context, such as a `PersonaClient`."""

    @property
    def context(self) -> ClientContext:
        """The client context."""
        ...


class CredentialSource(Protocol):
    """Supplies credentials, and decides what follows when one was refused."""

    def cached(self) -> Authorization | None:
        """Return a fresh credential that is held already, else None."""
        ...

    async def get(self, deadline: float) -> Authorization:
        """Return a credential, waiting until the deadline at most."""
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
    """A callable that gets an event, without secrets, for what happens."""

    def __call__(self, event: HookEvent, /) -> object:
        """Take an event; the return value and exceptions are ignored."""
        ...


class NewFile(Protocol):
    """A file that did not exist before, readable by its owner alone."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    async def restart(self) -> None:
        """Remove everything that was written."""
        ...

    async def write(self, piece: bytes) -> None:
        """Write a piece at the end."""
        ...

    def close(self, *, keep: bool) -> None:
        """Close it, and delete it unless it is to be kept."""
        ...


class FileAccess(Protocol):
    """Access to the hosts of files and to the local disk."""

    async def file_host(self, url: str) -> tuple[Sender, str]:
        """Return what sends to the host of a file, and the file's path and query.

        It sends no credential. Raises `InvalidArgumentError` for any other host.
        """
        ...

    async def new_file(self, path: str | Path) -> NewFile:
        """Create a file; raises `FileExistsError` if anything is there."""
        ...


# ── Stores ───────────────────────────────────────────────────────────────────


@attrs.frozen
class Versioned:
    """A record as it was read.

    ``value`` is None and ``etag`` is ``""`` if there is none. ``now`` is the time of
    the store's clock, in seconds; only times of the same store compare.
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

        Raises `StoreRefusedError` for what will not change without an operator.
        """
        ...

    async def read(self, key: str) -> Versioned:
        """Return the record under this key as it is now."""
        ...

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Replace a record if its etag is still this one; ``""`` means absent.

        ``value=None`` deletes it. The record expires ``ttl`` seconds after the write,
        or never for ``math.inf``. Return False if the record was not as expected.
        After an error nobody knows whether the record was written: read it again.
        """
        ...

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Iterate over the keys that start with this prefix, in no certain order."""
        ...

    async def aclose(self) -> None:
        """Close every connection; records stay."""
        ...


class SharedWindow(Protocol):
    """A rate-limit window that several processes spend together."""

    async def open(self, runtime: Runtime) -> None:
        """Get ready, in the running event loop; a second call does nothing."""
        ...

    async def close(self) -> None:
        """Close everything that was opened."""
        ...

    async def take(
        self, name: str, wanted: int, seen: LimitState | None, *, first: bool = False
    ) -> Share:
        """Take some slots of the window, and report what a response said of it.

        ``name`` identifies an API key without revealing it; ``first``: the caller has
        taken none in this window yet. Raises `StoreUnavailableError` if the window
        cannot be reached.
        """
        ...


def is_store(value: object) -> TypeGuard[Store]:
    """Return whether an object has the operations of a store.

    An object that forwards them with ``__getattr__`` has them too; ``isinstance`` with
    a protocol does not see those since Python 3.12.
    """
    if isinstance(value, type):
        return False
    names = ("open", "read", "write", "keys", "aclose")
    return all(callable(getattr(value, name, None)) for name in names)
