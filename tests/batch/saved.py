"""Fetches and copies into a folder, without a network, on disks and services that fail.

Both are runs of the real code with objects made up here. Every run continues what the
runs before it left. `test_saving.py` runs a few of each kind of failure, and
`python -m tests.batch.soak` hundreds.
"""

import asyncio
import errno
import json
import os
import random  # noqa: TID251  # seeded
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress

import attrs

from persona_share import Failed
from persona_share._protocol import jsonapi
from persona_share.batch import verify_copy
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.copy import Copy, CopyContext, CopyWorker
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.manifests import CopyRequest, read_manifest
from persona_share.batch.saving import (
    Disk,
    FilePool,
    Ndjson,
    OutputFile,
    Persistent,
    Saver,
)
from persona_share.errors import (
    CheckpointInUseError,
    ConnectError,
    OutageError,
    ServerError,
)
from persona_share.model.resource import ResponseInfo
from tests.batch.conftest import Kit
from tests.processes import FORKSERVER


IDS = [f"inq_{number:03}" for number in range(24)]
PEOPLE = IDS[:6]
#: Beside the folders of people.
OTHERS = {".checkpoint", ".checkpoint-wal", ".checkpoint-shm"}


class PowerCutError(Exception):
    """The machine lost power."""


def content_of(name):
    return name.encode() * 500


@attrs.define
class FakeDownload:
    """A body in three pieces."""

    content: bytes

    async def into(self, sink):
        await sink.begin({"content-type": "image/png"})
        for first in range(0, len(self.content), 2_000):
            await asyncio.sleep(0)  # noqa: TID251  # another task's turn
            await sink.write(self.content[first : first + 2_000])


class FakeDownloads:
    """The downloads of every object; none has a PDF."""

    def download(self, object_id, attribute, _url, _batch):
        return FakeDownload(content_of(f"{object_id}-{attribute}"))

    def print_pdf(self, *_):
        return None


class FastDisk(Disk):
    """A disk that syncs nothing: that matters for a power cut only."""

    def sync(self, descriptor):
        pass

    def sync_folder(self, path):
        pass


class FailingDisk(Disk):
    """A disk that stops after so many operations, and knows what was synced."""

    def __init__(self, folder, operations, error, synced):
        self.folder = folder
        self.left = operations
        self.error = error
        self.synced = synced  # sizes by inode, of all runs
        self.renamed = []
        self.named = {_inode(x) for x in folder.rglob("*")}  # a cut leaves their names
        self.checkpoint = None

    def _count(self):
        self.left -= 1
        if self.left < 0:
            if self.checkpoint is None:
                self.checkpoint = self._checkpoint_files()
            raise self.error()

    def _checkpoint_files(self):
        """Return the content of the checkpoint at this moment."""
        paths = sorted(self.folder.glob("*checkpoint*"))  # its log comes last
        return {x: x.read_bytes() for x in paths if not x.name.endswith(".lock")}

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
        self.renamed = [each for each in self.renamed if each[1].parent != path]
        self.named.update(_inode(each) for each in path.iterdir())

    def replace(self, source, target):
        self._count()
        super().replace(source, target)
        self.renamed.append((source, target))

    def cut(self, rng):
        """Drop what was not synced, as a file system may after a power cut."""
        for source, target in reversed(self.renamed):
            if target.exists() and rng.random() < 0.5:
                target.rename(source)
        for path in sorted(self.folder.rglob("*")):
            if "checkpoint" in path.name or not path.exists():
                continue
            if _inode(path) not in self.named and rng.random() < 0.3:
                _remove(path)
            elif path.is_file():
                self._cut_content(path, rng)
        self._cut_checkpoint(rng)

    def _cut_content(self, path, rng):
        kept, size = self.synced.get(path.stat().st_ino, 0), path.stat().st_size
        if size > kept:
            end = rng.randint(kept, size)
            with path.open("r+b") as file:
                file.truncate(end)
                if rng.random() < 0.5:  # the length arrived, the content did not
                    file.seek(kept)
                    file.write(b"\0" * (end - kept))

    def _cut_checkpoint(self, rng):
        """Restore the checkpoint as it was, with a part of its log.

        SQLite has not moved any of these logs into the database: only a closing
        connection does, or the first position of an output, which empties the log.
        """
        for path in self.folder.glob("*checkpoint*"):
            path.unlink()
        for path, content in (self.checkpoint or {}).items():
            is_log = path.name.endswith("-wal")
            end = rng.randint(0, len(content)) if is_log else len(content)
            path.write_bytes(content[:end])


def _inode(path):
    with suppress(FileNotFoundError):  # a file that another task renames
        return path.stat().st_ino
    return None


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


# ── Fetches ─────────────────────────────────────────────────────────────────────


def new_pool(kit, disk):
    persistent = Persistent(clock=kit.clock, outages=kit.monitor())
    return FilePool(FakeDownloads(), persistent, disk, 3)


