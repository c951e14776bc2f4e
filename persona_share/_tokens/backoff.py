"""Why a scope is not tried now: back-offs of all managers, and those of this one alone."""

from typing import Any, Final

import attrs

from persona_share._tokens.cache import BoundedDict
from persona_share._tokens.record import Backoff
from persona_share.errors import (
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
    TokenError,
    TokenRejectedError,
    UsageError,
)
from persona_share.model.scope import Scope
from persona_share.ports import Runtime


_BASE: Final = 1.0
_CAP: Final = 60.0
_DOUBLINGS: Final = 16
#: A 403 of so many scopes concerns the credential, and not one code.
_SEVERAL: Final = 2
#: Old failures are dropped above this number.
_MAX_SCOPES: Final = 10_000
#: A success or this many seconds without a failure resets the count.
_FORGET_AFTER: Final = 300.0

#: The reasons in a scope's record: the error that begins such a back-off, and the
#: message of that error in other calls and other processes while it lasts.
_REASONS: Final[dict[str, tuple[type[TokenError], str]]] = {
    "refused": (
        CodeRefusedError,
        "the partner refused a code for this scope a moment ago",
    ),
    "short": (ScopeNotGrantedError, ""),  # its message counts the permissions
    "source": (CodeSourceError, "the code source did not respond a moment ago"),
    "rejections": (
        TokenRejectedError,
        "the service refused several new tokens of this scope",
    ),
    "outage": (
        ExchangeUnavailableError,
        "the service gave no usable response a moment ago",
    ),
    "codes": (
        CodeRejectedError,
        "several codes for this scope were refused a moment ago",
    ),
}


def shared_reason(error: TokenError | UsageError) -> tuple[str, str]:
    """Return the reason and the detail that an error has in a scope's record."""
    detail = ""
    if isinstance(error, CodeRefusedError) and error.refused is not None:
        detail = error.refused.text
    elif isinstance(error, ScopeNotGrantedError):
        detail = error.missing
    for reason, (kind, _) in _REASONS.items():
        if isinstance(error, kind):
            return reason, detail
    return "codes", detail


def shared_error(backoff: Backoff, left: float, scope: Scope) -> TokenError:
    """Return the error of a back-off that any process of the fleet may have begun."""
    kind, what = _REASONS.get(backoff.reason, _REASONS["outage"])
    if kind is ScopeNotGrantedError:
        return not_granted(scope, Scope.parse(backoff.detail), retry_after=left)
    facts: dict[str, Any] = {"scope": scope.text, "retry_after": left}
    if kind is CodeRefusedError and backoff.detail:
        facts["refused"] = Scope.parse(backoff.detail)
    elif kind is CodeSourceError:
        facts["reason"] = "TimeoutError"
    return kind(what, **facts)


def not_granted(asked: Scope, missing: Scope, **facts: Any) -> ScopeNotGrantedError:
    """Return the error of a token that covers less than was asked for."""
    message = f"{len(missing)} of {len(asked)} permissions were not granted"
    return ScopeNotGrantedError(
        message, scope=asked.text, missing=missing.text, **facts
    )


def full_jitter(count: int, random: float) -> float:
    """Return the pause after so many failures in a row: from 0.1 s to 60 s."""
    highest = min(_CAP, _BASE * 2.0 ** min(max(count - 1, 0), _DOUBLINGS))
    return max(highest * random, _BASE / 10)


@attrs.frozen
class _Failure:
    error: TokenError | UsageError
    until: float
    count: int = 0


class LocalBackoff:
    """Remembers, in bounded memory, why this manager does not try a scope now.

    Refusals of a partner are in the scope's record, for all managers. Kept here are
    exceptions of the code source, per scope, and refusals of this manager's own
    credential, until an exchange succeeds.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._now = runtime.clock.now
        self._random = runtime.random
        self._scopes: dict[str, _Failure] = BoundedDict(_MAX_SCOPES)
        self._credential: _Failure | None = None
        self._forbidden: set[str] = set()

    def of(self, scope: str) -> TokenError | UsageError | None:
        """Return a fresh error if the scope is backing off, else None."""
        now = self._now()
        for failure in (self._scopes.get(scope), self._credential):
            if failure is not None and failure.until > now:
                error = failure.error.fresh()
                if not isinstance(error, UsageError):
                    error.retry_after = failure.until - now
                return error
        return None

    def add(
        self,
        scope: str,
        error: TokenError | UsageError,
        pause: float | None = None,
    ) -> float:
        """Back a scope off and return for how long; a longer back-off stays.

        Without a pause: with full jitter that doubles with each failure in a row.
        """
        now = self._now()
        known = self._scopes.get(scope, _Failure(error, now))
        count = known.count if now - known.until < _FORGET_AFTER else 0
        if pause is None:
            count += 1
            pause = full_jitter(count, self._random())
        elif known.until > now + pause:
            error, pause = known.error, known.until - now
        self._scopes[scope] = _Failure(error.fresh(), now + pause, count)
        return pause

    def credential_refused(self, scope: str, error: TokenError, pause: float) -> None:
        """Back off, as the service refused this manager's own credential.

        A 403 may concern one code alone: it counts for the credential when a second
        scope gets one without a success in between.
        """
        self.add(scope, error, pause)
        if len(self._forbidden) < _SEVERAL:
            self._forbidden.add(scope)
        if error.status == 401 or len(self._forbidden) == _SEVERAL:  # noqa: PLR2004  # a status
            self._credential = _Failure(error.fresh(), self._now() + pause)

    def succeeded(self, scope: str) -> None:
        """Forget the failures that a success disproves."""
        self._scopes.pop(scope, None)
        self._credential = None
        self._forbidden.clear()

    def clear(self, scope: str) -> None:
        """Forget the failure of one scope: something new is known about it."""
        self._scopes.pop(scope, None)
