"""New files for downloads: only the owner can read them, and none is overwritten."""

import os
from pathlib import Path

from anyio import to_thread

from persona_share._transport.private_files import create_private


class NewFile:
    """A file of mode 0600 that did not exist before; written in a worker thread."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    async def create(cls, path: str | Path) -> "NewFile":
        """Create the file; raises `FileExistsError` if anything is there, a link too."""
        place = Path(path)
        descriptor = await to_thread.run_sync(create_private, place)
        return cls(place, descriptor)

    async def restart(self) -> None:
        """Remove everything that was written."""
        await to_thread.run_sync(os.ftruncate, self._descriptor, 0)
        await to_thread.run_sync(os.lseek, self._descriptor, 0, os.SEEK_SET)

    async def write(self, piece: bytes) -> None:
        """Write a piece at the end."""
        await to_thread.run_sync(_write_all, self._descriptor, piece)

    def close(self, *, keep: bool) -> None:
        """Close the file, and delete it unless ``keep``."""
        os.close(self._descriptor)
        if not keep:
            self.path.unlink(missing_ok=True)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
