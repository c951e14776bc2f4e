"""The store in a file: its journal, its thread, its schema, its clock."""

import asyncio
import os
import sqlite3
import stat
import threading

import pytest

from persona_share._policy.election import Held, Lead
from persona_share._protocol.stored import REMEMBERED
from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.stores import SQLiteStore
from persona_share.stores.sqlite.database import STEPS, Database, migrate
from persona_share.stores.sqlite.journal import journal_for, wal_is_sound
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import open_files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "tokens.db"


async def opened(path, clock=None):
    store = SQLiteStore(path)
    await store.open(fake_runtime(clock))
    return store


async def elect(store, key="key", owner="a", newer_than=0):
    return await store.elect(key, owner, newer_than=newer_than, at_least=0.0)


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_f108_a_write_ahead_log_only_where_it_is_sound(version, sound):
    assert wal_is_sound(version) is sound
    journal = journal_for(version, None)
    assert journal.mode == ("wal" if sound else "truncate")
    assert ".".join(map(str, version)) in journal.reason


def test_f106_no_write_ahead_log_on_a_network_file_system():
    journal = journal_for((3, 52, 0), "nfs4")
    assert journal.mode == "truncate"
    assert "nfs4" in journal.reason


@pytest.mark.asyncio
async def test_f108_it_says_which_journal_the_file_really_has(path):
    store = await opened(path)
    await store.adopt("key", remaining=60.0, blob=b"token")
    said = await store.info()
    await store.close()

    # Which mode is in use, only the log itself is written down in the file.
    with sqlite3.connect(path) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert (said.mode == "wal") is (mode == "wal")
    assert said == journal_for(sqlite3.sqlite_version_info, None)


@pytest.mark.asyncio
async def test_t12_everything_it_makes_is_for_this_user_alone(path):
    before = os.umask(0)
    try:
        store = await opened(path)
        await store.adopt("key", remaining=60.0, blob=b"token")
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in files(path)}
        await store.close()
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}
    assert "tokens.db" in modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def files(path):
    return list(path.parent.iterdir())


@pytest.mark.asyncio
async def test_what_was_kept_is_there_after_a_restart(path):
    store = await opened(path)
    generation = await store.adopt("key", remaining=60.0, blob=b"token")
    await store.close()
    store = await opened(path)

    assert await elect(store) == Held(generation, 60.0, b"token")
    await store.close()


@pytest.mark.asyncio
async def test_closing_leaves_no_thread_and_no_file(path):
    before = open_files(), threading.active_count()
    for _ in range(3):
        store = await opened(path)
        await store.adopt("key", remaining=60.0, blob=b"token")
        await store.close()

    assert (open_files(), threading.active_count()) == before


@pytest.mark.asyncio
async def test_using_it_after_closing_opens_it_again(path):
    store = await opened(path)
    await store.close()
    generation = await store.adopt("key", remaining=60.0, blob=b"token")
    assert isinstance(await elect(store), Held)
    await store.close()
    assert generation == 1


@pytest.mark.asyncio
async def test_using_it_unopened_says_so(path):
    with pytest.raises(RuntimeError, match="not opened"):
        await elect(SQLiteStore(path))


def test_two_loops_share_one_store(path):
    async def mint(store):
        await store.open(fake_runtime())
        return await store.adopt("key", remaining=60.0, blob=b"token")

    store = SQLiteStore(path)
    assert asyncio.run(mint(store)) == 1
    assert isinstance(asyncio.run(elect(store)), Held)
    asyncio.run(store.close())


def test_an_unclosed_store_does_not_hold_up_the_interpreter(path):
    code = f"""
import asyncio
from persona_share.stores import SQLiteStore
from persona_share.testing import fake_runtime

async def main():
    store = SQLiteStore({str(path)!r})
    await store.open(fake_runtime())
    await store.adopt("key", remaining=60.0, blob=b"token")

asyncio.run(main())
"""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)  # noqa: S603


# ── Schema ──────────────────────────────────────────────────────────────────────


def database(path):
    return sqlite3.connect(path, isolation_level=None)


def test_f104_an_older_file_is_brought_up_to_date_in_one_transaction(tmp_path):
    connection = database(tmp_path / "tokens.db")
    migrate(connection, STEPS)
    connection.execute("INSERT INTO records VALUES ('name', x'00', 1, 2.0)")
    newer = (*STEPS, ("ALTER TABLE records ADD COLUMN more TEXT",))
    migrate(connection, newer)
    migrate(connection, newer)

    assert connection.execute("SELECT * FROM records").fetchall() == [
        ("name", b"\x00", 1, 2.0, None)
    ]
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


