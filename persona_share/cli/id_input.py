"""Ids of objects: from arguments, files, pipes and standard input, read once.

UTF-8 with or without a byte order mark, and UTF-16, are read; anything else is refused.
"""

import codecs
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs
from anyio import to_thread

from persona_share.cli.exit_codes import fail, standard_input


_PIECE: Final = 64 * 1024
#: No id has more characters (128), so a longer line is not a list of ids.
_MAX_LINE: Final = 4096
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class IdDecoder:
    """Turns pieces of a file into ids, one a line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decoder: codecs.IncrementalDecoder | None = None
        self._start = b""
        self._line = ""

    def feed(self, piece: bytes, *, final: bool = False) -> list[str]:
        """Return the ids that are complete with this piece."""
        if self._decoder is None:
            self._start += piece
            if len(self._start) < 3 and not final:  # noqa: PLR2004  # the longest mark
                return []
            self._decoder, piece = _decoder_for(self._start), self._start
        try:
            text = self._line + self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            fail(f"{self._name} is neither UTF-8 nor UTF-16 with a byte order mark.")
        if "\0" in text:
            fail(f"{self._name} is not a text file of ids, one a line.")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._line = "" if final else lines.pop()
        if len(self._line) > _MAX_LINE:
            fail(f"{self._name} is not a file of ids: a line is too long.")
        return [each for line in lines if (each := line.strip())]


def _decoder_for(start: bytes) -> codecs.IncrementalDecoder:
    coding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    return codecs.getincrementaldecoder(coding)()


@attrs.frozen
class IdFile:
    """The ids in a regular file, which is read as they are needed."""

    path: Path

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        decoder = IdDecoder(str(self.path))
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield from decoder.feed(piece)
        yield from decoder.feed(b"", final=True)


@attrs.frozen
class IdStream:
    """The ids in a pipe or on a terminal, which is read once, while ids are fetched."""

    name: str
    path: Path | None

    async def __aiter__(self) -> AsyncIterator[str]:
        decoder = IdDecoder(self.name)
        # A read that blocks must not keep an interrupted program alive.
        file = await to_thread.run_sync(self._open, abandon_on_cancel=True)
        while piece := await to_thread.run_sync(
            os.read, file.fileno(), _PIECE, abandon_on_cancel=True
        ):
            for each in decoder.feed(piece):
                yield each
        for each in decoder.feed(b"", final=True):
            yield each

    def _open(self) -> BinaryIO:
        return standard_input().buffer if self.path is None else self.path.open("rb")


def ids_from(file: str) -> Iterable[str] | IdStream:
    """Return the ids in a file; ``-`` is standard input."""
    if file == "-":
        standard_input()  # closed: nothing is sent
        return IdStream("standard input", None)
    path = Path(file)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            found = IdFile(path)
            len(found)  # each line is read once before anything is sent
            return found
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")
    if stat.S_ISDIR(mode):
        fail(f"{file} is a folder.")
    return IdStream(file, path)
