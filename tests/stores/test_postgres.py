"""PostgresStore: a server that is down, frozen, without a table, or configured otherwise."""

import asyncio
import socket
import time

import pytest

from persona_share.errors import (
    ConfigurationError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.model.secret import Secret
from persona_share.stores.postgres import PostgresStore


KEY = "scope/5d41402abc4b2a76b9719d911017c592"


async def create(store, value=b"value", *, key=KEY, ttl=3_600):
    return await store.write(key, value, if_etag="", ttl=ttl)


async def opened(server, **options):
    store = PostgresStore(server.url, create=True, **options)
    await store.open()
    return store


async def refused(store):
    """Return how long a refusal took, in seconds."""
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    with pytest.raises(StoreUnavailableError):
        await store.read(KEY)
    return time.monotonic() - began  # noqa: TID251 - as above


# ── A server that is away ───────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.asyncio
async def test_server_that_is_down_is_reported_and_found_again(own_postgres):
    server = own_postgres("synchronous_commit=on")
    store = await opened(server)
    await create(store)
    server.stop()
    with pytest.raises(StoreUnavailableError):
        await store.open()
    assert max([await refused(store) for _ in range(2)]) <= 2.5
    server.start()
    assert (await store.read(KEY)).value == b"value"
    await store.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid:5432"])
@pytest.mark.asyncio
async def test_connection_that_cannot_be_made_is_reported_at_once_with_advice(
    host, caplog
):
    dsn = f"postgresql://USER:CANARY@{host}/app"
    store = PostgresStore(dsn, allow_insecure=True)
    for operation in (store.open, lambda: store.read(KEY)):
        with pytest.raises(StoreUnavailableError, match="cannot connect") as caught:
            await operation()
        assert "host, port" in str(caught.value)
        words = ("USER", "CANARY", host.split(":")[0])
        assert not any(word in str(caught.value) for word in words)
    assert caplog.text == ""
    await store.aclose()


@pytest.mark.slow
@pytest.mark.asyncio
async def test_second_host_is_used_when_the_first_one_is_silent(postgres_server):
    silent = socket.create_server(("127.0.0.1", 0))
    hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{postgres_server.port}"
    url = postgres_server.url.replace(f"127.0.0.1:{postgres_server.port}", hosts)
    store = PostgresStore(url + "?gssencmode=disable", create=True)
    with pytest.raises(StoreUnavailableError, match="cannot connect"):
        await store.open()
    await store.open()
    assert await create(store) is True
    await store.aclose()
    silent.close()


@pytest.mark.asyncio
async def test_operations_wait_when_the_server_accepts_few_connections(postgres_server):
    store = await opened(postgres_server)
    postgres_server.sql(
        "CREATE ROLE few LOGIN CONNECTION LIMIT 2; GRANT USAGE ON SCHEMA public TO few;"
        "GRANT SELECT ON persona_share_records TO few"
    )
    await store.aclose()
    few = PostgresStore(postgres_server.url.replace("//postgres@", "//few@"))
    await asyncio.gather(*(few.read(KEY) for _ in range(50)))
    await few.aclose()
    postgres_server.sql("DROP OWNED BY few; DROP ROLE few")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_frozen_server_costs_two_seconds_once_for_all(own_postgres):
    server = own_postgres()
    store = await opened(server)
    await create(store)
    server.freeze()
    began = time.monotonic()  # noqa: TID251 - the server is a real one
    results = await asyncio.gather(
        *(store.read(f"scope/{number}") for number in range(100)),
        return_exceptions=True,
    )
    took = time.monotonic() - began  # noqa: TID251 - as above
    server.thaw()
    after = await store.read(KEY)
    await store.aclose()

    assert {type(each) for each in results} == {StoreUnavailableError}
    assert took <= 3
    assert after.value == b"value"


@pytest.mark.asyncio
async def test_operation_succeeds_when_idle_connections_were_cut(postgres_server):
    store = await opened(postgres_server)
    await asyncio.gather(*(store.read(KEY) for _ in range(10)))
    postgres_server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'persona_share'"
    )
    results = await asyncio.gather(*(create(store) for _ in range(10)))
    await store.aclose()

    assert sorted(results) == [False] * 9 + [True]


