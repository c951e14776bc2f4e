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
async def test_f80_f81_wall_clock_step_costs_no_exchange(house, days):
    manager = await house.manager()
    scopes = [Scope.read(f"inq_{number}") for number in range(50)]
    await asyncio.gather(*(manager.token(scope) for scope in scopes))
    house.clock.step_wall(days * 24 * HOUR)
    await house.pass_time(60, step=10)
    await asyncio.gather(*(manager.token(scope) for scope in scopes))
    assert len(house.service.requests) == 50


@pytest.mark.asyncio
@pytest.mark.parametrize("days", [-1, 1])
async def test_f80_f81_wall_clock_step_expires_no_pending_code(house, days):
    manager = await house.manager(codes=None)
    ends = house.clock.wall() + timedelta(seconds=599)
    await manager.offer(delivered(), SCOPE, expires_at=ends)
    house.clock.step_wall(days * 24 * HOUR)
    await house.pass_time(300)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f81_shown_times_follow_the_wall_clock(house):
    manager = await house.manager()
    token = await manager.token(SCOPE)
    house.clock.step_wall(-24 * HOUR)
    assert token.expires_at - house.clock.wall() == timedelta(seconds=3599)
    assert token.expires_in == timedelta(seconds=3599)


@pytest.mark.asyncio
@pytest.mark.parametrize("timers", [True, False], ids=["timers on", "timers stopped"])
async def test_f82_after_two_hours_of_sleep_a_thousand_callers_cost_one_exchange(
    house, timers
):
    manager = await house.manager()
    old = await manager.token(SCOPE)
    await house.settle()
    house.clock.suspend(2 * HOUR, timers=timers)
    house.service.delay = 1
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(1_000)]
    tokens = await house.soon(asyncio.gather(*callers))
    assert {token.reveal() for token in tokens} == {"token2"}
    assert old not in tokens
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_f82_tokens_in_use_are_refreshed_after_wake_up(house):
    manager = await house.manager()
    await manager.warm(SCOPE)
    await house.settle()
    house.clock.suspend(2 * HOUR, timers=False)
    await house.pass_time(15, step=1)
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_f82_lifetime_counts_from_before_a_suspension(house):
    house.service.delay = 1
    manager = await house.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    began = house.clock.now()
    house.clock.suspend(HOUR / 2, timers=False)
    token = await house.soon(caller)
    assert token.ends == began + 3599


@pytest.mark.asyncio
async def test_f85_code_that_expires_in_the_queue_is_not_sent(house):
    house.service.headers = {"ratelimit-limit": "5"}
    manager = await house.manager()
    await manager.token(Scope.read("inq_8"))
    soon = house.clock.wall() + timedelta(seconds=30)
    with pytest.raises(Exception, match="expire before its turn"):
        await manager.exchange(AuthorizationCode(delivered(), expires_at=soon))
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_f85_code_with_unknown_outcome_is_retried_after_its_expiry(house):
    house.service.script = [Response(status=503)] * 4
    manager = await house.manager(codes=None)
    ends = house.clock.wall() + timedelta(seconds=1)
    with pytest.raises(Exception, match="no usable response"):
        await house.soon(
            manager.exchange(delivered(), scope=SCOPE, expires_at=ends), step=0.05
        )
    sent = len(house.service.requests)
    await house.pass_time(61)
    assert await manager.exchange(delivered()) == SCOPE
    assert len(house.service.requests) == sent + 1
    assert len(set(house.service.keys)) == 1


@pytest.mark.asyncio
async def test_f86_code_of_unknown_age_counts_as_new(house):
    manager = await house.manager(codes=None)
    await manager.offer(delivered(), SCOPE)
    await house.pass_time(599 - 5 - 40)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
async def test_f86_code_of_unknown_age_is_not_sent_after_its_lifetime(house):
    manager = await house.manager(codes=None)
    await manager.offer(delivered(), SCOPE)
    house.clock.advance(599 - 5 - 39)
    with pytest.raises(CodeExpiredError):
        await manager.exchange(delivered())
    assert house.service.requests == []


@pytest.mark.asyncio
async def test_f87_refresh_is_retried_with_backoff_until_expiry(
    house,
):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.partner.script = [ValueError("down")] * 1_000
    await house.pass_time(2_600)
    for _ in range(985):
        await house.pass_time(1)
        await manager.token(SCOPE)
    # From 900 s before the end on, with pauses that grow to minutes.
    assert 3 <= len(house.partner.asked) - 1 <= 60


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))]
)
async def test_f88_expiry_in_any_time_zone_is_the_same_instant(house, zone):
    manager = await house.manager(codes=None)
    ends = (house.clock.wall() + timedelta(seconds=200)).astimezone(zone)
    await manager.offer(delivered(), SCOPE, expires_at=ends)
    await house.pass_time(100)
    assert (await manager.token(SCOPE)).scope == SCOPE


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "step", [1, -1, HOUR, -HOUR], ids=["leap", "back", "on", "off"]
)
async def test_f88_leap_seconds_and_daylight_saving_change_nothing(house, step):
    manager = await house.manager()
    token = await manager.token(SCOPE)
    for _ in range(10):
        await house.pass_time(200)
        house.clock.step_wall(step)
        assert await manager.token(SCOPE) is token
    assert token.expires_in == timedelta(seconds=3599 - 2_000)
    assert isinstance(token.expires_at, datetime)


@pytest.mark.asyncio
async def test_f90_no_timer_fires_twice_after_the_loop_was_blocked(house):
    house.service.delay = 5
    manager = await house.manager()
    patient = asyncio.ensure_future(manager.token(SCOPE))
    hurried = asyncio.ensure_future(manager.token(SCOPE, timeout=10))
    await house.settle()
    house.clock.advance(30)  # nobody had a turn meanwhile
    answers = await house.soon(asyncio.gather(patient, hurried, return_exceptions=True))
    assert answers[0].scope == SCOPE
    assert isinstance(answers[1], DeadlineExceededError) or answers[1] is answers[0]
    assert len(house.service.requests) == len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_f90_overdue_refreshes_happen_once(house):
    manager = await house.manager()
    scopes = [Scope.read(f"inq_{number}") for number in range(20)]
    await manager.warm(*scopes)
    await house.pass_time(3599 - 905)
    house.clock.advance(870)  # all of them fell due while the loop stood still
    await house.settle()
    await house.pass_time(30, step=1)
    assert len(house.service.requests) == 40
