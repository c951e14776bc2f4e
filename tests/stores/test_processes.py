"""Processes that race, die and fork, with a store that they share."""

import sqlite3
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from persona_share.stores.sqlite import SQLiteStore
from tests.stores.worker import KEY, store_at


TOP = Path(__file__).parents[2]


@contextmanager
def worker(mode, place, word=""):
    """Run a process that uses the store at this place."""
    command = [sys.executable, "-m", "tests.stores.worker", mode, place, word]
    process = subprocess.Popen(  # noqa: S603 - our own
        command, cwd=TOP, stdin=-1, stdout=-1, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return request.getfixturevalue(f"{request.param}_server").url


@pytest.mark.asyncio
async def test_no_change_is_lost_when_processes_count_together(place):
    each, processes = 5, 4
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker("count", place, str(each)))
            for _ in range(processes)
        ]
        assert [one.stdout.readline() for one in workers] == ["ready\n"] * processes
        for one in workers:
            one.stdin.write("go\n")
            one.stdin.flush()
        assert [one.stdout.readline() for one in workers] == ["done\n"] * processes
    store = store_at(place)
    found = await store.read(KEY)
    await store.aclose()

    assert found.value == b"%d" % (each * processes)


@pytest.mark.asyncio
async def test_f123_what_was_acknowledged_survives_a_kill(tmp_path):
    path, kept = tmp_path / "store.db", []
    for turn in range(3):
        with worker("write", str(path), str(1_000 * turn)) as writer:
            kept += [int(writer.stdout.readline()) for _ in range(5 + 9 * turn)]
            writer.kill()
            kept += [int(line) for line in writer.stdout.read().splitlines()]
    store = SQLiteStore(path)
    values = [(await store.read(f"scope/{number}")).value for number in kept]
    await store.aclose()
    connection = sqlite3.connect(path)
    integrity = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()

    assert values == [b"%d" % number for number in kept]
    assert integrity == [("ok",)]


def test_t28_f70_eight_children_of_a_fork_and_their_parent_use_the_store(place):
    command = [sys.executable, "-m", "tests.stores.worker", "fork", place]
    said = subprocess.run(  # noqa: S603 - our own
        command, cwd=TOP, capture_output=True, text=True, check=True, timeout=60
    )

    assert said.stdout == "0 True\n"
