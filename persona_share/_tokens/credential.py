"""The credential of one scope: supplies requests with its token and hears of every 401.

A report concerns exactly the token that was refused. A new token gets a moment to
become known; one 401 does not discard a token; the second one rejects it, unless
the token works elsewhere and only this operation refuses it: for some operations the
service responds 401 where it means 403.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from persona_share._policy.token_lifetime import (
    REJECTION_DELAY,
    REJECTION_GAP,
    REPLICATION_GRACE,
    scaled,
)
from persona_share._protocol.urls import origin_of
from persona_share._tokens.cache import BoundedDict, CachedToken
from persona_share.model import events
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken
from persona_share.ports import MAX_REPLAYS, Authorization


if TYPE_CHECKING:
    from persona_share._tokens.provider import TokenProvider

#: An operation that refuses tokens which work elsewhere is remembered this long.
_REMEMBER: Final = 600.0
#: Far more than there are operations.
_MAX_REMEMBERED: Final = 1_000


class UnauthorizedOperations:
    """Which operations accept tokens, and which ones refuse tokens that work elsewhere.

    An operation is a scope and a route.
    """

    def __init__(self) -> None:
        self._accepting: set[str] = set()
        # Operations whose 401s cost a token.
        self._costly: dict[tuple[str, str], None] = BoundedDict(_MAX_REMEMBERED)
        # Until when an operation refuses tokens that are new, or work elsewhere.
        self._refusing: dict[tuple[str, str], float] = BoundedDict(_MAX_REMEMBERED)

    def accepted(self, scope: str, route: str) -> None:
        """Remember that an operation accepted a token."""
        self._accepting.add(route)
        self._costly.pop((scope, route), None)
        self._refusing.pop((scope, route), None)

    def ever_accepted(self, route: str) -> bool:
        """Return whether the operation ever accepted a token; True if it has no name."""
        return not route or route in self._accepting

    def discarded(self, scope: str, route: str) -> None:
        """Remember that an operation's 401s cost a token."""
        self._costly[scope, route] = None

    def refused_working_token(self, scope: str, route: str, now: float) -> None:
        """Remember that an operation refuses a token that is new, or works elsewhere."""
        if (scope, route) in self._costly or not self.ever_accepted(route):
            self._refusing[scope, route] = now + _REMEMBER

    def ignores(self, scope: str, route: str, now: float) -> bool:
        """Return whether the operation's 401s say nothing about the token."""
        until = self._refusing.get((scope, route), now)
        return (scope, route) in self._costly and until > now


class ScopedCredential:
    """The credential source of one scope."""

    __slots__ = ("_entry", "_now", "_provider", "_require_open", "scope")

    def __init__(
        self, scope: Scope, provider: "TokenProvider", require_open: Callable[[], None]
    ) -> None:
        self.scope: Scope = scope
        self._provider = provider
        self._require_open = require_open
        self._now = provider.clock.now
        self._entry: CachedToken | None = None

    def serves(self, url: str) -> bool:
        """Return whether a request to this address may contain the token."""
        origin = origin_of(self._provider.context.origin)
        return origin is not None and origin_of(url) == origin

    def cached(self) -> AccessToken | None:
        """Return the token if it is usable without waiting for a refresh.

        Nothing is awaited; a refresh that is due starts in the background.
        """
        entry = self._entry
        if entry is None:
            return None
        now = self._now()
        if now < entry.refresh_at:
            entry.last_used = now
            return entry.token
        return entry.token if self._provider.refresh_if_due(entry, now) else None

    async def get(self, deadline: float | None = None) -> AccessToken:
        """Return a usable token, waiting until the deadline at most.

        Without a deadline: for as long as a call of the client may take. Raises a
        `TokenError`, or `DeadlineExceededError`.
        """
        provider = self._provider
        if deadline is None:
            self._require_open()
            deadline = self._now() + provider.context.timeout
        self._entry = await provider.get(self.scope, deadline)
        return self._entry.token

    def on_success(self, authorization: Authorization, route: str = "") -> None:
        """Record that the service accepted the token for an operation."""
        entry = self._entry
        if entry is not None and entry.token is authorization:
            entry.accepted = True
            entry.rejected_once_at = None
            self._provider.unauthorized.accepted(self.scope.text, route)

    async def on_unauthorized(  # noqa: C901, PLR0911  # one branch for each case
        self,
        authorization: Authorization,
        refusals: int,
        deadline: float | None = None,
        route: str = "",
    ) -> AccessToken | None:
        """Return what to repeat a request with after a 401, or None to give up."""
        provider = self._provider
        given_up = refusals > MAX_REPLAYS or provider.closed
        if given_up or not isinstance(authorization, AccessToken):
            return None
        if deadline is None:
            deadline = self._now() + provider.context.timeout
        entry = provider.cache.usable(self.scope.text)
        if entry is None or entry.token is not authorization:
            return await self.get(deadline)
        lifetime, now = authorization.lifetime, self._now()
        known = provider.unauthorized
        if known.ignores(self.scope.text, route, now):
            return None
        if now - (authorization.ends - lifetime) < scaled(REPLICATION_GRACE, lifetime):
            if refusals == MAX_REPLAYS:
                known.refused_working_token(self.scope.text, route, now)
            return await self._later(scaled(float(refusals), lifetime), deadline)
        since = entry.rejected_once_at
        if since is None or now - since < scaled(REJECTION_GAP, lifetime):
            if since is None:
                entry.rejected_once_at = now
                provider.emit(
                    events.TokenUnauthorized,
                    entry.token.scope,
                    generation=entry.token.generation,
                )
            lowest, highest = REJECTION_DELAY
            delay = lowest + (highest - lowest) * provider.random()
            return await self._later(scaled(delay, lifetime), deadline)
        if entry.accepted and not known.ever_accepted(route):
            # The token works: it is this operation that refuses it.
            entry.accepted, entry.rejected_once_at = False, None
            known.refused_working_token(self.scope.text, route, now)
            return None
        known.discarded(self.scope.text, route)
        provider.reject(entry)
        return await self.get(deadline)

    async def _later(self, delay: float, deadline: float) -> AccessToken | None:
        if self._now() + delay >= deadline:
            return None
        await self._provider.clock.sleep(delay)
        return await self.get(deadline)

    def __repr__(self) -> str:
        return f"<ScopedCredential of {len(self.scope)} permissions>"
