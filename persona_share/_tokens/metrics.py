"""Counts what happens to tokens and passes every event on."""

from collections import Counter
from collections.abc import Callable

from persona_share.model import events
from persona_share.model.events import TokenMetrics


class MetricsRecorder:
    """A hook in front of the user's hooks."""

    def __init__(self, emit: Callable[[events.HookEvent], None]) -> None:
        self._emit = emit
        self._counts: Counter[type[events.HookEvent]] = Counter()
        self._failures: Counter[str] = Counter()
        self._failing: Counter[str] = Counter()
        self._waits: Counter[str] = Counter()
        self._renewals = 0
        self._followers = 0
        self._evicted = 0

    def __call__(self, event: events.HookEvent) -> None:
        """Count an event and pass it on; no hook can do harm here."""
        self._counts[type(event)] += 1
        match event:
            case events.TokenAdopted():
                self._failing.clear()
            case events.TokenMinted():
                self._failing.clear()
                self._renewals += event.renewal
                self._followers += event.followers
            case events.ExchangeFailed():
                self._failures[event.error] += 1
                self._failing[event.error] += 1
            case events.TokenWaiting():
                self._waits[event.reason] += 1
            case events.TokensEvicted():
                self._evicted += event.count
            case _:
                pass
        self._emit(event)

    def counted(self) -> TokenMetrics:
        """Return the counters; the gauges are added by the provider."""
        counts = self._counts
        return TokenMetrics(
            minted=counts[events.TokenMinted],
            adopted=counts[events.TokenAdopted],
            renewals=self._renewals,
            followers=self._followers,
            codes_requested=counts[events.CodeRequested],
            codes_claimed=counts[events.CodeClaimed],
            codes_rejected=counts[events.CodeRejected],
            codes_in_doubt=counts[events.CodeInDoubt],
            codes_expired_unused=counts[events.CodeExpiredUnused],
            failures=dict(self._failures),
            failing=dict(self._failing),
            waits=dict(self._waits),
            numbers_clamped=counts[events.NumberClamped],
            strikes=counts[events.TokenStruck],
            revoked=counts[events.TokenRevoked],
            evicted=self._evicted,
        )
