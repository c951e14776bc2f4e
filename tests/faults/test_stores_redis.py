"""F109 to F117: a Redis that is away, frozen, full, forgetful or foreign."""

import asyncio
import pickle
import time

import pytest

from persona_share._policy.election import Follow, Held, Lead
from persona_share._transport.runtime import system_runtime
from persona_share.errors import StoreUnavailableError
from persona_share.stores import RedisStore
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import one_redis, own_redis, redis_server


__all__ = ["one_redis", "own_redis", "redis_server"]


async def opened(server, clock=None, **options):
    store = RedisStore(server.url, plaintext=True, **options)
    await store.open(fake_runtime(clock))
    return store


async def elect(store, key="key", owner="a"):
    return await store.elect(key, owner, newer_than=0, at_least=0.0)


async def refused(store):
    """Answer how long a refusal took, in seconds."""
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    with pytest.raises(StoreUnavailableError):
        await elect(store)
    return time.monotonic() - began  # noqa: TID251 - as above


@pytest.mark.asyncio
async def test_f109_a_server_that_is_down_is_told_at_once_and_found_again(own_redis):
    server, clock = own_redis(), FakeClock()
    store = await opened(server, clock)
    server.stop()
    assert max([await refused(store) for _ in range(3)]) <= 1.1
    assert max([await refused(store) for _ in range(20)]) <= 0.005
    server.start()
    assert await refused(store) <= 0.005
    clock.advance(5)
    assert isinstance(await elect(store), Lead)
    await store.close()


@pytest.mark.asyncio
async def test_f109_a_server_that_is_down_at_the_start_is_found_later(own_redis):
    server, clock = own_redis(), FakeClock()
    server.stop()
    store = RedisStore(server.url, plaintext=True)
    with pytest.raises(StoreUnavailableError):
        await store.open(fake_runtime(clock))
    server.start()
    clock.advance(5)
    assert isinstance(await elect(store), Lead)
    await store.close()


@pytest.mark.asyncio
async def test_f110_a_frozen_server_costs_a_second_once(own_redis):
    server, clock = own_redis(), FakeClock()
    store = await opened(server, clock)
    server.freeze()
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    answers = await asyncio.gather(
        *(elect(store, f"key {number}") for number in range(200)),
        return_exceptions=True,
    )
    took = time.monotonic() - began  # noqa: TID251 - as above
    during = max([await refused(store) for _ in range(20)])
    server.thaw()
    clock.advance(5)
    after = await elect(store)
    await store.close()

    assert {type(each) for each in answers} == {StoreUnavailableError}
    assert took <= 1.3
    assert during <= 0.005
    assert isinstance(after, Lead)


@pytest.mark.asyncio
async def test_f110_a_late_answer_is_read_by_nobody(redis_server):
    clock = FakeClock()
    store = await opened(redis_server, clock)
    await store.adopt("one", remaining=60.0, blob=b"one")
    redis_server.client.execute_command("CLIENT PAUSE", 1_200)
    assert 0.9 <= await refused(store) <= 1.2
    clock.advance(5)
    time.sleep(0.4)  # noqa: ASYNC251 - until the pause is over
    answer = await elect(store, "one")
    await store.close()

    assert answer.blob == b"one"


@pytest.mark.asyncio
async def test_f111_evicted_keys_cost_a_token_and_never_a_wrong_one(own_redis):
    server = own_redis("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru")
    store = await opened(server)
    kept = {}
    for number in range(600):
        key, blob = f"key {number}", bytes([number % 256]) * 4_000
        kept[key] = blob, await store.adopt(key, remaining=3_599.0, blob=blob)
    missing = 0
    for key, (blob, generation) in kept.items():
        answer = await elect(store, key)
        if isinstance(answer, Held):
            assert (answer.generation, answer.blob) == (generation, blob)
        else:
            missing += 1
    await store.close()

    assert 0 < missing < 600


@pytest.mark.asyncio
async def test_f112_a_flushed_server_begins_above_what_is_in_use(redis_server):
    store = await opened(redis_server)
    redis_server.client.flushall()
    answer = await store.elect("key", "a", newer_than=7, at_least=0.0)
    await store.publish("key", "a", answer.fence, remaining=60.0, blob=b"new")
    found = await store.elect("key", "b", newer_than=7, at_least=0.0)
    await store.close()

    assert found == Held(8, found.remaining, b"new")


