"""Saving a batch: rows and files on disk, then the checkpoint, and nothing else.

An object is acknowledged when its row and every file that was asked for are synced.
"""

import csv
import errno
import hashlib
import io
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

import anyio
import attrs
from anyio import to_thread

from persona_share._protocol.http import Sink
from persona_share._protocol.json import dump_json
from persona_share._transport.private_files import (
    locked,
    open_private,
    require_private,
    sync_folder,
)
from persona_share.batch.batch import Batch
from persona_share.batch.checkpoint import OutputPosition
from persona_share.batch.outages import OutageMonitor, may_be_its_own
from persona_share.batch.workers import first_error, is_fatal
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    MalformedResponseError,
    OutageError,
    PersonaError,
    RateLimitedError,
    ResponseTooLargeError,
    UsageError,
)
from persona_share.model.attribute import value_of
from persona_share.model.batch import Failed, Fetched
from persona_share.model.file import attached_files, is_file_url, is_url_name
from persona_share.model.ids import resource_of
from persona_share.model.resource import Resource
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.ports import Clock


if TYPE_CHECKING:
    from persona_share.resources.api import ResourceAccessors


T = TypeVar("T")

Format = Literal["ndjson", "csv"]

#: The text in place of an address.
MASK: Final = "**********"
#: The columns of a CSV file unless others are named: one row per person.
COLUMNS: Final = (
    *("id", "type", "status", "reference_id"),
    *("created_at", "updated_at", "completed_at"),
    *("name_first", "name_middle", "name_last", "birthdate"),
    *("email_address", "phone_number"),
    *("address_street_1", "address_street_2", "address_city"),
    *("address_subdivision", "address_postal_code", "address_country_code"),
    *("identification_number", "checks", "tags", "files"),
)
_MAX_DEPTH: Final = 64
_TAIL: Final = 4096


