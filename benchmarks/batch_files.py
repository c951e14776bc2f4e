"""Files beside a batch, and the memory of a long one.

Files take 0.1 s each, as from a slow host, and no limit holds them back: 16 downloads
at once against `asyncio.gather` with a semaphore of 16. There are two of those. One
writes each file and no more: after a power cut, files that it reported may be empty. The
other syncs each file. Ours also syncs the names, computes SHA-256, and writes rows or
manifests and a checkpoint. The ways take turns, and the medians are compared.

The memory is that of 50,000 objects, measured at 25,000 and at the end.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs

from benchmarks.figure import Figure, Figures, show
from persona_share._protocol import jsonapi
from persona_share._transport.runtime import default_runtime
from persona_share.batch.batch import Batch, BatchContext
from persona_share.batch.checkpoint import Checkpoint, SQLiteCheckpoint
from persona_share.batch.copy import Copy, CopyContext, CopyWorker, Person
from persona_share.batch.groups import DirectPlanner
from persona_share.batch.manifests import CopyRequest, verify_copy
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.saving import (
    Disk,
    FilePool,
    Ndjson,
    OutputFile,
    Persistent,
    Saver,
)
from persona_share.batch.workers import BatchStats, WorkerPool
from persona_share.model.resource import ResponseInfo


FILES = 300
FILES_OF_A_PERSON = 3
AT_ONCE = 16
SECONDS = 0.1
ROUNDS = 3
OBJECTS = 50_000
CONTENT = b"x" * 50_000


@attrs.define
class Item:
    """An object as far as a row needs it."""

    id: str
    type: str = "inquiry"

    @property
    def raw(self) -> dict[str, Any]:
        """The object as it was sent."""
        return {"type": self.type, "id": self.id, "attributes": {"text": "x" * 2_000}}


class SlowFile:
    """A file that takes its time."""

    async def into(self, sink: Any) -> None:
        """Fetch it."""
        await asyncio.sleep(SECONDS)  # noqa: TID251  # the file's host is slow
        await sink.begin({"content-type": "image/png"})
        await sink.write(CONTENT)


class SlowFiles:
    """The downloads of objects whose files take their time; none has a PDF."""

    def download(self, *_: Any) -> SlowFile:
        """Return the download of a file."""
        return SlowFile()

    def print_pdf(self, *_: Any) -> None:
        """Return None."""


async def retrieve(object_id: str) -> Item:
    """Return an object without a network."""
    return Item(object_id)


def persistent() -> Persistent:
    """Return what repeats downloads while an outage lasts."""
    clock = default_runtime().clock
    outages = OutageMonitor(clock, threshold=4, max_outage=900)
    return Persistent(clock=clock, outages=outages)


def batch_of(ids: Any, retrieve: Any, checkpoint: Checkpoint | None = None) -> Any:
    """Return a batch of these objects."""
    clock = default_runtime().clock
    pool = WorkerPool(
        ids=ids,
        planner=DirectPlanner(retrieve),
        clock=clock,
        outages=OutageMonitor(clock, threshold=4, max_outage=900),
        stats=BatchStats(),
        concurrency=32,
        checkpoint=checkpoint,
    )
    context = BatchContext(
        total=None,
        per_token=None,
        allowance=lambda: None,
        tokens=lambda: 0,
        emit=None,
        acknowledge="explicit",
    )
    return Batch(pool, context)


def saver_of(batch: Any, folder: Path, attach: Any) -> Saver:
    """Return a saver of the objects of a batch in a folder."""
    return Saver(
        batch=batch,
        output=OutputFile(folder / "out", Ndjson()),
        attach=attach,
        concurrency=2 * AT_ONCE,
        on_failed=lambda *_: None,
    )


async def retrieve_person(object_id: str) -> Any:
    """Return an inquiry with three files, without a network."""
    return inquiry(object_id, FILES_OF_A_PERSON)


async def retrieve_photo(object_id: str) -> Any:
    """Return an inquiry with one file, without a network."""
    return inquiry(object_id, 1)


def inquiry(object_id: str, files: int) -> Any:
    """Return an inquiry with files."""
    attributes = {
        f"photo-{n}-url": f"https://files.test/{object_id}-{n}?access_token=x"
        for n in range(files)
    }
    raw = {"type": "inquiry", "id": object_id, "attributes": attributes}
    return jsonapi.resource(raw, ResponseInfo())


async def with_copy() -> float:
    """Return the seconds of a copy of whole people."""
    clock = default_runtime().clock
    ids = [f"inq_{number}" for number in range(FILES // FILES_OF_A_PERSON)]
    with tempfile.TemporaryDirectory() as name:
        worker = CopyWorker(
            context=CopyContext(
                roots=lambda checkpoint: batch_of(ids, retrieve_person, checkpoint),
                related=lambda related: batch_of(related, retrieve_person),
                downloads=SlowFiles(),
                persistent=persistent(),
                wall=clock.wall,
            ),
            request=CopyRequest(follow=(), files=True, pdf=False),
            into=Path(name) / "people",
            refresh=False,
            file_concurrency=AT_ONCE,
        )
        started = time.perf_counter()
        copy = Copy(worker)
        async with copy:
            people = [each async for each in copy]
        seconds = time.perf_counter() - started
        found = [each for each in people if isinstance(each, Person)]
        assert sum(len(each.files) for each in found) == FILES
        assert verify_copy(Path(name) / "people").problems == ()
    return seconds


async def run(saver: Saver) -> float:
    """Return the seconds that saving takes."""
    output = saver.output
    assert isinstance(output, OutputFile)
    await output.open(output.start())
    started = time.perf_counter()
    await saver.run()
    return time.perf_counter() - started


async def with_rows() -> float:
    """Return the seconds of a fetch that saves one file with each row."""
    pool = FilePool(SlowFiles(), persistent(), Disk(), AT_ONCE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "files"
        ids = [f"inq_{number}" for number in range(FILES)]
        checkpoint = SQLiteCheckpoint(folder / "checkpoint")
        batch = batch_of(ids, retrieve_photo, checkpoint)

        async def attach(found: Any) -> list[Path]:
            saved = await pool.save_all(found, batch, files=files, sync_folders=True)
            return [each.path for _, each in saved]

        async with batch:
            seconds = await run(saver_of(batch, folder, attach))
        assert len([*files.iterdir()]) == FILES
    return seconds


async def by_hand(*, synced: bool) -> float:
    """Return the seconds of a semaphore and gather, with one file each."""
    semaphore = asyncio.Semaphore(AT_ONCE)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(CONTENT)
            if synced:
                file.flush()
                os.fsync(file.fileno())

    with tempfile.TemporaryDirectory() as name:

        async def one(number: int) -> None:
            async with semaphore:
                await asyncio.sleep(SECONDS)  # noqa: TID251  # the file's host is slow
                await asyncio.to_thread(write, Path(name) / str(number))

        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(FILES)))
        return time.perf_counter() - started


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096


async def memory() -> tuple[int, int]:
    """Return the resident memory after 25,000 and after 50,000 objects."""
    before = 0

    def ids() -> Any:
        nonlocal before
        for number in range(OBJECTS):
            if number == OBJECTS // 2:
                before = resident()
            yield f"inq_{number}"

    with tempfile.TemporaryDirectory() as name:
        saver = saver_of(batch_of(ids(), retrieve), Path(name), None)
        await run(saver)
        assert saver.saved == OBJECTS
    return before, resident()


def figures() -> Figures:
    """Return the files per second, and the memory of 50,000 objects."""
    ways: dict[str, Callable[[], Coroutine[Any, Any, float]]] = {
        "beside rows": with_rows,
        "of copied people": with_copy,
        "not synced": lambda: by_hand(synced=False),
        "synced": lambda: by_hand(synced=True),
    }
    taken = [
        {name: asyncio.run(way()) for name, way in ways.items()} for _ in range(ROUNDS)
    ]
    per_second = {
        name: round(FILES / statistics.median(each[name] for each in taken), 1)
        for name in ways
    }
    for name in ("beside rows", "of copied people"):
        for yardstick in ("not synced", "synced"):
            yield Figure(
                name=f"{FILES} files {name}, {SECONDS} s each, {AT_ONCE} at once",
                unit="files/s",
                ours=per_second[name],
                yardstick=per_second[yardstick],
                compared_with=f"semaphore and gather, each file {yardstick}",
                at_least=0.9,
            )
        yield Figure(
            name=f"{FILES} files {name}, {SECONDS} s each, {AT_ONCE} at once",
            unit="s",
            ours=round(FILES / per_second[name], 2),
            at_most=3.0,
            absolute=True,
        )
    before, after = asyncio.run(memory())
    yield Figure(
        name=f"resident memory after {OBJECTS} objects",
        unit="MB",
        ours=round(after / 1e6, 1),
        yardstick=round(before / 1e6, 1),
        compared_with=f"itself after {OBJECTS // 2}",
        at_most=1.1,
    )


if __name__ == "__main__":
    show(figures)
