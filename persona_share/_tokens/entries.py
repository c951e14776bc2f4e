"""The tokens that are held, each under the scope that it was granted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from persona_share._wire.lifetime import Standing, guard, standing
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken


NEVER: Final = float("-inf")


@attrs.define(eq=False, weakref_slot=False)
class Entry:
    """One held token with what is known about it.

    ``asked`` is the scope that a renewal asks for; ``refresh_at`` in the past sends
    every session through the slow path, where the state is looked at closely.
    """

    token: AccessToken
    asked: Scope
    refresh_at: float
    last_used: float
    struck_at: float | None = None
    pinned: bool = False
    revoked: bool = False

    def standing(self, now: float, policy: RenewalPolicy) -> Standing:
        """Answer where the token stands; a revoked one has ended."""
        if self.revoked:
            return Standing.EXPIRED
        token = self.token
        return standing(now, token.ends, self.refresh_at, token.lifetime, policy)

    def guard_at(self, policy: RenewalPolicy) -> float:
        """Answer the instant after which the token is no longer handed out."""
        return self.token.ends - guard(self.token.lifetime, policy)


class Entries:
    """All entries, found by exact scope or by what they cover, and bounded in number."""

    def __init__(self, policy: RenewalPolicy) -> None:
        self._policy = policy
        self._by_scope: dict[Scope, Entry] = {}
        # An atom that one entry holds points at it without a set of its own.
        self._by_atom: dict[str, Entry | set[Entry]] = {}

    def __len__(self) -> int:
        return len(self._by_scope)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._by_scope.values()))

    def exact(self, scope: Scope) -> Entry | None:
        """Answer the entry of exactly this scope, whatever its state."""
        return self._by_scope.get(scope)

    def serving(self, scope: Scope, now: float) -> Entry | None:
        """Answer the entry that serves this scope now.

        Exactly this scope first, else the smallest that covers it, and of those the
        one that lives longest.
        """
        entry = self._by_scope.get(scope)
        if entry is not None and self._lives(entry, now):
            return entry
        if self._policy.exact_only:
            return None
        covering = (each for each in self._covering(scope) if self._lives(each, now))
        return min(
            covering, key=lambda e: (len(e.token.scope), -e.token.ends), default=None
        )

    def lapsed(self, scope: Scope) -> Entry | None:
        """Answer the entry that last served this scope, even if its token has ended."""
        entry = self._by_scope.get(scope)
        if entry is not None or self._policy.exact_only:
            return entry
        return min(
            self._covering(scope), key=lambda e: len(e.token.scope), default=None
        )

    def drop_asked(self, asked: Scope) -> None:
        """Take out every entry that a renewal would ask for by this scope."""
        for entry in self._covering(asked):
            if entry.asked == asked and not entry.pinned:
                self.drop(entry.token.scope)

    def put(self, entry: Entry) -> None:
        """File an entry under its token's granted scope, in place of an older one."""
        self.drop(entry.token.scope)
        self._by_scope[entry.token.scope] = entry
        for atom in entry.token.scope:
            there = self._by_atom.get(atom)
            if there is None:
                self._by_atom[atom] = entry
            elif isinstance(there, set):
                there.add(entry)
            else:
                self._by_atom[atom] = {there, entry}

    def drop(self, scope: Scope) -> Entry | None:
        """Take an entry out, so that no session uses it again without looking."""
        entry = self._by_scope.pop(scope, None)
        if entry is None:
            return None
        entry.refresh_at = NEVER
        for atom in scope:
            there = self._by_atom[atom]
            if there is entry:
                del self._by_atom[atom]
            elif isinstance(there, set):
                there.discard(entry)
                if len(there) == 1:
                    self._by_atom[atom] = there.pop()
        return entry

    def evict(self, now: float, is_busy: Callable[[Entry], bool]) -> list[Entry]:
        """Drop what is over the bound: ended tokens first, then the longest idle."""
        surplus = len(self._by_scope) - self._policy.most_tokens
        if surplus <= 0:
            return []
        idle = sorted(
            (entry for entry in self if not is_busy(entry)),
            key=lambda entry: (self._lives(entry, now), entry.last_used),
        )
        # A little more than needed, so that the next new token does not sort again.
        surplus += self._policy.most_tokens // 100
        evicted = idle[:surplus]
        for entry in evicted:
            self.drop(entry.token.scope)
        return evicted

    def _lives(self, entry: Entry, now: float) -> bool:
        return entry.standing(now, self._policy) is not Standing.EXPIRED

    def _covering(self, scope: Scope) -> Iterable[Entry]:
        holders: list[set[Entry]] = []
        for atom in scope:
            there = self._by_atom.get(atom)
            if there is None:
                return ()
            holders.append(there if isinstance(there, set) else {there})
        if not holders:
            return ()
        holders.sort(key=len)
        return tuple(set.intersection(*holders))
