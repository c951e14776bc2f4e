"""JSON lines: one object a line, and a file that a rerun goes on with.

A line is written with its end, so the last one is torn or whole. Of the whole ones the
last may not have been acknowledged when the writer was killed: it is acknowledged then.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from persona_share.cli.exit_codes import fail
from persona_share.model.resource import Resource


_URL: Final = "url"
_HIDDEN: Final = "**********"
_TAIL: Final = 64 * 1024


class JsonLines:
    """Where the lines go: a file of mode 0600, or standard output."""

    def __init__(self, path: str | None, checkpoint: str | None) -> None:
        self.last: str | None = None
        self._file: BinaryIO = sys.stdout.buffer
        if path is not None:
            resumes = checkpoint is not None and Path(checkpoint).exists()
            self._file = _opened(Path(path), resumes=resumes)
            try:
                self.last = _mended(self._file)
            except BaseException:
                self._file.close()
                raise
        self._own = path is not None

    def write(self, resource: Resource) -> None:
        """Write one object on one line, whole, before anything else happens."""
        line = orjson.dumps(without_urls(resource.raw)) + b"\n"
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._own:
            self._file.close()


def without_urls(value: Any) -> Any:
    """Answer a copy in which no file's address stands: it carries its own options."""
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if is_address(key, each) else without_urls(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_urls(each) for each in value]
    return value


def is_address(key: str, value: object) -> bool:
    """Answer whether this is the address of a file."""
    named = key == _URL or key.endswith(("-url", "_url"))
    return named and isinstance(value, str) and value.startswith(("https:", "http:"))


def _opened(path: Path, *, resumes: bool) -> BinaryIO:
    exists = os.path.lexists(path)
    if exists and not resumes:
        fail(f"{path} is there already, without a checkpoint to go on from.")
    if resumes and not exists:
        fail(f"There is a checkpoint, but {path} that it belongs to is gone.")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    return os.fdopen(descriptor, "r+b")


def _mended(file: BinaryIO) -> str | None:
    """Cut a torn last line off, and answer the id in the last whole one."""
    end = _after_newline(file, file.seek(0, os.SEEK_END))
    last = None
    if end:
        begin = _after_newline(file, end - 1)
        file.seek(begin)
        last = _id_in(file.read(end - begin))
    file.truncate(end)
    file.seek(end)
    return last


def _id_in(line: bytes) -> str:
    try:
        return str(orjson.loads(line)["id"])
    except (ValueError, LookupError, TypeError):
        fail("The last line of the output is none that was written here.")


def _after_newline(file: BinaryIO, end: int) -> int:
    """Answer the place after the last newline before a place."""
    while end > 0:
        begin = max(0, end - _TAIL)
        file.seek(begin)
        piece = file.read(end - begin)
        at = piece.rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0
