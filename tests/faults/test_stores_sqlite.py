"""F100 to F107: a file that is locked, full, torn, foreign or gone."""

import asyncio
import os
import resource
import signal
import sqlite3
import stat
import threading
import time
from contextlib import contextmanager

import pytest

from persona_share._policy.election import Held, Lead
from persona_share.errors import StoreUnavailableError
from persona_share.stores import SQLiteStore
from persona_share.testing import fake_runtime


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.db"


async def opened(path):
    store = SQLiteStore(path)
    await store.open(fake_runtime())
    return store


async def elect(store, key="key", owner="a"):
    return await store.elect(key, owner, newer_than=0, at_least=0.0)


@contextmanager
def locked(path, how="EXCLUSIVE"):
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute(f"BEGIN {how}")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.asyncio
async def test_f100_a_lock_is_waited_for_two_seconds_and_the_loop_goes_on(path):
    store = await opened(path)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)  # noqa: TID251 - SQLite waits for real
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    began = time.monotonic()  # noqa: TID251 - as above
    with locked(path):
        answers = await asyncio.gather(
            *(elect(store, f"key {number}") for number in range(20)),
            return_exceptions=True,
        )
    took = time.monotonic() - began  # noqa: TID251 - as above
    ticking.cancel()

    assert {type(each) for each in answers} == {StoreUnavailableError}
    assert 1.8 <= took <= 3.5  # the others do not wait after one another
    assert ticks > 50
    assert isinstance(await elect(store), Lead)
    await store.close()


@pytest.mark.asyncio
async def test_f100_a_lock_that_ends_in_time_is_not_noticed(path):
    store = await opened(path)
    with locked(path):
        waiting = asyncio.ensure_future(elect(store))
        await asyncio.wait({waiting}, timeout=0.3)
    assert isinstance(await waiting, Lead)
    await store.close()


@pytest.mark.asyncio
async def test_f101_readers_do_not_keep_writers_from_writing(path):
    stores = [await opened(path) for _ in range(3)]
    owners = [
        (await elect(store, f"key {number}", f"owner {turn}"))
        for turn, store in enumerate(stores)
        for number in range(5)
    ]
    answers = await asyncio.gather(
        *(
            store.adopt(f"key {number}", remaining=60.0, blob=b"token")
            for store in stores
            for number in range(10)
        )
    )
    for store in stores:
        await store.close()

    assert sum(isinstance(each, Lead) for each in owners) == 5
    assert sum(1 for each in answers if each) == 10


@pytest.mark.asyncio
async def test_f102_a_full_disk_loses_nothing_that_was_kept(path):
    store = await opened(path)
    await store.adopt("kept", remaining=60.0, blob=b"token")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
    try:
        with pytest.raises(StoreUnavailableError):
            await store.adopt("new", remaining=60.0, blob=os.urandom(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert isinstance(await elect(store, "kept"), Held)
    assert await store.adopt("new", remaining=60.0, blob=b"token") == 1
    await store.close()


def garbage(path):
    path.write_bytes(b"this is no database, " * 400)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2 + 100)


def flipped(path):
    content = bytearray(path.read_bytes())
    for place in range(4_096, len(content)):
        content[place] ^= 0xFF
    path.write_bytes(content)


def beheaded(path):
    content = path.read_bytes()
    path.write_bytes(b"\xff" * 100 + content[100:])


@pytest.mark.parametrize(
    ("harm", "running"),
    [
        (garbage, True),
        (garbage, False),
        (truncated, True),
        (truncated, False),
        (beheaded, True),
        (beheaded, False),
        (flipped, False),  # while it runs, SQLite has the pages in mind and needs none
    ],
)
@pytest.mark.asyncio
async def test_f103_a_torn_file_is_moved_aside_aloud(path, caplog, harm, running):
    store = await opened(path)
    for number in range(40):
        await store.adopt(f"key {number}", remaining=60.0, blob=b"token" * 40)
    if not running:
        await store.close()
    harm(path)
    answers = [await elect(store, f"key {number}") for number in range(40)]
    await store.close()
    aside = list(path.parent.glob("tokens.db.corrupt-*Z"))

    assert {type(each) for each in answers} == {Lead}
    assert len(aside) == 1
    assert stat.S_IMODE(aside[0].stat().st_mode) == 0o600
    assert aside[0].name in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_f103_f105_a_record_that_was_changed_by_hand_is_missing(path, caplog):
    store = await opened(path)
    await store.adopt("one", remaining=60.0, blob=b"token")
    await store.adopt("other", remaining=60.0, blob=b"token")
    connection = sqlite3.connect(path, isolation_level=None)
    bodies = dict(connection.execute("SELECT name, body FROM records"))
    for name, body in (("one", bodies["other"]), ("other", bodies["one"])):
        connection.execute("UPDATE records SET body = ? WHERE name = ?", (body, name))
    connection.close()

    assert isinstance(await elect(store, "one"), Lead)
    assert isinstance(await elect(store, "other"), Lead)
    assert "cannot be believed" in caplog.text
    await store.close()


@pytest.mark.asyncio
async def test_f107_a_deleted_or_replaced_file_is_noticed(path, tmp_path):
    store = await opened(path)
    await store.adopt("key", remaining=60.0, blob=b"token")
    kept = path.read_bytes()
    path.unlink()
    deleted = await elect(store)
    replacement = tmp_path / "replacement"
    replacement.touch(0o600)
    replacement.write_bytes(kept)
    replacement.rename(path)
    replaced = await elect(store)
    await store.close()

    assert isinstance(deleted, Lead)
    assert isinstance(replaced, Held)


@pytest.mark.asyncio
async def test_a_cancelled_wait_holds_no_lock_and_no_thread(path):
    before = threading.active_count()
    store = await opened(path)
    for _ in range(20):
        asking = asyncio.ensure_future(elect(store))
        await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert isinstance(await elect(store), Lead)
    await store.close()
    assert threading.active_count() == before
