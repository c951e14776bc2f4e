"""Fetches and copies into a folder, without a network, on disks that fail.

Both are runs of the real code with objects made up here. Every run continues what the
runs before it left.
"""

import asyncio
import json
import os
import sqlite3
from contextlib import closing

import attrs

from persona_share import Failed
from persona_share._protocol import jsonapi
from persona_share.batch import verify_copy
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.copy import Copy, CopyContext, read_manifest
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.saving import (
    Disk,
    Ndjson,
    OutputFile,
    Persistent,
    Saver,
    save_download,
)
from persona_share.model.resource import ResponseInfo
from tests.batch.conftest import Kit


IDS = [f"inq_{number:03}" for number in range(40)]
PEOPLE = IDS[:10]
#: Beside the folders of people.
OTHERS = {".checkpoint", ".checkpoint-wal", ".checkpoint-shm"}


class PowerCutError(Exception):
    """The machine lost power."""


@attrs.define
class Object:
    """An object as far as a row needs it."""

    id: str
    type: str = "inquiry"

    @property
    def raw(self):
        return {"type": self.type, "id": self.id, "attributes": {"text": "x" * 300}}


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
        self.renamed = [each for each in self.renamed if each[1].parent != path]

    def replace(self, source, target):
        self._count()
        super().replace(source, target)
        self.renamed.append((source, target))

    def cut(self, folder, rng):
        """Drop what was not synced, as a file system may after a power cut."""
        for source, target in reversed(self.renamed):
            if target.exists() and rng.random() < 0.5:
                target.rename(source)
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


# ── Fetches ─────────────────────────────────────────────────────────────────────


async def fetch_into(folder, disk, kit):
    """Fetch into a folder and return how many objects were saved."""

    async def retrieve(object_id):
        await kit.objects.retrieve(object_id)
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
        batch=batch, output=output, attach=attach, concurrency=3, on_failed=_failed
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


def require_fetched(folder):
    """Check that every object has one row and its file."""
    lines = [json.loads(x) for x in (folder / "out").read_bytes().splitlines()]
    assert sorted(each["id"] for each in lines) == IDS
    for each in IDS:
        assert (folder / "files" / f"{each}.png").read_bytes() == content_of(each)


def require_rows(folder):
    """Check that every acknowledged object has a row and its file already."""
    rows = (folder / "out").read_text(errors="replace") if _known(folder) else ""
    for each in _known(folder):
        assert f'"id":"{each}"' in rows
        assert (folder / "files" / f"{each}.png").read_bytes() == content_of(each)


# ── Copies ──────────────────────────────────────────────────────────────────────


async def copy_into(folder, disk, kit):
    """Copy people into a folder and return how many were copied."""

    async def retrieve(object_id):
        await kit.objects.retrieve(object_id)
        return _resource(object_id)

    def batch(ids, checkpoint=None):
        planner = DirectPlanner(retrieve, 8)
        return kit.batch(
            ids, planner=planner, checkpoint=checkpoint, acknowledge="explicit"
        )

    def download(object_id, attribute, _url, _batch):
        return FakeDownload(content_of(f"{object_id}-{attribute}"))

    copy = Copy(
        context=CopyContext(
            roots=lambda checkpoint: batch(PEOPLE, checkpoint),
            related=batch,
            download=download,
            print_pdf=lambda *_: None,
            persistent=Persistent(clock=kit.clock, outages=kit.monitor()),
            wall=kit.clock.wall,
        ),
        follow=("verifications",),
        into=folder,
        files=True,
        pdf=False,
        refresh=False,
        file_concurrency=3,
        disk=disk,
    )
    async with copy:
        async for each in copy:
            if isinstance(each, Failed):
                _failed(each.id, each.error)
        return copy.report().copied


def _resource(object_id):
    attributes, relationships = {}, {}
    if object_id.startswith("inq_"):
        related = [f"ver_{object_id[4:]}{letter}" for letter in "ab"]
        relationships = {
            "verifications": {
                "data": [
                    {"type": "verification/selfie", "id": each} for each in related
                ]
            }
        }
    else:
        address = f"https://files.test/{object_id}?access_token=x"
        attributes = {"photo-url": address}
    kind = "inquiry" if relationships else "verification/selfie"
    raw = {"type": kind, "id": object_id, "attributes": attributes}
    return jsonapi.resource({**raw, "relationships": relationships}, ResponseInfo())


def require_copied(folder):
    """Check that every person is there, whole, once, and nothing else."""
    found = {each.name for each in folder.iterdir()} - OTHERS
    assert found == {*PEOPLE}
    assert verify_copy(folder).problems == ()
    for each in PEOPLE:
        _require_person(folder / each)


def require_people(folder):
    """Check that every acknowledged person is there, whole."""
    for each in _known(folder):
        _require_person(folder / each)


def _require_person(folder):
    manifest = read_manifest(folder)
    related = [f"ver_{folder.name[4:]}{letter}" for letter in "ab"]
    assert manifest["relationships"]["verifications"]["copied"] == related
    assert len(manifest["files"]) == 1 + 2 + 2
    for each in related:
        json.loads((folder / "verifications" / f"{each}.json").read_bytes())
        photo = folder / "files" / f"{each}-photo-url.png"
        assert photo.read_bytes() == content_of(f"{each}-photo-url")


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


#: What runs, what must be true after every run, and what after the last one.
RUNS = {
    "fetch": (fetch_into, require_rows, require_fetched),
    "copy": (copy_into, require_people, require_copied),
}


def run(kind, folder):
    """Run one of them to its end, in a process of its own."""
    asyncio.run(RUNS[kind][0](folder, Disk(), Kit()))
