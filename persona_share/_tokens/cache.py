"""The tokens that this manager holds: one per scope, in a dictionary.

No token that was rejected or has expired is ever handed out, and a token never
replaces a better one.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from persona_share._policy.token_lifetime import (
    TokenState,
    advisory_window,
    guard_window,
    mandatory_window,
    scaled,
    token_state,
)
from persona_share._tokens.record import StoredToken, fingerprint
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken
from persona_share.ports import Clock


#: Each process renews up to this much later than the stored instant: a fleet does not
#: renew at the earliest of its draws.
_PROCESS_JITTER: Final = 30.0
_NEVER: Final = float("-inf")
_MAX_REJECTED: Final = 10_000


class CachedToken:
    """A held token, when it is due, and when it was last used. Times are local."""

    __slots__ = (
        "last_used",
        "pinned",
        "proved",
        "refresh_at",
        "rejected_once_at",
        "renewal",
        "scope",
        "token",
    )

    def __init__(self, scope: Scope, token: AccessToken, refresh_at: float) -> None:
        self.scope: Scope = scope
        self.token: AccessToken = token
        self.refresh_at: float = refresh_at
        self.last_used: float = _NEVER
        self.pinned: bool = False
        self.renewal: bool = False
        # Whether the service accepted it, and when it was refused since, if it was.
        self.proved: bool = False
        self.rejected_once_at: float | None = None

    @property
    def fingerprint(self) -> str:
        """The token's fingerprint."""
        return fingerprint(self.token)

    @property
    def broader(self) -> bool:
        """Whether more was granted than was asked for."""
        return self.token.scope is not self.scope and not (
            self.token.scope <= self.scope
        )

    def state(self, now: float, policy: RenewalPolicy) -> TokenState:
        """Return where the token stands; a removed token is expired."""
        if self.refresh_at == _NEVER:
            return TokenState.EXPIRED
        token = self.token
        return token_state(now, token.ends, self.refresh_at, token.lifetime, policy)

    def guard_at(self, policy: RenewalPolicy) -> float:
        """Return the instant from which the token is no longer handed out."""
        return self.token.ends - guard_window(self.token.lifetime, policy)

    def remove(self) -> None:
        """Make everybody who still holds this see that the token is not to be used."""
        self.refresh_at = _NEVER


class _Gauge:
    """How many of a set of instants have passed, in constant time and few buckets."""

    __slots__ = ("_buckets", "_cursor", "_passed")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._cursor = 0
        self._passed = 0

    def add(self, at: float) -> None:
        second = int(at)
        if second < self._cursor:
            self._passed += 1
        else:
            self._buckets[second] = self._buckets.get(second, 0) + 1

    def discard(self, at: float) -> None:
        second = int(at)
        if second < self._cursor:
            self._passed -= 1
            return
        left = self._buckets.get(second, 0) - 1
        if left > 0:
            self._buckets[second] = left
        else:
            self._buckets.pop(second, None)

    def passed(self, now: float) -> int:
        if int(now) > self._cursor:
            self._cursor = int(now)
            for second in [each for each in self._buckets if each < self._cursor]:
                self._passed += self._buckets.pop(second)
        return self._passed

    def earliest(self) -> float | None:
        return min(self._buckets, default=None)


