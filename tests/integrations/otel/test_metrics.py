"""Counters, histograms and gauges."""

import asyncio
import threading

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import TokenError
from persona_share.model import events
from persona_share.stores import MemoryStore
from persona_share.testing import fake_runtime


READ = "GET /inquiries/{inquiry-id}"


@pytest.mark.asyncio
async def test_exchanges_are_counted_by_outcome(harness, recorder, instrumented):
    inquiry = harness.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with instrumented() as each:
        await each.manager.token(scope)
        each.manager.invalidate(await each.manager.token(scope))
        await each.manager.token(scope)
    assert recorder.points("persona.exchanges") == {
        frozenset({("outcome", "issued"), ("renewal", False)}): 1,
        frozenset({("outcome", "issued"), ("renewal", True)}): 1,
    }
    assert recorder.points("persona.codes.claimed") == {
        frozenset({("pushed", False)}): 2
    }
    revoked = frozenset({("effect", "revoked")})
    assert recorder.points("persona.tokens.refused") == {revoked: 1}


@pytest.mark.asyncio
async def test_code_without_a_token_is_counted(harness, recorder, instrumented):
    async with instrumented(codes=None) as each:
        with pytest.raises(TokenError):
            await each.manager.exchange("localbox_no_such_code")
    rejected = frozenset({("reason", "rejected")})
    assert recorder.points("persona.codes.lost") == {rejected: 1}
    [(attributes, count)] = recorder.points("persona.exchanges").items()
    assert dict(attributes)["outcome"] == "CodeRejectedError"
    assert count == 1


@pytest.mark.asyncio
async def test_gauges_show_the_current_state(harness, recorder, instrumented):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        await each.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        fresh = frozenset({("state", "fresh")})
        assert recorder.points("persona.tokens") == {fresh: 1}
        assert recorder.points("persona.codes.per_token") == {frozenset(): 1.0}
        assert recorder.points("persona.token.nearest_end") == {frozenset(): 3_599}
        harness.clock.advance(599)
        assert recorder.points("persona.token.nearest_end") == {frozenset(): 3_000}


@pytest.mark.asyncio
async def test_gauges_add_up_two_managers(harness, recorder, instrumented):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as one, instrumented() as other:
        await one.manager.token(Scope.read(inquiry.id))
        harness.clock.advance(100)
        await other.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        assert recorder.points("persona.tokens") == {frozenset({("state", "fresh")}): 2}
        assert recorder.points("persona.token.nearest_end") == {frozenset(): 3_499}


@pytest.mark.asyncio
async def test_exporter_reads_gauges_from_another_thread(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        await each.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        found = await asyncio.to_thread(recorder.points, "persona.tokens")
    assert found == {frozenset({("state", "fresh")}): 1}


def test_collected_manager_is_no_longer_observed(recorder):
    async def observed():
        client = PersonaClient("key", _runtime=fake_runtime())
        async with client, ScopedTokenManager(client) as manager:
            recorder.telemetry.observe(manager)

    asyncio.run(observed())
    reader = threading.Thread(target=recorder.points, args=["persona.tokens"])
    reader.start()
    reader.join()
    assert recorder.points("persona.codes.waiting") == {}


class InterruptedManager(ScopedTokenManager):
    """A manager that calls a function before its metrics are read the first time."""

    interruption = None

    def metrics(self):
        if (interruption := self.interruption) is not None:
            self.interruption = None
            interruption()
        return super().metrics()


@pytest.mark.asyncio
async def test_manager_that_is_observed_during_an_export_is_not_lost(recorder):
    async with (
        PersonaClient("key", _runtime=fake_runtime()) as client,
        InterruptedManager(client) as manager,
    ):
        manager.interruption = lambda: recorder.points("persona.codes.waiting")
        await manager.offer("localbox_one", Scope.read("inq_1"))
        recorder.telemetry.observe(manager)
        assert recorder.points("persona.codes.waiting") == {frozenset(): 1}


@pytest.mark.asyncio
async def test_waits_for_the_rate_limit_are_measured(recorder):
    event = events.CallDelayed(at=5.0, operation=READ, seconds=1.5)
    recorder.telemetry(event)
    assert recorder.points("persona.rate_limit.wait") == {
        frozenset({("persona.operation", READ)}): 1.5
    }


@pytest.mark.asyncio
async def test_calls_are_measured_by_route_and_status(harness, recorder, instrumented):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        session = each.manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
    found = [dict(each) for each in recorder.points("http.client.request.duration")]
    assert {each["url.template"] for each in found} == {
        "/inquiries/{inquiry-id}",
        "/oauth/token",
    }
    assert all(200 <= each["http.response.status_code"] < 300 for each in found)


@pytest.mark.asyncio
async def test_adopted_token_is_not_counted_as_an_exchange(
    harness, recorder, instrumented
):
    inquiry, store = harness.sandbox.add_inquiry(), MemoryStore()
    scope = Scope.read(inquiry.id)
    async with instrumented(store=store) as one, instrumented(store=store) as other:
        await one.manager.token(scope)
        await other.manager.token(scope)
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        assert recorder.points("persona.store.up") == {frozenset(): 1}
    assert recorder.points("persona.tokens.adopted") == {frozenset(): 1}
    assert len(recorder.spans("persona exchange")) == 1


@pytest.mark.asyncio
async def test_span_of_an_overtaken_exchange_ends_as_adopted(recorder):
    recorder.telemetry(events.CodeRequested(at=1.0, scope_size=1))
    recorder.telemetry(
        events.TokenAdopted(at=2.0, scope_size=1, generation=2, remaining=9.0)
    )
    [span] = recorder.spans("persona exchange")
    assert span.attributes["persona.exchange.adopted"] is True
