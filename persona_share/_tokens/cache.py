"""The tokens that this manager holds: one per scope, in a dictionary.

No token that was rejected or has expired is ever returned, and a token never
replaces a better one.
"""

import asyncio
import heapq
from collections.abc import Container
from typing import Final, TypeVar

import attrs

from persona_share._policy.token_lifetime import (
    TokenState,
    advisory_window,
    guard_window,
    mandatory_window,
    scaled,
    token_state,
)
from persona_share._tokens.metrics import Emitter
from persona_share._tokens.record import RejectedToken, StoredToken, fingerprint
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken
from persona_share.ports import Runtime


#: Each process refreshes up to this much later than the stored instant: a fleet does
#: not refresh at the earliest of its draws.
_PROCESS_JITTER: Final = 30.0
K = TypeVar("K")
V = TypeVar("V")
_NEVER: Final = float("-inf")
_MAX_REJECTED: Final = 10_000


class BoundedDict(dict[K, V]):
    """A dictionary that keeps the entries that were set last, and no more than so many."""

    def __init__(self, maximum: int) -> None:
        super().__init__()
        self._maximum = maximum

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._maximum:
            del self[next(iter(self))]


@attrs.define(eq=False, repr=False, weakref_slot=False)
class CachedToken:
    """A held token, when it is due, and when it was last used. Times are local.

    ``due_at`` is when the refresher checks it next; the refresher keeps a heap of these
    times. ``accepted`` says whether the service accepted it, and ``rejected_once_at``
    when it was refused since.
    """

    scope: Scope
    token: AccessToken
    refresh_at: float
    due_at: float
    last_used: float
    accepted: bool = False
    rejected_once_at: float | None = None

    def __lt__(self, other: "CachedToken") -> bool:
        return self.due_at < other.due_at

    @property
    def fingerprint(self) -> str:
        """The token's fingerprint."""
        return fingerprint(self.token)

    @property
    def broader(self) -> bool:
        """Whether more was granted than was asked for."""
        return not self.token.scope <= self.scope

    def state(self, now: float, policy: RenewalPolicy) -> TokenState:
        """Return the state of the token; a removed token is expired."""
        if self.refresh_at == _NEVER:
            return TokenState.EXPIRED
        token = self.token
        return token_state(now, token.ends, self.refresh_at, token.lifetime, policy)

    def guard_at(self, policy: RenewalPolicy) -> float:
        """Return the instant from which the token is no longer used."""
        return self.token.ends - guard_window(self.token.lifetime, policy)

    def stored(self) -> StoredToken:
        """Return the token as it is published."""
        return StoredToken(
            fingerprint=self.fingerprint,
            secret=Secret(self.token.reveal()),
            scope=self.token.scope.text,
            code_id="",
            expires=self.token.ends,
            lifetime=self.token.lifetime,
            refresh_at=self.refresh_at,
        )


