"""Counting: counters and histograms, from the events themselves."""

from opentelemetry.metrics import Meter
from opentelemetry.util.types import AttributeValue

from persona_share.model import events
from persona_share.model.events import Event


class Counting:
    """Counts what happens; names and units follow OpenTelemetry's conventions."""

    def __init__(self, meter: Meter) -> None:
        self._calls = meter.create_histogram(
            "http.client.request.duration", "s", "How long calls took, in all"
        )
        self._exchanges = meter.create_counter(
            "persona.exchanges", "{exchange}", "Exchanges by their outcome"
        )
        self._claimed = meter.create_counter(
            "persona.codes.claimed", "{code}", "Codes that were taken for an exchange"
        )
        self._adopted = meter.create_counter(
            "persona.tokens.adopted", "{token}", "Tokens that another manager brought"
        )
        self._lost = meter.create_counter(
            "persona.codes.lost", "{code}", "Codes that brought nothing, by the reason"
        )
        self._refused = meter.create_counter(
            "persona.tokens.refused", "{token}", "Tokens that met a 401, by the effect"
        )
        self._paced = meter.create_histogram(
            "persona.pacing.wait", "s", "How long calls waited for the rate limit"
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case events.CallEnded():
                self._calls.record(event.seconds, _of_call(event))
            case events.CallDelayed(operation=operation, seconds=seconds):
                self._paced.record(seconds, {"persona.operation": operation})
            case events.TokenMinted(replayed=replayed, renewal=renewal):
                outcome = "replayed" if replayed else "minted"
                self._exchange(outcome, renewal=renewal)
            case events.ExchangeFailed(error=error, served_stale=renewal):
                self._exchange(error, renewal=renewal)
            case _:
                self._token(event)

    def _exchange(self, outcome: str, *, renewal: bool) -> None:
        self._exchanges.add(1, {"outcome": outcome, "renewal": renewal})

    def _token(self, event: Event) -> None:
        match event:
            case events.CodeClaimed(pushed=pushed):
                self._claimed.add(1, {"pushed": pushed})
            case events.TokenAdopted():
                self._adopted.add(1)
            case events.CodeRejected():
                self._lost.add(1, {"reason": "rejected"})
            case events.CodeInDoubt():
                self._lost.add(1, {"reason": "in doubt"})
            case events.CodeExpiredUnused():
                self._lost.add(1, {"reason": "expired unused"})
            case events.TokenStruck():
                self._refused.add(1, {"effect": "struck"})
            case events.TokenRevoked():
                self._refused.add(1, {"effect": "revoked"})
            case _:
                pass


def _of_call(event: events.CallEnded) -> dict[str, AttributeValue]:
    method, _, template = event.operation.partition(" ")
    facts: dict[str, AttributeValue] = {
        "http.request.method": method,
        "url.template": template,
    }
    if event.status is not None:
        facts["http.response.status_code"] = event.status
    if event.error is not None:
        facts["error.type"] = event.error
    return facts
