"""Output files: one row per object, synced before the checkpoint knows about it."""

import csv
import errno
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from anyio import to_thread

from persona_share._protocol.json import dump_json
from persona_share.batch.checkpoint import OutputPosition
from persona_share.errors import (
    CheckpointMismatchError,
    InvalidArgumentError,
    MalformedResponseError,
    UsageError,
)
from persona_share.model.attribute import value_of
from persona_share.model.file import is_file_url, is_url_name
from persona_share.model.resource import Resource


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
_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def without_urls(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return a copy without the addresses of files, which carry their own access."""
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
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return  # this system does not open folders
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file its final name."""
        source.replace(target)


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

        Nothing is changed. Raises `CheckpointMismatchError`, or `FileExistsError` for
        a file that the checkpoint knows nothing about.
        """
        if position is None:
            if os.path.lexists(self.path) and self.path.stat().st_size:
                message = f"{self.path} exists already, without a checkpoint"
                raise FileExistsError(errno.EEXIST, message)
            return
        if position.form != self.form.name:
            message = f"{self.path} was written in another format or with other fields"
            raise CheckpointMismatchError(message)
        if not os.path.lexists(self.path):
            if position.offset:
                message = f"{self.path} is missing, and its checkpoint is not"
                raise CheckpointMismatchError(message)
            return
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < position.offset:
                message = (
                    f"{self.path} is shorter than its checkpoint knows: {size} bytes "
                    f"instead of {position.offset}"
                )
                raise CheckpointMismatchError(message)
            file.seek(max(position.offset - _TAIL, 0))
            tail = file.read(min(position.offset, _TAIL))
            rest = file.read(1)
        begins = (self.form.header or b"{")[:1]
        if _digest(tail) != position.tail or (not tail and rest not in {b"", begins}):
            message = f"{self.path} is not the file that its checkpoint describes"
            raise CheckpointMismatchError(message)

    def start(self) -> OutputPosition:
        """Return the position at which a new file starts."""
        return OutputPosition(0, _digest(b""), self.form.name)

    async def open(self, position: OutputPosition) -> None:
        """Open the file for appending, and cut it at this position."""
        await _in_thread(lambda: self._open(position))

    def _open(self, position: OutputPosition) -> None:
        descriptor = os.open(self.path, _FLAGS | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, position.offset)
            self._offset = position.offset
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