@pytest.mark.asyncio
async def test_cancelled_operations_do_not_affect_others(postgres_server):
    store = await opened(postgres_server)
    keys = [f"scope/{number}" for number in range(20)]
    await asyncio.gather(*(create(store, key.encode(), key=key) for key in keys))
    wrong = []

    async def ask(key):
        found = await store.read(key)
        if found.value != key.encode():
            wrong.append((key, found))

    for number in range(20):
        tasks = [asyncio.ensure_future(ask(key)) for key in keys]
        await asyncio.sleep(0.0005 * number)  # noqa: TID251 - the server is a real one
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await store.aclose()

    assert wrong == []


# ── What is in the database ─────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_database_without_a_table_is_refused_with_advice(postgres_server):
    store = PostgresStore(postgres_server.url)
    with pytest.raises(StoreRefusedError, match="store init"):
        await store.open()
    with pytest.raises(StoreUnavailableError, match="no table"):
        await store.read(KEY)
    await store.aclose()


@pytest.mark.asyncio
async def test_table_is_created_once_when_many_open_at_once(postgres_server):
    stores = [PostgresStore(postgres_server.url, create=True) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    await create(stores[0])
    found = await stores[7].read(KEY)
    for store in stores:
        await store.aclose()

    assert found.value == b"value"


@pytest.mark.asyncio
async def test_table_of_another_program_is_refused(postgres_server):
    postgres_server.sql("CREATE TABLE persona_share_records (id integer)")
    store = PostgresStore(postgres_server.url)
    with pytest.raises(StoreRefusedError, match="UndefinedColumn"):
        await store.open()
    await store.aclose()


@pytest.mark.asyncio
async def test_user_without_rights_is_refused_when_the_store_is_opened(postgres_server):
    store = await opened(postgres_server)
    await store.aclose()
    postgres_server.sql("CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA public TO app;")
    url = postgres_server.url.replace("//postgres@", "//app@")
    with pytest.raises(StoreRefusedError, match="InsufficientPrivilege"):
        await PostgresStore(url).open()
    postgres_server.sql(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON persona_share_records TO app"
    )
    store = PostgresStore(url)
    await store.open()
    assert await create(store) is True
    await store.aclose()
    postgres_server.sql("DROP OWNED BY app; DROP ROLE app;")


@pytest.mark.parametrize("change", ["//CANARY@", "//postgres:CANARY@"])
@pytest.mark.asyncio
async def test_unknown_user_is_refused_and_no_message_shows_the_url(
    postgres_server, change
):
    url = postgres_server.url.replace("//postgres@", change)
    store = PostgresStore(Secret(url.replace("/postgres", "/no_such_database")))
    with pytest.raises(StoreRefusedError, match="refused the user") as caught:
        await store.open()

    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(store)


@pytest.mark.asyncio
async def test_refused_login_is_sent_once_and_reported_to_all_who_wait():
    logins = []

    async def refuse(reader, writer):
        logins.append(await reader.read(1_024))
        fields = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    options = "sslmode=disable&gssencmode=disable"
    store = PostgresStore(f"postgresql://shop:wrong@127.0.0.1:{port}/shop?{options}")
    reads = [store.read(KEY) for _ in range(3)]
    errors = await asyncio.gather(*reads, return_exceptions=True)
    with pytest.raises(StoreUnavailableError, match="refused the user"):
        await store.read(KEY)
    await store.aclose()
    server.close()

    assert [type(each) for each in errors] == [StoreUnavailableError] * 3
    assert all("refused the user" in str(each) for each in errors)
    assert len(logins) == 2


@pytest.mark.asyncio
async def test_serializable_isolation_loses_a_race_without_an_outage(postgres_server):
    url = (
        f"{postgres_server.url}?options=-cdefault_transaction_isolation%3Dserializable"
    )
    stores = [PostgresStore(url, create=True) for _ in range(2)]
    await stores[0].open()

    async def count(store):
        while True:
            found = await store.read(KEY)
            value = b"%d" % (int(found.value or b"0") + 1)
            if await store.write(KEY, value, if_etag=found.etag, ttl=60):
                return

    await asyncio.gather(*(count(stores[number % 2]) for number in range(20)))
    found = await stores[0].read(KEY)
    for store in stores:
        await store.aclose()

    assert found.value == b"20"


@pytest.mark.asyncio
async def test_read_only_server_counts_as_unavailable(postgres_server):
    store = await opened(postgres_server)
    await store.aclose()
    url = f"{postgres_server.url}?options=-cdefault_transaction_read_only%3Don"
    standby = PostgresStore(url)
    await standby.open()
    assert (await standby.read(KEY)).value is None
    with pytest.raises(StoreUnavailableError, match="ReadOnly"):
        await create(standby)
    await standby.aclose()


@pytest.mark.asyncio
async def test_altered_or_moved_record_is_corrupt_and_stays(postgres_server):
    store = await opened(postgres_server)
    await create(store, key="scope/one")
    await create(store, key="scope/two")
    await create(store, key="scope/three")
    postgres_server.sql(
        "UPDATE persona_share_records SET value = set_byte(value, 20, 7)"
        " WHERE key = 'scope/one';"
        "UPDATE persona_share_records SET (value, etag) = (SELECT value, etag"
        " FROM persona_share_records WHERE key = 'scope/three')"
        " WHERE key = 'scope/two'"
    )
    for key in ("scope/one", "scope/two"):
        with pytest.raises(StoreCorruptError):
            await store.read(key)
        assert await create(store, key=key) is False
    await store.aclose()


@pytest.mark.asyncio
async def test_expired_records_are_purged(postgres_server):
    store = await opened(postgres_server)
    for number in range(30):
        await create(store, key=f"scope/{number}", ttl=0.001)
    for number in range(30, 50):
        await create(store, key=f"scope/{number}")
    count = postgres_server.sql("SELECT count(*) FROM persona_share_records")
    await store.aclose()

    assert count == "20"


# ── The connection string ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("dsn", ["postgresql://[", "nonsense", "hostt=localhost"])
def test_connection_string_that_cannot_be_read_is_refused_at_once(dsn):
    with pytest.raises(ConfigurationError, match="connection string"):
        PostgresStore(dsn)


@pytest.mark.parametrize("table", ["", "a b", "a;b", "a.b.c", 'a"b', "A"])
def test_invalid_table_name_is_refused_at_once(table):
    with pytest.raises(ConfigurationError, match="name of a table"):
        PostgresStore("postgresql://localhost/app", table=table)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://db.internal/app",
        "postgresql://db.internal/app?sslmode=require",
        "postgresql://localhost,10.0.0.5/app",
        "host=db.internal dbname=app",
    ],
)
def test_connection_that_others_could_read_is_refused_at_once(dsn):
    with pytest.raises(StoreRefusedError, match="verify-full"):
        PostgresStore(dsn)
    PostgresStore(dsn, allow_insecure=True)


