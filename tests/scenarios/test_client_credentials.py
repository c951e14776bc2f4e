"""Client credentials from key to objects, while many tokens expire."""

import traceback

import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._tokens.source import ClientCredentials
from persona_share.errors import (
    CodeRejectedError,
    ConfigurationError,
    ExchangeAuthenticationError,
    ScopeNotCoveredError,
)
from tests.event_loop import run_iterations
from tests.keys import ALGORITHMS, signing_key


READ = Scope(("inquiry.read",))
TOKEN = "POST /oauth/token"


@pytest.fixture
def machine(scenario):
    def make(algorithm="ES256", **options):
        public = signing_key(algorithm).as_pem(private=False).decode()
        scenario.sandbox.register_oauth_client("client-1", public, ["inquiry.read"])
        private = signing_key(algorithm).as_pem(private=True).decode()
        source = ClientCredentials("client-1", private, algorithm=algorithm)
        return ScopedTokenManager(scenario.source, codes=source, **options)

    return make


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_signed_assertion_gives_access_by_its_permission(
    scenario, machine, algorithm
):
    inquiry = scenario.sandbox.add_inquiry()
    async with machine(algorithm) as manager:
        session = manager.session(READ)
        assert (await session.inquiries.retrieve(inquiry.id)).id == inquiry.id
        with pytest.raises(ScopeNotCoveredError):
            await session.verifications.retrieve("ver_1")
        assert (await manager.token(READ)).lifetime == 900
    assert scenario.sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_tokens_of_900_seconds_are_refreshed_for_hours_without_one_failure(
    scenario, machine
):
    inquiry = scenario.sandbox.add_inquiry()
    async with machine() as manager:
        session = manager.session(READ)
        for _ in range(6 * 60):
            assert (await session.inquiries.retrieve(inquiry.id)).id
            scenario.clock.advance(60)
            await run_iterations()
    log = scenario.sandbox.log
    assert log.count(status=401) == log.count(status=403) == 0
    # 900 s that are renewed 100 to 300 s before their end: no loop without an end.
    assert 21_600 / 900 <= log.tokens_issued <= 21_600 / 540


@pytest.mark.asyncio
async def test_lost_response_is_retried_with_the_same_assertion(scenario, machine):
    # A jti is good once: the same assertion under another key would be refused, and
    # another assertion would yield a second token.
    scenario.sandbox.faults.lose_answer(TOKEN, times=2)
    async with machine() as manager:
        await scenario.advance_until_done(manager.token(READ))
    assert scenario.sandbox.log.tokens_issued == 1
    assert scenario.sandbox.log.count(status=401) == 0


@pytest.mark.asyncio
async def test_second_stored_500_leads_to_a_new_assertion_under_a_new_key(
    scenario, machine
):
    scenario.sandbox.faults.answer(TOKEN, 500, stored=True)
    async with machine() as manager:
        await scenario.advance_until_done(manager.token(READ))
    log = scenario.sandbox.log
    assert log.count(status=500) == 2
    assert log.count(status=401) == 0
    assert log.tokens_issued == 1


@pytest.mark.asyncio
async def test_at_most_two_assertions_are_used_when_every_500_is_stored(
    scenario, machine
):
    scenario.sandbox.faults.answer(TOKEN, 500, stored=True, times=None)
    async with machine() as manager:
        with pytest.raises(CodeRejectedError):
            await scenario.advance_until_done(manager.token(READ))
    assert scenario.sandbox.log.count(status=500) == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401])
async def test_refused_assertion_raises_its_own_error(scenario, machine, status):
    scenario.sandbox.switches.bad_assertion_status = status
    async with machine() as manager:
        # The service's clock is an hour behind: the assertion is from its future.
        scenario.sandbox.advance(-3_600)
        with pytest.raises((ExchangeAuthenticationError, CodeRejectedError)) as caught:
            await scenario.advance_until_done(manager.token(READ))
        scenario.sandbox.advance(3_600)
        scenario.clock.advance(61)
        assert await scenario.advance_until_done(manager.token(READ))
    assert caught.value.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("needed", [True, False])
async def test_client_credentials_work_with_and_without_an_api_key(
    scenario, machine, needed
):
    scenario.sandbox.switches.client_credentials_need_bearer = needed
    async with machine() as manager:
        assert await manager.token(READ)


@pytest.mark.asyncio
async def test_audience_of_the_assertion_is_the_token_endpoint(scenario, machine):
    # Without any other audience the sandbox takes its own address only.
    assert scenario.sandbox.switches.audiences == ()
    async with machine() as manager:
        assert await manager.token(READ)


@pytest.mark.asyncio
async def test_assertion_counts_as_one_code_a_token(scenario, machine):
    async with machine() as manager:
        await manager.token(READ)
        assert manager.metrics().codes_per_token == 1.0


def test_private_key_that_is_refused_is_in_no_frame():
    with pytest.raises(ConfigurationError) as caught:
        ClientCredentials("client-1", "-----BEGIN CANARY")
    report = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    frames = [frame for frame in report.stack if frame.filename != __file__]
    assert "client-1" in str([frame.locals for frame in frames])
    assert "CANARY" not in str([frame.locals for frame in frames])
