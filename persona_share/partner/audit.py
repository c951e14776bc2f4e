"""The audit log: one line of JSON per decision, on disk before a code is sent."""

import asyncio
import hashlib
import logging
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

from persona_share._transport.private_files import (
    locked,
    open_private,
    require_private,
    sync_folder,
)
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    StoreUnavailableError,
)
from persona_share.model.secret import Secret


_LOG: Final = logging.getLogger("persona_share")
#: The bytes that are read at once in search of a line break.
_PART: Final = 64 * 1024


@attrs.frozen(kw_only=True)
class Decision:
    """One line of the audit log; it contains ids and fingerprints, never a code.

    ``decision`` is "issued", "refused" or "failed". The documentation lists the values
    of ``reason``. If the request was not authenticated, ``partner`` is None, and
    ``claimed`` is the organization that its assertion names, if it can be an id.
    ``via`` is the origin of the request: "http", "push" or "call".
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


def fingerprint(code: Secret) -> str:
    """Return a hash that identifies a code in a log and does not reveal it."""
    return f"sha256:{hashlib.sha256(code.reveal().encode()).hexdigest()[:32]}"


class AuditLog:
    """An append-only file that several processes can write.

    A line is complete or absent: writers lock the file, and replace a partial line that
    a killed process left. The file is opened for every write, so it can be renamed at
    any time. On Windows, one process may write it. Only its owner can read it: a file
    that others can read gets mode 0600, and a link is refused.
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
        except (OSError, ValueError, InvalidArgumentError) as error:
            raise ConfigurationError(_problem(self.path, error)) from None

    async def append(self, decision: Decision, *, sync: bool = True) -> None:
        """Write a line; with ``sync``, return after it is on the disk.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(
            (orjson.dumps(attrs.asdict(decision)) + b"\n", sync, written)
        )
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        """Write the waiting lines in batches, with one lock and one sync per batch."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(line for line, _, _ in batch)
            sync = any(each for _, each, _ in batch)
            failure: Exception | None = None
            try:
                work = partial(_append, self.path, data, sync=sync)
                await anyio.to_thread.run_sync(work)
            except Exception as error:  # noqa: BLE001 — no caller may wait in vain
                failure = error
            for _, _, written in batch:
                if written.done():  # the caller was canceled
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(_unwritable(self.path, failure))

    def __repr__(self) -> str:
        return f"<AuditLog {self.path}>"


def read_audit(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the lines of an audit log, except for a line that is being written."""
    with Path(path).expanduser().open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


def _append(path: Path, data: bytes, *, sync: bool) -> None:
    with _opened(path) as descriptor:
        _replace_partial_line(descriptor)
        size = os.fstat(descriptor).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            if sync:
                os.fsync(descriptor)
        except OSError:
            with suppress(OSError):  # callers get an error, so remove partial lines
                os.ftruncate(descriptor, size)
            raise


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file for appending, and lock it."""
    descriptor = _locked(path)
    try:
        if not os.fstat(descriptor).st_size:
            sync_folder(path.parent)  # the file may be new
        yield descriptor
    finally:
        os.close(descriptor)  # also releases the lock


def _locked(path: Path) -> int:
    """Return a descriptor of the file that has this name when it is locked.

    While this process waits for the lock, another one may rename or remove the file.
    """
    while True:
        if require_private(path):
            _LOG.warning("other users can read %s; its mode becomes 0600", path)
        descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
        try:
            if locked(descriptor, path, wait=True):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _replace_partial_line(descriptor: int) -> None:
    """Replace a partial line of a killed process with a line that reports it.

    No code was sent for the partial line, because a code is sent after its line is
    synced.
    """
    size = os.fstat(descriptor).st_size
    length = size - _end_of_last_line(descriptor, size)
    if not length:
        return
    os.ftruncate(descriptor, size - length)
    note = {"decision": "failed", "reason": "interrupted", "torn_bytes": length}
    os.write(descriptor, orjson.dumps(note) + b"\n")


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Return the position after the last line break, or 0 if there is none."""
    part = 1  # usually the last byte is a line break
    while size:
        start = max(0, size - part)
        found = _read_at(descriptor, start, size - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size, part = start, _PART
    return 0


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def _problem(path: Path, error: Exception) -> str:
    if isinstance(error, InvalidArgumentError):
        return f"the audit log cannot be written: {error.what}"
    reason = getattr(error, "strerror", None) or error
    return f"the audit log {path} cannot be written: {reason}"


def _unwritable(path: Path, error: Exception) -> StoreUnavailableError:
    advice = (
        "No code was issued. Free disk space, or correct the permissions of the file."
    )
    return StoreUnavailableError(_problem(path, error), advice=advice)
