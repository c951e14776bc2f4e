"""The checkpoint: acknowledged ids stay acknowledged, in a private file."""

import os
import sqlite3
import stat
from contextlib import closing

import pytest

from persona_share.batch.checkpoint import OutputPosition, SQLiteCheckpoint
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.checkpoint"


async def opened(path):
    checkpoint = SQLiteCheckpoint(path)
    await checkpoint.open()
    return checkpoint


@pytest.mark.asyncio
async def test_acknowledged_ids_are_known_after_a_restart(path):
    first = await opened(path)
    await first.record(["inq_1"])
    await first.record(["inq_2", "inq_3"])
    first.close()
    second = await opened(path)
    known = await second.known(["inq_1", "inq_3", "inq_4"])
    second.close()

    assert known == {"inq_1", "inq_3"}


@pytest.mark.asyncio
async def test_acknowledging_twice_is_allowed(path):
    checkpoint = await opened(path)
    await checkpoint.record(["inq_1"])
    await checkpoint.record(["inq_1", "inq_2"])
    assert await checkpoint.known(["inq_1", "inq_2"]) == {"inq_1", "inq_2"}
    checkpoint.close()


@pytest.mark.asyncio
async def test_any_number_of_ids_may_be_asked_about(path):
    checkpoint = await opened(path)
    many = [f"inq_{number}" for number in range(2_000)]
    await checkpoint.record(many[:1_500])
    assert len(await checkpoint.known(many)) == 1_500
    assert await checkpoint.known([]) == frozenset()
    checkpoint.close()


@pytest.mark.asyncio
async def test_file_and_its_log_are_private(path):
    before = os.umask(0)
    try:
        checkpoint = await opened(path)
        await checkpoint.record(["inq_1"])
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    checkpoint.close()

    assert modes == {0o600}


@pytest.mark.parametrize("folder_mode", [0o700, 0o2770, 0o777])
@pytest.mark.asyncio
async def test_mode_is_tightened_when_a_volume_widened_it(tmp_path, folder_mode):
    path = tmp_path / "volume" / "batch.checkpoint"
    checkpoint = await opened(path)
    await checkpoint.record(["inq_1"])
    checkpoint.close()
    path.chmod(0o660)
    path.parent.chmod(folder_mode)
    checkpoint = await opened(path)
    known = await checkpoint.known(["inq_1"])
    checkpoint.close()

    assert known == {"inq_1"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_symbolic_link_is_refused(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreRefusedError, match="symbolic link"):
        await opened(path)

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.asyncio
async def test_database_of_another_program_is_left_alone(path):
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
    assert path.read_bytes() == before


@pytest.mark.asyncio
async def test_file_that_is_not_a_database_is_reported_and_unchanged(path):
    path.write_bytes(b"my only copy of something" * 100)
    path.chmod(0o600)
    with pytest.raises(StoreCorruptError, match="NOTADB"):
        await opened(path)

    assert path.read_bytes().startswith(b"my only copy")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE output SET position = -1",
        "UPDATE output SET position = 'x'",
        "UPDATE output SET tail = x'00'",
        "UPDATE output SET form = NULL",
        "UPDATE request SET what = x'00'",
    ],
)
@pytest.mark.asyncio
async def test_damaged_value_is_reported(path, damage):
    checkpoint = SQLiteCheckpoint(path, requested=["files"])
    await checkpoint.open()
    await checkpoint.record(["inq_1"], OutputPosition(7, "tail", "ndjson"))
    checkpoint.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(damage)
    with pytest.raises(StoreCorruptError, match="damaged"):
        await position_in(path)


async def position_in(path):
    checkpoint = SQLiteCheckpoint(path, requested=["files"])
    try:
        await checkpoint.open()
        return await checkpoint.output()
    finally:
        checkpoint.close()


@pytest.mark.asyncio
async def test_damaged_name_is_reported(path):
    checkpoint = await opened(path)
    checkpoint.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE done", b"CREATE \xff\xffBLE done"))
    with pytest.raises(StoreCorruptError, match="not text"):
        await opened(path)


@pytest.mark.asyncio
async def test_second_user_of_a_file_gets_the_process_id_of_the_first(path):
    first = await opened(path)
    with pytest.raises(CheckpointInUseError, match="in use by another fetch") as raised:
        await opened(path)
    assert raised.value.pid == os.getpid()
    first.close()
    second = await opened(path)
    second.close()

    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.asyncio
async def test_position_of_the_output_is_recorded_with_the_ids(path):
    position = OutputPosition(1_234, "digest", "ndjson")
    checkpoint = await opened(path)
    assert await checkpoint.output() is None
    await checkpoint.record(["inq_1"], OutputPosition(7, "first", "ndjson"))
    await checkpoint.record(["inq_2"], position)
    checkpoint.close()
    checkpoint = await opened(path)

    assert await checkpoint.output() == position
    checkpoint.close()


@pytest.mark.asyncio
async def test_checkpoint_of_release_0_1_is_named(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE done (id TEXT PRIMARY KEY) WITHOUT ROWID")
        other.execute(f"PRAGMA application_id = {0x50534350}")
    other.close()
    with pytest.raises(StoreRefusedError, match=r"release 0\.1"):
        await opened(path)


@pytest.mark.asyncio
async def test_id_that_is_not_text_raises_a_persona_error(path):
    checkpoint = await opened(path)
    with pytest.raises(StoreUnavailableError, match="not text"):
        await checkpoint.record(["inq_\udc80"])
    checkpoint.close()


@pytest.mark.asyncio
async def test_missing_directory_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        await opened(tmp_path / "file" / "checkpoint")


@pytest.mark.asyncio
async def test_open_and_close_can_be_called_twice(path):
    checkpoint = await opened(path)
    await checkpoint.open()
    checkpoint.close()
    checkpoint.close()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await checkpoint.record(["inq_1"])


@pytest.mark.parametrize(
    ("before", "after"), [([], ["files"]), (["files"], []), (["files"], ["pdf"])]
)
@pytest.mark.asyncio
async def test_another_request_is_refused_when_objects_are_acknowledged(
    path, before, after
):
    first = SQLiteCheckpoint(path, requested=before)
    await first.open()
    await first.record(["inq_1"])
    first.close()
    with pytest.raises(CheckpointMismatchError, match="this run would save"):
        await SQLiteCheckpoint(path, requested=after).open()

    again = SQLiteCheckpoint(path, requested=before)
    await again.open()
    assert await again.known(["inq_1"]) == {"inq_1"}
    again.close()


@pytest.mark.asyncio
async def test_another_request_is_recorded_when_no_object_is_acknowledged(path):
    for requested in ([], ["pdf", "files"], ["files", "pdf"]):
        checkpoint = SQLiteCheckpoint(path, requested=requested)
        await checkpoint.open()
        if requested:
            await checkpoint.record(["inq_1"])
        checkpoint.close()
    with pytest.raises(CheckpointMismatchError, match="would save them without files"):
        await SQLiteCheckpoint(path, requested=[]).open()


@pytest.mark.asyncio
async def test_checkpoint_without_a_request_is_continued(path):
    earlier = SQLiteCheckpoint(path)
    await earlier.open()
    await earlier.record(["inq_1"])
    earlier.close()
    checkpoint = SQLiteCheckpoint(path, requested=["files"])
    await checkpoint.open()

    assert await checkpoint.known(["inq_1"]) == {"inq_1"}
    checkpoint.close()
