"""F80 to F90: clock steps, suspended machines, expiring codes and tokens.

Others with these ids: tests/_tokens/test_broker.py (F80, F81, F87), test_offer.py and
test_exchanging.py (F85), tests/_protocol/test_lifetime.py (F85, F86), tests/scenarios/
test_main_job.py (F84).
"""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import CodeExpiredError, DeadlineExceededError
from persona_share.model.token import AuthorizationCode


SCOPE = Scope.read("inq_1", "ver_2")
HOUR = 3_600


def delivered(number=1):
    return f"delivered{number}.{str(SCOPE).encode().hex()}"


@pytest.mark.asyncio
@pytest.mark.parametrize("days", [-1, 1])
async def test_f80_f81_wall_clock_step_costs_no_exchange(harness, days):
    manager = await harness.manager()
    scopes = [Scope.read(f"inq_{number}") for number in range(50)]
    await asyncio.gather(*(manager.token(scope) for scope in scopes))
    harness.clock.step_wall(days * 24 * HOUR)
    await harness.advance_clock(60, step=10)
    await asyncio.gather(*(manager.token(scope) for scope in scopes))
    assert len(harness.service.requests) == 50


@pytest.mark.asyncio
@pytest.mark.parametrize("days", [-1, 1])
async def test_f80_f81_wall_clock_step_expires_no_pending_code(harness, days):
    manager = await harness.manager(codes=None)
    ends = harness.clock.wall() + timedelta(seconds=599)
    await manager.offer(delivered(), SCOPE, expires_at=ends)
    harness.clock.step_wall(days * 24 * HOUR)
    await harness.advance_clock(300)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f81_shown_times_follow_the_wall_clock(harness):
    manager = await harness.manager()
    token = await manager.token(SCOPE)
    harness.clock.step_wall(-24 * HOUR)
    assert token.expires_at - harness.clock.wall() == timedelta(seconds=3599)
    assert token.expires_in == timedelta(seconds=3599)


@pytest.mark.asyncio
@pytest.mark.parametrize("timers", [True, False], ids=["timers on", "timers stopped"])
async def test_f82_after_two_hours_of_sleep_a_thousand_callers_cost_one_exchange(
    harness, timers
):
    manager = await harness.manager()
    old = await manager.token(SCOPE)
    await harness.settle()
    harness.clock.suspend(2 * HOUR, timers=timers)
    harness.service.delay = 1
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(1_000)]
    tokens = await harness.advance_until_done(asyncio.gather(*callers))
    assert {token.reveal() for token in tokens} == {"token2"}
    assert old not in tokens
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
async def test_f82_tokens_in_use_are_refreshed_after_wake_up(harness):
    manager = await harness.manager()
    await manager.warm(SCOPE)
    await harness.settle()
    harness.clock.suspend(2 * HOUR, timers=False)
    await harness.advance_clock(15, step=1)
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
async def test_f82_lifetime_counts_from_before_a_suspension(harness):
    harness.service.delay = 1
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await harness.settle()
    began = harness.clock.now()
    harness.clock.suspend(HOUR / 2, timers=False)
    token = await harness.advance_until_done(caller)
    assert token.ends == began + 3599


@pytest.mark.asyncio
async def test_f85_code_that_expires_in_the_queue_is_not_sent(harness):
    harness.service.headers = {"ratelimit-limit": "5"}
    manager = await harness.manager()
    await manager.token(Scope.read("inq_8"))
    expiry = harness.clock.wall() + timedelta(seconds=30)
    with pytest.raises(Exception, match="expire before its turn"):
        await manager.exchange(AuthorizationCode(delivered(), expires_at=expiry))
    assert len(harness.service.requests) == 1


@pytest.mark.asyncio
async def test_f85_code_with_unknown_outcome_is_retried_after_its_expiry(harness):
    harness.service.script = [Response(status=503)] * 4
    manager = await harness.manager(codes=None)
    ends = harness.clock.wall() + timedelta(seconds=1)
    with pytest.raises(Exception, match="no usable response"):
        await harness.advance_until_done(
            manager.exchange(delivered(), scope=SCOPE, expires_at=ends), step=0.05
        )
    sent = len(harness.service.requests)
    await harness.advance_clock(61)
    assert await manager.exchange(delivered()) == SCOPE
    assert len(harness.service.requests) == sent + 1
    assert len(set(harness.service.keys)) == 1


@pytest.mark.asyncio
async def test_f86_code_of_unknown_age_counts_as_new(harness):
    manager = await harness.manager(codes=None)
    await manager.offer(delivered(), SCOPE)
    await harness.advance_clock(599 - 5 - 40)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f86_code_of_unknown_age_is_not_sent_after_its_lifetime(harness):
    manager = await harness.manager(codes=None)
    await manager.offer(delivered(), SCOPE)
    harness.clock.advance(599 - 5 - 39)
    with pytest.raises(CodeExpiredError):
        await manager.exchange(delivered())
    assert harness.service.requests == []


@pytest.mark.asyncio
async def test_f87_refresh_is_retried_with_backoff_until_expiry(
    harness,
):
    manager = await harness.manager()
    await manager.token(SCOPE)
    harness.partner.script = [ValueError("down")] * 1_000
    await harness.advance_clock(2_600)
    for _ in range(985):
        await harness.advance_clock(1)
        await manager.token(SCOPE)
    # From 900 s before the end on, with pauses that grow to minutes.
    assert 3 <= len(harness.partner.requested_scopes) - 1 <= 60


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))]
)
async def test_f88_expiry_in_any_time_zone_is_the_same_instant(harness, zone):
    manager = await harness.manager(codes=None)
    ends = (harness.clock.wall() + timedelta(seconds=200)).astimezone(zone)
    await manager.offer(delivered(), SCOPE, expires_at=ends)
    await harness.advance_clock(100)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "step", [1, -1, HOUR, -HOUR], ids=["leap", "back", "on", "off"]
)
async def test_f88_leap_seconds_and_daylight_saving_change_nothing(harness, step):
    manager = await harness.manager()
    token = await manager.token(SCOPE)
    for _ in range(10):
        await harness.advance_clock(200)
        harness.clock.step_wall(step)
        assert await manager.token(SCOPE) is token
    assert token.expires_in == timedelta(seconds=3599 - 2_000)
    assert isinstance(token.expires_at, datetime)


@pytest.mark.asyncio
async def test_f90_no_timer_fires_twice_after_the_loop_was_blocked(harness):
    harness.service.delay = 5
    manager = await harness.manager()
    patient = asyncio.ensure_future(manager.token(SCOPE))
    hurried = asyncio.ensure_future(manager.token(SCOPE, timeout=10))
    await harness.settle()
    harness.clock.advance(30)  # no other task ran
    results = await harness.advance_until_done(
        asyncio.gather(patient, hurried, return_exceptions=True)
    )
    assert results[0].scope == SCOPE
    assert isinstance(results[1], DeadlineExceededError) or results[1] is results[0]
    assert len(harness.service.requests) == len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_f90_overdue_refreshes_happen_once(harness):
    manager = await harness.manager()
    scopes = [Scope.read(f"inq_{number}") for number in range(20)]
    await manager.warm(*scopes)
    await harness.advance_clock(3599 - 905)
    harness.clock.advance(870)  # all of them fell due while the loop stood still
    await harness.settle()
    await harness.advance_clock(30, step=1)
    assert len(harness.service.requests) == 40
