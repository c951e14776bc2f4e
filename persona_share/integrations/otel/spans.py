"""Spans: one for each call, and one for each exchange with its calls below it.

Events tell of the past, so a span is written when it is over, with its true times. What
belongs together is found by the task that it happens in: a call ends in the task that
made it, and an exchange has a task of its own.
"""

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

import attrs
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from persona_share.model import events
from persona_share.model.events import Event
from persona_share.ports import Clock


_EXCHANGE: Final = "POST /oauth/token"
_REFUSED: Final = 400
_NANO: Final = 1_000_000_000


@attrs.define
class _Doing:
    """What a task is at: attempts of a call that failed, and an exchange."""

    failed: list[events.AttemptFailed] = attrs.field(factory=list)
    exchange: Span | None = None


class Spans:
    """Writes spans; each event is a call, and nothing is awaited."""

    def __init__(self, tracer: trace.Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock
        self._doing: WeakKeyDictionary[asyncio.Task[Any], _Doing] = WeakKeyDictionary()

    def __call__(self, event: Event) -> None:
        """Take note of an event, or write the span that it ends."""
        match event:
            case events.AttemptFailed():
                self._here().failed.append(event)
            case events.CallEnded():
                self._call(event)
            case events.CodeRequested():
                self._exchange()
            case events.CodeClaimed(pushed=False):
                self._exchange()
            case events.TokenMinted():
                self._minted(event)
            case events.TokenAdopted():
                self._adopted()
            case events.ExchangeFailed():
                self._not_minted(event)
            case _:
                pass

    def _here(self) -> _Doing:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs here
            task = None
        if task is None:  # somebody tells events outside of any task
            return _Doing()
        return self._doing.setdefault(task, _Doing())

    def _nanoseconds(self, ago: float = 0.0) -> int:
        return int((self._clock.wall().timestamp() - ago) * _NANO)

    def _call(self, event: events.CallEnded) -> None:
        doing, started = self._here(), self._nanoseconds(event.seconds)
        exchange = None
        if event.operation == _EXCHANGE:
            exchange = self._exchange(started)
        method, _, template = event.operation.partition(" ")
        span = self._tracer.start_span(
            event.operation,
            context=None if exchange is None else trace.set_span_in_context(exchange),
            kind=SpanKind.CLIENT,
            start_time=started,
            attributes=_present(
                {
                    "http.request.method": method,
                    "url.template": template,
                    "http.response.status_code": event.status,
                    "http.request.resend_count": max(0, event.attempts - 1) or None,
                    "error.type": _error_type(event),
                    "persona.request_id": event.request_id,
                }
            ),
        )
        for each in doing.failed:
            if each.operation == event.operation:
                self._attempt(span, each, ago=event.at - each.at)
        doing.failed.clear()
        self._end(span, _error_type(event))

    def _attempt(self, span: Span, event: events.AttemptFailed, ago: float) -> None:
        facts: dict[str, AttributeValue | None] = {
            "attempt": event.attempt,
            "phase": event.phase.value,
            "reason": event.reason,
            "delay": event.delay,
            "http.response.status_code": event.status,
            "persona.request_id": event.request_id,
        }
        span.add_event("attempt failed", _present(facts), self._nanoseconds(ago))

    def _exchange(self, started: int | None = None) -> Span:
        """Return the span of this task's exchange; start one if there is none."""
        doing = self._here()
        if doing.exchange is None:
            at = self._nanoseconds() if started is None else started
            doing.exchange = self._tracer.start_span(
                "persona exchange", start_time=at, kind=SpanKind.INTERNAL
            )
        return doing.exchange

    def _minted(self, event: events.TokenMinted) -> None:
        span = self._exchange()
        span.set_attributes(
            {
                "persona.scope.size": event.scope_size,
                "persona.exchange.attempts": event.attempts,
                "persona.exchange.followers": event.followers,
                "persona.exchange.replayed": event.replayed,
                "persona.token.generation": event.generation,
                "persona.token.lifetime": event.lifetime,
            }
        )
        self._landed(span, renewal=event.renewal)

    def _adopted(self) -> None:
        if (span := self._here().exchange) is not None:  # another manager was faster
            span.set_attribute("persona.exchange.adopted", value=True)
            self._landed(span, renewal=False)

    def _not_minted(self, event: events.ExchangeFailed) -> None:
        span = self._exchange()
        span.set_attributes(
            {"persona.scope.size": event.scope_size, "error.type": event.error}
        )
        self._landed(span, renewal=event.served_stale, error=event.error)

    def _landed(self, span: Span, *, renewal: bool, error: str | None = None) -> None:
        self._here().exchange = None
        if renewal:
            span.update_name("persona renewal")
        self._end(span, error)

    def _end(self, span: Span, error: str | None) -> None:
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(self._nanoseconds())


def _error_type(event: events.CallEnded) -> str | None:
    if event.error is not None:
        return event.error
    refused = event.status is not None and event.status >= _REFUSED
    return str(event.status) if refused else None


def _present(
    attributes: dict[str, AttributeValue | None],
) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}
