"""RedisStore: a Redis server that is down, frozen, full, behind TLS or in a cluster."""

import asyncio
import datetime as dt
import ipaddress
import pickle
import time
from contextlib import suppress

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from persona_share._transport.runtime import system_runtime
from persona_share.errors import (
    ConfigurationError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.model.secret import Secret
from persona_share.stores.redis import RedisStore
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import free_port


KEY = "scope/5d41402abc4b2a76b9719d911017c592"
STORED = f"persona_share:{KEY}"


async def create(store, value=b"value", *, key=KEY, ttl=3_600):
    return await store.write(key, value, if_etag="", ttl=ttl)


async def refused(store):
    """Return how long a refusal took, in seconds."""
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    with pytest.raises(StoreUnavailableError):
        await store.read(KEY)
    return time.monotonic() - began  # noqa: TID251 - as above


# ── A server that is away ───────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f109_server_that_is_down_is_reported_at_once_and_found_again(own_redis):
    server = own_redis()
    store = RedisStore(server.url)
    server.stop()
    with pytest.raises(StoreUnavailableError):
        await store.open()
    assert max([await refused(store) for _ in range(3)]) <= 0.5
    server.start()
    assert (await store.read(KEY)).value is None
    await store.aclose()


@pytest.mark.asyncio
async def test_f110_frozen_server_costs_two_seconds_once_for_all(own_redis):
    server = own_redis()
    store = RedisStore(server.url)
    await store.open()
    server.freeze()
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    results = await asyncio.gather(
        *(store.read(f"scope/{number}") for number in range(200)),
        return_exceptions=True,
    )
    took = time.monotonic() - began  # noqa: TID251 - as above
    server.thaw()
    after = await store.read(KEY)
    await store.aclose()

    assert {type(each) for each in results} == {StoreUnavailableError}
    assert took <= 2.5
    assert after.value is None


@pytest.mark.asyncio
async def test_f110_late_reply_is_discarded(redis_server):
    store = RedisStore(redis_server.url)
    await create(store, b"one", key="scope/one")
    await create(store, b"two", key="scope/two")
    redis_server.client.execute_command("CLIENT PAUSE", 1_300)
    # The first try is too late, the second succeeds when the pause is over.
    found = await store.read("scope/one")
    other = await store.read("scope/two")
    await store.aclose()

    assert (found.value, other.value) == (b"one", b"two")


@pytest.mark.asyncio
async def test_operation_succeeds_when_idle_connections_were_cut(redis_server):
    store = RedisStore(redis_server.url)
    await asyncio.gather(*(store.read(KEY) for _ in range(10)))
    redis_server.client.execute_command(
        "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes"
    )
    results = await asyncio.gather(*(create(store) for _ in range(10)))
    await store.aclose()

    assert sorted(results) == [False] * 9 + [True]


@pytest.mark.asyncio
async def test_keys_are_listed_when_idle_connections_were_cut(redis_server):
    store = RedisStore(redis_server.url)
    await create(store)
    redis_server.client.execute_command(
        "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes"
    )
    assert [key async for key in store.keys("")] == [KEY]
    await store.aclose()


@pytest.mark.asyncio
async def test_connection_that_cannot_be_made_is_reported_with_advice(caplog):
    store = RedisStore("redis://USER:CANARY@127.0.0.1:1/0")
    for operation in (store.open, lambda: store.read(KEY)):
        with pytest.raises(StoreUnavailableError, match="cannot connect") as caught:
            await operation()
        assert "host, port" in str(caught.value)
        text = caplog.text + str(caught.value)
        assert not any(word in text for word in ("USER", "CANARY", "127.0.0.1"))
    await store.aclose()


@pytest.mark.asyncio
async def test_operation_succeeds_when_others_find_broken_connections(redis_server):
    store = RedisStore(redis_server.url)
    await store.open()
    redis_server.client.execute_command("CLIENT PAUSE", 300)
    reading = asyncio.ensure_future(store.read(KEY))
    for _ in range(2):
        await asyncio.sleep(0.05)  # noqa: TID251 - the server is a real one
        await store._drop_connections()

    assert (await reading).value is None
    await store.aclose()


class Proxy:
    """A proxy that forwards bytes to a server, drops them, or responds itself."""

    def __init__(self, port):
        self._port = port
        self.reply = None
        self.swallow_responses = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await asyncio.wait_for(self._server.wait_closed(), 5)

    async def _serve(self, reader, writer):
        there, to = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.ensure_future(self._back(there, writer))
        try:
            while data := await reader.read(65_536):
                if self.reply is not None:
                    writer.write(self.reply)
                    await writer.drain()
                else:
                    to.write(data)
                    await to.drain()
        except ConnectionError:
            pass
        finally:
            back.cancel()
            for each in (writer, to):
                each.close()

    async def _back(self, there, writer):
        while data := await there.read(65_536):
            if self.swallow_responses:
                self.swallow_responses -= 1
                writer.transport.abort()
                return
            writer.write(data)


@pytest.mark.asyncio
async def test_write_with_a_lost_reply_counts_as_written(redis_server):
    async with Proxy(redis_server.port) as proxy:
        store = RedisStore(proxy.url)
        await store.read(KEY)
        proxy.swallow_responses = 1
        written = await create(store)
        found = await store.read(KEY)
        await store.aclose()

    assert written is True
    assert found.value == b"value"


@pytest.mark.parametrize(
    "reply",
    [
        b":1\r\n",
        b"+OK\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b"*4\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$-1\r\n",
        b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        b"-ERR CANARY\r\n",
        b"-NOSCRIPT CANARY\r\n",
        b"-LOADING CANARY\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"-BUSY CANARY\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        pytest.param(b"\x00\xff\x00", marks=pytest.mark.slow),  # waits for time-outs
    ],
    ids=repr,
)
@pytest.mark.asyncio
async def test_unexpected_reply_counts_as_unavailable(redis_server, reply):
    async with Proxy(redis_server.port) as proxy:
        proxy.reply = reply
        store = RedisStore(proxy.url)
        for operation in (
            store.open,
            lambda: store.read(KEY),
            lambda: create(store),
            lambda: anext(store.keys("")),
        ):
            with pytest.raises((StoreUnavailableError, StopAsyncIteration)) as caught:
                await operation()
            assert "CANARY" not in str(caught.value)
        proxy.reply = None
        assert (await store.read(KEY)).value is None
        await store.aclose()


@pytest.mark.asyncio
async def test_f113_replica_full_server_and_other_server_are_distinguished(own_redis):
    server = own_redis()
    store = RedisStore(server.url)
    await store.open()

    async def said():
        with pytest.raises(StoreUnavailableError) as caught:
            await create(store)
        return str(caught.value)

    server.client.replicaof("127.0.0.1", "1")
    assert "replica" in await said()
    server.client.replicaof("NO", "ONE")
    server.client.config_set("maxmemory", "1")
    assert "OutOfMemory" in await said()
    server.client.config_set("maxmemory", "0")
    server.client.config_set("min-replicas-to-write", "1")
    assert "NOREPLICAS" in await said()
    server.client.config_set("min-replicas-to-write", "0")
    server.client.config_set("requirepass", "CANARY-password")
    await store.aclose()
    assert "refused the user or the password" in await said()
    assert "CANARY" not in await said()
    await store.aclose()


@pytest.mark.asyncio
async def test_f113_wrong_password_is_refused_when_the_store_is_opened(own_redis):
    server = own_redis("--requirepass", "secret")
    for url in (server.url, server.url.replace("//", "//:CANARY@")):
        store = RedisStore(url)
        with pytest.raises(StoreRefusedError, match="user or the password") as caught:
            await store.open()
        assert "CANARY" not in str(caught.value)
        await store.aclose()


@pytest.mark.asyncio
async def test_wrong_password_is_sent_once(own_redis):
    server = own_redis("--requirepass", "secret")
    store = RedisStore(server.url.replace("//", "//:wrong@"))
    with pytest.raises(StoreRefusedError):
        await store.open()
    with pytest.raises(StoreUnavailableError, match="user or the password"):
        await store.read(KEY)
    await store.aclose()
    server.client.execute_command("AUTH", "secret")
    errors = server.client.info("errorstats")

    assert errors["errorstat_WRONGPASS"] == {"count": 2}


@pytest.mark.asyncio
async def test_f113_script_is_loaded_again_when_the_server_lost_it(redis_server):
    store = RedisStore(redis_server.url)
    await create(store)
    redis_server.client.script_flush()

    assert (await store.read(KEY)).value == b"value"
    await store.aclose()


@pytest.mark.asyncio
async def test_f114_reply_to_a_cancelled_operation_reaches_no_other(redis_server):
    store = RedisStore(redis_server.url)
    keys = [f"scope/{number}" for number in range(50)]
    await asyncio.gather(*(create(store, key.encode(), key=key) for key in keys))
    wrong, cancelled = [], 0

    async def ask(key):
        found = await store.read(key)
        if found.value != key.encode():
            wrong.append((key, found))

    random = system_runtime().random
    for _ in range(40):
        tasks = [asyncio.ensure_future(ask(key)) for key in keys]
        await asyncio.sleep(0.004 * random())  # noqa: TID251 - the server is a real one
        for task in tasks[::2]:
            cancelled += task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await store.aclose()

    assert wrong == []
    assert cancelled > 300


# ── What stands under our keys ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "foreign",
    [b"plain text", b"", pickle.dumps({"n": "key"}), b"\xff" * 60, b"x" * 5_000_000],
    ids=["text", "empty", "pickle", "bytes", "huge"],
)
@pytest.mark.asyncio
async def test_f116_foreign_value_is_corrupt_and_never_overwritten(
    redis_server, foreign
):
    store = RedisStore(redis_server.url)
    redis_server.client.set(STORED, foreign)
    with pytest.raises(StoreCorruptError):
        await store.read(KEY)
    if foreign:
        assert await create(store) is False
        assert redis_server.client.get(STORED) == foreign
    await store.aclose()


