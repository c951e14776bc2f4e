"""The checkpoint: what was noted stays noted, in a file that is nobody else's."""

import os
import sqlite3
import stat

import pytest

from persona_share.errors import (
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.stores.checkpoint import SQLiteCheckpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.checkpoint"


async def opened(path):
    checkpoint = SQLiteCheckpoint(path)
    await checkpoint.open()
    return checkpoint


@pytest.mark.asyncio
async def test_what_was_noted_is_known_after_a_restart(path):
    first = await opened(path)
    await first.note(["inq_1"])
    await first.note(["inq_2", "inq_3"])
    await first.close()
    second = await opened(path)
    known = await second.known(["inq_1", "inq_3", "inq_4"])
    await second.close()

    assert known == {"inq_1", "inq_3"}


@pytest.mark.asyncio
async def test_noting_twice_is_fine(path):
    checkpoint = await opened(path)
    await checkpoint.note(["inq_1"])
    await checkpoint.note(["inq_1", "inq_2"])
    assert await checkpoint.known(["inq_1", "inq_2"]) == {"inq_1", "inq_2"}
    await checkpoint.close()


@pytest.mark.asyncio
async def test_any_number_of_ids_may_be_asked_about(path):
    checkpoint = await opened(path)
    many = [f"inq_{number}" for number in range(2_000)]
    await checkpoint.note(many[:1_500])
    assert len(await checkpoint.known(many)) == 1_500
    assert await checkpoint.known([]) == frozenset()
    await checkpoint.close()


@pytest.mark.asyncio
async def test_t12_the_file_and_its_log_are_for_this_user_alone(path):
    before = os.umask(0)
    try:
        checkpoint = await opened(path)
        await checkpoint.note(["inq_1"])
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    await checkpoint.close()

    assert modes == {0o600}


@pytest.mark.asyncio
async def test_t12_a_file_that_others_could_read_is_refused(path):
    path.touch(0o644)
    path.chmod(0o644)
    with pytest.raises(StoreRefusedError, match="others may read"):
        await opened(path)


@pytest.mark.asyncio
async def test_t12_a_symbolic_link_is_refused(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        await opened(path)

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.asyncio
async def test_the_database_of_another_program_is_left_alone(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(StoreRefusedError, match="another program"):
        await opened(path)
    with sqlite3.connect(path) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()
    other.close()

    assert tables == [("theirs",)]
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.asyncio
async def test_a_file_that_is_no_database_is_told_and_left_alone(path):
    path.write_bytes(b"my only copy of something" * 100)
    path.chmod(0o600)
    with pytest.raises(StoreCorruptError, match="NOTADB"):
        await opened(path)

    assert path.read_bytes().startswith(b"my only copy")


@pytest.mark.asyncio
async def test_two_batches_never_share_a_file(path):
    first = await opened(path)
    with pytest.raises(StoreUnavailableError, match="BUSY"):
        await opened(path)
    await first.close()
    second = await opened(path)
    await second.close()


@pytest.mark.asyncio
async def test_a_directory_that_is_none_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        await opened(tmp_path / "file" / "checkpoint")


@pytest.mark.asyncio
async def test_closing_twice_is_fine_and_opening_twice_too(path):
    checkpoint = await opened(path)
    await checkpoint.open()
    await checkpoint.close()
    await checkpoint.close()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await checkpoint.note(["inq_1"])
