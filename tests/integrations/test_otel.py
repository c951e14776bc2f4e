"""What is exported, read back from the SDK's own exporters in memory."""

import asyncio
import threading

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import NotFoundError, TokenError
from persona_share.integrations.otel import Telemetry
from persona_share.model import events
from persona_share.stores import MemoryStore
from persona_share.testing import fake_world


@attrs.define
class Watch:
    """Telemetry in front of the SDK's in-memory exporters."""

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
def watch(stage):
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = Telemetry(
        tracer_provider=tracers, meter_provider=meters, clock=stage.clock
    )
    yield Watch(telemetry, tracers.get_tracer("theirs"), exporter, reader)
    tracers.shutdown()
    meters.shutdown()


@attrs.define
class Watched:
    client: PersonaClient
    manager: ScopedTokenManager


@pytest.fixture
def watched(stage, watch):
    """Answer what opens a client and a manager whose every event is exported."""

    def opened(**options):
        return _Opened(stage, watch.telemetry, options)

    return opened


class _Opened:
    def __init__(self, stage, telemetry, options):
        hooks = [telemetry]
        self.source = stage.client(stage.box.source)
        self.client = stage.client(stage.box.destination, hooks=hooks)

        async def ask_partner(scope):
            return await self.source.oauth.authorize(
                client_id=stage.box.destination.id, scope=scope
            )

        options = {"codes": ask_partner, "hooks": hooks, **options}
        self.manager = ScopedTokenManager(self.client, **options)
        self._telemetry = telemetry

    async def __aenter__(self):
        await self.source.__aenter__()
        await self.client.__aenter__()
        await self.manager.__aenter__()
        self._telemetry.observe(self.manager)
        return Watched(self.client, self.manager)

    async def __aexit__(self, *_):
        await self.manager.aclose()
        await self.client.aclose()
        await self.source.aclose()


async def until(clock, work, step=0.5):
    """Let time pass until something is done."""
    task = asyncio.ensure_future(work)
    for _ in range(2_000):
        await asyncio.wait({task}, timeout=0.005)
        if task.done():
            break
        clock.advance(step)
    return await task


READ = "GET /inquiries/{inquiry-id}"


