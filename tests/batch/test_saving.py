"""Rows and files survive power cuts and full disks: nothing lost, nothing twice.

`make soak-batch` runs 500 of each kind, `make test` 20.
"""

import asyncio
import errno
import json
import os
import random  # noqa: TID251  # seeded
import shutil

import attrs
import pytest

from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.saving import Disk, Ndjson, OutputFile, Saver, save_download
from persona_share.errors import CheckpointInUseError


LONG = float(os.environ.get("SOAK_MINUTES", "0")) >= 5
RUNS = 500 if LONG else 20
IDS = [f"inq_{number:03}" for number in range(40)]


class PowerCutError(Exception):
    """The machine has no power any more."""


@attrs.define
class Object:
    """An object as far as a row needs it."""

    id: str
    type: str = "inquiry"

    @property
    def raw(self):
        return {"type": self.type, "id": self.id, "attributes": {"text": "x" * 300}}


def content_of(object_id):
    return object_id.encode() * 500


@attrs.define
class FakeDownload:
    """A body in three pieces."""

    content: bytes

    async def into(self, sink):
        await sink.begin({"content-type": "image/png"})
        for first in range(0, len(self.content), 2_000):
            await asyncio.sleep(0)  # noqa: TID251  # another task's turn
            await sink.write(self.content[first : first + 2_000])


class FailingDisk(Disk):
    """A disk that stops after so many operations, and knows what was synced."""

    def __init__(self, operations, error, synced):
        self.left = operations
        self.error = error
        self.synced = synced  # sizes by inode, of all runs
        self.renamed = []

    def _count(self):
        self.left -= 1
        if self.left < 0:
            raise self.error()

    def write(self, descriptor, content):
        found = os.fstat(descriptor)
        if not found.st_size:
            self.synced.pop(found.st_ino, None)  # a new file with an old number
        if self.left <= 0:  # a part of it gets through
            os.write(descriptor, content[: len(content) // 2])
        self._count()
        super().write(descriptor, content)

    def sync(self, descriptor):
        self._count()
        found = os.fstat(descriptor)
        self.synced[found.st_ino] = found.st_size

    def sync_folder(self, path):
        self._count()
        self.renamed = [each for each in self.renamed if each.parent != path]

    def replace(self, source, target):
        self._count()
        super().replace(source, target)
        self.renamed.append(target)

    def cut(self, folder, rng):
        """Drop what was not synced, as a file system may after a power cut."""
        for each in self.renamed:
            if each.exists() and rng.random() < 0.5:
                each.unlink()
        for path in folder.rglob("*"):
            if path.is_dir() or "checkpoint" in path.name or not path.exists():
                continue
            kept = self.synced.get(path.stat().st_ino, 0)
            size = path.stat().st_size
            if size > kept:
                end = rng.randint(kept, size)
                with path.open("r+b") as file:
                    file.truncate(end)
                    if rng.random() < 0.5:  # the length arrived, the content did not
                        file.seek(kept)
                        file.write(b"\0" * (end - kept))


async def save(kit, folder, disk):
    """Run one fetch into a folder."""

    async def retrieve(object_id):
        await asyncio.sleep(0)  # noqa: TID251  # another task's turn
        return Object(object_id)

    async def attach(found):
        saved = await save_download(
            FakeDownload(content_of(found.id)), folder / "files", found.id, ".bin", disk
        )
        disk.sync_folder(folder / "files")
        return [saved.path]

    batch = kit.batch(
        IDS,
        planner=DirectPlanner(retrieve, 8),
        checkpoint=SQLiteCheckpoint(folder / "checkpoint"),
        acknowledge="explicit",
    )
    output = OutputFile(folder / "out", Ndjson(), disk)
    saver = Saver(
        batch=batch, output=output, attach=attach, concurrency=3, on_failed=failed
    )
    async with batch:
        position = await batch.output_position()
        output.check(position)
        if position is None:
            position = output.start()
            await batch.acknowledge(output=position)
        await output.open(position)
        await saver.run()
    return saver.saved


def failed(object_id, error):
    raise AssertionError((object_id, error))


def require_complete(folder):
    """Check that every object has one row and its file."""
    lines = [json.loads(x) for x in (folder / "out").read_bytes().splitlines()]
    assert sorted(each["id"] for each in lines) == IDS
    for each in IDS:
        assert (folder / "files" / f"{each}.png").read_bytes() == content_of(each)


async def until_complete(kit, folder, error, rng, cut):
    """Run again and again on a disk that fails, until everything is saved."""
    synced = {}
    for _ in range(8):
        disk = FailingDisk(rng.randint(0, 250), error, synced)
        try:
            await save(kit, folder, disk)
        except (PowerCutError, OSError):
            if cut:
                disk.cut(folder, rng)
        else:
            break
    await save(kit, folder, Disk())
    require_complete(folder)


@pytest.mark.parametrize("seed", range(RUNS))
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_power_cuts(kit, tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311  # a seeded test
    await until_complete(kit, tmp_path, PowerCutError, rng, cut=True)


@pytest.mark.parametrize("seed", range(RUNS))
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_full_disks(kit, tmp_path, seed):
    def full():
        return OSError(errno.ENOSPC, "No space left on device")

    rng = random.Random(seed)  # noqa: S311  # a seeded test
    await until_complete(kit, tmp_path, full, rng, cut=False)


@pytest.mark.parametrize("seed", range(RUNS // 4))
@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_by_overlapping_runs(kit, tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311  # a seeded test
    runs = []
    for _ in range(4):
        runs.append(asyncio.create_task(save(kit, tmp_path, Disk())))
        await asyncio.wait(runs, timeout=rng.random() / 50)
    results = await asyncio.gather(*runs, return_exceptions=True)

    assert {type(each) for each in results} <= {int, CheckpointInUseError}
    assert sum(each for each in results if isinstance(each, int)) == len(IDS)
    require_complete(tmp_path)


@pytest.mark.asyncio
async def test_files_are_saved_side_by_side(kit, tmp_path):
    under_way, most = 0, 0

    async def attach(found):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await kit.clock.sleep(0.1)
        under_way -= 1
        return []

    batch = kit.batch(
        [f"inq_{number}" for number in range(300)],
        planner=DirectPlanner(_object, 8),
        acknowledge="explicit",
    )
    output = OutputFile(tmp_path / "out", Ndjson())
    await output.open(output.start())
    saver = Saver(
        batch=batch, output=output, attach=attach, concurrency=16, on_failed=failed
    )
    await kit.until(saver.run(), step=0.1)

    assert most == 16
    assert saver.saved == 300
    shutil.rmtree(tmp_path)


async def _object(object_id):
    return Object(object_id)
