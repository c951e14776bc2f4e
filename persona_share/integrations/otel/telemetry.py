"""Telemetry: a hook that passes every event on to spans, metrics and gauges."""

from importlib.metadata import version
from typing import Final

from opentelemetry import metrics, trace

from persona_share._transport.runtime import default_clock
from persona_share.integrations.otel.counting import Counting
from persona_share.integrations.otel.gauges import Gauges
from persona_share.integrations.otel.spans import Spans
from persona_share.manager import ScopedTokenManager
from persona_share.model.events import Event, StoreDown, StoreUp, TokenEvent
from persona_share.ports import Clock


_NAME: Final = "persona_share"


class Telemetry:
    """A hook for clients and managers alike; one will do for all of a program.

    Without providers those are used that the program has set.
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
        known = clock or default_clock()
        self._spans = Spans(tracer, known)
        self._counting = Counting(meter)
        self._gauges = Gauges(meter, known.now)

    def observe(self, manager: ScopedTokenManager) -> None:
        """Export this manager's gauges for as long as it lives."""
        self._gauges.observe(manager)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        self._counting(event)
        self._spans(event)
        if isinstance(event, TokenEvent | StoreDown | StoreUp):
            self._gauges.changed()
