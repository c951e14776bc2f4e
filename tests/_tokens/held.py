"""What a manager should hold, worked out from what it told, independent of its books."""

import attrs

from persona_share import Scope
from persona_share._policy.lifetime import advisory


#: Instants are sums of floats.
HAIR = 1e-6


@attrs.frozen
class Published:
    """One token as the manager took it into use."""

    generation: int
    value: str
    scope: Scope
    asked: Scope
    brought_for: Scope
    ends: float
    lifetime: float


class Held:
    """The current token of each granted scope."""

    def __init__(self, clock, policy):
        self._clock = clock
        self._policy = policy
        self._by_scope = {}
        self._replaced = {}

    def __iter__(self):
        return iter(tuple(self._by_scope.values()))

    def __len__(self):
        return len(self._by_scope)

    def publish(self, token):
        """Take a new token; what the same question brought before ends with that.

        Where the older one covers more, it is used to its end and not renewed.
        """
        for older in self:
            if older.asked == token.asked and older.scope <= token.scope:
                self.drop(older)
                self._replaced[older.value] = older
            elif older.asked == token.asked:
                done = attrs.evolve(older, asked=Scope())
                self._by_scope[older.scope] = done
        if (older := self._by_scope.get(token.scope)) is not None:
            self._replaced[older.value] = older
        self._by_scope[token.scope] = token

    def drop(self, token):
        """Let go of a token."""
        del self._by_scope[token.scope]

    def generation(self, number):
        """Answer the token of this generation, if it is current."""
        return next((token for token in self if token.generation == number), None)

    def value(self, value):
        """Answer the current token with this value."""
        return next((token for token in self if token.value == value), None)

    def given(self, value):
        """Answer the token with this value, replaced by a newer one or not.

        A caller to whom it was given may hear of that one a moment later.
        """
        return self.value(value) or self._replaced.get(value)

    def usable(self, token):
        """Answer whether a token may be handed out now."""
        guard = min(self._policy.guard, token.lifetime / 20)
        return self._clock.now() < token.ends - guard

    def covers(self, token, scope):
        """Answer whether a token may serve this scope.

        To be exact, a wider token serves just the scope that it was brought for.
        """
        if self._policy.exact_only:
            return scope in {token.scope, token.asked}
        return scope <= token.scope

    def candidates(self, scope):
        """Answer every token that could serve this scope now."""
        return [each for each in self if self.usable(each) and self.covers(each, scope)]

    def serving(self, scope):
        """Answer the token that should serve this scope now, or None."""
        candidates = self.candidates(scope)
        exact = [each for each in candidates if each.scope == scope]
        return min(
            exact or candidates,
            key=lambda each: (len(each.scope), -each.ends),
            default=None,
        )

    def comes_at_once(self, token):
        """Answer whether nobody has to wait for the renewal of this token yet."""
        policy, lifetime = self._policy, token.lifetime
        short = lifetime < policy.short_lifetime
        must = policy.mandatory_of_short if short else policy.mandatory
        return self._clock.now() < token.ends - min(must, lifetime / 4)

    def is_due(self, scope, *, pulled=True):
        """Answer whether a code for this scope replaces nothing, or what is due.

        A code that was pushed may also be used where it adds enough cover.
        """
        serving = self.serving(scope)
        if serving is None or (not pulled and self._gains(serving)):
            return True
        if all(self._ends_soon(token) for token in self.candidates(scope)):
            return True
        # A wider token serves, too, but each token that is in use is renewed.
        return any(self._ends_soon(token) for token in self if token.asked == scope)

    def _ends_soon(self, token):
        widest = min(advisory(token.lifetime) * 5 / 3, token.lifetime / 2)
        return self._clock.now() >= token.ends - widest - HAIR

    def _gains(self, token):
        added = self._clock.now() + token.lifetime - token.ends
        return added >= min(self._policy.worthwhile_cover, token.lifetime / 12)
