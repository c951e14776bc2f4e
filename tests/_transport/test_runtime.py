"""The runtime of the system."""

import datetime as dt
import re

import pytest

from persona_share._transport.runtime import (
    Progress,
    SystemClock,
    seeded_random,
    system_runtime,
)


def test_random_numbers_and_keys_differ_each_time():
    runtime = system_runtime()
    assert len({runtime.new_key() for _ in range(100)}) == 100
    assert len({runtime.random() for _ in range(100)}) == 100
    assert all(0 <= runtime.random() < 1 for _ in range(100))
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-.{17}", runtime.new_key()
    )


def test_clock_advances_and_wall_time_is_utc():
    clock = SystemClock()
    assert clock.now() <= clock.now()
    assert clock.wall().tzinfo is dt.UTC


@pytest.mark.asyncio
async def test_sleeping_returns():
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.001)
    assert clock.now() - before >= 0.0009


def test_equal_seeds_give_equal_random_numbers():
    one, other = seeded_random(7), seeded_random(7)
    assert [one() for _ in range(5)] == [other() for _ in range(5)]


class ManualClocks:
    """Two clocks that a test sets."""

    monotonic = 100.0
    wall = 5_000.0


def test_without_a_clock_that_counts_suspension_the_wall_clock_shows_it():
    clocks = ManualClocks()
    now = Progress(lambda: clocks.monotonic, lambda: clocks.wall)
    assert now() == 0
    clocks.monotonic += 1
    clocks.wall += 1
    assert now() == 1
    clocks.wall += 3_600  # the machine slept
    assert now() == 3_601


def test_wall_clock_set_back_holds_nothing_up():
    clocks = ManualClocks()
    now = Progress(lambda: clocks.monotonic, lambda: clocks.wall)
    clocks.wall -= 3_600
    assert now() == 0
    clocks.monotonic += 5
    clocks.wall += 5
    assert now() == 5
