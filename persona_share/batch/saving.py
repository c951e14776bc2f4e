"""Saving a batch: rows and files on disk, then the checkpoint, and nothing else.

An object is acknowledged when its row and every file that was asked for are synced.
"""

import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import anyio
import attrs
from anyio import to_thread

from persona_share._protocol.http import Sink
from persona_share.batch.batch import Batch
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.output import Disk, OutputFile, OutputStream
from persona_share.batch.workers import first_error, is_fatal
from persona_share.errors import (
    OutageError,
    PersonaError,
    RateLimitedError,
    ResponseTooLargeError,
)
from persona_share.model.batch import Failed, Fetched
from persona_share.model.resource import Resource
from persona_share.ports import Clock


#: No file of the service is larger.
MAX_FILE: Final = 100 * 1024 * 1024
_MAX_ROWS: Final = 1_000
#: Pieces of a file are written together from this size on.
_BUFFER: Final = 1024 * 1024
_MAX_TRIES: Final = 3
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,5}")
_EXTENSIONS: Final[Mapping[str, str]] = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}
_NEW: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_TRUNC
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@attrs.frozen(kw_only=True)
class SavedFile:
    """A file that is on the disk, synced, under its final name."""

    path: Path
    size: int
    sha256: str
    content_type: str
    request_id: str | None


class Download(Protocol):
    """A body that can be fetched into a sink."""

    async def into(self, sink: Sink) -> None:
        """Fetch the body."""
        ...


class _FileSink:
    """Writes a body to a file, and knows its size, digest and content type.

    Pieces are collected, as every trip to a worker thread costs time.
    """

    cap = MAX_FILE

    def __init__(self, descriptor: int, disk: Disk) -> None:
        self._descriptor = descriptor
        self._disk = disk
        self._pieces: list[bytes] = []
        self._collected = 0
        self._written = False
        self.size = 0
        self.headers: Mapping[str, str] = {}
        self.digest = hashlib.sha256()
        self.failure: Exception | None = None

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Forget what came before."""
        self.headers = dict(headers)
        self.size, self.digest = 0, hashlib.sha256()
        self._pieces, self._collected = [], 0
        if self._written:
            await to_thread.run_sync(self._restart)

    async def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._pieces.append(piece)
        self._collected += len(piece)
        self.size += len(piece)
        self.digest.update(piece)
        if self.size > MAX_FILE:
            message = f"the file is larger than {MAX_FILE} bytes"
            self.failure = ResponseTooLargeError(message)
            raise self.failure
        if self._collected >= _BUFFER:
            try:
                await to_thread.run_sync(self.flush)
            except OSError as error:
                self.failure = error
                raise

    def flush(self) -> None:
        """Write what was collected."""
        content, self._pieces = b"".join(self._pieces), []
        self._collected, self._written = 0, True
        self._disk.write(self._descriptor, content)

    def _restart(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def finish(self, part: Path, folder: Path, name: str, suffix: str) -> Path:
        """Write the rest, sync the file, and give it its final name."""
        self.flush()
        self._disk.sync(self._descriptor)
        path = folder / (name + _EXTENSIONS.get(self.content_type.lower(), suffix))
        self._disk.replace(part, path)
        return path

    @property
    def content_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


async def save_download(
    download: Download, folder: Path, name: str, suffix: str, disk: Disk
) -> SavedFile:
    """Save a body in a folder, synced; its extension follows from its content type.

    ``name`` is made of ids and attribute names, never of a name that the service
    sent. ``suffix`` is used if the content type says nothing. A file of that name is
    replaced: only whole files have it.
    """
    name = _UNSAFE.sub("_", name)[:200]
    part = folder / f".{name}.part"
    descriptor = await to_thread.run_sync(_create, part)
    try:
        sink = _FileSink(descriptor, disk)
        try:
            await download.into(sink)
        except PersonaError:
            if sink.failure is not None:
                raise sink.failure from None
            raise
        path = await to_thread.run_sync(sink.finish, part, folder, name, suffix)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return SavedFile(
        path=path,
        size=sink.size,
        sha256=sink.digest.hexdigest(),
        content_type=sink.content_type,
        request_id=sink.headers.get("request-id"),
    )


def _create(path: Path) -> int:
    try:
        return os.open(path, _NEW, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, _NEW, 0o600)


def suffix_of(url: str) -> str:
    """Return the extension in an address, or ``.bin``."""
    path = url.partition("?")[0].rpartition("/")[2]
    found = _SUFFIX.fullmatch(os.path.splitext(path)[1])  # noqa: PTH122  # not a path
    return found[0].lower() if found else ".bin"


@attrs.define(eq=False, kw_only=True)
class Persistent:
    """Repeats work while an outage lasts, and gives up on what never works."""

    clock: Clock
    outages: OutageMonitor

    async def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return the result of the work; raises its last error, or `OutageError`."""
        tries = 0
        while True:
            probe = await self.outages.ready()
            try:
                result = await work()
            except RateLimitedError as error:
                self.outages.succeeded()
                await self.clock.sleep(error.retry_after or 1.0)
            except PersonaError as error:
                if not error.retryable:
                    self.outages.succeeded()
                    raise
                if not self.outages.failed(error, probe=probe):
                    tries += 1
                    if tries >= _MAX_TRIES:
                        raise
                    await self.clock.sleep(float(tries))
            else:
                self.outages.succeeded()
                return result


