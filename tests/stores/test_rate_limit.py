"""SharedRateLimit: one window for all who share a store."""

import asyncio

import pytest

from persona_share._protocol.limits import LimitState
from persona_share.errors import ConfigurationError, StoreUnavailableError
from persona_share.stores.memory import MemoryStore
from persona_share.stores.rate_limit import SharedRateLimit
from persona_share.testing import FakeClock, fake_runtime


NAME = "5d41402abc4b2a76b9719d911017c592"


class CountingStore(MemoryStore):
    """Counts writes, and loses races on demand."""

    def __init__(self, **options):
        super().__init__(**options)
        self.writes = 0
        self.lost = 0

    async def write(self, key, value, *, if_etag, ttl):
        self.writes += 1
        await self._runtime.clock.sleep(0)
        if self.lost:
            self.lost -= 1
            return False
        return await super().write(key, value, if_etag=if_etag, ttl=ttl)


class DownStore(MemoryStore):
    async def read(self, key):
        raise StoreUnavailableError("down")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def runtime(clock):
    return fake_runtime(clock)


async def taking(shared, clock, *arguments):
    """Take slots, and let the pauses after lost races pass."""
    task = asyncio.ensure_future(shared.take(NAME, *arguments))
    while not task.done():
        await clock.sleep(0)
        clock.advance(0.001)
    return task.result()


@pytest.mark.asyncio
async def test_processes_share_one_window(clock, runtime):
    store = MemoryStore(runtime=runtime)
    one, two = (SharedRateLimit(store, runtime=runtime) for _ in range(2))

    probe = await one.take(NAME, 10, None)
    waiting = await two.take(NAME, 10, None)
    await one.take(NAME, 0, LimitState(299, 60.0))
    shares = [await each.take(NAME, 64, None) for each in (one, two)]

    assert (probe.calls, waiting.calls) == (1, 0)
    assert [share.calls for share in shares] == [298 // 8, (298 - 298 // 8) // 8]


@pytest.mark.asyncio
async def test_no_slot_is_given_twice_when_many_take_at_once(clock, runtime):
    store = CountingStore(runtime=runtime)
    every = [SharedRateLimit(store, runtime=runtime) for _ in range(10)]
    await every[0].take(NAME, 1, None)
    await every[0].take(NAME, 0, LimitState(101, 60.0))

    takes = [taking(each, clock, 5, None) for each in every for _ in range(20)]
    shares = await asyncio.gather(*takes)

    assert sum(share.calls for share in shares) <= 100


@pytest.mark.asyncio
async def test_every_task_gets_slots_when_many_of_one_process_take_at_once(
    clock, runtime
):
    store = CountingStore(runtime=runtime)
    shared = SharedRateLimit(store, runtime=runtime)
    await shared.take(NAME, 1, LimitState(10_000, 60.0))
    store.writes = 0

    takes = [taking(shared, clock, 1, LimitState(10_000, 60.0)) for _ in range(40)]
    shares = await asyncio.gather(*takes)

    assert [share.calls for share in shares] == [1] * 40
    assert store.writes == 40


@pytest.mark.asyncio
async def test_contention_error_is_raised_when_every_race_is_lost(clock, runtime):
    store = CountingStore(runtime=runtime)
    store.lost = 1_000
    share = await taking(SharedRateLimit(store, runtime=runtime), clock, 5, None)

    assert share.calls == 0
    assert 0 < share.seconds < 1


@pytest.mark.asyncio
async def test_report_that_says_nothing_new_writes_nothing(runtime):
    store = CountingStore(runtime=runtime)
    shared = SharedRateLimit(store, runtime=runtime)
    await shared.take(NAME, 1, None)
    await shared.take(NAME, 0, LimitState(299, 60.0))
    writes = store.writes

    for _ in range(5):
        await shared.take(NAME, 0, LimitState(299, 60.0))

    assert store.writes == writes


@pytest.mark.asyncio
async def test_store_that_is_down_is_reported(runtime):
    shared = SharedRateLimit(DownStore(runtime=runtime), runtime=runtime)

    with pytest.raises(StoreUnavailableError):
        await shared.take(NAME, 1, None)


@pytest.mark.parametrize("wrong", ["redis://localhost", None, MemoryStore])
def test_value_that_is_not_a_store_is_refused_at_once(wrong):
    with pytest.raises(ConfigurationError, match="a store is needed"):
        SharedRateLimit(wrong)
