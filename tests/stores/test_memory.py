"""The store in memory: several loops, forks, and what it forgets."""

import asyncio
import threading

import attrs
import pytest

from persona_share._policy.election import Carried, Held, Lead
from persona_share._protocol.stored import REMEMBERED
from persona_share.stores import MemoryStore
from persona_share.testing import FakeClock, fake_runtime


async def elect(store, key="key", owner="a", newer_than=0):
    return await store.elect(key, owner, newer_than=newer_than, at_least=0.0)


@pytest.mark.asyncio
async def test_using_it_unopened_says_so():
    with pytest.raises(RuntimeError, match="not opened"):
        await elect(MemoryStore())


@pytest.mark.asyncio
async def test_a_loop_in_another_thread_hears_of_a_token():
    store = MemoryStore()
    await store.open(fake_runtime())
    leader = await elect(store)
    listening, heard = threading.Event(), []

    async def follow():
        await elect(store, owner="b")
        listening.set()
        await store.news("key", 15.0)
        heard.append(await elect(store, owner="b"))

    thread = threading.Thread(target=asyncio.run, args=(follow(),))
    thread.start()
    listening.wait(5)
    await store.publish("key", "a", leader.fence, remaining=60.0, blob=b"token")
    thread.join(5)

    assert [type(each) for each in heard] == [Held]


@pytest.mark.asyncio
async def test_whoever_gave_up_waiting_is_forgotten():
    store = MemoryStore()
    await store.open(fake_runtime())
    waiting = asyncio.ensure_future(store.news("key", 15.0))
    await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert store._listeners == {}


@pytest.mark.asyncio
async def test_looking_at_a_key_keeps_nothing():
    store = MemoryStore()
    await store.open(fake_runtime())
    assert await store.take("key") is None

    assert repr(store) == "<MemoryStore of 0 keys>"


@pytest.mark.asyncio
async def test_keys_that_nobody_needs_any_more_are_dropped():
    clock = FakeClock()
    store = MemoryStore()
    await store.open(fake_runtime(clock))
    for number in range(600):
        await store.adopt(f"old {number}", remaining=60.0, blob=b"")
    clock.advance(REMEMBERED + 61)
    for number in range(600):
        await store.adopt(f"new {number}", remaining=60.0, blob=b"")

    assert repr(store) == "<MemoryStore of 600 keys>"


@pytest.mark.asyncio
async def test_t28_a_forked_child_keeps_tokens_and_no_codes():
    forked = []
    store = MemoryStore()
    await store.open(attrs.evolve(fake_runtime(), after_fork=forked.append))
    await store.adopt("key", remaining=60.0, blob=b"token")
    await store.offer("key", Carried("pushed", 600.0, b"code"))
    leader = await elect(store, "other")
    await store.attach("other", "a", leader.fence, Carried("mine", 600.0, b"code"))
    store._lock.acquire()  # as if a thread of the parent held it at that moment
    for call in forked:
        call()

    assert isinstance(await elect(store), Held)
    assert await store.take("key") is None
    assert await elect(store, "other", "b") == Lead(leader.fence + 1, None)


def test_its_listeners_do_not_keep_a_closed_loop():
    store = MemoryStore()

    async def wait():
        await store.open(fake_runtime())
        task = asyncio.ensure_future(store.news("key", 15.0))
        await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
        return task

    asyncio.run(wait())
    asyncio.run(store.adopt("key", remaining=60.0, blob=b""))

    assert store._listeners == {}
