"""Telemetry with in-memory exporters, and an instrumented client and manager."""

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.integrations.otel import Telemetry


@attrs.define
class TelemetryRecorder:
    """Telemetry with the SDK's in-memory exporters."""

    telemetry: Telemetry
    tracer: trace.Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name=None):
        found = self.exporter.get_finished_spans()
        return [each for each in found if name in (None, each.name)]

    def points(self, name):
        data = self.reader.get_metrics_data()
        return {
            frozenset(point.attributes.items()): getattr(
                point, "value", getattr(point, "sum", None)
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


@pytest.fixture
def recorder(harness):
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = Telemetry(
        tracer_provider=tracers, meter_provider=meters, clock=harness.clock
    )
    yield TelemetryRecorder(telemetry, tracers.get_tracer("theirs"), exporter, reader)
    tracers.shutdown()
    meters.shutdown()


@attrs.define
class Instrumented:
    client: PersonaClient
    manager: ScopedTokenManager


@pytest.fixture
def instrumented(harness, recorder):
    """Return a factory of clients and managers that emit to telemetry."""

    def opened(**options):
        return _OpenInstrumented(harness, recorder.telemetry, options)

    return opened


class _OpenInstrumented:
    def __init__(self, harness, telemetry, options):
        hooks = [telemetry]
        self.source = harness.client(harness.sandbox.source)
        self.client = harness.client(harness.sandbox.destination, hooks=hooks)

        async def ask_partner(scope):
            return await self.source.oauth.authorize(
                client_id=harness.sandbox.destination.id, scope=scope
            )

        options = {"codes": ask_partner, "hooks": hooks, **options}
        self.manager = ScopedTokenManager(self.client, **options)
        self._telemetry = telemetry

    async def __aenter__(self):
        await self.source.__aenter__()
        await self.client.__aenter__()
        await self.manager.__aenter__()
        self._telemetry.observe(self.manager)
        return Instrumented(self.client, self.manager)

    async def __aexit__(self, *_):
        await self.manager.aclose()
        await self.client.aclose()
        await self.source.aclose()