def test_f104_a_migration_that_fails_changes_nothing(tmp_path):
    connection = database(tmp_path / "tokens.db")
    migrate(connection, STEPS)
    broken = (*STEPS, ("CREATE TABLE more (name TEXT)", "NONSENSE"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, broken)

    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    (tables,) = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
    ).fetchone()
    assert tables == 1
    connection.close()


@pytest.mark.asyncio
async def test_f104_an_empty_file_is_begun_and_a_newer_one_refused(path):
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    store = await opened(path)
    await store.close()
    connection = database(path)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()

    with pytest.raises(StoreRefusedError, match="newer version"):
        await opened(path)


@pytest.mark.asyncio
async def test_another_programs_database_is_refused_and_left_alone(path):
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    connection = database(path)
    connection.execute("CREATE TABLE theirs (name TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreRefusedError, match="another program"):
        await opened(path)
    assert path.read_bytes() == before
    assert [each.name for each in files(path)] == ["tokens.db"]


@pytest.mark.asyncio
async def test_records_that_nobody_needs_any_more_are_dropped(path):
    clock = FakeClock()
    store = await opened(path, clock)
    await store.adopt("old", remaining=60.0, blob=b"token")
    await store.close()
    clock.advance(REMEMBERED + 61)
    store = await opened(path, clock)
    await store.adopt("new", remaining=60.0, blob=b"token")
    await store.close()

    connection = database(path)
    assert connection.execute("SELECT name FROM records").fetchall() == [("new",)]
    connection.close()


@pytest.mark.asyncio
async def test_a_log_that_somebody_else_uses_is_not_taken_away(path):
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    connection = database(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA application_id = 0x50535453")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    here = Database(path, lambda: 0.0, lambda: "now", lambda _: None, lambda: 0.5)
    if here.journal.mode == "wal":
        here.open()
    else:
        with pytest.raises(StoreUnavailableError):
            here.open()
    here.close()
    connection.close()


def test_f106_a_network_file_system_is_mentioned_at_the_start(path):
    told = []
    here = Database(path, lambda: 0.0, lambda: "now", told.append, lambda: 0.5)
    here._network = "nfs4"
    here.open()
    here.close()

    assert "nfs4" in "".join(told)


def test_f103_a_file_that_another_process_moved_aside_is_not_moved_again(path):
    first, second = (
        Database(path, lambda: 0.0, lambda: "now", lambda _: None, lambda: 0.5)
        for _ in range(2)
    )
    for each in (first, second):
        each.open()
    os.truncate(path, 300)
    for each in (first, second):
        each.apply("key", lambda record, now: (record, now), announce=False)
        each.close()

    assert path.with_name("tokens.db.corrupt-now").exists()
    assert not path.with_name("tokens.db.corrupt-now-2").exists()


# ── Clocks ──────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f80_a_wall_clock_set_ahead_costs_one_exchange_a_key(path):
    clock = FakeClock()
    store = await opened(path, clock)
    await store.adopt("key", remaining=3_599.0, blob=b"token")
    clock.step_wall(86_400)
    leader = await elect(store)
    await store.publish("key", "a", leader.fence, remaining=3_599.0, blob=b"newer")
    answer = await elect(store, owner="b")
    await store.close()

    assert isinstance(leader, Lead)
    assert answer.blob == b"newer"


@pytest.mark.parametrize("step", [-3_600, -86_400])
@pytest.mark.asyncio
async def test_f81_a_wall_clock_set_back_never_makes_a_token_longer(path, step):
    clock = FakeClock()
    store = await opened(path, clock)
    await store.adopt("key", remaining=3_599.0, blob=b"token")
    clock.advance(100)
    clock.step_wall(step)
    at_once = await elect(store)
    clock.advance(1_000)
    later = await elect(store)
    await store.close()

    assert at_once.remaining <= 3_599.0
    assert later.remaining <= 2_599.0


@pytest.mark.asyncio
async def test_f81_a_wall_clock_set_back_holds_nobody_up(path):
    clock = FakeClock()
    store = await opened(path, clock)
    await elect(store)
    clock.step_wall(-86_400)
    follower = await elect(store, owner="b")
    clock.advance(16)
    leader = await elect(store, owner="b")
    await store.close()

    assert follower.seconds <= 15
    assert isinstance(leader, Lead)


@pytest.mark.asyncio
async def test_f89_hosts_whose_clocks_differ_by_90_seconds_lose_no_more(path):
    ahead, behind = FakeClock(), FakeClock()
    behind.step_wall(-90)
    writer, reader = await opened(path, ahead), await opened(path, behind)
    await writer.adopt("key", remaining=3_599.0, blob=b"token")
    for clock in (ahead, behind):
        clock.advance(1_000)
    answer = await elect(reader)
    await writer.close()
    await reader.close()

    assert 2_599.0 <= answer.remaining <= 2_599.0 + 90
