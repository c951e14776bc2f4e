"""New files for downloads: only the owner can read them, and none is overwritten."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from anyio import CancelScope

from persona_share._transport.private_files import create_private


class NewFile:
    """A file of mode 0600 that did not exist before; written in a worker thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    @classmethod
    async def create(cls, path: str | Path) -> "NewFile":
        """Create the file; raises `FileExistsError` if anything is there, a link too."""
        file = cls(Path(path))
        try:
            await _in_thread(file._open)
        except BaseException:
            file.close(keep=False)
            raise
        return file

    async def restart(self) -> None:
        """Remove everything that was written."""
        await _in_thread(self._truncate)

    async def write(self, piece: bytes) -> None:
        """Write a piece at the end."""
        await _in_thread(lambda: self._write_all(piece))

    def close(self, *, keep: bool) -> None:
        """Close the file, and delete it unless ``keep``."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        os.close(descriptor)
        if not keep:
            self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._descriptor = create_private(self.path)

    def _truncate(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def _write_all(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


async def _in_thread(step: Callable[[], None]) -> None:
    """Run a step in a thread; a caller that is cancelled waits until it has ended.

    Otherwise the file could be closed while the thread writes, and the data of a person
    would be written to whatever gets its descriptor next.
    """
    running = asyncio.get_running_loop().run_in_executor(None, step)
    stop: asyncio.CancelledError | None = None
    with CancelScope(shield=True):
        while not running.done():
            try:
                await asyncio.wait({running})
            except asyncio.CancelledError as cancelled:
                stop = cancelled
    failure = running.exception()
    if stop is not None:
        raise stop
    if failure is not None:
        raise failure