async def fetch_into(folder, disk, kit):
    """Fetch into a folder and return how many objects were saved."""

    async def retrieve(object_id):
        await kit.objects.retrieve(object_id)
        return _resource(object_id)

    async def attach(found):
        saved = await pool.save_all(
            found, batch, files=folder / "files", sync_folders=True
        )
        return [each.path for _, each in saved]

    pool = new_pool(kit, disk)
    batch = kit.batch(
        IDS,
        planner=DirectPlanner(retrieve, 8),
        checkpoint=SQLiteCheckpoint(folder / "checkpoint"),
        acknowledge="explicit",
    )
    output = OutputFile(folder / "out", Ndjson(), disk)
    saver = Saver(
        batch=batch, output=output, attach=attach, concurrency=6, on_failed=_failed
    )
    async with batch:
        position = await batch.output_position()
        output.check(position)
        if position is None:
            position = output.start()
            await batch.acknowledge(output=position)
        (folder / "files").mkdir(exist_ok=True)
        disk.sync_folder(folder)
        await output.open(position)
        await saver.run()
    return saver.saved


def problems_of_fetch(folder, *, complete):
    """Return what is wrong with the rows and files; each with its kind."""
    content = (folder / "out").read_bytes() if (folder / "out").exists() else b""
    ids, others = _rows_of(content)
    if complete and others:
        yield "holes", f"not a row: {others[0][:40]!r}"
    for each in IDS if complete else _known(folder):
        if ids[each] > 1:
            yield "twice", f"{each} has {ids[each]} rows"
        file = folder / "files" / f"{each}-photo-url.png"
        if not ids[each] or not file.exists():
            yield "lost", each
        elif file.read_bytes() != content_of(f"{each}-photo-url"):
            yield "holes", f"the file of {each}"


def _rows_of(content):
    """Return how many rows each object has, and the lines that are no rows."""
    ids, others = Counter(), []
    for line in content.splitlines():
        try:
            ids[json.loads(line)["id"]] += 1
        except ValueError:
            others.append(line)
    return ids, others


# ── Copies ──────────────────────────────────────────────────────────────────────


async def copy_into(folder, disk, kit):
    """Copy people into a folder and return how many were copied."""
    async with new_copy(folder, disk, kit) as copy:
        async for each in copy:
            if isinstance(each, Failed):
                _failed(each.id, each.error)
        return copy.report().copied


def new_copy(
    folder,
    disk,
    kit,
    ids=PEOPLE,
    *,
    planner=DirectPlanner,
    downloads=None,
    shared=(),
    changes=(),
    **options,
):
    """Return a copy of people with their verifications and files.

    ``changes`` are values in place of those of the first person.
    """

    async def retrieve(object_id):
        await kit.objects.retrieve(object_id)
        return _resource(object_id, shared, changes if object_id == ids[0] else ())

    def batch(ids, checkpoint=None):
        return kit.batch(
            ids,
            planner=planner(retrieve, 8),
            checkpoint=checkpoint,
            acknowledge="explicit",
        )

    request = CopyRequest(follow=("verifications",), files=True, pdf=False)
    worker = CopyWorker(
        context=CopyContext(
            roots=lambda checkpoint: batch(ids, checkpoint),
            related=batch,
            downloads=downloads or FakeDownloads(),
            persistent=Persistent(clock=kit.clock, outages=kit.monitor()),
            wall=kit.clock.wall,
        ),
        into=folder,
        file_concurrency=3,
        disk=disk,
        **{"request": request, "refresh": False, **options},
    )
    return Copy(worker)


def _resource(object_id, shared=(), changes=()):
    related = []
    if object_id.startswith("inq_"):
        related = [*(f"ver_{object_id[4:]}{letter}" for letter in "ab"), *shared]
    kind = "inquiry" if related else "verification/selfie"
    raw = {
        "type": kind,
        "id": object_id,
        "attributes": {
            "updated-at": "2026-01-01T00:00:00.000Z",
            "photo-url": f"https://files.test/{object_id}?access_token=x",
            "text": "x" * 300,
        },
        "relationships": {
            "verifications": {
                "data": [{"type": "verification/selfie", "id": x} for x in related]
            }
        },
        **dict(changes),
    }
    return jsonapi.resource(raw, ResponseInfo())


def problems_of_copy(folder, *, complete):
    """Return what is wrong with the folders of people; each with its kind."""
    if complete:
        found = {each.name for each in folder.iterdir()} - OTHERS
        for each in found - {*PEOPLE}:
            yield "twice", f"{each} was left behind"
        for each in verify_copy(folder).problems:
            yield "holes", each
    for each in PEOPLE if complete else _known(folder):
        if not (folder / each).exists():
            yield "lost", each
        elif not _is_whole(folder / each):
            yield "holes", each


