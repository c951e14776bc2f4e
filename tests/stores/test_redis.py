"""The store in Redis: what it refuses, what the server sees, and its connections."""

import asyncio
import gc
import logging
import threading
import time

import attrs
import pytest
import redis

from persona_share._policy.election import Carried, Held, Lead
from persona_share._transport.runtime import system_runtime
from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.stores import Encrypted, RedisStore
from persona_share.testing import fake_runtime
from tests.redis_server import open_files


TOKEN, CODE, ID = b"CANARY-token", b"CANARY-code", "CANARY-id"


async def opened(server, **options):
    store = RedisStore(server.url, plaintext=True, **options)
    await store.open(fake_runtime())
    return store


async def elect(store, key="key", owner="a", newer_than=0):
    return await store.elect(key, owner, newer_than=newer_than, at_least=0.0)


# ── What is refused ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "127.0.0.1:6379",
        "redis://[::1",
        "rediss://host?ssl_cert_reqs=none",
        "rediss://host?ssl_check_hostname=false",
        "redis://127.0.0.1?socket_timeout=99",
    ],
)
def test_t23_a_url_that_is_none_or_weakens_is_refused(url):
    with pytest.raises(StoreRefusedError):
        RedisStore(url)


@pytest.mark.parametrize(
    "url", ["redis://redis.example", "redis://192.0.2.1", "redis://127.0.0.1.example"]
)
@pytest.mark.asyncio
async def test_t23_a_connection_that_others_hear_needs_tls(url):
    store = RedisStore(url, plaintext=True)
    with pytest.raises(StoreRefusedError, match="others could read"):
        await store.open(fake_runtime())


