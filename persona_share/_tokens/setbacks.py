"""What went wrong lately, and how long nobody tries again because of it."""

from collections import deque
from typing import Final

import attrs

from persona_share._policy.lifetime import cooldown, source_backoff
from persona_share.errors import (
    AssertionRefusedError,
    AuthorizationCodeRequiredError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeAuthenticationError,
    ScopeNotGrantedError,
    TokenError,
)
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.ports import Runtime


#: What only whoever supplies codes can change.
_OF_THE_SOURCE: Final = (
    AuthorizationCodeRequiredError,
    CodeSourceError,
    ScopeNotGrantedError,
)


@attrs.define
class _Setback:
    failures: int
    until: float
    error: TokenError


class Setbacks:
    """Cool-downs by scope, one for the API key, and the breaker that saves codes."""

    def __init__(self, runtime: Runtime, policy: RenewalPolicy) -> None:
        self._runtime = runtime
        self._policy = policy
        self._by_scope: dict[Scope, _Setback] = {}
        self._of_key: _Setback | None = None
        self._rejections: deque[float] = deque(maxlen=policy.breaker_codes)
        self._broken_until = 0.0

    def of(self, scope: Scope) -> TokenError | None:
        """Answer why this scope is not tried now, as an error of its own, or None."""
        now = self._runtime.clock.now()
        for setback in (self._of_key, self._by_scope.get(scope)):
            if setback is not None and now < setback.until:
                error = setback.error.fresh()
                error.retry_after = setback.until - now
                return error
        if self.broken:
            what = f"the last {self._policy.breaker_codes} codes were refused"
            pause = self._broken_until - now
            return CodeRejectedError(what, scope=str(scope), retry_after=pause)
        return None

    @property
    def broken(self) -> bool:
        """Whether so many codes were refused that the fault is not in the codes."""
        return self._runtime.clock.now() < self._broken_until

    def note(
        self,
        scope: Scope,
        error: TokenError,
        left: float | None,
        *,
        asked_source: bool = True,
    ) -> float:
        """Remember a failure and answer the pause that follows from it, in seconds.

        ``left`` is how long a held token still serves this scope; ``asked_source``,
        whether the code source was asked, which is what wants a rest.
        """
        before = self._by_scope.get(scope)
        failures = 1 if before is None else before.failures + 1
        if isinstance(error, AuthorizationCodeRequiredError) and not asked_source:
            pause = 0.0
        else:
            pause = self._pause(failures, error, left)
        setback = _Setback(failures, self._runtime.clock.now() + pause, error)
        of_key = isinstance(error, ExchangeAuthenticationError)
        # A machine's assertion is no API key: codes may work all the same.
        if of_key and not isinstance(error, AssertionRefusedError):
            self._of_key = setback
        else:
            self._by_scope[scope] = setback
            self._forget_old()
        return pause

    def rejected(self, now: float) -> None:
        """Count a refused code; several in a row stop exchanges for a while."""
        self._rejections.append(now)
        full = len(self._rejections) == self._policy.breaker_codes
        if full and now - self._rejections[0] <= self._policy.breaker_window:
            self._broken_until = now + self._policy.breaker_pause

    def clear(self, scope: Scope) -> None:
        """Forget what stood against a scope: there is a token, or a new code."""
        self._by_scope.pop(scope, None)

    def clear_within(self, scope: Scope) -> None:
        """Forget what stood against a scope and every part of it."""
        for each in tuple(self._by_scope):
            if each <= scope:
                del self._by_scope[each]

    def worked(self) -> None:
        """Forget what stood against the API key and against codes at large."""
        self._of_key = None
        self._rejections.clear()
        self._broken_until = 0.0

    def _pause(self, failures: int, error: TokenError, left: float | None) -> float:
        random = self._runtime.random()
        if error.retry_after is not None:
            return error.retry_after
        if isinstance(error, ScopeNotGrantedError) and left is not None:
            # Each try spends a code, and nobody waits before the held token ends.
            return min(left, self._policy.source_backoff_cap)
        if isinstance(error, _OF_THE_SOURCE):
            return source_backoff(failures, random, self._policy)
        return cooldown(failures, random, self._policy, left)

    def _forget_old(self) -> None:
        if len(self._by_scope) <= self._policy.most_tokens:
            return
        now = self._runtime.clock.now()
        for scope, setback in tuple(self._by_scope.items()):
            if setback.until + self._policy.cooldown_cap <= now:
                del self._by_scope[scope]
