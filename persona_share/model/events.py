"""What hooks are told: frozen values without secrets, object ids or personal data.

Instants (``at``) are of the clock that counts suspension. ``scope_size`` is the number
of permissions; the scope itself, which names objects, is never told.
"""

import attrs

from persona_share.errors import Phase


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened."""

    at: float


@attrs.frozen(kw_only=True)
class CallEnded(Event):
    """A call ended: answered with ``status``, or by an error of the type ``error``."""

    operation: str
    seconds: float
    attempts: int
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class AttemptFailed(Event):
    """An attempt failed and another follows after ``delay`` seconds.

    ``budget`` is what retries may still cost before they stop.
    """

    operation: str
    attempt: int
    phase: Phase
    reason: str
    delay: float
    status: int | None = None
    request_id: str | None = None
    budget: int | None = None


@attrs.frozen(kw_only=True)
class CallDelayed(Event):
    """A call waited ``seconds`` for the service's rate limit."""

    operation: str
    seconds: float


@attrs.frozen(kw_only=True)
class RateLimitReached(Event):
    """Calls wait for the rate limit's next window; emitted once per window.

    ``limit`` is None where no answer has named one.
    """

    waiting: int
    opens_in: float
    limit: int | None = None


@attrs.frozen(kw_only=True)
class TokenEvent(Event):
    """Something in the life of a token."""

    scope_size: int


@attrs.frozen(kw_only=True)
class RenewalStarted(TokenEvent):
    """An exchange began while an older token was still held."""

    background: bool


@attrs.frozen(kw_only=True)
class CodeRequested(TokenEvent):
    """The code source was asked for a code."""


@attrs.frozen(kw_only=True)
class CodeQueued(TokenEvent):
    """A delivered code waits until it serves best."""


@attrs.frozen(kw_only=True)
class CodeSent(TokenEvent):
    """A code leaves for the first time under a key; ``epoch`` counts its keys from 0."""

    epoch: int


@attrs.frozen(kw_only=True)
class CodeClaimed(TokenEvent):
    """A code was taken for an exchange; ``pushed``: it had been handed to us."""

    pushed: bool


@attrs.frozen(kw_only=True)
class TokenMinted(TokenEvent):
    """A token was taken into use; ``renewal``: it took an older one's place."""

    generation: int
    lifetime: float
    renewal: bool
    attempts: int
    followers: int
    replayed: bool = False
    clamped: bool = False
    broader: bool = False


@attrs.frozen(kw_only=True)
class TokenAdopted(TokenEvent):
    """A token that another manager brought was taken from the store.

    ``remaining`` is what it had left, in seconds.
    """

    generation: int
    remaining: float


@attrs.frozen(kw_only=True)
class ExchangeFailed(TokenEvent):
    """No token came; ``served_stale``: the older token is still good."""

    error: str
    cooldown: float
    served_stale: bool


@attrs.frozen(kw_only=True)
class CodeRejected(TokenEvent):
    """The service refused a code."""

    status: int | None


@attrs.frozen(kw_only=True)
class CodeInDoubt(TokenEvent):
    """Nobody knows what became of a code."""


@attrs.frozen(kw_only=True)
class CodeExpiredUnused(TokenEvent):
    """A code that waited ended without being used."""


@attrs.frozen(kw_only=True)
class TokenStruck(TokenEvent):
    """The service answered 401 to the current token for the first time."""

    generation: int


@attrs.frozen(kw_only=True)
class TokenRevoked(TokenEvent):
    """A token is never used again, by a second 401 or by a complaint."""

    generation: int


@attrs.frozen(kw_only=True)
class TokensEvicted(Event):
    """Tokens were dropped because there were too many."""

    count: int


@attrs.frozen(kw_only=True)
class StoreDown(Event):
    """The token store cannot be reached; this manager goes on alone."""


@attrs.frozen(kw_only=True)
class StoreUp(Event):
    """The token store can be reached again."""
