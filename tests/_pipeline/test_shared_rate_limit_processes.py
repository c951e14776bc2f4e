"""Several processes spend one window together, on virtual time."""

import asyncio
import math

import pytest

from benchmarks.rate_limit import CALLS, Service
from benchmarks.shared_rate_limit import together
from benchmarks.virtual import run
from persona_share import PersonaClient
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore, SharedRateLimit


@pytest.mark.parametrize("rounded", [math.ceil, math.floor])
def test_four_processes_that_share_a_window_spend_it_and_are_not_refused(rounded):
    service, store = run(together(Service(rounded), 4, 16))
    assert service.refused == 0
    assert service.unused <= 0.02
    assert store.attempts <= CALLS / 10


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [math.ceil, math.floor])
def test_fifty_processes_write_at_most_twice_per_ten_calls(rounded):
    service, store = run(together(Service(rounded), 50, 1))
    assert service.refused <= 2
    assert service.unused <= 0.1
    assert store.writes <= CALLS / 10 * 2


@pytest.mark.asyncio
async def test_two_clients_over_one_store_are_never_refused_in_a_nearly_spent_window():
    store = MemoryStore()
    async with Sandbox(rate_limit=30) as sandbox:
        here = {"base_url": sandbox.url, "insecure_local": True}
        inquiry = sandbox.add_inquiry(organization=sandbox.source)
        async with (
            PersonaClient(
                sandbox.source.api_key, rate_limit=SharedRateLimit(store), **here
            ) as one,
            PersonaClient(
                sandbox.source.api_key, rate_limit=SharedRateLimit(store), **here
            ) as other,
        ):
            calls = [
                client.inquiries.retrieve(inquiry.id, timeout=5)
                for _ in range(20)
                for client in (one, other)
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert sandbox.log.count(status=429) == 0
        served = [each for each in results if not isinstance(each, Exception)]
        assert 20 <= len(served) <= 30


@pytest.mark.asyncio
async def test_invalid_response_stops_other_processes_only_briefly():
    store = MemoryStore()
    async with Sandbox(rate_limit=300) as sandbox:
        here = {"base_url": sandbox.url, "insecure_local": True}
        inquiry = sandbox.add_inquiry(organization=sandbox.source)
        sandbox.faults.answer(
            "GET /inquiries/{inquiry-id}",
            429,
            headers={"Retry-After": "999999999"},
            times=1,
        )
        async with PersonaClient(
            sandbox.source.api_key, rate_limit=SharedRateLimit(store), **here
        ) as client:
            with pytest.raises(Exception, match="429") as caught:
                await client.inquiries.retrieve(inquiry.id)
        assert caught.value.retry_after == 3600