class _Stages:
    """How many tokens have passed each stage of their lives, in buckets of one second.

    The cost of a look does not depend on the number of tokens.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[int]] = {}
        self._passed = [0, 0, 0, 0]
        self._cursor = 0

    def add(self, entry: CachedToken, policy: RenewalPolicy, number: int) -> None:
        """Count a token, or with -1 count it no more."""
        token = entry.token
        mandatory = token.ends - mandatory_window(token.lifetime, policy)
        stages = entry.refresh_at, mandatory, entry.guard_at(policy), token.ends
        for index, at in enumerate(stages):
            counts = self._passed
            if int(at) >= self._cursor:
                counts = self._buckets.setdefault(int(at), [0, 0, 0, 0])
            counts[index] += number

    def passed(self, now: float) -> list[int]:
        """Return how many tokens have passed each stage."""
        if int(now) > self._cursor:
            self._cursor = int(now)
            for second in [each for each in self._buckets if each < self._cursor]:
                counts = self._buckets.pop(second)
                self._passed = list(map(sum, zip(self._passed, counts, strict=True)))
        return self._passed

    def nearest_end(self) -> int | None:
        """Return the second in which the next token ends."""
        ends = [second for second, counts in self._buckets.items() if counts[-1]]
        return min(ends, default=None)


class TokenCache(dict[str, CachedToken]):
    """Holds tokens by the text of their scopes; `put` and `remove` change it.

    `get` returns what is held for exactly a scope, whatever its state.
    """

    def __init__(
        self,
        runtime: Runtime,
        policy: RenewalPolicy,
        emit: Emitter,
        *,
        busy: Container[object],
    ) -> None:
        super().__init__()
        #: Tokens that came since the refresher looked last.
        self.new: list[CachedToken] = []
        self.has_new: asyncio.Event = asyncio.Event()
        #: The scopes whose tokens are kept ready until they are forgotten.
        self.pinned: set[str] = set()
        self._clock = runtime.clock
        self._random = runtime.random
        self._policy = policy
        self._emit = emit
        # The scopes that callers wait for.
        self._busy = busy
        # The last generation of scopes whose token is gone, the oldest entry first.
        # Entries that were dropped to bound it count as `_dropped_generation`.
        self._generations: dict[str, int] = {}
        self._dropped_generation = 0
        # Rejected tokens by fingerprint, with the scope of each.
        self._rejected = BoundedDict[str, tuple[RejectedToken, str]](_MAX_REJECTED)
        self._stages = _Stages()
        # The lifetime of the latest token: nearly all share it, as one object.
        self._lifetime = 0.0

    def __repr__(self) -> str:
        return f"<TokenCache of {len(self)} tokens>"

    def usable(self, text: str, now: float | None = None) -> CachedToken | None:
        """Return what is held for exactly this scope if it may be used."""
        entry = self.get(text)
        if entry is None:
            return None
        now = self._clock.now() if now is None else now
        if now < entry.refresh_at:
            return entry
        expired = entry.state(now, self._policy) is TokenState.EXPIRED
        return None if expired else entry

    def covering(self, part: Scope) -> CachedToken | None:
        """Return a usable token whose scope covers this part, that of the part first."""
        if (exact := self.usable(part.text)) is not None:
            return exact
        now = self._clock.now()
        for entry in self.values():
            if _covers(entry.scope, part) and (
                entry.state(now, self._policy) is not TokenState.EXPIRED
            ):
                return entry
        return None

    def is_in_use(self, entry: CachedToken, now: float) -> bool:
        """Return whether the token was used recently, or must be kept ready."""
        idle = now - entry.last_used
        pinned = entry.scope.text in self.pinned
        return pinned or idle <= advisory_window(entry.token.lifetime)

    def put(self, scope: Scope, stored: StoredToken) -> CachedToken | None:
        """File a token, its times local, and return what the cache holds then.

        None for a token that was rejected or has expired. Of equal tokens the earlier
        expiry counts.
        """
        now, text = self._clock.now(), scope.text
        guard_at = stored.expires - guard_window(stored.lifetime, self._policy)
        if now >= guard_at or stored.fingerprint in self._rejected:
            return None
        held = self.get(text)
        same = held is not None and held.fingerprint == stored.fingerprint
        if held is not None and (
            held.token.ends <= stored.expires
            if same
            else held.token.ends > stored.expires and self.usable(text)
        ):
            return held
        if held is not None:
            self.remove(text)
        generation = self._generations.pop(text, self._dropped_generation)
        # The same token comes again when its end is known better.
        entry = self._entry(scope, stored, generation if same else generation + 1)
        if held is not None:
            entry.last_used = held.last_used
        if held is not None and same:
            entry.accepted = held.accepted
            entry.rejected_once_at = held.rejected_once_at
        maximum = self._policy.max_tokens
        if len(self) >= maximum:
            self._evict(max(len(self) + 1 - maximum, maximum // 100))
        self[text] = entry
        self._stages.add(entry, self._policy, 1)
        self.new.append(entry)
        self.has_new.set()
        return entry

    def _entry(self, scope: Scope, stored: StoredToken, generation: int) -> CachedToken:
        if stored.lifetime != self._lifetime:
            self._lifetime = stored.lifetime
        token = AccessToken(
            stored.secret.reveal(),
            scope=scope if stored.scope == scope.text else Scope.parse(stored.scope),
            generation=generation,
            ends=stored.expires,
            lifetime=self._lifetime,
            clock=self._clock,
        )
        latest = stored.expires - mandatory_window(stored.lifetime, self._policy)
        jitter = scaled(_PROCESS_JITTER, stored.lifetime) * self._random()
        at = min(stored.refresh_at + jitter, latest)
        return CachedToken(scope, token, at, due_at=at, last_used=self._clock.now())

    def remove(self, text: str) -> None:
        """Drop the token of exactly this scope."""
        entry = self.pop(text, None)
        if entry is None:
            return
        self._stages.add(entry, self._policy, -1)
        entry.refresh_at = _NEVER  # visible to every caller that still has it
        self._generations[text] = entry.token.generation
        if len(self._generations) > 2 * self._policy.max_tokens:
            dropped = self._generations.pop(next(iter(self._generations)))
            self._dropped_generation = max(self._dropped_generation, dropped)

    def reject(self, text: str, token_fingerprint: str, until: float) -> bool:
        """Never hand out this token again; returns False if that was known."""
        if self.is_rejected(token_fingerprint):
            return False
        rejected = RejectedToken(token_fingerprint, until)
        self._rejected[token_fingerprint] = rejected, text
        entry = self.get(text)
        if entry is not None and entry.fingerprint == token_fingerprint:
            self.remove(text)
        return True

    def is_rejected(self, token_fingerprint: str) -> bool:
        """Return whether this token was rejected."""
        return token_fingerprint in self._rejected

    def rejections(self) -> list[tuple[RejectedToken, str]]:
        """Return the rejected tokens that have not expired, each with its scope."""
        now = self._clock.now()
        return [each for each in self._rejected.values() if each[0].until > now]

    def _evict(self, number: int) -> None:
        """Drop so many tokens, expired ones first, then the longest idle."""
        now = self._clock.now()
        candidates = heapq.nsmallest(
            number,
            (
                entry
                for text, entry in self.items()
                if not (text in self.pinned or text in self._busy)
            ),
            key=lambda entry: (
                entry.state(now, self._policy) is not TokenState.EXPIRED,
                entry.last_used,
            ),
        )
        for entry in candidates:
            self.remove(entry.scope.text)
        if candidates:
            self._emit(events.TokensEvicted, count=len(candidates))

    def states(self) -> tuple[dict[str, int], float | None]:
        """Return how many tokens are in each state, and the seconds to the nearest end."""
        now, held = self._clock.now(), len(self)
        refreshed, mandatory, expired, _ = self._stages.passed(now)
        mandatory = max(mandatory, expired)
        refreshed = max(refreshed, mandatory)
        counts = {
            TokenState.FRESH.value: held - refreshed,
            TokenState.ADVISORY.value: refreshed - mandatory,
            TokenState.MANDATORY.value: mandatory - expired,
            TokenState.EXPIRED.value: expired,
        }
        end = self._stages.nearest_end()
        nearest = None if end is None else max(0.0, end - now)
        return {state: count for state, count in counts.items() if count}, nearest

    def clear(self) -> None:
        """Drop everything."""
        for entry in self.values():
            entry.refresh_at = _NEVER
        super().clear()
        self._stages = _Stages()


def _covers(scope: Scope, part: Scope) -> bool:
    """Return whether a scope holds every atom of a part, or its bare permission."""
    return all(each in scope or each.partition(":")[0] in scope for each in part)
