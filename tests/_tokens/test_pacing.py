"""Exchanges take a fifth of the request limit, renewals leave a part of that."""

import asyncio

import pytest

from persona_share._protocol.http import Response
from persona_share._tokens.pacing import ExchangePacing
from persona_share.model.policy import RenewalPolicy
from persona_share.testing import FakeClock
from tests.turns import turns


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def pacing(clock):
    return ExchangePacing(clock, RenewalPolicy())


def answer(limit):
    return Response(status=201, headers={"ratelimit-limit": str(limit)})


async def passed(pacing, count, *, hurried=True, until=float("inf")):
    """How many of so many get their turn without time passing, and the rest."""
    queue = [
        asyncio.ensure_future(pacing.turn(lambda: hurried, until)) for _ in range(count)
    ]
    await turns(5)
    return sum(turn.done() and turn.result() for turn in queue), queue


async def stop(queue):
    for turn in queue:
        turn.cancel()
    await asyncio.gather(*queue, return_exceptions=True)


@pytest.mark.asyncio
async def test_there_is_no_limit_before_the_first_header(pacing):
    assert pacing.level is None
    assert not pacing.pressed
    assert (await passed(pacing, 5_000))[0] == 5_000


@pytest.mark.asyncio
async def test_a_fifth_of_the_limit_goes_to_exchanges(pacing, clock):
    pacing.learn(answer(300))
    clock.advance(60)
    count, queue = await passed(pacing, 100)
    assert count == 60
    clock.advance(10)
    await turns(10)
    assert 69 <= sum(turn.done() for turn in queue) <= 71
    await stop(queue)


@pytest.mark.asyncio
async def test_renewals_leave_three_tenths_to_callers_who_wait(pacing, clock):
    pacing.learn(answer(300))
    clock.advance(60)
    count, queue = await passed(pacing, 100, hurried=False)
    assert count == 60 - 18
    assert (await passed(pacing, 18))[0] == 18
    await stop(queue)


@pytest.mark.asyncio
async def test_a_renewal_that_somebody_begins_to_wait_for_may_use_the_whole_share(
    pacing, clock
):
    pacing.learn(answer(300))
    clock.advance(60)
    _, renewals = await passed(pacing, 42, hurried=False)
    waiting = []
    turn = asyncio.ensure_future(pacing.turn(lambda: bool(waiting), float("inf")))
    await turns(10)
    waiting.append("a caller")
    clock.advance(1)
    await turns(10)
    assert turn.done()
    await stop(renewals)


@pytest.mark.asyncio
async def test_after_a_429_nothing_goes_until_the_reset(pacing, clock):
    pacing.learn(answer(300))
    clock.advance(60)
    pacing.close(42)
    count, queue = await passed(pacing, 5)
    assert count == 0
    clock.advance(41.9)
    await turns(10)
    assert not any(turn.done() for turn in queue)
    clock.advance(0.2)
    await turns(10)
    assert all(turn.done() for turn in queue)


@pytest.mark.asyncio
async def test_a_429_closes_even_where_no_limit_is_known(pacing, clock):
    pacing.close(10)
    count, queue = await passed(pacing, 1)
    assert count == 0
    clock.advance(10)
    await turns(10)
    assert queue[0].result()


@pytest.mark.asyncio
async def test_a_turn_that_would_come_too_late_is_refused_at_once(pacing, clock):
    pacing.close(42)
    assert not await pacing.turn(lambda: True, clock.now() + 42)


def test_the_share_follows_a_limit_that_changes(pacing, clock):
    pacing.learn(answer(300))
    clock.advance(60)
    assert pacing.level == 60
    pacing.learn(answer(100))
    assert pacing.level == 20
    pacing.learn(answer(1))
    assert pacing.level == 1


@pytest.mark.parametrize("text", ["", "-1", "1e3", "300, 300", "\uff19", "9" * 10, "x"])
def test_a_limit_that_cannot_be_read_is_no_limit(pacing, text):
    pacing.learn(answer(text))
    assert pacing.level is None


def test_renewals_are_spread_further_while_little_is_left(pacing, clock):
    pacing.learn(answer(10))
    assert not pacing.pressed
    clock.advance(60)
    pacing.learn(answer(300))
    assert pacing.pressed
    clock.advance(60)
    assert not pacing.pressed
