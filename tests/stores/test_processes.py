"""Processes that race, die and fork, with a store that they share."""

import asyncio
import sqlite3
from contextlib import ExitStack

import pytest

from persona_share.stores.sqlite import SQLiteStore
from tests.stores.worker import (
    KEY,
    count,
    drop,
    fork,
    fork_amid,
    store_at,
    worker,
    write,
)


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
            stack.enter_context(worker(count, place, each)) for _ in range(processes)
        ]
        assert [one.receive() for one in workers] == ["ready"] * processes
        for one in workers:
            one.send("go")
        assert [one.receive() for one in workers] == ["done"] * processes
    store = store_at(place)
    found = await store.read(KEY)
    await store.aclose()

    assert found.value == b"%d" % (each * processes)


@pytest.mark.asyncio
async def test_f123_what_was_acknowledged_survives_a_kill(tmp_path):
    path, kept = tmp_path / "store.db", []
    for turn in range(3):
        with worker(write, str(path), 1_000 * turn) as writer:
            kept += [writer.receive() for _ in range(5 + 9 * turn)]
            kept += writer.kill()
    store = SQLiteStore(path)
    values = [(await store.read(f"scope/{number}")).value for number in kept]
    await store.aclose()
    connection = sqlite3.connect(path)
    integrity = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()

    assert values == [b"%d" % number for number in kept]
    assert integrity == [("ok",)]


def test_f70_eight_children_of_a_fork_and_their_parent_use_the_store(place):
    with worker(fork, place) as forking:
        assert forking.receive() == (0, True)


def test_children_of_forks_use_a_file_that_a_thread_of_their_parent_writes(tmp_path):
    with worker(fork_amid, str(tmp_path / "store.db")) as forking:
        assert forking.receive() == [0] * 8


@pytest.mark.asyncio
async def test_no_operation_fails_when_another_user_of_the_store_closes_it(place):
    store = store_at(place)
    await store.open()
    for number in range(20):
        reads = [store.read(f"scope/{each}") for each in range(20)]
        first = asyncio.gather(*reads[:10])
        if number % 2:
            await asyncio.sleep(0)  # noqa: TID251  # one turn of the loop
        await asyncio.gather(store.aclose(), first, *reads[10:])
    await store.aclose()


@pytest.mark.parametrize("is_used", [True, False])
def test_child_that_drops_a_store_finalizes_no_connection_of_its_parent(
    tmp_path, is_used
):
    with worker(drop, str(tmp_path / "store.db"), is_used) as forking:
        assert forking.receive() == 0
