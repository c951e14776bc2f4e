"""F115, F120 to F123 and T28: processes that race, freeze, die and fork, with a store."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from persona_share._policy.election import LEASE, Follow, Held, Lead
from persona_share.stores import SQLiteStore
from persona_share.testing import FakeClock, fake_runtime
from tests.redis_server import one_redis, redis_server


__all__ = ["one_redis", "redis_server"]

HOUSE = Path(__file__).parents[2]


@contextmanager
def worker(mode, place, word=""):
    """Run a process that uses the store at this place."""
    command = [sys.executable, "-m", "tests.stores.worker", mode, str(place), word]
    process = subprocess.Popen(  # noqa: S603 - our own
        command, cwd=HOUSE, stdin=-1, stdout=-1, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "redis"])
def place(request, tmp_path):
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    return tmp_path / "tokens.db"


async def elect(store, key="key", owner="successor"):
    return await store.elect(key, owner, newer_than=0, at_least=0.0)


@pytest.mark.slow
def test_of_eight_processes_one_leads_each_key(place):
    workers = [worker("race", place, f"owner {number}") for number in range(8)]
    processes = [each.__enter__() for each in workers]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        led = [
            int(line) for process in processes for line in process.stdout.readlines()
        ]
    finally:
        for each in workers:
            each.__exit__(None, None, None)

    assert sorted(led) == list(range(50))


@pytest.mark.parametrize("word", ["unsent", "sent"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.asyncio
async def test_f115_f120_f121_f122_a_dead_or_frozen_leaders_code_is_carried_on(
    tmp_path, word, end
):
    path = tmp_path / "tokens.db"
    with worker("claim", path, word) as leader:
        assert leader.stdout.readline() == "ready\n"
        leader.send_signal(end)
        clock = FakeClock(datetime.now(UTC))  # noqa: TID251 - that of the process
        store = SQLiteStore(path)
        await store.open(fake_runtime(clock))
        before = await elect(store)
        clock.advance(LEASE + 0.1)
        after = await elect(store)
        await store.publish("key", "successor", after.fence, remaining=60.0, blob=b"t")
        late = await store.publish("key", "the first", 1, remaining=99.0, blob=b"late")
        await store.close()

    assert isinstance(before, Follow)
    assert before.seconds <= LEASE
    assert isinstance(after, Lead)
    assert after.fence == 2
    assert (after.ticket.id, after.ticket.blob) == ("id", b"code")
    assert (after.ticket.sent_before is not None) is (word == "sent")
    assert late == Held(2, late.remaining, b"t")


@pytest.mark.asyncio
async def test_f123_what_was_acknowledged_survives_a_kill(tmp_path):
    path, kept = tmp_path / "tokens.db", []
    for turn in range(4):
        with worker("write", path, str(1_000 * turn)) as writer:
            kept += [int(writer.stdout.readline()) for _ in range(5 + 9 * turn)]
            writer.kill()
            kept += [int(line) for line in writer.stdout.read().splitlines()]
    store = SQLiteStore(path)
    await store.open(fake_runtime(FakeClock(datetime.now(UTC))))  # noqa: TID251 - as above
    answers = await asyncio.gather(*(elect(store, f"key {number}") for number in kept))
    await store.close()
    connection = sqlite3.connect(path)
    integrity = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()

    assert [each.blob for each in answers] == [b"%d" % number for number in kept]
    assert integrity == [("ok",)]
    assert list(tmp_path.glob("*.corrupt-*")) == []


def test_t28_f70_eight_children_of_a_fork_and_their_parent_use_the_store(place):
    command = [sys.executable, "-m", "tests.stores.worker", "fork", str(place)]
    said = subprocess.run(  # noqa: S603 - our own
        command, cwd=HOUSE, capture_output=True, text=True, check=True, timeout=60
    )

    assert said.stdout == "0 True\n"
