"""Failures that concern this manager alone: pauses that no other process shares.

What a partner refuses is in the scope's record, for everybody. Kept here are
exceptions of the code source, per scope, and refusals of this manager's own
credential, until an exchange succeeds.
"""

from collections.abc import Callable
from typing import Final

import attrs

from persona_share.errors import TokenError


_BASE: Final = 1.0
_CAP: Final = 60.0
_DOUBLINGS: Final = 16
#: Old failures are dropped above this number.
_MAX_SCOPES: Final = 10_000
#: A success or this many seconds without a failure starts the count anew.
_FORGET_AFTER: Final = 300.0


@attrs.frozen
class _Failure:
    error: TokenError
    until: float
    count: int


def full_jitter(count: int, random: float) -> float:
    """Return the pause after so many failures in a row: from 0.1 s to 60 s."""
    highest = min(_CAP, _BASE * 2.0 ** min(max(count - 1, 0), _DOUBLINGS))
    return max(highest * random, _BASE / 10)


class LocalBackoff:
    """Remembers, in bounded memory, why this manager does not try a scope now."""

    def __init__(self, now: Callable[[], float], random: Callable[[], float]) -> None:
        self._now = now
        self._random = random
        self._scopes: dict[str, _Failure] = {}
        self._credential: _Failure | None = None
        self._forbidden: set[str] = set()

    def of(self, scope: str) -> TokenError | None:
        """Return a fresh error if the scope is backing off, else None."""
        for failure in (self._scopes.get(scope), self._credential):
            if failure is None:
                continue
            left = failure.until - self._now()
            if left > 0:
                error = failure.error.fresh()
                error.retry_after = left
                return error
        return None

    def failed(
        self, scope: str, error: TokenError, *, pause: float | None = None
    ) -> float:
        """Note a failure of one scope and return the pause, full jitter that doubles."""
        now = self._now()
        known = self._scopes.pop(scope, None)
        recent = known is not None and now - known.until < _FORGET_AFTER
        count = known.count + 1 if known is not None and recent else 1
        seconds = full_jitter(count, self._random()) if pause is None else pause
        self._scopes[scope] = _Failure(error.fresh(), now + seconds, count)
        if len(self._scopes) > _MAX_SCOPES:
            del self._scopes[next(iter(self._scopes))]  # the oldest
        return seconds

    def remember(self, scope: str, error: TokenError, seconds: float) -> None:
        """Note a shared back-off for a moment, so that not every caller reads it."""
        if self.of(scope) is None:
            known = self._scopes.pop(scope, None)
            count = 0 if known is None else known.count
            until = self._now() + seconds
            self._scopes[scope] = _Failure(error.fresh(), until, count)

    def credential_refused(self, scope: str, error: TokenError, pause: float) -> None:
        """Note that the service refused this manager's own credential.

        A 403 may concern one code alone: it counts for the credential when a second
        scope gets one without a success in between.
        """
        self.failed(scope, error, pause=pause)
        self._forbidden.add(scope)
        if error.status == 401 or len(self._forbidden) > 1:  # noqa: PLR2004
            self._credential = _Failure(error.fresh(), self._now() + pause, 1)

    def succeeded(self, scope: str) -> None:
        """Forget the failures that a success disproves."""
        self._scopes.pop(scope, None)
        self._credential = None
        self._forbidden.clear()

    def clear(self, scope: str) -> None:
        """Forget the failure of one scope: something new is known about it."""
        self._scopes.pop(scope, None)
