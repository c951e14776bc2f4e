"""SQLiteStore: the file, its lock, its clock, its thread, and failures."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from persona_share.errors import (
    ConfigurationError,
    StoreCorruptError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Versioned
from persona_share.stores.sqlite import SQLiteStore
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import open_files


KEY = "scope/5d41402abc4b2a76b9719d911017c592"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def runtime(clock):
    return fake_runtime(clock)


async def create(store, value=b"value", *, key=KEY, ttl=3_600):
    return await store.write(key, value, if_etag="", ttl=ttl)


@contextmanager
def locked(path, kind="EXCLUSIVE"):
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


# ── Locks ───────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f100_expired_records_stay_when_the_file_is_locked(path):
    store = SQLiteStore(path)
    await store.open()
    with locked(path):
        await store._purge()  # a write does it now and then, and must not fail

    assert await create(store) is True
    await store.aclose()


@pytest.mark.asyncio
async def test_f100_write_fails_when_the_file_stays_locked(path):
    store = SQLiteStore(path)
    await store.open()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)  # noqa: TID251 - SQLite waits for real
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    with locked(path), pytest.raises(StoreUnavailableError, match="SQLITE_BUSY"):
        await store.read(KEY)
    with locked(path, "IMMEDIATE"):  # as a frozen process does
        with pytest.raises(StoreUnavailableError, match="SQLITE_BUSY"):
            await create(store)
        assert (await store.read(KEY)).value is None
    ticking.cancel()

    assert ticks > 50  # the event loop goes on meanwhile
    assert await create(store) is True
    await store.aclose()


@pytest.mark.asyncio
async def test_f100_write_is_no_outage_while_others_write(path):
    store = SQLiteStore(path)
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(create(store))
    for number in range(1, 25):
        await asyncio.wait({writing}, timeout=0.05)
        other.execute(f"PRAGMA user_version = {number}")
        other.execute("COMMIT")
        other.execute("BEGIN IMMEDIATE")
    other.close()
    assert await writing in {True, False}
    await store.aclose()


@pytest.mark.asyncio
async def test_f100_write_succeeds_when_a_lock_ends_in_time(path):
    store = SQLiteStore(path)
    await store.open()
    with locked(path):
        waiting = asyncio.ensure_future(create(store))
        await asyncio.wait({waiting}, timeout=0.2)
    assert await waiting is True
    await store.aclose()


@pytest.mark.asyncio
async def test_f101_readers_do_not_keep_writers_from_writing(path, runtime):
    stores = [SQLiteStore(path, runtime=runtime) for _ in range(3)]
    for number in range(10):
        await create(stores[0], key=f"scope/{number}")

    async def rewrite(store, key):
        while True:
            found = await store.read(key)
            if await store.write(key, b"new", if_etag=found.etag, ttl=60):
                return

    await asyncio.gather(
        *(rewrite(each, f"scope/{number}") for each in stores for number in range(10))
    )
    for store in stores:
        await store.aclose()


# ── What is wrong with the file ─────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f102_full_disk_loses_nothing_that_was_written(path, runtime):
    store = SQLiteStore(path, runtime=runtime)
    await create(store)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
    try:
        with pytest.raises(StoreUnavailableError, match="SQLITE_"):
            await create(store, os.urandom(60_000), key="scope/new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert (await store.read(KEY)).value == b"value"
    assert await create(store, key="scope/new") is True
    await store.aclose()


def garbage(path):
    path.write_bytes(b"this is no database, " * 400)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2 + 100)


def beheaded(path):
    content = path.read_bytes()
    path.write_bytes(b"\xff" * 100 + content[100:])


@pytest.mark.parametrize("harm", [garbage, truncated, beheaded])
@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
@pytest.mark.asyncio
async def test_f103_torn_file_is_unavailable_and_unchanged(
    path, runtime, harm, running
):
    store = SQLiteStore(path, runtime=runtime)
    for number in range(40):
        await create(store, b"v" * 400, key=f"scope/{number}")
    if not running:
        await store.aclose()
    harm(path)
    torn = path.read_bytes()
    reading = (store.read(f"scope/{number}") for number in range(40))
    results = await asyncio.gather(*reading, return_exceptions=True)
    await store.aclose()

    kinds = {type(each) for each in results} - {Versioned}
    assert kinds == {StoreUnavailableError}
    assert all(each.value == b"v" * 400 for each in results if type(each) is Versioned)

    assert path.read_bytes() == torn


def bits(path):
    """Return the places at which a bit is flipped: all of the header, some of the rest."""
    size = path.stat().st_size
    return [*range(100), *range(100, size, max(1, size // 300))]


@pytest.mark.asyncio
async def test_f103_f105_flipped_bit_gives_the_value_or_a_store_error_or_nothing(
    path, runtime
):
    store = SQLiteStore(path, runtime=runtime)
    await create(store, b"value" * 100)
    await store.aclose()
    sound = path.read_bytes()
    wrong, seen = [], set()
    for number, place in enumerate(bits(path)):
        path.write_bytes(sound)
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([sound[place] ^ (1 << number % 8)]))
        store = SQLiteStore(path, runtime=runtime)
        try:
            await store.open()
            found = await store.read(KEY)
            seen.add(found.value)
            if found.value not in {None, b"value" * 100}:
                wrong.append((place, found))
        except StoreUnavailableError as error:
            seen.add(type(error))
        except BaseException as error:  # noqa: BLE001 - that is what must not be
            wrong.append((place, error))
        await store.aclose()

    assert wrong == []
    assert {b"value" * 100, StoreUnavailableError, StoreCorruptError} <= seen


@pytest.mark.asyncio
async def test_f105_record_that_was_moved_or_changed_is_corrupt_and_stays(
    path, runtime
):
    store = SQLiteStore(path, runtime=runtime)
    await create(store, b"one", key="scope/one")
    await create(store, b"other", key="scope/other")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "UPDATE records SET (value, etag) ="
        " (SELECT value, etag FROM records WHERE key = 'scope/one')"
        " WHERE key = 'scope/other'"
    )
    connection.execute("UPDATE records SET expires = 0 WHERE key = 'scope/one'")
    for key in ("scope/one", "scope/other"):
        with pytest.raises(StoreCorruptError):
            await store.read(key)
    rows = connection.execute("SELECT count(*) FROM records WHERE key GLOB 'scope/*'")
    (count,) = rows.fetchone()
    connection.close()
    await store.aclose()

    assert count == 2


@pytest.mark.asyncio
async def test_f104_file_of_0_1_is_refused_with_one_clear_line(path, runtime):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "CREATE TABLE records (name TEXT PRIMARY KEY, body BLOB NOT NULL,"
        " number INTEGER NOT NULL, dies_at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute(f"PRAGMA application_id = {0x50535453}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    path.chmod(0o600)

    with pytest.raises(StoreRefusedError, match=r"persona_share 0\.1.*Delete it"):
        await SQLiteStore(path, runtime=runtime).open()


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        (["CREATE TABLE users (id)"], StoreRefusedError),
        (["PRAGMA user_version = 9"], StoreRefusedError),
        (["PRAGMA application_id = 7"], StoreRefusedError),
        (["PRAGMA journal_mode = WAL", "CREATE TABLE users (id)"], StoreRefusedError),
    ],
    ids=["tables", "version", "application", "journal"],
)
@pytest.mark.asyncio
async def test_f104_database_of_another_program_is_refused(
    path, runtime, statements, kind
):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.execute("VACUUM")
    connection.close()
    path.chmod(0o600)
    before = path.read_bytes()

    with pytest.raises(kind, match="another program"):
        await SQLiteStore(path, runtime=runtime).open()
    assert path.read_bytes() == before


@pytest.mark.asyncio
async def test_f104_file_of_a_later_version_is_unchanged(path, runtime):
    store = SQLiteStore(path, runtime=runtime)
    await create(store)
    await store.aclose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 3")
    connection.close()

    with pytest.raises(StoreUnavailableError, match="later version"):
        await store.read(KEY)


@pytest.mark.asyncio
async def test_f107_deleted_or_replaced_file_is_noticed(path, tmp_path, runtime):
    store = SQLiteStore(path, runtime=runtime)
    await create(store)
    kept = path.read_bytes()
    path.unlink()
    deleted = await store.read(KEY)
    replacement = tmp_path / "replacement"
    replacement.touch(0o600)
    replacement.write_bytes(kept)
    replacement.rename(path)
    replaced = await store.read(KEY)
    await store.aclose()

    assert deleted.value is None
    assert replaced.value == b"value"


@pytest.mark.asyncio
async def test_f108_two_releases_of_sqlite_use_one_kind_of_journal(path, runtime):
    store = SQLiteStore(path, runtime=runtime)
    await create(store)
    # Whichever release reads these two bytes: 1 is a rollback journal, 2 a log.
    assert path.read_bytes()[18:20] == b"\x01\x01"
    await store.aclose()


# ── The clock ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", [-3_600, 3_600], ids=["back", "forward"])
@pytest.mark.asyncio
async def test_wall_clock_that_is_set_changes_no_lifetime(path, step):
    clock = FakeClock()
    runtime = attrs.evolve(fake_runtime(clock), boot_id="first")
    one, two = (SQLiteStore(path, runtime=runtime) for _ in range(2))
    await create(one, ttl=60)
    clock.step_wall(step)
    clock.advance(59)
    before = await two.read(KEY)
    clock.advance(2)
    after = await two.read(KEY)
    await one.aclose()
    await two.aclose()

    assert before.value == b"value"
    assert after.value is None


async def after_reboot(path, first, *, wall, boot=1.0):
    """Write with the first runtime, reboot the machine, and return how time went on."""
    store = SQLiteStore(path, runtime=first)
    await create(store, ttl=3_600)
    written = (await store.read(KEY)).now
    await store.aclose()
    clock = FakeClock(first.clock.wall())
    clock._boot = boot
    clock.step_wall(wall)
    store = SQLiteStore(path, runtime=attrs.evolve(fake_runtime(clock), boot_id="2nd"))
    found = await store.read(KEY)
    await store.aclose()
    return found, found.now - written


@pytest.mark.parametrize("boot_id", ["first", ""], ids=["linux", "elsewhere"])
@pytest.mark.asyncio
async def test_time_continues_by_the_wall_clock_after_a_reboot(path, boot_id):
    runtime = attrs.evolve(fake_runtime(), boot_id=boot_id)
    found, passed = await after_reboot(path, runtime, wall=600)

    assert found.value == b"value"
    assert passed == pytest.approx(600)


@pytest.mark.asyncio
async def test_no_lifetime_grows_when_the_wall_clock_goes_back_with_a_reboot(path):
    runtime = attrs.evolve(fake_runtime(), boot_id="first")
    found, passed = await after_reboot(path, runtime, wall=-86_400)

    assert found.value == b"value"
    assert passed == pytest.approx(0)


@pytest.mark.asyncio
async def test_record_expires_while_the_machine_is_off(path):
    runtime = attrs.evolve(fake_runtime(), boot_id="first")
    found, _ = await after_reboot(path, runtime, wall=3_601)

    assert found.value is None


@pytest.mark.asyncio
async def test_processes_of_one_boot_share_one_clock(path):
    clock = FakeClock()
    runtime = attrs.evolve(fake_runtime(clock), boot_id="first")
    one = SQLiteStore(path, runtime=runtime)
    first = (await one.read(KEY)).now
    clock.step_wall(-500)
    two = SQLiteStore(path, runtime=runtime)
    second = (await two.read(KEY)).now
    await one.aclose()
    await two.aclose()

    assert second == first


def test_real_runtime_says_which_boot_it_is():
    from persona_share._transport.runtime import boot_id, system_runtime  # noqa: PLC0415

    assert system_runtime().boot_id == boot_id()


# ── The thread and the files ────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("umask", [0, 0o277, 0o777])
async def test_created_files_are_for_their_owner_with_any_umask(path, runtime, umask):
    path = path.parent / "new" / "folder" / "tokens.db"
    before = os.umask(umask)
    try:
        store = SQLiteStore(path, runtime=runtime)
        await create(store)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        await store.aclose()
    finally:
        os.umask(before)

    assert modes == {0o600}
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.asyncio
async def test_file_of_a_volume_with_fs_group_is_used_again(path, runtime):
    store = SQLiteStore(path, runtime=runtime)
    await create(store)
    await store.aclose()
    path.chmod(0o660)
    path.parent.chmod(0o2777)

    assert (await store.read(KEY)).value == b"value"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await store.aclose()


def test_file_is_in_the_home_directory_when_the_path_begins_with_a_tilde():
    assert repr(SQLiteStore("~/store.db")) == "<SQLiteStore store.db>"
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLiteStore(":memory:")


def test_closing_leaves_no_thread_and_no_file(path):
    async def use(store):
        await create(store)
        await store.aclose()

    files, threads = open_files(), set(threading.enumerate())
    store = SQLiteStore(path)
    for _ in range(3):
        asyncio.run(use(store))

    new = set(threading.enumerate()) - threads
    for thread in new:
        thread.join(5)  # it stops when the loop is closed
    # Those of an earlier test may end in between.
    assert open_files() <= files
    assert not any(thread.is_alive() for thread in new)


@pytest.mark.asyncio
async def test_cancelled_callers_hold_no_lock(path):
    store = SQLiteStore(path)
    await store.open()
    for number in range(20):
        task = asyncio.ensure_future(create(store, key=f"scope/{number}"))
        await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert await create(store) is True
    await store.aclose()


def test_loops_in_several_threads_share_one_store(path):
    store = SQLiteStore(path)
    results = []

    def use(number):
        results.append(asyncio.run(create(store, key=f"scope/{number}")))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(store.aclose())

    assert results == [True] * 5


@pytest.mark.asyncio
async def test_expired_records_are_purged(path, clock, runtime):
    store = SQLiteStore(path, runtime=runtime)
    for number in range(30):
        await create(store, key=f"scope/{number}", ttl=10)
    clock.advance(11)
    connection = sqlite3.connect(path, isolation_level=None)
    for number in range(30, 55):
        await create(store, key=f"scope/{number}")
    (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    connection.close()
    await store.aclose()

    assert count == 25


@pytest.mark.asyncio
async def test_no_error_but_a_store_error_leaves_it_when_the_folder_is_gone(
    path, runtime
):
    store = SQLiteStore(path / "folder" / "store.db", runtime=runtime)
    path.touch()
    with pytest.raises(StoreError, match="ENOTDIR"):
        await store.open()


def test_clock_starts_at_wall_time(path):
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    store = SQLiteStore(path, runtime=fake_runtime(clock))

    async def now():
        found = await store.read(KEY)
        await store.aclose()
        return found.now

    assert asyncio.run(now()) == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.needs("linux")
def test_no_file_stays_open_when_two_loops_used_the_store(path):
    store = SQLiteStore(path)

    async def use_and_close():
        await create(store)
        await store.aclose()

    asyncio.run(create(store))  # as in a script that calls asyncio.run() twice
    asyncio.run(use_and_close())

    files = [each for each in Path("/proc/self/fd").iterdir() if each.is_file()]
    opened = [str(each.readlink()) for each in files]
    assert [each for each in opened if each.startswith(str(path))] == []
