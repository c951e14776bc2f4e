"""Checkpoints: which objects of a batch were acknowledged, and up to which output.

A checkpoint is a SQLite file that one process uses at a time. It holds ids, and the
position of the output that belongs to them; no personal data, and no secrets.
"""

import errno
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

import anyio
import attrs
from anyio import to_thread

from persona_share._transport.private_files import is_at, make_folder, open_private
from persona_share.errors import (
    CheckpointInUseError,
    CheckpointMismatchError,
    InvalidArgumentError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)


if sys.platform == "win32":  # pragma: no cover
    fcntl = None
else:
    import fcntl


T = TypeVar("T")

#: "PSC2": the file is a checkpoint and not another program's database.
_APPLICATION: Final = 0x50534332
_APPLICATION_OF_0_1: Final = 0x50534350
_BUSY_TIMEOUT: Final = 0.5
#: SQLite takes this many values in one statement, in every release.
_MAX_VALUES: Final = 500
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ADVICE: Final = "Check the file and its folder; nothing was changed."
_START_OVER: Final = "Remove the checkpoint and its output to start over."


@attrs.frozen
class OutputPosition:
    """How much of the output is acknowledged.

    ``tail`` is a digest of the last bytes before ``offset``, and ``form`` names the
    format: an output that does not fit is another file.
    """

    offset: int
    tail: str
    form: str


def require_name(what: str, name: object) -> str:
    """Return the name of a checkpoint; raises `InvalidArgumentError` for a path."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"{what} must be 1 to 100 letters, digits, '_', '-' and '.'"
        raise InvalidArgumentError(message)
    return name


class Checkpoint(Protocol):
    """Remembers which objects were acknowledged, across restarts.

    Every operation raises a `StoreError` if it cannot be done.
    """

    async def open(self) -> None:
        """Lock the checkpoint; a second call does nothing."""
        ...

    async def known(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Return those ids that were acknowledged."""
        ...

    async def record(
        self, object_ids: Sequence[str], output: OutputPosition | None = None
    ) -> None:
        """Record these as acknowledged, all or none, with the output's position."""
        ...

    async def output(self) -> OutputPosition | None:
        """Return the position of the output that was recorded last."""
        ...

    def close(self) -> None:
        """Release the checkpoint; a second call does nothing."""
        ...


