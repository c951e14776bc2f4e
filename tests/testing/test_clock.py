"""FakeClock: time moves when a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from persona_share.testing import FakeClock, fake_runtime


START = datetime(2026, 1, 1, tzinfo=UTC)


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time


def test_clock_moves_only_when_advanced():
    clock = FakeClock()
    before = clock.now()
    assert clock.wall() == START
    clock.advance(90.5)
    assert clock.now() - before == 90.5
    assert clock.wall() == START + timedelta(seconds=90.5)
    assert clock.epoch() == clock.wall().timestamp()


def test_wall_clock_step_does_not_advance_time():
    clock = FakeClock()
    before = clock.now()
    clock.step_wall(-3600)
    assert clock.now() == before
    assert clock.wall() == START - timedelta(hours=1)


def test_clock_starts_at_the_given_time_in_utc():
    noon = datetime.fromisoformat("2030-05-05T12:00:00+02:00")
    assert FakeClock(noon).wall() == noon
    assert FakeClock(noon).wall().tzinfo is UTC


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="step_wall"):
        FakeClock().advance(-1)


@pytest.mark.asyncio
async def test_sleepers_wake_in_the_order_of_their_instants():
    clock, woken = FakeClock(), []

    async def sleep(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2, 9)]
    await turn()
    assert clock.sleepers == 4
    clock.advance(2.5)
    await turn()
    assert woken == [1, 2]
    clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == [1, 2, 3, 9]


@pytest.mark.asyncio
async def test_wall_clock_step_wakes_no_sleeper():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await turn()
    clock.step_wall(3600)
    await turn()
    assert not task.done()
    clock.advance(5)
    await task


@pytest.mark.asyncio
async def test_suspension_wakes_sleepers_unless_timers_do_not_count_it():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await turn()
    before = clock.now()
    clock.suspend(7200, timers=False)
    await turn()
    assert clock.now() - before == 7200
    assert not task.done()
    clock.suspend(7200)
    await task


@pytest.mark.asyncio
async def test_cancelled_sleeper_is_removed():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await turn()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.sleepers == 0


@pytest.mark.asyncio
async def test_sleeper_cancelled_as_it_wakes_is_cancelled():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await turn()
    clock.advance(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [0, -1])
async def test_sleep_of_zero_yields_to_other_tasks(seconds):
    others = asyncio.create_task(turn())
    await FakeClock().sleep(seconds)
    assert not others.done()
    await others


@pytest.mark.asyncio
async def test_clock_can_be_advanced_from_another_thread():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await turn()
    await asyncio.to_thread(clock.advance, 5)
    await task


def test_runtime_with_a_seed_is_reproducible():
    one, other = fake_runtime(seed=3), fake_runtime(seed=3)
    assert [one.random() for _ in range(3)] == [other.random() for _ in range(3)]
    assert [one.new_key() for _ in range(2)] == [other.new_key() for _ in range(2)]
    assert fake_runtime(seed=4).random() != fake_runtime(seed=3).random()


def test_keys_of_a_runtime_differ():
    runtime = fake_runtime()
    assert len({runtime.new_key() for _ in range(50)}) == 50
