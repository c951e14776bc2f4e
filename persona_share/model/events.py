"""The events that hooks receive, and the metrics of a token manager.

Neither contains secrets, object ids or personal data. ``at`` is a time of the monotonic
clock in seconds. ``scope_size`` is the number of permissions; the scope itself contains
object ids, so it is never part of an event.
"""

import warnings
from collections.abc import Mapping

import attrs

from persona_share.errors import Phase


@attrs.frozen(kw_only=True)
class HookEvent:
    """The base class of all events that hooks receive."""

    at: float


@attrs.frozen(kw_only=True)
class CallEnded(HookEvent):
    """A call ended with a ``status``, or with an error of the type ``error``."""

    operation: str
    seconds: float
    attempts: int
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class AttemptFailed(HookEvent):
    """An attempt failed and another follows after ``delay`` seconds.

    ``budget`` is the remaining retry budget.
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
class CallDelayed(HookEvent):
    """A call waited ``seconds`` for the service's rate limit."""

    operation: str
    seconds: float


@attrs.frozen(kw_only=True)
class RateLimitReached(HookEvent):
    """Calls wait for the next window of the rate limit; emitted once per window.

    ``limit`` is None if no response has reported it.
    """

    waiting: int
    opens_in: float
    limit: int | None = None


@attrs.frozen(kw_only=True)
class TokenEvent(HookEvent):
    """The base class of events about a token."""

    scope_size: int


@attrs.frozen(kw_only=True)
class RenewalStarted(TokenEvent):
    """An exchange started while an older token is still cached."""

    background: bool


@attrs.frozen(kw_only=True)
class CodeRequested(TokenEvent):
    """The code source was called."""


@attrs.frozen(kw_only=True)
class CodeQueued(TokenEvent):
    """A pushed code was queued."""


@attrs.frozen(kw_only=True)
class CodeSent(TokenEvent):
    """A code is sent for the first time under a key; ``epoch`` counts the keys from 0."""

    epoch: int


@attrs.frozen(kw_only=True)
class CodeClaimed(TokenEvent):
    """An exchange of a code started; ``pushed`` if it is not from the code source."""

    pushed: bool


@attrs.frozen(kw_only=True)
class TokenIssued(TokenEvent):
    """A token was issued; ``renewal`` if it replaces an older one."""

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
    """A token that another manager acquired was read from the store.

    ``remaining`` is its remaining lifetime in seconds.
    """

    generation: int
    remaining: float


@attrs.frozen(kw_only=True)
class ExchangeFailed(TokenEvent):
    """An exchange failed; ``served_stale`` if the older token is still valid."""

    error: str
    cooldown: float
    served_stale: bool


@attrs.frozen(kw_only=True)
class CodeRejected(TokenEvent):
    """The service refused a code."""

    status: int | None


@attrs.frozen(kw_only=True)
class CodeInDoubt(TokenEvent):
    """A code was sent, and it is unknown whether it was used."""


@attrs.frozen(kw_only=True)
class CodeExpiredUnused(TokenEvent):
    """A queued code expired unused."""


@attrs.frozen(kw_only=True)
class TokenUnauthorized(TokenEvent):
    """The service refused the current token (401) for the first time."""

    generation: int


@attrs.frozen(kw_only=True)
class TokenRevoked(TokenEvent):
    """A token was discarded, because of a second 401 or of `invalidate`."""

    generation: int


@attrs.frozen(kw_only=True)
class TokenWaiting(TokenEvent):
    """Callers have waited ``seconds`` for a token, for this ``reason``."""

    reason: str
    seconds: float


@attrs.frozen(kw_only=True)
class NumberClamped(HookEvent):
    """A number from outside exceeded its bounds; ``name`` says which one."""

    name: str


@attrs.frozen(kw_only=True)
class TokensEvicted(HookEvent):
    """Tokens were evicted because the cache was full."""

    count: int


@attrs.frozen(kw_only=True)
class StoreDown(HookEvent):
    """The token store cannot be reached; the manager works without it."""


@attrs.frozen(kw_only=True)
class StoreUp(HookEvent):
    """The token store can be reached again."""


# ── Metrics ──────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class TokenMetrics:
    """Counters since the manager was created, and current gauges.

    ``failing`` holds the failures since the last token, by the type of their error.
    ``tokens`` counts cached tokens by state (fresh, advisory, mandatory, expired).
    ``acquiring`` is the number of acquisitions in progress. ``nearest_end`` is the
    shortest remaining lifetime in seconds. ``exchange_level`` is the number of exchanges
    that may start now, or None while no limit is known. ``store_up`` says whether the
    token store responds, or None without a store.
    """

    issued: int = 0
    adopted: int = 0
    renewals: int = 0
    followers: int = 0
    codes_requested: int = 0
    codes_claimed: int = 0
    codes_rejected: int = 0
    codes_in_doubt: int = 0
    codes_expired_unused: int = 0
    failures: Mapping[str, int] = attrs.field(factory=dict)
    failing: Mapping[str, int] = attrs.field(factory=dict)
    waits: Mapping[str, int] = attrs.field(factory=dict)
    numbers_clamped: int = 0
    unauthorized: int = 0
    revoked: int = 0
    evicted: int = 0
    tokens: Mapping[str, int] = attrs.field(factory=dict)
    codes_waiting: int = 0
    acquiring: int = 0
    nearest_end: float | None = None
    exchange_level: float | None = None
    store_up: bool | None = None

    @property
    def minted(self) -> int:
        """The former name of `issued`; deprecated."""
        warnings.warn("use TokenMetrics.issued", DeprecationWarning, stacklevel=2)
        return self.issued

    @property
    def strikes(self) -> int:
        """The former name of `unauthorized`; deprecated."""
        warnings.warn("use TokenMetrics.unauthorized", DeprecationWarning, stacklevel=2)
        return self.unauthorized

    @property
    def codes_per_token(self) -> float | None:
        """The codes used per token: 1.00 is ideal, None before the first token."""
        return self.codes_claimed / self.issued if self.issued else None