@pytest.mark.parametrize(
    ("dsn", "variables"),
    [
        ("service=production", {}),
        ("host=localhost service=production", {}),
        ("dbname=app", {"PGSERVICE": "production", "PGSSLMODE": "verify-full"}),
        ("host=localhost", {"PGHOSTADDR": "10.0.0.5"}),
        ("dbname=app", {"PGHOST": "db.internal"}),
    ],
)
def test_connection_is_refused_when_other_settings_may_name_another_host(
    dsn, variables, monkeypatch
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreRefusedError, match="verify-full"):
        PostgresStore(dsn)
    PostgresStore(f"{dsn} sslmode=verify-full")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://db.internal/app?sslmode=verify-full",
        "postgresql:///app?host=/var/run/postgresql",
        "postgresql://127.0.0.1,[::1]/app",
        "dbname=app",
    ],
)
def test_private_connection_is_accepted(dsn):
    assert PostgresStore(dsn).accepts_secrets is False
    assert PostgresStore(dsn, plaintext=True).accepts_secrets is True


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://:CANARY@[", "postgresql://app:CANARY@db.internal/app"],
    ids=["text", "readable"],
)
def test_no_frame_of_a_refusal_shows_a_password(dsn):
    with pytest.raises((ConfigurationError, StoreRefusedError)) as caught:
        PostgresStore(dsn)
    frames = caught.traceback[1:]  # the first one is this test
    assert frames
    assert "CANARY" not in "".join(repr(each.frame.f_locals) for each in frames)
