"""The audit log: one line of JSON for every decision, on disk before a code leaves."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import attrs
import orjson

from persona_share.errors import ConfigurationError, StoreUnavailableError
from persona_share.model.secret import Secret


try:
    import fcntl
except ModuleNotFoundError:  # Windows, where a service runs in one process
    fcntl = None  # type: ignore[assignment]

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
_TAIL: Final = 64 * 1024


@attrs.frozen(kw_only=True)
class Decision:
    """One line of the audit log. It holds ids and fingerprints, never a code.

    ``decision`` is "issued", "refused" or "failed", ``reason`` a word of the table in
    the documentation, and ``partner`` is None unless the request was authenticated.
    ``via`` says how the decision was asked for: "http", "push" or "call".
    """

    time: datetime
    decision: str
    reason: str
    partner: str | None
    scope: tuple[str, ...] | None = None
    refused: tuple[str, ...] | None = None
    consent: tuple[str, ...] | None = None
    request_id: str | None = None
    code: str | None = None
    expires_at: datetime | None = None
    claimed: str | None = None
    via: str = "call"

    def line(self) -> bytes:
        """Return the line, with its line break."""
        return orjson.dumps(attrs.asdict(self)) + b"\n"


def fingerprint(code: Secret) -> str:
    """Return what identifies a code in a log and gives nothing of it away."""
    return f"sha256:{hashlib.sha256(code.reveal().encode()).hexdigest()[:32]}"


class AuditLog:
    """An append-only file that several processes may write.

    A line is complete or absent: writers take a lock, and what a killed process left
    of a line is closed off by the next one. The file is opened for every write, so it
    may be renamed at any time. A new file can be read by its owner only.

    Raises:
        ConfigurationError: the path is not a file that can be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path).expanduser()
        self._waiting: list[tuple[bytes, bool, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise `ConfigurationError` unless the file can be written now."""
        try:
            with _opened(self.path):
                pass
        except OSError as error:
            message = f"the audit log {self.path} cannot be written: {error.strerror}"
            raise ConfigurationError(message) from None

    async def append(self, decision: Decision, *, sync: bool = True) -> None:
        """Write a line; with ``sync`` return once it is on the disk.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((decision.line(), sync, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        """Write what waits, all of it with one lock and one sync, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(line for line, _, _ in batch)
            sync = any(each for _, each, _ in batch)
            failure: OSError | None = None
            try:
                work = partial(_append, self.path, data, sync=sync)
                await anyio.to_thread.run_sync(work)
            except OSError as error:
                failure = error
            for _, _, written in batch:
                if written.done():  # its caller was cancelled
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(_unwritable(self.path, failure))

    def __repr__(self) -> str:
        return f"<AuditLog {self.path}>"


def read_audit(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the lines of an audit log."""
    with Path(path).expanduser().open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _append(path: Path, data: bytes, *, sync: bool) -> None:
    with _opened(path) as descriptor:
        _close_torn_line(descriptor)
        size = os.fstat(descriptor).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            if sync:
                os.fsync(descriptor)
        except OSError:
            with suppress(OSError):  # what callers are told did not happen goes again
                os.ftruncate(descriptor, size)
            raise


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file for appending, alone among all processes."""
    new = not path.exists()
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)  # the lock goes with it
    if new:
        _sync_directory(path.parent)


def _close_torn_line(descriptor: int) -> None:
    """Turn a line that a killed process did not finish into a line that says so.

    Its response was never sent: a code is sent after its line was synced.
    """
    size = os.fstat(descriptor).st_size
    tail = _read_at(descriptor, max(0, size - _TAIL), _TAIL)
    if not tail or tail.endswith(b"\n"):
        return
    torn = tail[tail.rfind(b"\n") + 1 :]
    os.ftruncate(descriptor, size - len(torn))
    note = {"decision": "failed", "reason": "interrupted", "torn_bytes": len(torn)}
    os.write(descriptor, orjson.dumps(note) + b"\n")


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def _sync_directory(directory: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> StoreUnavailableError:
    message = f"the audit log {path} cannot be written: {error.strerror}"
    advice = (
        "No code is issued without it. Free disk space, or correct its permissions."
    )
    return StoreUnavailableError(message, advice=advice)