@pytest.mark.asyncio
async def test_f116_value_of_another_type_counts_as_unavailable(redis_server):
    store = RedisStore(redis_server.url)
    redis_server.client.hset(STORED, "n", "key")
    with pytest.raises(StoreUnavailableError):
        await store.read(KEY)
    with pytest.raises(StoreUnavailableError):
        await create(store)
    assert redis_server.client.type(STORED) == b"hash"
    await store.aclose()


@pytest.mark.asyncio
async def test_f116_record_under_another_key_is_corrupt(redis_server):
    store = RedisStore(redis_server.url)
    await create(store)
    redis_server.client.copy(STORED, "persona_share:scope/other")
    with pytest.raises(StoreCorruptError):
        await store.read("scope/other")
    await store.aclose()


@pytest.mark.asyncio
async def test_flipped_bit_in_a_record_is_noticed(redis_server):
    store = RedisStore(redis_server.url)
    await create(store)
    sound = redis_server.client.get(STORED)
    for place in range(len(sound)):
        flipped = bytearray(sound)
        flipped[place] ^= 1 << place % 8
        redis_server.client.set(STORED, bytes(flipped))
        with pytest.raises(StoreCorruptError):
            await store.read(KEY)
    await store.aclose()


@pytest.mark.asyncio
async def test_f111_evicted_record_is_absent(own_redis, caplog):
    server = own_redis("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    store = RedisStore(server.url)
    await store.open()
    assert await store.evicts()
    written = {
        f"scope/{number}": bytes([number % 256]) * 9_000 for number in range(600)
    }
    for key, value in written.items():
        await create(store, value, key=key)
    found = {key: (await store.read(key)).value for key in written}
    await store.aclose()

    assert "evicts records" in caplog.text
    assert 0 < sum(value is None for value in found.values()) < 600
    assert all(value in {None, written[key]} for key, value in found.items())


@pytest.mark.asyncio
async def test_f112_writer_from_before_a_flush_overwrites_nothing(redis_server):
    store = RedisStore(redis_server.url)
    await create(store, b"before")
    before = await store.read(KEY)
    redis_server.client.flushall()
    await create(store, b"after")
    late = await store.write(KEY, b"late", if_etag=before.etag, ttl=60)
    found = await store.read(KEY)
    await store.aclose()

    assert late is False
    assert found.value == b"after"


@pytest.mark.asyncio
async def test_f117_clock_of_the_process_does_not_matter(redis_server):
    clocks = [FakeClock(), FakeClock()]
    clocks[0].step_wall(86_400)
    clocks[1].suspend(50_000)
    stores = [
        RedisStore(redis_server.url, runtime=fake_runtime(each)) for each in clocks
    ]
    await create(stores[0], ttl=60)
    found = [await each.read(KEY) for each in stores]
    seconds, micros = redis_server.client.time()
    for each in stores:
        await each.aclose()

    assert [each.value for each in found] == [b"value"] * 2
    assert [each.now for each in found] == pytest.approx(
        [seconds + micros / 1e6] * 2, abs=5
    )


@pytest.mark.asyncio
async def test_records_of_0_1_are_ignored_with_one_line(redis_server, caplog):
    redis_server.client.hset("ptm1:{5d41402a}:r", "n", "key")
    store = RedisStore(redis_server.url, prefix="ptm1")
    await store.open()
    keys = [key async for key in store.keys("scope/")]
    await store.aclose()

    assert keys == []
    assert caplog.text.count("records of persona_share 0.1: ignored") == 1


@pytest.mark.asyncio
async def test_prefixes_keep_two_environments_apart(redis_server):
    stores = [RedisStore(redis_server.url, prefix=name) for name in ("one*", "two")]
    await create(stores[0])
    keys = [[key async for key in store.keys("")] for store in stores]
    found = await stores[1].read(KEY)
    for store in stores:
        await store.aclose()

    assert keys == [[KEY], []]
    assert found.value is None


# ── Users, TLS, clusters, sentinels ─────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_keys_are_collected_when_there_are_many(redis_server):
    store = RedisStore(redis_server.url, prefix="many")
    names = {f"scope/{number}" for number in range(2_500)}
    redis_server.client.mset({f"many:{name}": "value" for name in names})
    tasks = []

    def new_task(loop, work, **options):
        tasks.append(work)
        return asyncio.Task(work, loop=loop, **options)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(new_task)
    try:
        found = [key async for key in store.keys("scope/")]
    finally:
        loop.set_task_factory(None)
    await store.aclose()

    assert len(found) == len(names)
    assert set(found) == names
    assert len(tasks) < 50


@pytest.mark.asyncio
async def test_user_without_channels_and_with_few_commands_is_accepted(own_redis):
    server = own_redis()
    commands = "+evalsha +script|load +time +get +set +del +scan"
    server.client.acl_setuser(
        "app",
        enabled=True,
        passwords=["+pw"],
        keys=["persona_share:*"],
        commands=commands.split(),
    )
    store = RedisStore(server.url.replace("//", "//app:pw@"))
    await store.open()
    await create(store)
    assert [key async for key in store.keys("")] == [KEY]
    await store.aclose()


@pytest.mark.asyncio
async def test_user_without_access_to_the_keys_is_refused_when_the_store_is_opened(
    own_redis,
):
    server = own_redis()
    server.client.acl_setuser(
        "app", enabled=True, passwords=["+pw"], keys=["other:*"], categories=["+@all"]
    )
    store = RedisStore(server.url.replace("//", "//app:pw@"))
    with pytest.raises(StoreRefusedError, match="NoPermission"):
        await store.open()
    await store.aclose()


@pytest.fixture
def certificate(tmp_path):
    """Create a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return tmp_path


@pytest.mark.asyncio
async def test_only_a_certificate_that_is_trusted_will_do(own_redis, certificate):
    port = free_port()
    own_redis(
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate / "cert.pem")),
        *("--tls-key-file", str(certificate / "key.pem")),
    )
    address = f"rediss://127.0.0.1:{port}"
    other_organization = RedisStore(address)
    with pytest.raises(StoreUnavailableError):
        await other_organization.open()
    await other_organization.aclose()
    store = RedisStore(f"{address}?ssl_ca_certs={certificate / 'cert.pem'}")
    await store.open()
    assert await create(store) is True
    await store.aclose()


async def eventually(condition):
    """Wait until a server has done what it does by itself."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)  # noqa: TID251 - the server is a real one
    raise AssertionError("the servers did not get ready")


@pytest.mark.asyncio
async def test_cluster_of_two_shards_holds_records_on_both(own_redis, tmp_path):
    servers = []
    for name, slots in (("one", (0, 8_191)), ("two", (8_192, 16_383))):
        (tmp_path / name).mkdir()
        servers.append(
            own_redis("--cluster-enabled", "yes", "--dir", str(tmp_path / name))
        )
        servers[-1].client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
    one, two = servers
    one.client.execute_command("CLUSTER MEET", "127.0.0.1", two.port)
    await eventually(
        lambda: all(
            each.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"
            for each in servers
        )
    )
    store = RedisStore(one.url, cluster=True, allow_insecure=True)
    await store.open()
    keys = {f"scope/{number}" for number in range(40)}
    for key in keys:
        assert await create(store, key.encode(), key=key)
    found = {key async for key in store.keys("scope/")}
    values = [(await store.read(key)).value == key.encode() for key in keys]
    sizes = [each.client.dbsize() for each in servers]
    await store.aclose()
    alone = RedisStore(two.url)
    reading = (alone.read(key) for key in keys)
    errors = await asyncio.gather(*reading, return_exceptions=True)
    await alone.aclose()

    assert found == keys
    assert all(values)
    assert min(sizes) > 5
    assert any("cluster=True" in str(each) for each in errors)


@pytest.mark.asyncio
async def test_sentinel_leads_to_the_primary_and_to_its_successor(own_redis, tmp_path):
    primary = own_redis("--requirepass", "pw", "--masterauth", "pw")
    replica = own_redis(
        *("--replicaof", "127.0.0.1", str(primary.port)),
        *("--requirepass", "pw", "--masterauth", "pw"),
    )
    replica_client = redis.Redis(port=replica.port, password="pw", protocol=2)
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel auth-pass main pw\n"
        "sentinel down-after-milliseconds main 300\n"
        "sentinel failover-timeout main 3000\n"
    )
    sentinel = own_redis(str(settings), "--sentinel")
    await eventually(
        lambda: (
            sentinel.client.execute_command("SENTINEL", "REPLICAS", "main")
            and replica_client.info("replication")["master_link_status"] == "up"
        )
    )
    store = RedisStore(
        f"redis://:pw@127.0.0.1:{sentinel.port},127.0.0.1:1/0",
        sentinel="main",
        allow_insecure=True,
    )
    await store.open()
    assert await create(store) is True
    await eventually(lambda: replica_client.dbsize() == 1)

    def fails_over():
        with suppress(redis.ResponseError):  # it does not know enough yet
            return sentinel.client.sentinel_failover("main")

    await eventually(fails_over)
    await eventually(
        lambda: str(replica.port) in str(sentinel.client.sentinel_master("main"))
    )
    primary.stop()
    found = await store.read(KEY)
    written = await store.write(KEY, b"new", if_etag=found.etag, ttl=60)
    await store.aclose()
    replica_client.close()

    assert found.value == b"value"
    assert written is True


