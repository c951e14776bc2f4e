"""OpenTelemetry spans and metrics of clients and managers (extra ``otel``).

Use one hook for both::

    telemetry = Telemetry()
    async with PersonaClient(key, hooks=[telemetry]) as client:
        async with ScopedTokenManager(client, hooks=[telemetry]) as manager:
            telemetry.observe(manager)

Only the API package of OpenTelemetry is needed; the program chooses an SDK and an
exporter. Spans and metrics contain no secrets, object ids or scopes.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import attrs

from persona_share._transport.runtime import default_clock
from persona_share.errors import MissingExtraError
from persona_share.manager import ScopedTokenManager
from persona_share.model import events
from persona_share.model.events import (
    HookEvent,
    StoreDown,
    StoreUp,
    TokenEvent,
    TokenMetrics,
)
from persona_share.ports import Clock


try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
    from opentelemetry.util.types import AttributeValue
except ImportError as _missing:
    raise MissingExtraError.of(_missing, __name__, "otel") from None


__all__ = ["Telemetry"]


_NAME: Final = "persona_share"


class Telemetry:
    """A hook for all clients and managers of a program.

    Without arguments it uses the global providers of OpenTelemetry.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        clock: Clock | None = None,
    ) -> None:
        library = version("persona-share")
        tracer = trace.get_tracer(_NAME, library, tracer_provider)
        meter = metrics.get_meter(_NAME, library, meter_provider)
        clock = clock or default_clock()
        self._spans = _Spans(tracer, clock)
        self._counters = _Counters(meter)
        self._gauges = _Gauges(meter, clock.now)

    def observe(self, manager: ScopedTokenManager) -> None:
        """Export the gauges of a manager until it is garbage-collected."""
        self._gauges.observe(manager)

    def __call__(self, event: HookEvent) -> None:
        """Record an event."""
        self._counters(event)
        self._spans(event)
        if isinstance(event, TokenEvent | StoreDown | StoreUp):
            self._gauges.refresh()


# ── Spans: one per call, and one per exchange, with its calls as children ─────────


_EXCHANGE: Final = "POST /oauth/token"
_REFUSED: Final = 400
_NANO: Final = 1_000_000_000


@attrs.define
class _TaskState:
    """The failed attempts of a task's call, and the span of its exchange."""

    failed: list[events.AttemptFailed] = attrs.field(factory=list)
    exchange: Span | None = None


