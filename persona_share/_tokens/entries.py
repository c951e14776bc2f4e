"""The tokens that are held, each under the scope that it was granted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from persona_share._policy.lifetime import Standing, guard, standing
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken


NEVER: Final = float("-inf")
# When a token was struck that is out: a place of its own would cost every entry.
_OUT: Final = float("inf")


@attrs.define(eq=False, weakref_slot=False)
class Entry:
    """One held token with what is known about it.

    ``asked`` is the scope that a renewal asks for, empty once another token has taken
    that over, so that this one is used up and not renewed. ``refresh_at`` in the past sends
    every session through the slow path, where the state is looked at closely.
    ``due_at`` is when the background looks at it, and what entries are ordered by.
    """

    token: AccessToken
    asked: Scope
    refresh_at: float
    last_used: float
    struck_at: float | None = None
    pinned: bool = False
    due_at: float = NEVER

    def __lt__(self, other: "Entry") -> bool:
        return self.due_at < other.due_at

    @property
    def revoked(self) -> bool:
        """Whether its token was refused for good."""
        return self.struck_at == _OUT

    def revoke(self) -> None:
        """Never use its token again."""
        self.struck_at = _OUT
        self.refresh_at = NEVER

    def standing(self, now: float, policy: RenewalPolicy) -> Standing:
        """Answer where the token stands; a revoked one has ended."""
        if self.revoked:
            return Standing.EXPIRED
        token = self.token
        return standing(now, token.ends, self.refresh_at, token.lifetime, policy)

    def covers(self, scope: Scope, policy: RenewalPolicy) -> bool:
        """Answer whether its token may serve this scope."""
        if policy.exact_only:
            return scope in (self.token.scope, self.asked)
        return scope <= self.token.scope

    def guard_at(self, policy: RenewalPolicy) -> float:
        """Answer the instant after which the token is no longer handed out."""
        return self.token.ends - guard(self.token.lifetime, policy)


class Entries:
    """All entries, found by exact scope or by what they cover, and bounded in number."""

    def __init__(self, policy: RenewalPolicy) -> None:
        self._policy = policy
        # By the scope's text: texts are compared without any code of ours.
        self._by_text: dict[str, Entry] = {}
        # An atom that one entry holds points at it without a set of its own.
        self._by_atom: dict[str, Entry | set[Entry]] = {}

        # Bound once: a method around it would double the cost of a hit.
        self.named: Callable[[str], Entry | None] = self._by_text.get

    def __len__(self) -> int:
        return len(self._by_text)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._by_text.values()))

    def exact(self, scope: Scope) -> Entry | None:
        """Answer the entry of exactly this scope, whatever its state."""
        return self._by_text.get(scope.text)

    def serving(self, scope: Scope, now: float) -> Entry | None:
        """Answer the entry that serves this scope now.

        Exactly this scope first, else the smallest that covers it, and of those the
        one that lives longest.
        """
        entry = self._by_text.get(scope.text)
        if entry is not None:
            if self._lives(entry, now):
                return entry
            if self._by_atom.get(scope.text.partition(" ")[0]) is entry:
                return None  # nobody else holds this atom; thousands may ask for it
        wider = [
            each
            for each in self._usable_by(scope)
            if each is not entry and self._lives(each, now)
        ]
        if not wider:
            return None
        return min(wider, key=lambda e: (len(e.token.scope), -e.token.ends))

    def lapsed(self, scope: Scope) -> Entry | None:
        """Answer the entry that last served this scope, even if its token has ended."""
        entry = self._by_text.get(scope.text)
        if entry is not None:
            return entry
        return min(
            self._usable_by(scope), key=lambda e: len(e.token.scope), default=None
        )

    def asking(self, asked: Scope) -> list[Entry]:
        """Answer the entries whose renewal asks for exactly this scope."""
        return [each for each in self._covering(asked) if each.asked == asked]

    def put(self, entry: Entry) -> bool:
        """File an entry under its granted scope, and answer whether it renews others.

        An older one that the same question brought is done: it would be renewed for ever
        without being replaced. Where it covers more than this it is used to its end.
        """
        scope = entry.token.scope
        older = {each.token.scope: each for each in self.asking(entry.asked)}
        if (same := self._by_text.get(scope.text)) is not None:
            older[scope] = same
        for each in older.values():
            entry.pinned = entry.pinned or each.pinned
            each.pinned = False
            if each.token.scope <= scope:
                self.drop(each.token.scope)
            else:
                each.asked = Scope()
        self._by_text[entry.token.scope.text] = entry
        for atom in entry.token.scope:
            there = self._by_atom.get(atom)
            if there is None:
                self._by_atom[atom] = entry
            elif isinstance(there, set):
                there.add(entry)
            else:
                self._by_atom[atom] = {there, entry}
        return bool(older)

    def drop(self, scope: Scope) -> Entry | None:
        """Take an entry out, so that no session uses it again without looking."""
        entry = self._by_text.pop(scope.text, None)
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
        surplus = len(self._by_text) - self._policy.most_tokens
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
        if entry.revoked or now >= entry.token.ends:
            return False
        return now < entry.guard_at(self._policy)

    def _usable_by(self, scope: Scope) -> Iterable[Entry]:
        """Answer the wider entries that may serve this scope.

        To be exact a wider token serves only the very scope that it was brought for.
        """
        exact_only = self._policy.exact_only
        return self.asking(scope) if exact_only else self._covering(scope)

    def _covering(self, scope: Scope) -> Iterable[Entry]:
        holders: list[set[Entry]] = []
        for atom in scope:
            there = self._by_atom.get(atom)
            if there is None:
                return ()
            if not isinstance(there, set):
                # The one that holds this atom holds all of them, or none does.
                return (there,) if scope <= there.token.scope else ()
            holders.append(there)
        holders.sort(key=len)
        return tuple(set.intersection(*holders)) if holders else ()
