"""Many callers against the limit of a sandbox: sessions and exchanges share one limiter."""

import asyncio

import pytest

from persona_share import PersonaClient, Scope
from persona_share.errors import ConfigurationError, RateLimitedError
from persona_share.model.policy import RateLimitPolicy


LIMIT = 20


@pytest.fixture
def limited(scenario):
    """A destination with a limit of 20 requests per minute."""
    environment = scenario.sandbox.destination.environments["sandbox"]
    environment.window.limit = LIMIT
    return scenario


def _statuses(scenario):
    return [entry.status for entry in scenario.sandbox.log.find()]


@pytest.mark.asyncio
async def test_sessions_and_exchanges_of_one_client_are_never_refused(limited):
    ids = [limited.sandbox.add_inquiry().id for _ in range(10)]
    async with limited.manager() as manager:
        sessions = [manager.session(Scope.read(each)) for each in ids]
        work = [
            session.inquiries.retrieve(each)
            for session, each in zip(sessions, ids, strict=True)
            for _ in range(2)
        ]
        found = await limited.advance_until_done(asyncio.gather(*work), step=2)
    assert [each.id for each in found] == [each for each in ids for _ in range(2)]
    assert 429 not in _statuses(limited)


async def _burst(scenario, mode):
    inquiry = scenario.sandbox.add_inquiry(organization=scenario.sandbox.destination)
    async with PersonaClient(
        scenario.sandbox.destination.api_key,
        base_url=scenario.sandbox.url,
        insecure_local=True,
        rate_limit=RateLimitPolicy(mode=mode),
        _runtime=scenario.source.context.runtime,
    ) as client:
        work = [client.inquiries.retrieve(inquiry.id) for _ in range(2 * LIMIT)]
        results = asyncio.gather(*work, return_exceptions=True)
        return await scenario.advance_until_done(results, step=2)


@pytest.mark.asyncio
async def test_calls_get_429_when_the_rate_limiter_is_off(limited):
    await _burst(limited, "off")
    assert _statuses(limited).count(429) >= LIMIT


@pytest.mark.asyncio
async def test_all_calls_wait_for_the_window_after_a_429(limited):
    results = await _burst(limited, "after_429")
    assert [each for each in results if isinstance(each, Exception)] == []
    assert _statuses(limited).count(429) == LIMIT


@pytest.mark.asyncio
async def test_call_fails_with_retry_after_when_it_cannot_wait(limited):
    inquiry = limited.sandbox.add_inquiry(organization=limited.sandbox.destination)
    inquiries = limited.destination.inquiries
    for _ in range(LIMIT - 1):
        await inquiries.retrieve(inquiry.id)
    with pytest.raises(RateLimitedError) as caught:
        await limited.advance_until_done(
            inquiries.retrieve(inquiry.id, timeout=10), step=0.1
        )
    assert 0 < caught.value.retry_after <= 60
    assert len(limited.sandbox.log.find()) == LIMIT - 1


@pytest.mark.parametrize("mode", ["on", "", 5, None, True, "gate"])
def test_invalid_mode_is_refused(mode):
    with pytest.raises(ConfigurationError, match="window, after_429, off"):
        RateLimitPolicy(mode=mode)


@pytest.mark.parametrize("value", ["off", 5, True, object()])
def test_value_that_is_not_a_policy_is_refused(value):
    with pytest.raises(
        ConfigurationError, match="RateLimitPolicy or a SharedRateLimit"
    ):
        PersonaClient("key", rate_limit=value)
