"""One scope, one token, one exchange: what callers of the manager see."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeRejectedError,
    CodeSourceError,
    ConnectionLostError,
    DeadlineExceededError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
)
from persona_share.model import events


SCOPE = Scope.read("inq_1", "ver_2")


@pytest.mark.asyncio
async def test_a_token_is_exchanged_once_and_held(house):
    manager = await house.manager()
    first = await manager.token(SCOPE)
    second = await manager.token(str(SCOPE))
    assert first is second
    assert first.reveal() == "token1"
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f60_ten_thousand_callers_cost_one_exchange(house):
    house.service.delay = 1
    manager = await house.manager()
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(10_000)]
    await house.settle()
    house.clock.advance(1)
    tokens = await asyncio.gather(*callers)
    assert len({id(token) for token in tokens}) == 1
    assert len(house.service.requests) == len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_f61_the_leader_may_be_cancelled_before_the_code_came(house):
    house.partner.delay = 1
    manager = await house.manager()
    leader = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    followers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(50)]
    await house.settle()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    house.clock.advance(1)
    assert len({(await each).reveal() for each in followers}) == 1
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_f61_without_anybody_left_the_request_for_a_code_is_withdrawn(house):
    house.partner.delay = 1
    manager = await house.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    caller.cancel()
    await house.pass_time(2)
    assert house.service.requests == []
    assert (await house.soon(manager.token(SCOPE), 1)).reveal() == "token1"


@pytest.mark.asyncio
async def test_f62_f63_once_sent_an_exchange_lands_though_everybody_left(house):
    house.service.delay = 1
    manager = await house.manager()
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(5)]
    await house.settle()
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert all(caller.cancelled() for caller in callers)
    await house.pass_time(1)
    assert (await manager.token(SCOPE)).reveal() == "token1"
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f64_a_caller_with_less_time_gives_up_alone(house):
    house.service.delay = 5
    manager = await house.manager()
    patient = asyncio.ensure_future(manager.token(SCOPE))
    hurried = asyncio.ensure_future(manager.token(SCOPE, timeout=2))
    await house.settle()
    await house.pass_time(2)
    with pytest.raises(DeadlineExceededError):
        await hurried
    await house.pass_time(3)
    assert (await patient).reveal() == "token1"


@pytest.mark.asyncio
async def test_a_caller_that_wakes_up_late_is_not_given_what_another_one_complained_of(
    house,
):
    house.service.delay = 1
    manager = await house.manager()

    async def complain():
        token = await manager.token(SCOPE)
        manager.invalidate(token)
        return token

    first = asyncio.ensure_future(complain())
    second = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    token = await house.soon(second)
    assert (await first).reveal() == "token1"
    assert token.reveal() == "token2"
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_f65_waiters_share_a_failure_each_with_an_error_of_its_own(house):
    house.partner.script = [ValueError("no")]
    manager = await house.manager()
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(200)]
    await asyncio.wait(callers)
    errors = [caller.exception() for caller in callers]
    assert {type(error) for error in errors} == {CodeSourceError}
    assert len({id(error) for error in errors}) == 200
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_after_a_failure_nobody_asks_again_before_the_pause_is_over(house):
    house.partner.script = [ValueError("no")]
    manager = await house.manager()
    with pytest.raises(CodeSourceError):
        await manager.token(SCOPE)
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(SCOPE)
    assert len(house.partner.asked) == 1
    await house.pass_time(caught.value.retry_after)
    assert (await manager.token(SCOPE)).reveal() == "token1"


@pytest.mark.asyncio
async def test_a_token_is_renewed_before_its_end_while_callers_go_on(house):
    manager = await house.manager()
    first = await manager.token(SCOPE)
    seen = set()
    for _ in range(72):
        await house.pass_time(50)
        token = await manager.token(SCOPE)
        assert token.expires_in.total_seconds() > 60
        seen.add(token.reveal())
    assert seen == {"token1", "token2"}
    assert first.generation < token.generation


@pytest.mark.asyncio
async def test_an_unused_token_is_not_renewed(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    await house.pass_time(3600, step=10)
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_warm_keeps_a_token_ready_though_nobody_uses_it(house):
    manager = await house.manager()
    await manager.warm(SCOPE)
    await house.pass_time(7200, step=10)
    assert [token.expires_in.total_seconds() > 60 for token in manager.tokens()] == [
        True
    ]
    assert len(house.service.requests) == 3


@pytest.mark.asyncio
async def test_in_the_advisory_window_the_caller_that_starts_it_does_not_wait(house):
    manager = await house.manager()
    first = await manager.token(SCOPE)
    house.service.delay = 5
    house.clock.advance(3599 - 200)
    token = await asyncio.wait_for(manager.token(SCOPE), 1)
    assert token is first
    await house.settle()
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_f87_while_the_token_is_valid_no_failure_of_its_renewal_is_seen(house):
    manager = await house.manager()
    first = await manager.token(SCOPE)
    house.partner.script = [ValueError("down")] * 1000
    await house.pass_time(2600)
    while first.expires_in.total_seconds() > 11:
        await house.pass_time(1)
        assert await house.soon(manager.token(SCOPE), 0) is first
    await house.pass_time(2)
    with pytest.raises(CodeSourceError):
        await manager.token(SCOPE)


@pytest.mark.asyncio
async def test_an_ended_token_is_never_handed_out(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.clock.suspend(7200)
    assert (await manager.token(SCOPE)).reveal() == "token2"


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [3600, 86_400, -3600, -86_400])
async def test_f80_f81_a_step_of_the_wall_clock_changes_nothing(house, step):
    manager = await house.manager()
    first = await manager.token(SCOPE)
    house.clock.step_wall(step)
    assert await manager.token(SCOPE) is first
    await house.pass_time(3595)
    assert (await manager.token(SCOPE)) is not first


@pytest.mark.asyncio
async def test_expiry_counts_from_the_first_send(house):
    house.service.script = [ConnectionLostError("lost")]
    house.service.delay = 3
    manager = await house.manager()
    started = house.clock.now()
    token = await house.soon(manager.token(SCOPE), 8)
    assert token.ends == started + 3599
    keys = [request.idempotency_key.reveal() for request in house.service.requests]
    bodies = [request.body for request in house.service.requests]
    assert len(set(keys)) == len(set(bodies)) == 1


@pytest.mark.asyncio
async def test_a_refused_code_is_followed_by_one_fresh_code(house):
    house.service.script = [Response(status=404)]
    manager = await house.manager()
    assert (await manager.token(SCOPE)).reveal() == "token2"
    assert len(house.partner.asked) == 2


@pytest.mark.asyncio
async def test_two_refused_codes_end_it(house):
    house.service.script = [Response(status=404)] * 2
    manager = await house.manager()
    with pytest.raises(CodeRejectedError):
        await manager.token(SCOPE)
    assert len(house.partner.asked) == 2


@pytest.mark.asyncio
async def test_three_refused_codes_within_a_minute_save_the_next_for_half_a_minute(
    house,
):
    house.service.script = [Response(status=404)] * 3
    manager = await house.manager()
    for name in ("inq_1", "inq_2"):
        with pytest.raises(CodeRejectedError):
            await manager.token(Scope.read(name))
    asked = len(house.partner.asked)
    with pytest.raises(CodeRejectedError) as caught:
        await manager.token(Scope.read("inq_3"))
    assert len(house.partner.asked) == asked
    assert caught.value.retry_after <= 30


@pytest.mark.asyncio
async def test_f48_a_narrower_grant_is_kept_as_what_it_is(house):
    house.service.grants = Scope.read("inq_1")
    manager = await house.manager()
    with pytest.raises(ScopeNotGrantedError) as caught:
        await manager.token(SCOPE)
    assert caught.value.missing == "verification.read:ver_2"
    assert (await manager.token(Scope.read("inq_1"))).reveal() == "token1"


@pytest.mark.asyncio
async def test_f48_a_renewal_that_is_granted_less_costs_a_code_in_five_minutes(house):
    manager = await house.manager()
    token = await manager.token(SCOPE)
    house.service.grants = Scope.read("inq_1")
    while house.clock.now() < token.ends - 10:
        assert await manager.token(SCOPE) is token
        await house.pass_time(5)
    # It is renewed 900 s before its end at the earliest.
    assert 1 <= len(house.service.requests) - 1 <= 3
    house.service.grants = SCOPE
    assert await manager.token(SCOPE) is not token


@pytest.mark.asyncio
async def test_f49_a_broader_grant_serves_narrower_scopes(house):
    house.service.grants = SCOPE
    manager = await house.manager()
    wide = await manager.token(Scope.read("inq_1"))
    assert await manager.token(Scope.read("ver_2")) is wide
    assert [event.broader for event in house.told(events.TokenMinted)] == [True]


@pytest.mark.asyncio
async def test_f50_an_empty_grant_is_no_grant(house):
    house.service.grants = ""
    manager = await house.manager()
    with pytest.raises(ScopeNotGrantedError):
        await manager.token(SCOPE)


@pytest.mark.asyncio
async def test_without_a_code_source_a_code_must_be_delivered(house):
    manager = await house.manager(codes=None)
    with pytest.raises(AuthorizationCodeRequiredError):
        await manager.token(SCOPE)
    assert await manager.exchange(house.partner.code(SCOPE)) == SCOPE
    assert (await manager.token(SCOPE)).reveal() == "token1"


@pytest.mark.asyncio
async def test_a_delivered_code_serves_those_who_wait_for_its_scope(house):
    house.partner.delay = 60
    manager = await house.manager()
    waiting = asyncio.ensure_future(manager.token(Scope.read("inq_1")))
    await house.settle()
    await manager.exchange("delivered." + str(SCOPE).encode().hex())
    assert (await waiting).reveal() == "token1"
    await house.settle()
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_the_same_code_twice_is_one_exchange(house):
    manager = await house.manager()
    code = house.partner.code(SCOPE)
    scopes = await asyncio.gather(*(manager.exchange(code) for _ in range(20)))
    assert set(scopes) == {SCOPE}
    assert await manager.exchange(code) == SCOPE
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_a_code_in_doubt_is_asked_again_under_its_key(house):
    house.service.script = [ConnectionLostError("lost")] * 4
    manager = await house.manager()
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE), 30)
    await house.pass_time(60)
    assert (await manager.token(SCOPE)).reveal() == "token5"
    keys = {request.idempotency_key.reveal() for request in house.service.requests}
    assert len(keys) == len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_f59_a_replayed_answer_that_is_too_old_leads_to_a_fresh_code(house):
    house.service.lifetime = 20
    house.service.script = [ConnectionLostError("lost")]
    house.service.delay = 15
    manager = await house.manager()
    token = await house.soon(manager.token(SCOPE), 60)
    # The first code was sent twice; its answer came 30 s after the first send.
    assert token.reveal() == "token3"


@pytest.mark.asyncio
async def test_invalidating_ends_exactly_that_token(house):
    manager = await house.manager()
    old = await manager.token(SCOPE)
    manager.invalidate(old)
    new = await manager.token(SCOPE)
    manager.invalidate(old)
    assert new is not old
    assert await manager.token(SCOPE) is new


@pytest.mark.asyncio
async def test_forgetting_a_scope_drops_its_token(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    await manager.forget(SCOPE)
    assert manager.tokens() == ()