def without_urls(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return a copy without the addresses of files, which grant access by themselves."""
    if not depth:
        message = f"the object is nested more than {_MAX_DEPTH} levels deep"
        raise MalformedResponseError(message)
    if isinstance(value, Mapping):
        return {
            key: MASK if _is_address(key, each) else without_urls(each, depth - 1)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_urls(each, depth - 1) for each in value]
    return MASK if is_file_url(value) else value


def _is_address(key: str, value: object) -> bool:
    return (
        is_url_name(key)
        and isinstance(value, str)
        and value[:8].lower().startswith(("https:", "http:"))
    )


class RowFormat(Protocol):
    """Turns objects into rows."""

    @property
    def name(self) -> str:
        """The name that a checkpoint keeps: rows of another format do not fit."""
        ...

    @property
    def header(self) -> bytes:
        """The first line of a file, or nothing."""
        ...

    def row(self, resource: Resource, files: Sequence[str]) -> bytes:
        """Return one row; ``files`` are the paths of the object's saved files."""
        ...


class Ndjson:
    """One JSON object per line, as it was sent, or only the named fields of it."""

    header: bytes = b""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._fields = tuple(fields)
        self.name: str = "ndjson" + "".join(f":{each}" for each in self._fields)

    def row(self, resource: Resource, files: Sequence[str]) -> bytes:
        """Return one line."""
        if not self._fields:
            return dump_json(without_urls(resource.raw)) + b"\n"
        row = {"id": resource.id, "type": resource.type}
        row |= {each: value_at(resource, each, files) for each in self._fields}
        return dump_json(row) + b"\n"


class Csv:
    """One comma-separated row per object, with a header (RFC 4180, UTF-8)."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._fields = tuple(fields) or COLUMNS
        self.name: str = "csv" + "".join(f":{each}" for each in self._fields)
        self.header: bytes = _csv_line(self._fields)

    def row(self, resource: Resource, files: Sequence[str]) -> bytes:
        """Return one row."""
        return _csv_line([_cell(value_at(resource, x, files)) for x in self._fields])


def row_format(name: str, fields: Sequence[str] = ()) -> RowFormat:
    """Return the format of this name; raises `InvalidArgumentError` for any other."""
    if name == "ndjson":
        return Ndjson(fields)
    if name == "csv":
        return Csv(fields)
    message = f"format must be 'ndjson' or 'csv', not {name[:20]!a}"
    raise InvalidArgumentError(message)


def value_at(resource: Resource, name: str, files: Sequence[str]) -> Any:
    """Return a value of an object by its snake_case name, without addresses.

    It is an attribute, or else a value in ``fields``. ``checks`` are "name=status"
    pairs and ``files`` the paths of saved files.
    """
    if name in {"id", "type"}:
        return getattr(resource, name)
    if name == "files":
        return list(files)
    if name == "checks":
        return _checks(resource.get("checks"))
    value = resource.get(name)
    if value is None and isinstance(fields := resource.get("fields"), Mapping):
        field = value_of(fields, name)
        value = field.get("value") if isinstance(field, Mapping) else field
    return MASK if _is_address(name, value) else without_urls(value)


def _checks(value: object) -> list[str]:
    if not isinstance(value, list):
        return []
    checks = [each for each in value if isinstance(each, Mapping)]
    return [f"{each.get('name')}={each.get('status')}" for each in checks]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ";".join(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


class Disk:
    """The file operations whose order decides what survives a power cut."""

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of the content at the end of a file."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Return when the content of a file is on the disk."""
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are on the disk."""
        sync_folder(path)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file its final name."""
        source.replace(target)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of an operation on its descriptor."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def require_lock(descriptor: int, path: Path) -> None:
    """Lock a file until it is closed; raises `CheckpointInUseError` if it is locked."""
    if not locked(descriptor, path):
        message = f"{path} is in use by another fetch or copy"
        advice = "Wait until it ends, or name another file."
        raise CheckpointInUseError(message, advice=advice)


class OutputFile:
    """A file that rows are appended to, for this user alone.

    Everything behind the position that the checkpoint knows is cut off when the file
    is opened: those objects are fetched again.
    """

    def __init__(
        self, path: str | os.PathLike[str], form: RowFormat, disk: Disk | None = None
    ) -> None:
        self.path: Path = Path(path).expanduser()
        self.form: RowFormat = form
        self._disk = disk or Disk()
        self._descriptor: int | None = None
        self._offset = 0
        self._tail = b""

    def check(self, position: OutputPosition | None) -> None:
        """Raise unless the file is the one that the checkpoint describes.

        Nothing is changed. Raises `CheckpointMismatchError`, `FileExistsError` for a
        file that the checkpoint knows nothing about, or `InvalidArgumentError` for
        anything but a regular file of this user.
        """
        require_private(self.path)
        if position is None:
            if self.path.exists() and self.path.stat().st_size:
                message = f"{self.path} exists already, without a checkpoint"
                raise FileExistsError(errno.EEXIST, message)
            return
        if position.form != self.form.name:
            message = f"{self.path} was written in another format or with other fields"
            raise CheckpointMismatchError(message)
        if not self.path.exists():
            if position.offset:
                message = f"{self.path} is missing, but its checkpoint exists"
                raise CheckpointMismatchError(message)
            return
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < position.offset:
                message = (
                    f"{self.path} is shorter than its checkpoint records: {size} bytes "
                    f"instead of {position.offset}"
                )
                raise CheckpointMismatchError(message)
            file.seek(max(position.offset - _TAIL, 0))
            tail = file.read(min(position.offset, _TAIL))
            # A power cut may leave zeros in place of the first rows.
            rest = file.read(_TAIL).lstrip(b"\0")[:1]
        begins = (self.form.header or b"{")[:1]
        if _digest(tail) != position.tail or (not tail and rest not in {b"", begins}):
            message = f"{self.path} is not the file that its checkpoint describes"
            raise CheckpointMismatchError(message)

    def start(self) -> OutputPosition:
        """Return the position at which a new file starts."""
        return OutputPosition(0, _digest(b""), self.form.name)

    async def open(self, position: OutputPosition | None) -> None:
        """Open and lock the file for appending, and cut it at this position.

        Without a position the file must be empty. Raises the errors of `check`, and
        `CheckpointInUseError`.
        """
        await _in_thread(lambda: self._open(position))

    def _open(self, position: OutputPosition | None) -> None:
        descriptor = open_private(self.path, os.O_RDWR | os.O_APPEND)
        try:
            require_lock(descriptor, self.path)
            self.check(position)  # once more, as another process may have written it
            self._offset = 0 if position is None else position.offset
            os.ftruncate(descriptor, self._offset)
            begin = max(self._offset - _TAIL, 0)
            os.lseek(descriptor, begin, os.SEEK_SET)
            self._tail = os.read(descriptor, self._offset - begin)
            os.lseek(descriptor, 0, os.SEEK_END)
            self._disk.sync_folder(self.path.absolute().parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    async def append(self, rows: Sequence[bytes]) -> OutputPosition:
        """Write rows, sync the file, and return the position behind them."""
        return await _in_thread(lambda: self._append(b"".join(rows)))

    def _append(self, content: bytes) -> OutputPosition:
        if self._descriptor is None:
            message = "the output is not open"
            raise UsageError(message)
        if not self._offset:
            content = self.form.header + content
        with naming(self.path):
            self._disk.write(self._descriptor, content)
            self._disk.sync(self._descriptor)
        self._offset += len(content)
        self._tail = (self._tail + content)[-_TAIL:]
        return OutputPosition(self._offset, _digest(self._tail), self.form.name)

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class OutputStream:
    """Rows on standard output, or into any other stream that cannot be resumed."""

    def __init__(self, stream: Any, form: RowFormat) -> None:
        self.form: RowFormat = form
        self._stream = stream
        self._started = False

    async def append(self, rows: Sequence[bytes]) -> None:
        """Write rows and flush them."""
        content = b"".join(rows)
        if not self._started:
            content, self._started = self.form.header + content, True
        await _in_thread(lambda: self._write(content))

    def _write(self, content: bytes) -> None:
        self._stream.write(content)
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: it belongs to the caller."""


def _digest(tail: bytes) -> str:
    return hashlib.sha256(tail).hexdigest()[:32]


async def _in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread; a cancelled caller waits until it has ended."""
    return await to_thread.run_sync(work)


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
#: The accessor of each permission family.
_ACCESSORS: Final[Mapping[str, str]] = {
    "account": "accounts",
    "case": "cases",
    "document": "documents",
    "event": "events",
    "inquiry": "inquiries",
    "report": "reports",
    "txn": "transactions",
    "verification": "verifications",
}


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


@attrs.frozen
class Downloads:
    """Downloads of the files of objects, under the token that they came with."""

    accessors: Callable[[Scope | None], "ResourceAccessors"]

    def download(
        self, object_id: str, attribute: str, url: Secret, batch: Batch[Any]
    ) -> Any:
        """Return the download of a file; an expired address is requested again."""
        accessors = self.accessors(batch.scope_of(object_id))

        async def renew() -> Secret | None:
            family = resource_of(object_id) or ""
            found = await getattr(accessors, _ACCESSORS[family]).retrieve(object_id)
            for each in attached_files(found.attributes):
                if each.attribute == attribute:
                    url: Secret | None = each.file.url
                    return url
            return None

        return accessors.files.download(url, renew=renew)

    def print_pdf(self, object_id: str, batch: Batch[Any]) -> Any:
        """Return the download of an object's PDF, or None if it has none."""
        family = resource_of(object_id)
        if family not in {"inquiry", "report", "verification"}:
            return None
        accessors = self.accessors(batch.scope_of(object_id))
        return getattr(accessors, _ACCESSORS[family]).print(object_id)


class _FileSink:
    """Collects a body, and knows its size, digest and content type.

    A body of up to 1 MiB stays in memory until it is complete: every trip to a worker
    thread costs time.
    """

    cap = MAX_FILE

    def __init__(self, folder: Path, name: str, disk: Disk) -> None:
        self._folder = folder
        self._name = name
        self._part = folder  # until there is a file
        self._disk = disk
        self._descriptor: int | None = None
        self._pieces: list[bytes] = []
        self._collected = 0
        self.size = 0
        self.headers: Mapping[str, str] = {}
        self.digest = hashlib.sha256()
        self.failure: Exception | None = None

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Forget what came before."""
        self.headers = dict(headers)
        self.size, self.digest = 0, hashlib.sha256()
        self._pieces, self._collected = [], 0
        self.discard()

    async def write(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.append(piece)
        self._collected += len(piece)
        self.size += len(piece)
        if self.size > MAX_FILE:
            message = f"the file is larger than {MAX_FILE} bytes"
            self.failure = ResponseTooLargeError(message)
            raise self.failure
        if self._collected >= _BUFFER:
            try:
                await to_thread.run_sync(self._flush)
            except OSError as error:
                self.failure = error
                raise

    def _flush(self) -> int:
        if self._descriptor is None:
            self._descriptor, self._part = _create(self._folder, self._name)
        content, self._pieces = b"".join(self._pieces), []
        self._collected = 0
        self.digest.update(content)
        with naming(self._part):
            self._disk.write(self._descriptor, content)
        return self._descriptor

    def finish(self, suffix: str) -> SavedFile:
        """Write the rest, sync the file, and give it its final name."""
        extension = _EXTENSIONS.get(self.content_type.lower(), suffix)
        path = self._folder / (self._name + extension)
        try:
            self._disk.sync(self._flush())
            self._disk.replace(self._part, path)
        except BaseException:
            self.discard()
            raise
        self._close()
        return SavedFile(
            path=path,
            size=self.size,
            sha256=self.digest.hexdigest(),
            content_type=self.content_type,
            request_id=self.headers.get("request-id"),
        )

    def discard(self) -> None:
        """Remove what was written."""
        if self._descriptor is not None:
            self._part.unlink(missing_ok=True)  # while it is locked
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @property
    def content_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


def _create(folder: Path, name: str) -> tuple[int, Path]:
    """Open and lock an empty file; one that another download writes is left alone.

    A file that a killed process left is not locked, and is used again.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in count(1):
        path = folder / (f".{name}.part" if number == 1 else f".{name}-{number}.part")
        descriptor = open_private(path, os.O_WRONLY)
        try:
            if locked(descriptor, path):
                os.ftruncate(descriptor, 0)
                return descriptor, path
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise AssertionError


def _distinct(name: str, used: set[str]) -> str:
    """Return a safe file name that is not in use yet, and add it to those in use."""
    safe = _UNSAFE.sub("_", name)[:200]
    number = 1
    while (found := safe if number == 1 else f"{safe}-{number}").lower() in used:
        number += 1
    used.add(found.lower())
    return found


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
            async with self.outages.attempt() as probe:
                try:
                    result = await work()
                except RateLimitedError as error:
                    self.outages.succeeded()
                    pause = error.retry_after or 1.0
                except PersonaError as error:
                    if not error.retryable:
                        self.outages.succeeded()
                        raise
                    pause = 0.0
                    if not self.outages.failed(error, probe=probe):
                        tries += may_be_its_own(error)
                        if tries >= _MAX_TRIES:
                            raise
                        pause = float(max(tries, 1))
                else:
                    self.outages.succeeded()
                    return result
            await self.clock.sleep(pause)


class DownloadSource(Protocol):
    """Returns the downloads of an object."""

    def download(
        self, object_id: str, attribute: str, url: Secret, batch: Batch[Any]
    ) -> Download:
        """Return the download of a file."""
        ...

    def print_pdf(self, object_id: str, batch: Batch[Any]) -> Download | None:
        """Return the download of an object's PDF, or None if it has none."""
        ...


class FilePool:
    """Saves files: ``concurrency`` downloads at once, and as many that are synced.

    The next download starts before the file of the last one is synced.
    """

    def __init__(
        self,
        source: DownloadSource,
        persistent: Persistent,
        disk: Disk,
        concurrency: int,
    ) -> None:
        self._source = source
        self._persistent = persistent
        self._disk = disk
        self._downloads = anyio.Semaphore(concurrency)
        self._syncs = anyio.Semaphore(concurrency)

    async def save_all(
        self,
        resource: Resource,
        batch: Batch[Any],
        *,
        files: Path | None = None,
        pdf: Path | None = None,
        sync_folders: bool = False,
    ) -> list[tuple[str, SavedFile]]:
        """Save the files and the PDF of an object in these folders.

        Return each with its attribute, "print" for the PDF. The files are synced, and
        with ``sync_folders`` their names as well. The names are made of ids and
        attribute names, never of a name that the service sent.
        """
        saved: list[tuple[str, SavedFile]] = []
        wanted: list[tuple[str, Download, Path, str, str]] = []
        for each in attached_files(resource.attributes) if files else ():
            url, name = each.file.url, f"{resource.id}-{each.attribute}"
            assert files is not None is not url  # noqa: S101  # each has a URL
            download = self._source.download(resource.id, each.attribute, url, batch)
            suffix = suffix_of(url.reveal())
            wanted.append((each.attribute, download, files, name, suffix))
        if pdf and (printed := self._source.print_pdf(resource.id, batch)):
            wanted.append(("print", printed, pdf, resource.id, ".pdf"))

        async def save(attribute: str, *arguments: Any) -> None:
            saved.append((attribute, await self._save(*arguments)))

        used: set[str] = set()
        try:
            async with anyio.create_task_group() as tasks:
                for attribute, download, folder, name, suffix in wanted:
                    safe = _distinct(name, used)
                    tasks.start_soon(save, attribute, download, folder, safe, suffix)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        for folder in {each.path.parent for _, each in saved if sync_folders}:
            await to_thread.run_sync(self._disk.sync_folder, folder)
        return saved

    async def _save(
        self, download: Download, folder: Path, name: str, suffix: str
    ) -> SavedFile:
        """Save a body in a folder, synced; its extension follows from its content type.

        ``suffix`` is used if the content type says nothing. A file of that name is
        replaced: only whole files have it.
        """

        async def fetch() -> _FileSink:
            sink = _FileSink(folder, name, self._disk)
            try:
                await download.into(sink)
            except PersonaError:
                sink.discard()
                if sink.failure is not None:
                    raise sink.failure from None
                raise
            except BaseException:
                sink.discard()
                raise
            return sink

        async with self._downloads:
            sink: _FileSink = await self._persistent.run(fetch)
            try:
                await self._syncs.acquire()
            except BaseException:
                sink.discard()
                raise
        try:
            return await to_thread.run_sync(sink.finish, suffix)
        finally:
            self._syncs.release()


Attach = Callable[[Resource], Awaitable[list[Path]]]
OnFailed = Callable[[str, PersonaError | OSError], object]


@attrs.define(eq=False, kw_only=True)
class Saver:
    """Takes the outcomes of a batch, and writes them.

    ``attach`` saves the files of one object, synced, and returns their paths;
    It works on ``concurrency`` objects at once. ``batch`` must have
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
    _has_capacity: anyio.Event = attrs.field(factory=anyio.Event, init=False)
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
                    await self._save(each)
                else:
                    await limiter.acquire()
                    tasks.start_soon(self._attach, each, limiter)

    async def _attach(self, each: Fetched[Any], limiter: anyio.Semaphore) -> None:
        try:
            await self._save(each)
        finally:
            limiter.release()

    async def _save(self, each: Fetched[Any]) -> None:
        """Save the files of an object, and put its row into the next group of rows."""
        try:
            paths = [] if self.attach is None else await self.attach(each.resource)
            row = self.output.form.row(each.resource, [str(path) for path in paths])
        except PersonaError as error:
            if stops(error):
                raise
            self.on_failed(each.id, error)
            await self.batch.release(each.id)
        else:
            await self._put(each.id, row)

    async def _put(self, object_id: str, row: bytes) -> None:
        while len(self._rows) >= _MAX_ROWS:
            if self._has_capacity.is_set():  # else others wait for it already
                self._has_capacity = anyio.Event()
            await self._has_capacity.wait()
        self._rows.append((object_id, row))
        self._wake.set()

    async def _write_rows(self) -> None:
        """Write rows in groups: one sync for all that came during the last one."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._rows:
                rows, self._rows = self._rows, []
                self._has_capacity.set()
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