class TokenCache:
    """Holds tokens by scope; ``due`` is told of every new one."""

    def __init__(
        self, clock: Clock, policy: RenewalPolicy, random: Callable[[], float]
    ) -> None:
        self.due: Callable[[CachedToken], None] = lambda _: None
        self._clock = clock
        self._policy = policy
        self._random = random
        self._tokens: dict[str, CachedToken] = {}
        # The last generation of every scope, the oldest entry first. What was dropped
        # to bound it counts as `_dropped_generation`.
        self._generations: dict[str, int] = {}
        self._dropped_generation = 0
        # What was rejected, by fingerprint: the scope, and until when it is remembered.
        self._rejected: dict[str, tuple[str, float]] = {}
        self._renewed, self._required, self._guarded = _Gauge(), _Gauge(), _Gauge()
        self._ends = _Gauge()
        self._pinned: dict[str, Scope] = {}
        # The scopes whose token was rejected and has not been replaced.
        self._vacant: set[str] = set()

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[CachedToken]:
        return iter(tuple(self._tokens.values()))

    def get(self, text: str) -> CachedToken | None:
        """Return what is held for exactly this scope, whatever its state."""
        return self._tokens.get(text)

    def usable(self, text: str) -> CachedToken | None:
        """Return what is held for exactly this scope if it may be handed out."""
        entry = self._tokens.get(text)
        if entry is None:
            return None
        expired = entry.state(self._clock.now(), self._policy) is TokenState.EXPIRED
        return None if expired else entry

    def covering(self, part: Scope) -> CachedToken | None:
        """Return a usable token whose scope covers this part, that of the part first."""
        if (exact := self.usable(part.text)) is not None:
            return exact
        now = self._clock.now()
        for entry in self._tokens.values():
            if _covers(entry.scope, part) and (
                entry.state(now, self._policy) is not TokenState.EXPIRED
            ):
                return entry
        return None

    def is_in_use(self, entry: CachedToken, now: float) -> bool:
        """Return whether somebody used the token lately, or wants it kept ready."""
        idle = now - entry.last_used
        return entry.pinned or idle <= advisory_window(entry.token.lifetime)

    def put(self, scope: Scope, stored: StoredToken) -> CachedToken | None:
        """File a token, its times local, and return what the cache holds then.

        None for a token that was rejected or has expired. Of equal tokens the earlier
        expiry counts.
        """
        now = self._clock.now()
        if self.is_rejected(stored.fingerprint):
            return None
        if now >= stored.expires - guard_window(stored.lifetime, self._policy):
            return None
        held = self._tokens.get(scope.text)
        if held is not None:
            same = held.fingerprint == stored.fingerprint
            if same and held.token.ends <= stored.expires:
                return held
            if (
                not same
                and held.token.ends > stored.expires
                and self.usable(scope.text)
            ):
                return held
        entry = self._entry(scope, stored, held)
        if held is not None:
            self._uncount(held)
            held.remove()
        self._tokens[scope.text] = entry
        self._count(entry)
        self.due(entry)
        return entry

    def remove(self, text: str) -> CachedToken | None:
        """Drop the token of exactly this scope."""
        entry = self._tokens.pop(text, None)
        if entry is not None:
            self._uncount(entry)
            entry.remove()
        return entry

    def reject(self, text: str, token_fingerprint: str, until: float) -> bool:
        """Never hand out this token again; returns False if that was known."""
        if self.is_rejected(token_fingerprint):
            return False
        now = self._clock.now()
        if len(self._rejected) >= _MAX_REJECTED:
            live = {k: v for k, v in self._rejected.items() if v[1] > now}
            self._rejected = dict(tuple(live.items())[-_MAX_REJECTED // 2 :])
        self._rejected[token_fingerprint] = (text, until)
        entry = self._tokens.get(text)
        if entry is not None and entry.fingerprint == token_fingerprint:
            self.remove(text)
            if len(self._vacant) < _MAX_REJECTED:
                self._vacant.add(text)
        return True

    def is_rejected(self, token_fingerprint: str) -> bool:
        """Return whether this token was rejected."""
        return token_fingerprint in self._rejected

    def rejections(self) -> dict[str, tuple[str, float]]:
        """Return the scope and the end of every rejected token, by fingerprint."""
        now = self._clock.now()
        self._rejected = {k: v for k, v in self._rejected.items() if v[1] > now}
        return dict(self._rejected)

    def pin(self, scope: Scope) -> None:
        """Keep the token of exactly this scope ready until it is forgotten."""
        self._pinned[scope.text] = scope
        if (entry := self._tokens.get(scope.text)) is not None:
            entry.pinned = True

    def unpin(self, text: str) -> None:
        """Keep the token no longer ready."""
        self._pinned.pop(text, None)
        if (entry := self._tokens.get(text)) is not None:
            entry.pinned = False

    def is_pinned(self, text: str) -> bool:
        """Return whether the scope is kept ready."""
        return text in self._pinned

    def evict(self, is_busy: Callable[[CachedToken], bool]) -> int:
        """Drop what exceeds the bound, expired tokens first, then the longest idle."""
        maximum = self._policy.max_tokens
        if len(self._tokens) <= maximum:
            return 0
        now = self._clock.now()
        number = max(len(self._tokens) - maximum, maximum // 100)
        candidates = heapq.nsmallest(
            number,
            (entry for entry in self._tokens.values() if not is_busy(entry)),
            key=lambda entry: (
                entry.state(now, self._policy) is not TokenState.EXPIRED,
                entry.last_used,
            ),
        )
        for entry in candidates:
            self.remove(entry.scope.text)
        return len(candidates)

    def states(self) -> tuple[dict[str, int], float | None]:
        """Return how many tokens are in each state, and the seconds to the nearest end.

        In buckets of one second: its cost does not depend on the number of tokens.
        """
        now = self._clock.now()
        renewed = self._renewed.passed(now)
        required = self._required.passed(now)
        guarded = self._guarded.passed(now)
        required, renewed = max(required, guarded), max(renewed, required, guarded)
        counts = {
            TokenState.FRESH.value: len(self._tokens) - renewed,
            TokenState.ADVISORY.value: renewed - required,
            TokenState.MANDATORY.value: required - guarded,
            TokenState.EXPIRED.value: guarded,
        }
        self._ends.passed(now)
        earliest = self._ends.earliest()
        nearest = None if earliest is None else max(0.0, earliest - now)
        return {state: count for state, count in counts.items() if count}, nearest

    def clear(self) -> None:
        """Drop everything."""
        for entry in self._tokens.values():
            entry.remove()
        self._tokens.clear()
        self._rejected.clear()

    def _entry(
        self, scope: Scope, stored: StoredToken, held: CachedToken | None
    ) -> CachedToken:
        granted = scope if stored.scope == scope.text else Scope.parse(stored.scope)
        # The same token comes again when its expiry is known better.
        same = held if held and held.fingerprint == stored.fingerprint else None
        token = AccessToken(
            stored.secret.reveal(),
            scope=granted,
            generation=same.token.generation
            if same
            else self._next_generation(scope.text),
            ends=stored.expires,
            lifetime=stored.lifetime,
            clock=self._clock,
        )
        latest = stored.expires - mandatory_window(stored.lifetime, self._policy)
        jitter = scaled(_PROCESS_JITTER, stored.lifetime) * self._random()
        entry = CachedToken(scope, token, min(stored.refresh_at + jitter, latest))
        entry.pinned = scope.text in self._pinned
        if same is not None:
            entry.renewal, entry.proved = same.renewal, same.proved
            entry.rejected_once_at = same.rejected_once_at
        else:
            entry.renewal = held is not None or scope.text in self._vacant
        self._vacant.discard(scope.text)
        entry.last_used = self._clock.now() if held is None else held.last_used
        return entry

    def _next_generation(self, text: str) -> int:
        generation = self._generations.pop(text, self._dropped_generation) + 1
        self._generations[text] = generation
        if len(self._generations) > 2 * self._policy.max_tokens:
            dropped = self._generations.pop(next(iter(self._generations)))
            self._dropped_generation = max(self._dropped_generation, dropped)
        return generation

    def _instants(self, entry: CachedToken) -> tuple[float, ...]:
        lifetime, ends = entry.token.lifetime, entry.token.ends
        return (
            entry.refresh_at,
            ends - mandatory_window(lifetime, self._policy),
            ends - guard_window(lifetime, self._policy),
            ends,
        )

    @property
    def _gauges(self) -> tuple[_Gauge, ...]:
        return self._renewed, self._required, self._guarded, self._ends

    def _count(self, entry: CachedToken) -> None:
        for gauge, at in zip(self._gauges, self._instants(entry), strict=True):
            gauge.add(at)

    def _uncount(self, entry: CachedToken) -> None:
        for gauge, at in zip(self._gauges, self._instants(entry), strict=True):
            gauge.discard(at)


def _covers(scope: Scope, part: Scope) -> bool:
    """Return whether a scope holds every atom of a part, or its bare permission."""
    return part <= scope or all(
        each in scope or each.partition(":")[0] in scope for each in part
    )


def stored_form(entry: CachedToken) -> StoredToken:
    """Return a held token as it is published; its times are local."""
    token = entry.token
    return StoredToken(
        fingerprint=entry.fingerprint,
        secret=Secret(token.reveal()),
        scope=token.scope.text,
        code_id="",
        expires=token.ends,
        lifetime=token.lifetime,
        refresh_at=entry.refresh_at,
    )