@pytest.mark.asyncio
async def test_f113_a_replica_a_full_server_and_a_stranger_are_told_apart(own_redis):
    server, clock = own_redis(), FakeClock()
    store = await opened(server, clock)

    async def said():
        clock.advance(31)
        with pytest.raises(StoreUnavailableError) as caught:
            await elect(store)
        return caught.value.what

    server.client.replicaof("127.0.0.1", "1")
    assert "replica" in await said()
    server.client.replicaof("NO", "ONE")
    server.client.config_set("maxmemory", "1")
    assert "OutOfMemory" in await said()
    server.client.config_set("maxmemory", "0")
    server.client.config_set("requirepass", "CANARY-password")
    await store.close()
    assert "refused us" in await said()
    assert "CANARY" not in await said()
    await store.close()


@pytest.mark.asyncio
async def test_f113_a_refusal_is_not_asked_for_again(own_redis):
    server = own_redis("--requirepass", "secret")
    store = RedisStore(server.url, plaintext=True)
    with pytest.raises(StoreUnavailableError, match="refused us"):
        await store.open(fake_runtime())
    assert await refused(store) <= 0.005
    await store.close()


@pytest.mark.asyncio
async def test_f113_a_member_of_a_cluster_says_what_is_missing(own_redis, tmp_path):
    server = own_redis("--cluster-enabled", "yes", "--dir", str(tmp_path))
    store = RedisStore(server.url, plaintext=True)
    with pytest.raises(StoreUnavailableError, match="Redis"):
        await store.open(fake_runtime())
    await store.close()


@pytest.mark.asyncio
async def test_f114_of_cancelled_commands_no_answer_reaches_another(redis_server):
    store = await opened(redis_server)
    keys = [f"key {number}" for number in range(50)]
    for key in keys:
        await store.adopt(key, remaining=3_599.0, blob=key.encode())
    wrong, cancelled = [], 0

    async def ask(key):
        answer = await elect(store, key)
        if not isinstance(answer, Held) or answer.blob != key.encode():
            wrong.append((key, answer))

    random = system_runtime().random
    for _ in range(60):
        tasks = [asyncio.ensure_future(ask(key)) for key in keys]
        await asyncio.sleep(0.004 * random())  # noqa: TID251 - the server is a real one
        for task in tasks[::2]:
            cancelled += task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()

    assert wrong == []
    assert cancelled > 300


@pytest.mark.parametrize(
    "foreign",
    [
        b"plain text",
        b"",
        pickle.dumps({"n": "key"}),
        b"\x81\xa1n\xa3key",  # a map of ours in form, and of nothing inside
        b"\x82\xa1n\xa3key\xa1w\xa1x",
        b"x" * 50_000_000,
    ],
    ids=["text", "empty", "pickle", "hollow", "wrong", "huge"],
)
@pytest.mark.asyncio
async def test_f116_a_foreign_value_is_a_miss_that_is_told(
    redis_server, caplog, foreign
):
    store = await opened(redis_server)
    redis_server.client.set("ptm1:{key}:r", foreign)
    first, second = await elect(store), await elect(store, owner="b")
    await store.close()

    assert isinstance(first, Lead)
    assert isinstance(second, Follow)
    assert ("no record of ours" in caplog.text) is bool(foreign)


@pytest.mark.asyncio
async def test_f116_so_is_a_value_of_another_type(redis_server, caplog):
    store = await opened(redis_server)
    redis_server.client.hset("ptm1:{key}:r", "n", "key")
    redis_server.client.lpush("ptm1:{key}:g", "1")
    first, second = await elect(store), await elect(store, owner="b")
    await store.close()

    assert isinstance(first, Lead)
    assert isinstance(second, Follow)
    assert "no record of ours" in caplog.text


@pytest.mark.asyncio
async def test_t14_f116_a_record_under_another_key_is_a_miss(redis_server):
    store = await opened(redis_server)
    await store.adopt("one", remaining=60.0, blob=b"one")
    redis_server.client.copy("ptm1:{one}:r", "ptm1:{other}:r")
    answer = await elect(store, "other")
    await store.close()

    assert isinstance(answer, Lead)


@pytest.mark.asyncio
async def test_f117_our_own_clock_does_not_matter(redis_server):
    ahead, behind = FakeClock(), FakeClock()
    ahead.step_wall(86_400)
    behind.step_wall(-86_400)
    writer, reader = (
        await opened(redis_server, ahead),
        await opened(redis_server, behind),
    )
    await writer.adopt("key", remaining=60.0, blob=b"token")
    answer = await elect(reader)
    await writer.close()
    await reader.close()

    assert 59.0 <= answer.remaining <= 60.0