# ── The URL ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("", {}),
        ("localhost:6379", {}),
        ("http://localhost", {}),
        ("redis://localhost:port", {}),
        ("redis://localhost?socket_timeout=60", {}),
        ("rediss://localhost?ssl_cert_reqs=none", {}),
        ("redis://one:1,two:2", {}),
        ("redis://localhost", {"cluster": True, "sentinel": "main"}),
    ],
    ids=repr,
)
def test_url_that_cannot_be_used_is_refused_at_once(url, options):
    with pytest.raises(ConfigurationError):
        RedisStore(url, **options)


@pytest.mark.parametrize("host", ["10.0.0.5", "redis.internal", "[2001:db8::1]"])
def test_connection_that_others_could_read_is_refused_at_once(host, caplog):
    with pytest.raises(StoreRefusedError, match="rediss://"):
        RedisStore(f"redis://{host}:6379")
    RedisStore(f"rediss://{host}:6379")
    RedisStore(f"redis://{host}:6379", allow_insecure=True)

    assert caplog.text.count("not encrypted") == 1


@pytest.mark.parametrize("options", [{"cluster": True}, {"sentinel": "main"}], ids=str)
def test_local_server_that_names_other_hosts_needs_encryption(options):
    with pytest.raises(StoreRefusedError, match="rediss://"):
        RedisStore("redis://localhost", **options)
    RedisStore("rediss://localhost", **options)


def test_bare_store_accepts_secrets_only_in_plaintext():
    assert RedisStore("redis://localhost").accepts_secrets is False
    assert RedisStore("redis://localhost", plaintext=True).accepts_secrets is True


def test_no_text_of_the_store_shows_the_url():
    store = RedisStore(Secret("redis://app:CANARY@localhost"))

    assert "CANARY" not in repr(store)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://:CANARY@localhost", {}),
        ("redis://:CANARY@localhost:port", {}),
        ("redis://:CANARY@localhost?socket_timeout=60", {}),
        ("redis://:CANARY@one:1,two:2", {}),
        ("redis://:CANARY@10.0.0.5", {"sentinel_password": "CANARY"}),
    ],
    ids=["scheme", "port", "option", "hosts", "readable"],
)
def test_no_frame_of_a_refusal_shows_a_password(url, options):
    with pytest.raises((ConfigurationError, StoreRefusedError)) as caught:
        RedisStore(url, **options)
    frames = caught.traceback[1:]  # the first one is this test
    assert frames
    assert "CANARY" not in "".join(repr(each.frame.f_locals) for each in frames)