@pytest.mark.asyncio
async def test_a_call_is_one_client_span_below_the_callers_own(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        with watch.tracer.start_as_current_span("theirs") as parent:
            await each.manager.session(Scope.read(inquiry.id)).inquiries.retrieve(
                inquiry.id
            )
    [span] = watch.spans(READ)
    assert span.kind is SpanKind.CLIENT
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["url.template"] == "/inquiries/{inquiry-id}"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["persona.request_id"].startswith("req_")
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.asyncio
async def test_each_attempt_that_failed_is_an_event_at_its_own_time(
    stage, watch, watched
):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        session = each.manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
        stage.box.faults.answer("GET /inquiries/{inquiry-id}", 503, times=2)
        await until(stage.clock, session.inquiries.retrieve(inquiry.id))
    _, span = watch.spans(READ)
    first, second = span.events
    assert [each.attributes["http.response.status_code"] for each in span.events] == [
        503,
        503,
    ]
    assert first.attributes["attempt"] == 1
    assert span.start_time <= first.timestamp < second.timestamp <= span.end_time
    assert span.attributes["http.request.resend_count"] == 2


@pytest.mark.asyncio
async def test_calls_side_by_side_keep_their_attempts_apart(stage, watch, watched):
    one, other = stage.box.add_inquiry(), stage.box.add_inquiry()
    async with watched() as each:
        session = each.manager.session(Scope.read(one.id, other.id))
        await session.inquiries.retrieve(one.id)
        stage.box.faults.answer("GET /inquiries/{inquiry-id}", 503, times=1)
        both = [session.inquiries.retrieve(it.id) for it in (one, other)]
        await until(stage.clock, asyncio.gather(*both))
    assert sorted(len(span.events) for span in watch.spans(READ)) == [0, 0, 1]


@pytest.mark.asyncio
async def test_an_answer_that_nobody_wanted_is_an_error_by_its_status(
    stage, watch, watched
):
    async with watched() as each:
        with pytest.raises(NotFoundError):
            await each.client.inquiries.retrieve("inq_unknown")
    [span] = watch.spans(READ)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "404"


@pytest.mark.asyncio
async def test_a_call_without_an_answer_is_an_error_by_its_type(stage, watch, watched):
    stage.box.faults.cut("GET /inquiries/{inquiry-id}", times=9)
    async with watched() as each:
        with pytest.raises(Exception, match="connection"):
            await until(stage.clock, each.client.inquiries.retrieve("inq_1"))
    [span] = watch.spans(READ)
    assert span.attributes["error.type"] == "ConnectionLostError"
    assert "http.response.status_code" not in span.attributes


@pytest.mark.asyncio
async def test_an_exchange_is_a_span_with_its_call_below_it(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        await each.manager.token(Scope.read(inquiry.id))
    [exchange] = watch.spans("persona exchange")
    [call] = watch.spans("POST /oauth/token")
    assert call.parent.span_id == exchange.context.span_id
    assert exchange.start_time <= call.start_time
    assert call.end_time <= exchange.end_time
    assert exchange.attributes["persona.scope.size"] == 1
    assert exchange.attributes["persona.token.lifetime"] == 3_599


@pytest.mark.asyncio
async def test_a_renewal_has_a_name_of_its_own(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with watched() as each:
        await each.manager.token(scope)
        stage.clock.advance(3_560)  # so near its end that callers wait
        await each.manager.token(scope)
    assert len(watch.spans("persona exchange")) == 1
    assert len(watch.spans("persona renewal")) == 1


@pytest.mark.asyncio
async def test_a_delivered_code_is_an_exchange_like_any_other(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched(codes=None) as each, stage.client(stage.box.source) as source:
        code = await source.oauth.authorize(
            client_id=stage.box.destination.id, scope=Scope.read(inquiry.id)
        )
        with watch.tracer.start_as_current_span("theirs"):
            await each.manager.exchange(code)
            await each.client.rate_limits.list()
    [exchange] = watch.spans("persona exchange")
    [call] = watch.spans("POST /oauth/token")
    assert call.parent.span_id == exchange.context.span_id
    [theirs] = watch.spans("theirs")
    [after] = watch.spans("GET /rate-limits")
    assert after.parent.span_id == theirs.context.span_id


@pytest.mark.asyncio
async def test_an_exchange_that_failed_says_why(stage, watch, watched):
    async with watched(codes=None) as each:
        with pytest.raises(TokenError):
            await each.manager.token("inquiry.read:inq_1")
    [exchange] = watch.spans("persona exchange")
    assert exchange.status.status_code is StatusCode.ERROR
    assert exchange.attributes["error.type"] == "AuthorizationCodeRequiredError"


# ── Metrics ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_exchanges_are_counted_by_outcome(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with watched() as each:
        await each.manager.token(scope)
        each.manager.invalidate(await each.manager.token(scope))
        await each.manager.token(scope)
    assert watch.points("persona.exchanges") == {
        frozenset({("outcome", "minted"), ("renewal", False)}): 1,
        frozenset({("outcome", "minted"), ("renewal", True)}): 1,
    }
    assert watch.points("persona.codes.claimed") == {frozenset({("pushed", False)}): 2}
    revoked = frozenset({("effect", "revoked")})
    assert watch.points("persona.tokens.refused") == {revoked: 1}


@pytest.mark.asyncio
async def test_a_code_that_brought_nothing_is_counted(stage, watch, watched):
    async with watched(codes=None) as each:
        with pytest.raises(TokenError):
            await each.manager.exchange("localbox_no_such_code")
    rejected = frozenset({("reason", "rejected")})
    assert watch.points("persona.codes.lost") == {rejected: 1}
    [(attributes, count)] = watch.points("persona.exchanges").items()
    assert dict(attributes)["outcome"] == "CodeRejectedError"
    assert count == 1


@pytest.mark.asyncio
async def test_the_gauges_say_what_is_held_now(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        await each.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        fresh = frozenset({("state", "fresh")})
        assert watch.points("persona.tokens") == {fresh: 1}
        assert watch.points("persona.codes.per_token") == {frozenset(): 1.0}
        assert watch.points("persona.token.nearest_end") == {frozenset(): 3_599}
        stage.clock.advance(599)
        assert watch.points("persona.token.nearest_end") == {frozenset(): 3_000}


@pytest.mark.asyncio
async def test_two_managers_are_added_up(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as one, watched() as other:
        await one.manager.token(Scope.read(inquiry.id))
        stage.clock.advance(100)
        await other.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        assert watch.points("persona.tokens") == {frozenset({("state", "fresh")}): 2}
        assert watch.points("persona.token.nearest_end") == {frozenset(): 3_499}


@pytest.mark.asyncio
async def test_an_exporter_reads_from_a_thread_of_its_own(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        await each.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        found = await asyncio.to_thread(watch.points, "persona.tokens")
    assert found == {frozenset({("state", "fresh")}): 1}


def test_a_manager_that_is_gone_is_read_no_more(watch):
    async def observed():
        client = PersonaClient("key", _world=fake_world())
        async with client, ScopedTokenManager(client) as manager:
            watch.telemetry.observe(manager)

    asyncio.run(observed())
    reader = threading.Thread(target=watch.points, args=["persona.tokens"])
    reader.start()
    reader.join()
    assert watch.points("persona.codes.waiting") == {}


@pytest.mark.asyncio
async def test_waits_for_the_rate_limit_are_measured(watch):
    event = events.CallPaced(at=5.0, operation=READ, seconds=1.5)
    watch.telemetry(event)
    assert watch.points("persona.pacing.wait") == {
        frozenset({("persona.operation", READ)}): 1.5
    }


@pytest.mark.asyncio
async def test_calls_are_measured_by_route_and_status(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        session = each.manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
    found = [dict(each) for each in watch.points("http.client.request.duration")]
    assert {each["url.template"] for each in found} == {
        "/inquiries/{inquiry-id}",
        "/oauth/token",
    }
    assert all(200 <= each["http.response.status_code"] < 300 for each in found)


@pytest.mark.asyncio
async def test_a_token_that_another_manager_brought_is_no_exchange(
    stage, watch, watched
):
    inquiry, store = stage.box.add_inquiry(), MemoryStore()
    scope = Scope.read(inquiry.id)
    async with watched(store=store) as one, watched(store=store) as other:
        await one.manager.token(scope)
        await other.manager.token(scope)
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        assert watch.points("persona.store.up") == {frozenset(): 1}
    assert watch.points("persona.tokens.adopted") == {frozenset(): 1}
    assert len(watch.spans("persona exchange")) == 1


@pytest.mark.asyncio
async def test_an_exchange_that_was_overtaken_ends_with_what_overtook_it(watch):
    watch.telemetry(events.CodeRequested(at=1.0, scope_size=1))
    watch.telemetry(
        events.TokenAdopted(at=2.0, scope_size=1, generation=2, remaining=9.0)
    )
    [span] = watch.spans("persona exchange")
    assert span.attributes["persona.exchange.adopted"] is True


# ── What is in none of it ───────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_g13_no_secret_and_no_id_of_an_object_is_exported(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    told = []

    async def ask_partner(asked):
        async with stage.client(stage.box.source) as source:
            code = await source.oauth.authorize(
                client_id=stage.box.destination.id, scope=asked
            )
        told.append(code.reveal())
        return code

    async with watched(codes=ask_partner) as each:
        session = each.manager.session(scope)
        await session.inquiries.retrieve(inquiry.id)
        told.append((await each.manager.token(scope)).reveal())
        stage.box.faults.answer("GET /inquiries/{inquiry-id}", 503, times=9)
        with pytest.raises(Exception, match=r"503|failed"):
            await until(stage.clock, session.inquiries.retrieve(inquiry.id))
    canaries = [*told, inquiry.id, stage.box.destination.api_key, stage.box.source.id]
    exported = "".join(each.to_json() for each in watch.spans())
    exported += watch.reader.get_metrics_data().to_json()
    assert len(told) == 2
    assert len(watch.spans()) >= 4
    for canary in canaries:
        assert canary not in exported