@pytest.mark.parametrize(
    "url",
    [
        "rediss://redis.example?ssl_ca_certs=/ca.pem",
        "redis://127.0.0.2",
        "redis://[::1]",
        "redis://localhost",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_t23_tls_loopback_and_unix_sockets_are_private(url):
    assert RedisStore(url)._address.private


@pytest.mark.asyncio
async def test_t23_an_open_connection_is_allowed_aloud(caplog):
    store = RedisStore("redis://127.0.0.1:1", plaintext=True, allow_insecure=True)
    store._address = attrs.evolve(store._address, private=False)
    with pytest.raises(StoreUnavailableError):
        await store.open(fake_runtime())
    await store.close()

    assert "not encrypted" in caplog.text


@pytest.mark.asyncio
async def test_t23_a_bare_store_is_refused_unless_it_may_hold_plain_text(redis_server):
    bare = RedisStore(redis_server.url)
    with pytest.raises(StoreRefusedError, match="in clear"):
        await bare.open(fake_runtime())
    sealed = Encrypted(RedisStore(redis_server.url), keys=[b"\x01" * 32])
    await sealed.open(fake_runtime())
    await sealed.close()
    await (await opened(redis_server)).close()


def test_its_url_is_not_shown():
    store = RedisStore("rediss://user:CANARY@host/0")
    assert "CANARY" not in repr(store) + repr(vars(store))


@pytest.mark.asyncio
async def test_using_it_unopened_says_so(redis_server):
    with pytest.raises(RuntimeError, match="not opened"):
        await elect(RedisStore(redis_server.url))


# ── What the server sees ────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_g13_t23_monitor_sees_no_canary(redis_server):
    seen = []
    listening = threading.Event()
    client = redis.Redis(port=redis_server.port, protocol=2)

    def watch():
        with client.monitor() as monitor:
            listening.set()
            for command in monitor.listen():
                seen.append(command["command"])
                if "the end" in command["command"]:
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    listening.wait(5)
    store = Encrypted(RedisStore(redis_server.url), keys=[b"\x01" * 32])
    await store.open(fake_runtime())
    await store.offer("CANARY-scope", Carried(ID, 600.0, CODE))
    leader = await elect(store, "CANARY-scope")
    ticket = await store.take("CANARY-scope")
    await store.attach("CANARY-scope", "a", leader.fence, ticket)
    await store.mark_sent("CANARY-scope", "a", leader.fence, 0)
    await store.publish("CANARY-scope", "a", leader.fence, remaining=60.0, blob=TOKEN)
    held = await elect(store, "CANARY-scope")
    await store.close()
    redis_server.client.echo("the end")
    watching.join(5)
    client.close()
    kept = b"".join(
        redis_server.client.dump(name) + name
        for name in redis_server.client.scan_iter()
    )

    assert held.blob == TOKEN
    assert len(seen) > 8
    assert "CANARY" not in "".join(seen)
    assert b"CANARY" not in kept


@pytest.mark.asyncio
async def test_t23_every_key_ends_by_itself_and_has_the_prefix(redis_server):
    store = await opened(redis_server, prefix="mine")
    await store.adopt("key", remaining=60.0, blob=TOKEN)
    await store.offer("other", Carried(ID, 600.0, CODE))
    await store.close()
    names = list(redis_server.client.scan_iter())

    assert sorted(names) == [
        b"mine:{key}:g",
        b"mine:{key}:r",
        b"mine:{other}:g",
        b"mine:{other}:r",
    ]
    assert all(redis_server.client.pttl(name) > 0 for name in names)


@pytest.mark.asyncio
async def test_a_scope_takes_less_than_a_kibibyte(redis_server):
    store = Encrypted(RedisStore(redis_server.url), keys=[b"\x01" * 32])
    await store.open(fake_runtime())
    for number in range(200):
        await store.adopt(f"{number:040}", remaining=3_599.0, blob=b"t" * 216)
    await store.close()
    used = sum(
        redis_server.client.memory_usage(name)
        for name in redis_server.client.scan_iter()
    )

    assert used / 200 <= 1_024


# ── Connections ─────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f113_a_server_that_forgot_the_script_is_told_again(redis_server):
    store = await opened(redis_server)
    leader = await elect(store)
    redis_server.client.script_flush()

    assert await store.renew("key", "a", leader.fence)
    await store.close()


@pytest.mark.asyncio
async def test_an_answer_to_another_question_is_not_believed(redis_server):
    store = await opened(redis_server)
    store._script = store._script.replace("return {PROOF,", "return {'1:elect:other',")
    await store.close()
    with pytest.raises(StoreUnavailableError, match="another question"):
        await elect(store)
    await store.close()


@pytest.mark.asyncio
async def test_announcements_come_without_asking(redis_server):
    store = await opened(redis_server)
    runtime = system_runtime()
    store._runtime = attrs.evolve(runtime, random=lambda: 0.5)
    leader = await elect(store)
    await elect(store, owner="b")
    waiting = asyncio.ensure_future(store.news("key", 15.0))
    while not redis_server.client.pubsub_numsub("ptm1:e")[0][1]:
        await runtime.clock.sleep(0.01)
    await runtime.clock.sleep(0.4)  # by now it looks only every 0.4 s and more
    before = runtime.clock.now()
    await store.publish("key", "a", leader.fence, remaining=60.0, blob=TOKEN)
    await waiting
    after = runtime.clock.now()
    await store.close()

    assert after - before < 0.15


@pytest.mark.asyncio
async def test_without_announcements_looking_now_and_then_is_enough(redis_server):
    store = await opened(redis_server)
    store._runtime = system_runtime()
    leader = await elect(store)
    await elect(store, owner="b")
    waiting = asyncio.ensure_future(store.news("key", 15.0))
    await store._runtime.clock.sleep(0.02)
    store._line()._listening.cancel()
    await store.publish("key", "a", leader.fence, remaining=60.0, blob=TOKEN)
    await asyncio.wait_for(waiting, 3)
    await store.close()


def test_two_loops_share_one_store_one_after_the_other_and_at_once(redis_server):
    store = RedisStore(redis_server.url, plaintext=True)
    answers = []

    async def use(owner):
        await store.open(fake_runtime())
        answers.append(await elect(store, owner=owner))
        await store.close()

    asyncio.run(use("a"))
    threads = [
        threading.Thread(target=asyncio.run, args=(use(owner),)) for owner in "bcd"
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)

    assert [type(each) for each in answers].count(Lead) == 1
    assert len(answers) == 4


@pytest.mark.asyncio
async def test_closing_leaves_no_task_no_thread_and_no_connection(redis_server):
    await (await opened(redis_server)).close()
    gc.collect()
    before = open_files(), threading.active_count(), len(asyncio.all_tasks())
    for _ in range(3):
        store = await opened(redis_server)
        await elect(store)
        await elect(store, owner="b")
        waiting = asyncio.ensure_future(store.news("key", 15.0))
        await asyncio.sleep(0.02)  # noqa: TID251 - the socket is a real one
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await store.close()
    after = open_files(), threading.active_count(), len(asyncio.all_tasks())

    assert after == before


@pytest.mark.asyncio
async def test_it_works_in_a_cluster(own_redis, tmp_path):
    server = own_redis("--cluster-enabled", "yes", "--dir", str(tmp_path))
    server.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
    for _ in range(200):
        if server.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok":
            break
        time.sleep(0.02)  # noqa: ASYNC251 - the server takes its time, we have it
    store = await opened(server, cluster=True)
    generations = [
        await store.adopt(f"key {number}", remaining=60.0, blob=TOKEN)
        for number in range(20)
    ]
    answers = [await elect(store, f"key {number}") for number in range(20)]
    await store.close()

    assert generations == [1] * 20
    assert all(isinstance(each, Held) for each in answers)


@pytest.mark.parametrize(
    ("policy", "warned"), [("allkeys-lru", True), ("noeviction", False)]
)
@pytest.mark.asyncio
async def test_f111_a_server_that_evicts_is_mentioned(
    redis_server, caplog, policy, warned
):
    redis_server.client.config_set("maxmemory-policy", policy)
    with caplog.at_level(logging.WARNING):
        await (await opened(redis_server)).close()
    redis_server.client.config_set("maxmemory-policy", "noeviction")

    assert ("evicts" in caplog.text) is warned
