"""Flights: who waits, who leaves, and what ends the work."""

import asyncio
import contextlib

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share._tokens.flight import Flight, Left
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    ExchangeUnavailableError,
    ManagerClosedError,
)
from persona_share.testing import FakeClock
from tests.turns import turns


SCOPE = Scope.read("inq_1", "ver_2")
PART = Scope.read("inq_1")


def delivered(scope, number=1):
    return f"delivered{number}.{str(scope).encode().hex()}"


def flight_of(work, landed=lambda _: None, *, background=False, clock=None):
    return Flight(
        work, clock=clock or FakeClock(), background=background, landed=landed
    )


@pytest.mark.asyncio
async def test_a_flight_that_is_abandoned_before_its_first_step_lands_all_the_same():
    landed = []

    async def work(_flight):
        raise AssertionError("it must not begin")

    flight = flight_of(work, landed.append)
    waiting = asyncio.ensure_future(flight.wait(float("inf")))
    flight.abandon(ManagerClosedError("closed"))
    assert landed == [flight]
    assert isinstance(await waiting, ManagerClosedError)


@pytest.mark.asyncio
async def test_a_flight_lands_once_however_often_it_is_abandoned():
    landed = []

    async def work(_flight):
        await asyncio.Event().wait()

    flight = flight_of(work, landed.append)
    await turns()
    for _ in range(3):
        flight.abandon(Left.WITHDRAWN)
    await asyncio.wait({flight.task})
    flight.abandon(Left.WITHDRAWN)
    assert landed == [flight]
    assert flight.outcome is Left.WITHDRAWN


@pytest.mark.asyncio
async def test_what_breaks_inside_reaches_every_waiter_as_a_library_error():
    async def work(_flight):
        raise KeyError("canary")

    flight = flight_of(work)
    outcomes = await asyncio.gather(*(flight.wait(float("inf")) for _ in range(3)))
    assert {type(outcome) for outcome in outcomes} == {ExchangeUnavailableError}
    assert "KeyError (test_flight.py:" in str(outcomes[0])
    assert "canary" not in str(outcomes[0])


@pytest.mark.asyncio
async def test_a_flight_that_somebody_else_cancels_tells_its_waiters():
    async def work(_flight):
        await asyncio.Event().wait()

    flight = flight_of(work)
    waiting = asyncio.ensure_future(flight.wait(float("inf")))
    await turns()
    flight.task.cancel()
    assert isinstance(await waiting, ExchangeUnavailableError)


@pytest.mark.asyncio
async def test_each_waiter_has_a_deadline_of_its_own():
    clock = FakeClock()

    async def work(_flight):
        await clock.sleep(100)
        return Left.WITHDRAWN

    flight = flight_of(work, clock=clock, background=True)
    now = clock.now()
    waits = [
        asyncio.ensure_future(flight.wait(now + seconds)) for seconds in (30, 10, 20)
    ]
    ended = []
    for number, wait in enumerate(waits):
        wait.add_done_callback(lambda _, number=number: ended.append(number))
    for _ in range(3):
        clock.advance(10)
        await turns(5)
    assert ended == [1, 2, 0]
    assert [await wait for wait in waits] == [Left.TIME_IS_UP] * 3
    flight.abandon(Left.WITHDRAWN)
    await asyncio.wait({flight.task})


@pytest.mark.asyncio
async def test_a_caller_that_comes_in_the_moment_of_another_landing_is_served(house):
    house.service.delay = 1
    manager = await house.manager(codes=None)
    exchange = asyncio.ensure_future(manager.exchange(delivered(SCOPE)))
    await house.settle()
    # Whether the caller or the answer is first, nobody is forgotten: try every turn.
    for number in range(12):
        house.clock.advance(1)
        await turns(number)
        with contextlib.suppress(AuthorizationCodeRequiredError):  # it may be too early
            await asyncio.wait_for(manager.token(PART), 1)
        await house.settle()
        assert manager._broker._flights == {}
    await exchange


@pytest.mark.asyncio
async def test_a_flight_satisfied_before_its_first_step_does_not_stay_in_the_way(house):
    house.service.delay = 1
    manager = await house.manager()
    exchange = asyncio.ensure_future(manager.exchange(delivered(SCOPE)))
    await house.settle()
    broker = manager._broker
    # In one turn of the loop: a caller begins a flight, and the answer lands.
    caller = asyncio.ensure_future(manager.token(PART))
    await turns()
    entry_bringer = next(iter(broker._flights.values()))
    house.clock.advance(1)
    await house.settle()
    assert (await caller).scope >= PART
    await exchange
    assert entry_bringer.outcome is not None
    assert broker._flights == {}
    house.clock.advance(3600)
    assert (await house.soon(manager.token(PART))).expires_in.total_seconds() > 3000


@pytest.mark.asyncio
async def test_a_source_that_cancels_itself_is_a_failure_and_not_asked_for_ever(house):
    house.partner.script = [asyncio.CancelledError()] * 50
    manager = await house.manager()
    with pytest.raises(Exception, match="cancelled from within"):
        await asyncio.wait_for(manager.token(SCOPE), 1)
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_a_code_that_comes_after_everybody_left_is_kept_for_the_next(house):
    asked = []
    given = asyncio.Event()

    async def stubborn(scope):
        asked.append(scope)
        try:
            await given.wait()
        except asyncio.CancelledError:
            await given.wait()
        return delivered(scope)

    manager = await house.manager(codes=stubborn)
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    caller.cancel()
    await house.settle()
    given.set()
    await house.settle()
    assert (await manager.token(SCOPE)).scope == SCOPE
    assert len(asked) == 1


@pytest.mark.asyncio
async def test_after_a_refused_code_nobody_is_asked_for_callers_that_left(house):
    house.service.delay = 1
    house.service.script = [Response(status=404)]
    manager = await house.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    caller.cancel()
    await house.pass_time(5, step=1)
    assert len(house.partner.asked) == 1
    assert manager._broker._flights == {}
