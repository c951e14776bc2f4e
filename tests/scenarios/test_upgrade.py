"""A rolling upgrade: 0.2 beside a store that 0.1 wrote, which still runs elsewhere."""

import sqlite3

import pytest

from persona_share import Scope
from persona_share.errors import StoreRefusedError
from persona_share.stores import RedisStore, SQLiteStore
from tests.redis_server import one_redis, own_redis, redis_server


__all__ = ["one_redis", "own_redis", "redis_server"]
NAME = "5d41402abc4b2a76b9719d911017c592"
BODY = b"CANARY of a record of 0.1"


def file_of_0_1(path):
    """Write a file as 0.1 wrote it, with a record."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "CREATE TABLE records (name TEXT PRIMARY KEY, body BLOB NOT NULL,"
        " number INTEGER NOT NULL, dies_at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX records_by_death ON records (dies_at)")
    connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (NAME, BODY, 7, 1e12))
    connection.execute(f"PRAGMA application_id = {0x50535453}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    path.chmod(0o600)


@pytest.mark.asyncio
@pytest.mark.parametrize("on_store_failure", ["local", "fail"])
async def test_file_of_0_1_is_refused_at_once_and_stays_as_it_was(
    scenario, tmp_path, on_store_failure
):
    path = tmp_path / "tokens.db"
    file_of_0_1(path)
    before = path.read_bytes()
    manager = scenario.manager(
        store=SQLiteStore(path), on_store_failure=on_store_failure
    )

    with pytest.raises(StoreRefusedError) as caught:
        await manager.__aenter__()
    await manager.aclose()

    assert "was written by persona_share 0.1" in caught.value.what
    assert "choose another path" in caught.value.advice
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert len(scenario.sandbox.log) == 0


@pytest.mark.asyncio
async def test_records_of_0_1_in_redis_are_ignored_and_stay_as_they_were(
    scenario, redis_server, caplog
):
    old = f"ptm1:{{{NAME}}}:r"
    fields = {b"n": b"7", b"k": b"1000", b"t": BODY, b"o": b"owner", b"f": b"3"}
    redis_server.client.hset(old, mapping=fields)
    scope = Scope.read(scenario.sandbox.add_inquiry().id)
    store = RedisStore(redis_server.url, plaintext=True)

    async with scenario.manager(store=store) as manager:
        token = await scenario.advance_until_done(manager.token(scope))
        assert token.reveal()

    assert redis_server.client.hgetall(old) == fields
    assert scenario.sandbox.log.tokens_issued == 1
    ours = [key for key in redis_server.client.keys("*") if key != old.encode()]
    assert ours
    assert all(redis_server.client.type(key) == b"string" for key in ours)
    warnings = [r.getMessage() for r in caplog.records if "0.1" in r.getMessage()]
    assert len(warnings) == 1
    assert BODY.decode() not in caplog.text