Attach = Callable[[Resource], Awaitable[list[Path]]]
OnFailed = Callable[[str, PersonaError | OSError], object]


@attrs.define(eq=False, kw_only=True)
class Saver:
    """Takes the outcomes of a batch, and writes them.

    ``attach`` saves the files of one object, synced, and returns their paths;
    ``concurrency`` objects are in its hands at once. ``batch`` must have
    ``acknowledge="explicit"``.
    """

    batch: Batch[Any]
    output: OutputFile | OutputStream
    attach: Attach | None = None
    concurrency: int = 16
    on_failed: OnFailed
    saved: int = attrs.field(default=0, init=False)
    _rows: list[tuple[str, bytes]] = attrs.field(factory=list, init=False)
    _wake: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _room: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    async def run(self) -> None:
        """Save everything; what is complete is acknowledged whatever happens."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write_rows)
                try:
                    await self._take()
                finally:
                    self._ended = True
                    self._wake.set()
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        finally:
            self.output.close()

    async def _take(self) -> None:
        limiter = anyio.Semaphore(self.concurrency)
        async with anyio.create_task_group() as tasks:
            async for each in self.batch:
                if isinstance(each, Failed):
                    self.on_failed(each.id, each.error)
                elif self.attach is None:
                    await self._put(each, [])
                else:
                    await limiter.acquire()
                    tasks.start_soon(self._attach, each, limiter)

    async def _attach(self, each: Fetched[Any], limiter: anyio.Semaphore) -> None:
        assert self.attach is not None  # noqa: S101  # started only with it
        try:
            paths = await self.attach(each.resource)
            await self._put(each, [str(path) for path in paths])
        except PersonaError as error:
            if stops(error):
                raise
            self.on_failed(each.id, error)
            await self.batch.release(each.id)
        finally:
            limiter.release()

    async def _put(self, each: Fetched[Any], files: list[str]) -> None:
        while len(self._rows) >= _MAX_ROWS:
            self._room = anyio.Event()
            await self._room.wait()
        self._rows.append((each.id, self.output.form.row(each.resource, files)))
        self._wake.set()

    async def _write_rows(self) -> None:
        """Write rows in groups: one sync for all that came during the last one."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._rows:
                rows, self._rows = self._rows, []
                self._room.set()
                with anyio.CancelScope(shield=True):
                    position = await self.output.append([row for _, row in rows])
                    await self.batch.acknowledge(
                        *(object_id for object_id, _ in rows), output=position
                    )
                self.saved += len(rows)
            if self._ended:
                return


def stops(error: PersonaError) -> bool:
    """Return whether an error stops a run, as every other object would meet it."""
    return isinstance(error, OutageError) or is_fatal(error)