class _Spans:
    """Writes spans from events."""

    def __init__(self, tracer: trace.Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock
        self._states: WeakKeyDictionary[asyncio.Task[Any], _TaskState] = (
            WeakKeyDictionary()
        )

    def __call__(self, event: HookEvent) -> None:
        """Record an event, or end the span that it belongs to."""
        match event:
            case events.AttemptFailed():
                self._state().failed.append(event)
            case events.CallEnded():
                self._call(event)
            case events.CodeRequested():
                self._exchange()
            case events.CodeClaimed(pushed=False):
                self._exchange()
            case events.TokenIssued():
                self._issued(event)
            case events.TokenAdopted():
                self._adopted()
            case events.ExchangeFailed():
                self._exchange_failed(event)
            case _:
                pass

    def _state(self) -> _TaskState:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop is running
            task = None
        if task is None:  # the event was emitted outside of a task
            return _TaskState()
        return self._states.setdefault(task, _TaskState())

    def _nanoseconds(self, ago: float = 0.0) -> int:
        return int((self._clock.wall().timestamp() - ago) * _NANO)

    def _call(self, event: events.CallEnded) -> None:
        state, started = self._state(), self._nanoseconds(event.seconds)
        exchange = None
        if event.operation == _EXCHANGE:
            exchange = self._exchange(started)
        method, _, template = event.operation.partition(" ")
        span = self._tracer.start_span(
            event.operation,
            context=None if exchange is None else trace.set_span_in_context(exchange),
            kind=SpanKind.CLIENT,
            start_time=started,
            attributes=_without_none(
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
        for each in state.failed:
            if each.operation == event.operation:
                self._attempt(span, each, ago=event.at - each.at)
        state.failed.clear()
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
        span.add_event("attempt failed", _without_none(facts), self._nanoseconds(ago))

    def _exchange(self, started: int | None = None) -> Span:
        """Return the span of this task's exchange; start one if there is none."""
        state = self._state()
        if state.exchange is None:
            at = self._nanoseconds() if started is None else started
            state.exchange = self._tracer.start_span(
                "persona exchange", start_time=at, kind=SpanKind.INTERNAL
            )
        return state.exchange

    def _issued(self, event: events.TokenIssued) -> None:
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
        self._end_exchange(span, renewal=event.renewal)

    def _adopted(self) -> None:
        # The span is open if another manager exchanged the code in the meantime.
        if (span := self._state().exchange) is not None:
            span.set_attribute("persona.exchange.adopted", value=True)
            self._end_exchange(span, renewal=False)

    def _exchange_failed(self, event: events.ExchangeFailed) -> None:
        span = self._exchange()
        span.set_attributes(
            {"persona.scope.size": event.scope_size, "error.type": event.error}
        )
        self._end_exchange(span, renewal=event.served_stale, error=event.error)

    def _end_exchange(
        self, span: Span, *, renewal: bool, error: str | None = None
    ) -> None:
        self._state().exchange = None
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


def _without_none(
    attributes: dict[str, AttributeValue | None],
) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


# ── Counters and histograms ───────────────────────────────────────────────────


class _Counters:
    """Counts what happens; names and units follow OpenTelemetry's conventions."""

    def __init__(self, meter: Meter) -> None:
        self._calls = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "The duration of calls, retries included",
        )
        self._exchanges = meter.create_counter(
            "persona.exchanges", "{exchange}", "Exchanges, by outcome"
        )
        self._claimed = meter.create_counter(
            "persona.codes.claimed", "{code}", "Codes that an exchange claimed"
        )
        self._adopted = meter.create_counter(
            "persona.tokens.adopted", "{token}", "Tokens that another manager acquired"
        )
        self._lost = meter.create_counter(
            "persona.codes.lost", "{code}", "Codes that yielded no token, by reason"
        )
        self._refused = meter.create_counter(
            "persona.tokens.refused", "{token}", "Tokens refused with a 401, by effect"
        )
        self._delayed = meter.create_histogram(
            "persona.rate_limit.wait", "s", "Time that calls waited for the rate limit"
        )

    def __call__(self, event: HookEvent) -> None:
        """Count an event."""
        match event:
            case events.CallEnded():
                self._calls.record(event.seconds, _of_call(event))
            case events.CallDelayed(operation=operation, seconds=seconds):
                self._delayed.record(seconds, {"persona.operation": operation})
            case events.TokenIssued(replayed=replayed, renewal=renewal):
                outcome = "replayed" if replayed else "issued"
                self._exchange(outcome, renewal=renewal)
            case events.ExchangeFailed(error=error, served_stale=renewal):
                self._exchange(error, renewal=renewal)
            case _:
                self._token(event)

    def _exchange(self, outcome: str, *, renewal: bool) -> None:
        self._exchanges.add(1, {"outcome": outcome, "renewal": renewal})

    def _token(self, event: HookEvent) -> None:
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
            case events.TokenUnauthorized():
                self._refused.add(1, {"effect": "kept"})
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


# ── Gauges, which an exporter reads in its own thread ─────────────────────────


_NOTHING: Final = TokenMetrics()
ReadObservations = Callable[["_ObservedManager"], Iterable[Observation]]


class _ObservedManager:
    """A manager, and the metrics that were last read from it."""

    def __init__(self, manager: ScopedTokenManager, now: Callable[[], float]) -> None:
        self._manager = ref(manager)
        self._loop = asyncio.get_running_loop()
        self._now = now
        #: The metrics and when they were read, replaced as one for other threads.
        self._found: tuple[TokenMetrics, float] = _NOTHING, 0.0
        self._reading = False
        self.read()

    @property
    def is_gone(self) -> bool:
        """Whether the manager or its event loop no longer exists."""
        return self._manager() is None or self._loop.is_closed()

    def read(self) -> None:
        """Read the metrics; call it only in the manager's event loop."""
        self._reading = False
        if (manager := self._manager()) is not None:
            self._found = manager.metrics(), self._now()

    def schedule_read(self) -> None:
        """Read the metrics in the next iteration of the event loop; thread-safe."""
        if not (self._reading or self.is_gone):
            self._reading = True
            with suppress(RuntimeError):  # the loop was closed in the meantime
                self._loop.call_soon_threadsafe(self.read)

    def metrics(self) -> TokenMetrics:
        """Return the last metrics, and refresh them soon."""
        self.schedule_read()
        return self._found[0]

    def nearest_end(self) -> float | None:
        """Return the seconds until the next token expires."""
        self.schedule_read()
        metrics, read_at = self._found
        end = metrics.nearest_end
        return None if end is None else max(0.0, end - (self._now() - read_at))


class _Gauges:
    """The gauges of all managers of a program; counts are summed."""

    def __init__(self, meter: Meter, now: Callable[[], float]) -> None:
        self._now = now
        self._managers: list[_ObservedManager] = []
        for name, unit, description, read in (
            ("persona.tokens", "{token}", "Cached tokens, by state", _tokens),
            (
                "persona.codes.waiting",
                "{code}",
                "Queued codes",
                _codes,
            ),
        ):
            meter.create_observable_up_down_counter(
                name, [self._summed(read)], unit, description
            )
        meter.create_observable_gauge(
            "persona.token.nearest_end",
            [self._nearest_end],
            "s",
            "Seconds until the next cached token expires",
        )
        meter.create_observable_gauge(
            "persona.codes.per_token",
            [self._codes_per_token],
            "{code}",
            "Codes used per token; 1 is ideal",
        )

        meter.create_observable_gauge(
            "persona.store.up",
            [self._store_up],
            "1",
            "Whether the token store responds: 1 or 0",
        )

    def observe(self, manager: ScopedTokenManager) -> None:
        """Include this manager."""
        self._managers.append(_ObservedManager(manager, self._now))

    def refresh(self) -> None:
        """Read the metrics of every manager again."""
        for each in self._live_managers():
            each.schedule_read()

    def _live_managers(self) -> list[_ObservedManager]:
        # Event loops and the exporter change the list in their threads, so it is never
        # replaced; a lock could be held by a thread that a fork does not copy.
        live: list[_ObservedManager] = []
        for each in tuple(self._managers):
            if not each.is_gone:
                live.append(each)
                continue
            with suppress(ValueError):  # another thread removed it
                self._managers.remove(each)
        return live

    def _summed(
        self, read_one: ReadObservations
    ) -> Callable[[CallbackOptions], list[Observation]]:
        def read(_: CallbackOptions) -> list[Observation]:
            sums: dict[frozenset[tuple[str, object]], Observation] = {}
            for manager in self._live_managers():
                for one in read_one(manager):
                    key = frozenset((one.attributes or {}).items())
                    before = sums[key].value if key in sums else 0
                    sums[key] = Observation(before + one.value, one.attributes)
            return list(sums.values())

        return read

    def _nearest_end(self, _: CallbackOptions) -> list[Observation]:
        ends = [each.nearest_end() for each in self._live_managers()]
        known = [end for end in ends if end is not None]
        return [Observation(min(known))] if known else []

    def _codes_per_token(self, _: CallbackOptions) -> list[Observation]:
        found = [each.metrics() for each in self._live_managers()]
        issued = sum(each.issued for each in found)
        claimed = sum(each.codes_claimed for each in found)
        return [Observation(claimed / issued)] if issued else []

    def _store_up(self, _: CallbackOptions) -> list[Observation]:
        found = [each.metrics().store_up for each in self._live_managers()]
        known = [up for up in found if up is not None]
        return [Observation(int(all(known)))] if known else []


def _tokens(manager: _ObservedManager) -> Iterator[Observation]:
    for state, count in manager.metrics().tokens.items():
        yield Observation(count, {"state": state})


def _codes(manager: _ObservedManager) -> Iterator[Observation]:
    yield Observation(manager.metrics().codes_waiting)