def _is_whole(folder):
    related = [f"ver_{folder.name[4:]}{letter}" for letter in "ab"]
    manifest = read_manifest(folder) or {}
    with suppress(OSError, ValueError, KeyError):
        for each in related:
            json.loads((folder / "verifications" / f"{each}.json").read_bytes())
        for each in [folder.name, *related]:
            photo = folder / "files" / f"{each}-photo-url.png"
            if photo.read_bytes() != content_of(f"{each}-photo-url"):
                return False
        copied = manifest["relationships"]["verifications"]["copied"]
        return copied == related and len(manifest["files"]) == 3 + 3
    return False


def _known(folder):
    """Return the ids that the checkpoint knows."""
    path = next(folder.glob("*checkpoint"), None)
    if path is None:
        return []
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        if ("done",) not in tables:
            return []
        return [row[0] for row in connection.execute("SELECT id FROM done")]


def _failed(object_id, error):
    raise AssertionError((object_id, error))


# ── What fails ──────────────────────────────────────────────────────────────────


@attrs.define
class Job:
    """A fetch or a copy into a folder, run again until it is complete."""

    kind: str
    folder: object
    kit: object = attrs.field(factory=Kit)
    problems: list = attrs.field(factory=list)

    async def run(self, disk=None):
        run = {"fetch": fetch_into, "copy": copy_into}[self.kind]
        return await run(self.folder, disk or FastDisk(), self.kit)

    @property
    def size(self):
        """The number of objects."""
        return len(IDS if self.kind == "fetch" else PEOPLE)

    def check(self, *, complete=False):
        """Note what is wrong with acknowledged objects, or with all of them."""
        check = {"fetch": problems_of_fetch, "copy": problems_of_copy}[self.kind]
        self.problems += check(self.folder, complete=complete)

    async def finish(self):
        await self.run()
        self.check(complete=True)


def _seeded(seed):
    return random.Random(seed)  # noqa: S311  # a seeded test


async def power_cuts(job, seed):
    """Run on a disk that loses its power, and what was not synced, again and again.

    Return how often.
    """
    return await _on_failing_disks(job, seed, PowerCutError)


async def full_disks(job, seed):
    """Run on a disk that is full after so many operations; return how often it was."""
    return await _on_failing_disks(
        job, seed, lambda: OSError(errno.ENOSPC, "No space left on device")
    )


async def _on_failing_disks(job, seed, error):
    rng, synced, failed = _seeded(seed), {}, 0
    for _ in range(8):
        disk = FailingDisk(job.folder, rng.randint(0, 150), error, synced)
        try:
            await job.run(disk)
        except (PowerCutError, OSError):
            if error is PowerCutError:
                disk.cut(rng)
            job.check()
            failed += 1
        else:
            break
    await job.finish()
    return failed


async def outages(job, seed):
    """Run while the service is down once; some outages stop the run."""
    rng, kit = _seeded(seed), job.kit
    begins, lasts = rng.randint(0, job.size), rng.choice([30, 600, 2_000])
    down = rng.choice([ConnectError("refused"), ServerError("down", status=503)])
    began = None

    async def fail_for_a_while():
        nonlocal began
        if len(kit.objects.asked) >= begins:
            began = kit.clock.now() if began is None else began
            if kit.clock.now() < began + lasts:
                raise down.fresh()

    kit.objects.before = fail_for_a_while
    for _ in range(4):
        try:
            await kit.until(job.run(), step=max(lasts / 60, 5.0))
        except OutageError:
            assert lasts == 2_000
            job.check()
        else:
            break
    job.check(complete=True)
    return 1


async def overlapping_runs(job, seed):
    """Run four times at once: one of them has the folder at any moment."""
    rng, runs = _seeded(seed), []
    for _ in range(4):
        runs.append(asyncio.create_task(job.run()))
        await asyncio.wait(runs, timeout=rng.random() / 50)
    results = await asyncio.gather(*runs, return_exceptions=True)
    job.check(complete=True)
    assert {type(each) for each in results} <= {int, CheckpointInUseError}, results
    saved = sum(each for each in results if isinstance(each, int))
    if saved != job.size:
        job.problems.append(("twice", f"{saved} objects were saved"))
    return 1


async def kills(job, seed):
    """Kill a process at a random moment, up to four times; return how often."""
    rng, killed = _seeded(seed), 0
    for _ in range(4):
        process = FORKSERVER.Process(target=_run, args=(job.kind, job.folder))
        began = time.monotonic()  # noqa: TID251  # a real process
        process.start()
        process.join(rng.random() * _LONGEST[job.kind])
        process.kill()
        process.join()
        job.check()
        if process.exitcode == 0:
            took = time.monotonic() - began  # noqa: TID251  # as above
            _LONGEST[job.kind] = took
            break
        killed += 1
    await job.finish()
    return killed


#: Seconds that a run takes in a process of its own; the first guess is corrected.
_LONGEST = {"fetch": 0.3, "copy": 0.3}


def _run(kind, folder):
    asyncio.run(Job(kind, folder).run())


KINDS = ("fetch", "copy")
FAILURES = {
    "kills": kills,
    "power cuts": power_cuts,
    "full disks": full_disks,
    "outages": outages,
    "overlapping runs": overlapping_runs,
}
