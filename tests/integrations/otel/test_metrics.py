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
async def test_exchanges_are_counted_by_outcome(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with watched() as each:
        await each.manager.token(scope)
        each.manager.invalidate(await each.manager.token(scope))
        await each.manager.token(scope)
    assert watch.points("persona.exchanges") == {
        frozenset({("outcome", "issued"), ("renewal", False)}): 1,
        frozenset({("outcome", "issued"), ("renewal", True)}): 1,
    }
    assert watch.points("persona.codes.claimed") == {frozenset({("pushed", False)}): 2}
    revoked = frozenset({("effect", "revoked")})
    assert watch.points("persona.tokens.refused") == {revoked: 1}


@pytest.mark.asyncio
async def test_code_without_a_token_is_counted(stage, watch, watched):
    async with watched(codes=None) as each:
        with pytest.raises(TokenError):
            await each.manager.exchange("localbox_no_such_code")
    rejected = frozenset({("reason", "rejected")})
    assert watch.points("persona.codes.lost") == {rejected: 1}
    [(attributes, count)] = watch.points("persona.exchanges").items()
    assert dict(attributes)["outcome"] == "CodeRejectedError"
    assert count == 1


@pytest.mark.asyncio
async def test_gauges_show_the_current_state(stage, watch, watched):
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
async def test_gauges_add_up_two_managers(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as one, watched() as other:
        await one.manager.token(Scope.read(inquiry.id))
        stage.clock.advance(100)
        await other.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        assert watch.points("persona.tokens") == {frozenset({("state", "fresh")}): 2}
        assert watch.points("persona.token.nearest_end") == {frozenset(): 3_499}


@pytest.mark.asyncio
async def test_exporter_reads_gauges_from_another_thread(stage, watch, watched):
    inquiry = stage.box.add_inquiry()
    async with watched() as each:
        await each.manager.token(Scope.read(inquiry.id))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        found = await asyncio.to_thread(watch.points, "persona.tokens")
    assert found == {frozenset({("state", "fresh")}): 1}


def test_collected_manager_is_no_longer_observed(watch):
    async def observed():
        client = PersonaClient("key", _runtime=fake_runtime())
        async with client, ScopedTokenManager(client) as manager:
            watch.telemetry.observe(manager)

    asyncio.run(observed())
    reader = threading.Thread(target=watch.points, args=["persona.tokens"])
    reader.start()
    reader.join()
    assert watch.points("persona.codes.waiting") == {}


@pytest.mark.asyncio
async def test_waits_for_the_rate_limit_are_measured(watch):
    event = events.CallDelayed(at=5.0, operation=READ, seconds=1.5)
    watch.telemetry(event)
    assert watch.points("persona.rate_limit.wait") == {
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
async def test_adopted_token_is_not_counted_as_an_exchange(stage, watch, watched):
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
async def test_span_of_an_overtaken_exchange_ends_as_adopted(watch):
    watch.telemetry(events.CodeRequested(at=1.0, scope_size=1))
    watch.telemetry(
        events.TokenAdopted(at=2.0, scope_size=1, generation=2, remaining=9.0)
    )
    [span] = watch.spans("persona exchange")
    assert span.attributes["persona.exchange.adopted"] is True
