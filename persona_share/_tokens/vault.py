"""The vault: the tokens that are held, and what stands against bringing new ones."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import attrs

from persona_share._policy.exchange import Minted
from persona_share._policy.lifetime import Standing, advisory, windows
from persona_share._tokens.entries import Entries, Entry
from persona_share._tokens.meter import MetricsRecorder
from persona_share._tokens.records import Shared
from persona_share._tokens.setbacks import Setbacks
from persona_share._tokens.tickets import Ticket, code_id
from persona_share.errors import CodeAlreadyUsedError, TokenError
from persona_share.model import events
from persona_share.model.metrics import TokenMetrics
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AccessToken
from persona_share.ports import Runtime


#: The service has few lifetimes; one that names ever new ones costs no memory.
_MOST_LIFETIMES: Final = 64


class Vault:
    """Files tokens, finds them, and never gives out one that was revoked or has ended."""

    def __init__(
        self, runtime: Runtime, policy: RenewalPolicy, meter: MetricsRecorder
    ) -> None:
        self.policy = policy
        self.clock = runtime.clock
        self.entries = Entries(policy)
        self.setbacks = Setbacks(runtime, policy)
        self.due: Callable[[Entry], None] = lambda _entry: None
        self.told: Callable[[AccessToken], None] = lambda _token: None
        self._random = runtime.random
        self._meter = meter
        self._generation = 0
        # What was refused, by hash, until it ends: it is never served again.
        self._tombstones: dict[bytes, float] = {}
        self._revoked_at: dict[Scope, deque[float]] = {}
        # Few different ones: one number is held for all tokens of a lifetime.
        self._lifetimes: dict[float, float] = {}

    def held(self, scope: Scope) -> Entry | None:
        """Answer the entry whose token serves this scope now, without waiting."""
        return self.entries.serving(scope, self.clock.now())

    def asked_for(self, scope: Scope) -> Scope:
        """Answer what to ask for: what brought the token that served this scope."""
        lapsed = self.entries.lapsed(scope)
        if lapsed is not None and scope <= lapsed.asked:
            return lapsed.asked
        return scope

    def is_in_use(self, entry: Entry, now: float) -> bool:
        """Answer whether anybody used it lately, or wants it kept ready."""
        idle = now - entry.last_used
        return entry.pinned or idle <= advisory(entry.token.lifetime)

    def entry_of(
        self, minted: Minted, ticket: Ticket, asked: Scope | None, *, pressed: bool
    ) -> Entry:
        """Answer an entry, not filed yet, with the token that a ticket brought.

        Raises `CodeAlreadyUsedError` where the answer is an old one's replay, or
        brings back a token that was revoked.
        """
        grant, now = minted.grant, self.clock.now()
        ticket.granted = grant.scope
        sent_at = now if ticket.first_sent_at is None else ticket.first_sent_at
        ends = sent_at + grant.lifetime
        held = self.entries.exact(grant.scope)
        if held is not None and held.token.reveal() == grant.token.reveal():
            # A code that another manager had sent before: the token is no younger.
            ends = min(ends, held.token.ends)
        token = self._token(grant.token, grant.scope, ends, grant.lifetime)
        entry = self._entry(token, asked, pressed=pressed)
        if entry.standing(now, self.policy) is Standing.EXPIRED:
            # The answer is the replay of an old one (F59).
            message = "the code was exchanged so long ago that its token has ended"
            raise CodeAlreadyUsedError(message, scope=str(grant.scope))
        if code_id(token) in self._tombstones:
            message = "the exchange brought a token back that was revoked"
            raise CodeAlreadyUsedError(message, scope=str(grant.scope))
        return entry

    def publish(
        self, entry: Entry, minted: Minted, asked: Scope | None, followers: int
    ) -> None:
        """File a new token under the scope that it was granted, and tell of it."""
        renewal = self._file(entry)
        self._meter(
            events.TokenMinted(
                at=self.clock.now(),
                scope_size=len(entry.token.scope),
                generation=entry.token.generation,
                lifetime=entry.token.lifetime,
                renewal=renewal,
                attempts=minted.attempts,
                replayed=minted.replayed,
                followers=followers,
                clamped=minted.grant.clamped,
                broader=asked is not None and asked < entry.token.scope,
            )
        )

    def adopt(self, shared: Shared, asked: Scope | None) -> Entry | None:
        """File a token that another manager brought; None for one that is of no use.

        That is one which has ended, was refused here, or does not cover what is asked.
        """
        record = shared.record
        token = self._token(record.token, record.scope, shared.ends, record.lifetime)
        covers = asked is None or asked <= token.scope
        if not covers or code_id(token) in self._tombstones:
            return None
        entry = self._entry(token, asked or record.asked)
        now = self.clock.now()
        if entry.standing(now, self.policy) is Standing.EXPIRED:
            return None
        self._file(entry)
        self._meter(
            events.TokenAdopted(
                at=now,
                scope_size=len(token.scope),
                generation=token.generation,
                remaining=token.ends - now,
            )
        )
        return entry

    def _entry(
        self, token: AccessToken, asked: Scope | None, *, pressed: bool = False
    ) -> Entry:
        drawn = windows(token.lifetime, self._random(), self.policy, pressed=pressed)
        return Entry(
            token,
            asked=token.scope if asked is None or not asked <= token.scope else asked,
            refresh_at=token.ends - drawn.refresh,
            last_used=self.clock.now(),
        )

    def _file(self, entry: Entry) -> bool:
        """File an entry, and answer whether it renews another one."""
        renewal = self.entries.put(entry)
        self.setbacks.clear(entry.asked)
        self.setbacks.worked()
        self.due(entry)
        return renewal

    def _token(
        self, value: Secret, scope: Scope, ends: float, lifetime: float
    ) -> AccessToken:
        self._generation += 1
        return AccessToken(
            value.reveal(),
            scope=scope,
            generation=self._generation,
            ends=ends,
            lifetime=self._shared(lifetime),
            clock=self.clock,
        )

    def _shared(self, lifetime: float) -> float:
        """Answer one and the same number for all tokens of a lifetime."""
        if len(self._lifetimes) > _MOST_LIFETIMES:
            self._lifetimes.clear()
        return self._lifetimes.setdefault(lifetime, lifetime)

    def evict(self, is_busy: Callable[[Entry], bool]) -> None:
        """Drop what is over the bound."""
        now = self.clock.now()
        if evicted := self.entries.evict(now, is_busy):
            self._meter(events.TokensEvicted(at=now, count=len(evicted)))

    def failed(self, asked: Scope, error: TokenError, *, asked_source: bool) -> None:
        """Remember that no token came, and for how long nobody tries again."""
        now = self.clock.now()
        held = self.entries.serving(asked, now)
        left = None if held is None else held.guard_at(self.policy) - now
        pause = self.setbacks.note(asked, error, left, asked_source=asked_source)
        if held is None:
            # A wide scope that is granted no more must not stand before narrow ones.
            for each in self.entries.asking(asked):
                if not each.pinned:
                    self.entries.drop(each.token.scope)
        self.tell_failure(asked, error, pause, served_stale=held is not None)

    def tell_failure(
        self,
        asked: Scope | None,
        error: TokenError,
        pause: float = 0.0,
        *,
        served_stale: bool = False,
    ) -> None:
        """Tell that an exchange failed."""
        self._meter(
            events.ExchangeFailed(
                at=self.clock.now(),
                scope_size=len(asked or ()),
                error=type(error).__name__,
                cooldown=pause,
                served_stale=served_stale,
            )
        )

    def revoke(self, token: AccessToken) -> bool:
        """Never use exactly this token again; a newer one is untouched."""
        entry = self.entries.exact(token.scope)
        if entry is None or entry.token.generation != token.generation:
            return False
        if entry.revoked:
            return False
        entry.revoke()
        self._bury(token)
        self.told(token)
        self._meter(
            events.TokenRevoked(
                at=self.clock.now(),
                scope_size=len(token.scope),
                generation=token.generation,
            )
        )
        return True

    def struck(self, entry: Entry) -> None:
        """Tell that the current token was refused for the first time."""
        token = entry.token
        self._meter(
            events.TokenStruck(
                at=self.clock.now(),
                scope_size=len(token.scope),
                generation=token.generation,
            )
        )

    def replaceable(self, entry: Entry) -> bool:
        """Answer whether a refused token may cost another code, and count it."""
        now = self.clock.now()
        window = min(self.policy.revocation_window, entry.token.lifetime)
        if len(self._revoked_at) > self.policy.most_tokens:
            self._revoked_at.clear()  # far more than anybody revokes in ten minutes
        recent = self._revoked_at.setdefault(entry.asked, deque())
        while recent and now - recent[0] >= window:
            recent.popleft()
        if len(recent) >= self.policy.revocations:
            return False
        recent.append(now)
        return True

    def metrics(self) -> TokenMetrics:
        """Answer the counters, and what is held at this moment."""
        now = self.clock.now()
        standings = Counter(
            entry.standing(now, self.policy).value for entry in self.entries
        )
        ends = [
            entry.token.ends - now
            for entry in self.entries
            if entry.standing(now, self.policy) is not Standing.EXPIRED
        ]
        return attrs.evolve(
            self._meter.counted(),
            tokens=dict(standings),
            nearest_end=min(ends, default=None),
        )

    def _bury(self, token: AccessToken) -> None:
        now = self.clock.now()
        self._tombstones = {
            digest: ends for digest, ends in self._tombstones.items() if ends > now
        }
        self._tombstones[code_id(token)] = token.ends
