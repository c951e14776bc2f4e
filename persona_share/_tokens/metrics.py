"""Counts what happens to tokens, and emits every event."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from persona_share.model import events
from persona_share.model.events import HookEvent, TokenMetrics
from persona_share.model.scope import Scope


#: The field of `TokenMetrics` that counts an event.
_COUNTERS: Final[dict[type[HookEvent], str]] = {
    events.TokenIssued: "issued",
    events.TokenAdopted: "adopted",
    events.CodeRequested: "codes_requested",
    events.CodeClaimed: "codes_claimed",
    events.CodeRejected: "codes_rejected",
    events.CodeInDoubt: "codes_in_doubt",
    events.CodeExpiredUnused: "codes_expired_unused",
    events.NumberClamped: "numbers_clamped",
    events.TokenUnauthorized: "unauthorized",
    events.TokenRevoked: "revoked",
}


class Emitter:
    """Counts every event, and passes it on to the hooks."""

    def __init__(
        self, now: Callable[[], float], hooks: Callable[[HookEvent], None]
    ) -> None:
        self._now = now
        self._hooks = hooks
        self._counts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._failing: Counter[str] = Counter()
        self._waits: Counter[str] = Counter()

    def __call__(
        self, kind: type[HookEvent], scope: Scope | None = None, /, **facts: Any
    ) -> None:
        """Emit an event about a scope; ``facts`` are its other fields."""
        if issubclass(kind, events.TokenEvent):
            facts["scope_size"] = len(scope or ())
        event = kind(at=self._now(), **facts)
        if kind in _COUNTERS:
            self._counts[_COUNTERS[kind]] += 1
        if isinstance(event, events.TokenIssued | events.TokenAdopted):
            self._failing.clear()
        if isinstance(event, events.TokenIssued):
            self._counts["renewals"] += event.renewal
            self._counts["followers"] += event.followers
        elif isinstance(event, events.ExchangeFailed):
            self._failures[event.error] += 1
            self._failing[event.error] += 1
        elif isinstance(event, events.TokenWaiting):
            self._waits[event.reason] += 1
        elif isinstance(event, events.TokensEvicted):
            self._counts["evicted"] += event.count
        self._hooks(event)

    def metrics(self, **gauges: Any) -> TokenMetrics:
        """Return the counters, and the gauges."""
        return TokenMetrics(
            failures=dict(self._failures),
            failing=dict(self._failing),
            waits=dict(self._waits),
            **{**self._counts, **gauges},
        )