class SQLiteCheckpoint:
    """A `Checkpoint` in a file.

    ``requested`` names what is saved of each object beside its row, such as "files". It
    is recorded, and another request is refused: it would skip the objects that were
    acknowledged without it. With None nothing is recorded or compared.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, requested: Iterable[str] | None = None
    ) -> None:
        self._requested = None if requested is None else ",".join(sorted(requested))
        self._path = Path(path).expanduser().absolute()
        self._limiter: anyio.CapacityLimiter | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock: _PidLock | None = None
        # A thread may still work for a caller that was cancelled.
        self._mutex = threading.Lock()

    async def open(self) -> None:
        """Lock the file, and create or check it.

        Raises:
            CheckpointInUseError: another fetch or copy uses it.
            StoreRefusedError: it is not a checkpoint, or belongs to another user.
            StoreUnavailableError: it cannot be created.
            StoreCorruptError: it cannot be read.
            CheckpointMismatchError: its objects were saved with another request.
        """
        if self._connection is not None:
            return
        self._limiter = anyio.CapacityLimiter(1)
        try:
            await self._run(self._connect)
        except BaseException:
            self.close()  # the caller may have been cancelled while it was locked
            raise

    async def known(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Return those ids that were acknowledged."""
        return await self._run(lambda: self._known(object_ids))

    async def record(
        self, object_ids: Sequence[str], output: OutputPosition | None = None
    ) -> None:
        """Record these as acknowledged, all or none, with the output's position."""
        await self._run(lambda: self._record(object_ids, output))

    async def output(self) -> OutputPosition | None:
        """Return the position of the output that was recorded last."""
        return await self._run(self._output)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        with self._mutex:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._limiter is None:
            message = "the checkpoint is not open"
            raise StoreUnavailableError(message, advice=_ADVICE)
        return await to_thread.run_sync(self._guarded, work, limiter=self._limiter)

    def _guarded(self, work: Callable[[], T]) -> T:
        with self._mutex:
            return _translated(work)

    # ── In the worker thread ────────────────────────────────────────────────────

    def _connect(self) -> None:
        if self._connection is not None:
            return
        lock = _PidLock.acquire(self._path)
        try:
            os.close(_open(self._path))  # before a connection holds locks on it
            self._connection = _connected(self._path, self._requested)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    def _known(self, object_ids: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for first in range(0, len(object_ids), _MAX_VALUES):
            part = object_ids[first : first + _MAX_VALUES]
            marks = ",".join("?" * len(part))
            query = f"SELECT id FROM done WHERE id IN ({marks})"  # noqa: S608  # marks only
            found.update(row[0] for row in self._opened().execute(query, part))
        return frozenset(found)

    def _record(self, object_ids: Sequence[str], output: OutputPosition | None) -> None:
        connection = self._opened()
        rows = [(each,) for each in object_ids]
        if len(rows) == 1 and output is None:
            connection.execute("INSERT OR IGNORE INTO done VALUES (?)", rows[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR IGNORE INTO done VALUES (?)", rows)
            if output is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO output VALUES (0, ?, ?, ?)",
                    (output.offset, output.tail, output.form),
                )
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if output is not None and not rows:
            # The output grows from here on: it must not outlive its checkpoint.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _output(self) -> OutputPosition | None:
        query = "SELECT position, tail, form FROM output"
        row = self._opened().execute(query).fetchone()
        if row is None:
            return None
        if [*map(type, row)] != [int, str, str] or row[0] < 0:
            what = "the position of its output is damaged"
            raise _unreadable(what)
        return OutputPosition(*row)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            message = "the checkpoint is not open"
            raise StoreUnavailableError(message, advice=_ADVICE)
        return self._connection

    def __repr__(self) -> str:
        return f"<SQLiteCheckpoint {self._path.name}>"


@attrs.frozen
class _PidLock:
    """A lock file beside the checkpoint that names the process that holds it.

    The operating system releases the lock when the process ends, however it ends.
    """

    path: Path
    descriptor: int

    @classmethod
    def acquire(cls, checkpoint: Path) -> "_PidLock":
        """Lock, or raise `CheckpointInUseError` with the process that has the lock."""
        path = checkpoint.with_name(checkpoint.name + ".lock")
        try:
            make_folder(checkpoint.parent)
            while True:
                descriptor = _open(path)
                try:
                    if fcntl is not None:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if is_at(descriptor, path):
                        os.ftruncate(descriptor, 0)
                        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
                        return cls(path, descriptor)
                except BlockingIOError:
                    text = os.pread(descriptor, 32, 0).strip()
                    os.close(descriptor)
                    raise _in_use(text) from None
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # its owner has removed it: try again
        except OSError as error:
            raise _unavailable(error, path) from None

    def release(self) -> None:
        """Remove the lock file, then unlock."""
        try:
            if is_at(self.descriptor, self.path):
                self.path.unlink()
        except OSError:
            pass  # it is unlocked all the same
        os.close(self.descriptor)


def _in_use(pid: bytes = b"") -> CheckpointInUseError:
    number = int(pid) if pid.isdigit() else None
    shown = "" if number is None else f" (pid {number})"
    what = f"the checkpoint is in use by another fetch{shown}"
    return CheckpointInUseError(what, pid=number)


def _unavailable(error: OSError, path: Path) -> StoreUnavailableError:
    reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
    what = f"the checkpoint {path} cannot be used ({reason})"
    return StoreUnavailableError(what, advice=_ADVICE)


def _open(path: Path) -> int:
    """Open or create a file for this user alone."""
    try:
        return open_private(path, os.O_RDWR)
    except InvalidArgumentError as error:
        message = f"the checkpoint {error.what}"
        raise StoreRefusedError(message, advice=_ADVICE) from None
    except OSError as error:
        raise _unavailable(error, path) from None


def _connected(path: Path, requested: str | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        # An exclusive log needs no shared memory, and survives the end of its process.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA trusted_schema = OFF")
        _create_tables(connection)  # first, as the log changes the file
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if requested is not None:
            _require_request(connection, requested)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION:
        if application == _APPLICATION_OF_0_1:
            message = "the checkpoint was written by release 0.1"
            raise StoreRefusedError(message, advice=_START_OVER)
        if application or tables:
            message = "the checkpoint is the database of another program"
            raise StoreRefusedError(message, advice="Use another file.")
        connection.execute("CREATE TABLE done (id TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.execute(
            "CREATE TABLE output (one INTEGER PRIMARY KEY CHECK (one = 0), "
            "position INTEGER, tail TEXT, form TEXT)"
        )
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute("COMMIT")


def _require_request(connection: sqlite3.Connection, requested: str) -> None:
    """Record what is requested; raise if objects were saved with another request.

    Checkpoints of earlier versions have no such record, and are continued.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS request "
        "(one INTEGER PRIMARY KEY CHECK (one = 0), what TEXT)"
    )
    row = connection.execute("SELECT what FROM request").fetchone()
    if row is not None and not isinstance(row[0], str):
        what = "its request is damaged"
        raise _unreadable(what)
    (done,) = connection.execute("SELECT EXISTS (SELECT 1 FROM done)").fetchone()
    if row is not None and done and row[0] != requested:
        message = (
            f"the objects of this checkpoint were saved {_in_words(row[0])}, "
            f"and this run would save them {_in_words(requested)}"
        )
        advice = (
            "Request the same as before, or use another checkpoint and another output "
            "to save all objects this way."
        )
        raise CheckpointMismatchError(message, advice=advice)
    if row is None or row[0] != requested:
        connection.execute("INSERT OR REPLACE INTO request VALUES (0, ?)", (requested,))


def _in_words(requested: str) -> str:
    return f"with {requested.replace(',', ' and ')}" if requested else "without files"


def _unreadable(reason: str) -> StoreCorruptError:
    what = f"the checkpoint cannot be read ({reason})"
    return StoreCorruptError(what, advice=_START_OVER)


def _translated(work: Callable[[], T]) -> T:
    try:
        return work()
    except sqlite3.Error as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    except UnicodeEncodeError:
        reason, code = "an id is not text", 0
    except UnicodeDecodeError:  # SQLite names what is damaged, in damaged text
        reason, code = "not text", sqlite3.SQLITE_CORRUPT
    if code in _CORRUPT:
        what = f"SQLite: {reason}"
        raise _unreadable(what)
    if code == sqlite3.SQLITE_BUSY:
        raise _in_use()
    what = f"the checkpoint cannot be written (SQLite: {reason})"
    raise StoreUnavailableError(what, advice=_ADVICE)
