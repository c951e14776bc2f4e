"""The sockets of the house: what the rooms ask of each other, and nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

import attrs

from persona_share._wire.messages import Request, Response
from persona_share.model.events import Event
from persona_share.model.scope import Scope
from persona_share.model.secret import MaskedText
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
class World:
    """Time, dice and new keys, to be passed to whoever must ask for them.

    ``after_fork`` takes a bound method that is called in every forked child, for as
    long as its object lives.
    """

    clock: Clock
    roll: Callable[[], float]
    new_key: Callable[[], str]
    fingerprint_key: bytes = attrs.field(repr=False)
    after_fork: Callable[[Callable[[], None]], None] = attrs.field(
        default=lambda _: None, repr=False
    )


class Lease(Protocol):
    """The right to use one credential for one request."""

    @property
    def header(self) -> MaskedText:
        """The value of the Authorization header."""
        ...


class Account(Protocol):
    """What a token manager needs of the client that it stands on."""

    @property
    def world(self) -> World:
        """The clock, the dice and the keys of the client."""
        ...

    @property
    def origin(self) -> str:
        """The base URL, as text."""
        ...

    @property
    def exchanger(self) -> Sender:
        """Sends with the client's API key and never repeats by itself."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that every request of the client carries."""
        ...

    def bearing(self, source: "BearerSource") -> Sender:
        """Answer a whole stack that takes its credential from this source."""
        ...

    @property
    def timeout(self) -> float:
        """The longest time that a call may take, in seconds."""
        ...

    def require_open(self) -> None:
        """Raise the clear error if the client cannot be used here and now."""
        ...


class AccountHolder(Protocol):
    """Whatever has an account; a `PersonaClient` is one."""

    @property
    def account(self) -> Account:
        """The account itself."""
        ...


class BearerSource(Protocol):
    """Supplies the credential of a request and hears when it was refused."""

    def held(self) -> Lease | None:
        """Answer a credential that is at hand and fresh, without waiting."""
        ...

    async def obtain(self, deadline: float) -> Lease:
        """Answer a credential, waiting until the deadline at most."""
        ...

    async def refused(
        self, lease: Lease, refusals: int, deadline: float
    ) -> Lease | None:
        """Answer what to repeat a request with after a 401, or None to give up."""
        ...


class CodeSource(Protocol):
    """Any async callable that asks the source organization for a code."""

    def __call__(self, scope: Scope, /) -> Awaitable[str | AuthorizationCode]:
        """Answer a new code for this scope."""
        ...


class Hook(Protocol):
    """Any callable that is told what happens; it gets values without secrets."""

    def __call__(self, event: Event, /) -> object:
        """Take note of an event; what it returns or raises changes nothing."""
        ...
