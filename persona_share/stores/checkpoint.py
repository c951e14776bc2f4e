"""Which objects of a batch were acknowledged: a file of SQLite for one process.

One process at a time holds the file. What it noted survives the process in any case;
of a machine that loses its power the last moments may be lost, and are fetched again.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from persona_share.errors import (
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.stores import _file


T = TypeVar("T")

#: "PSCP": the file is ours and not another program's database.
_APPLICATION: Final = 0x50534350
_BESIDE: Final = ("-wal", "-shm", "-journal")
_BUSY: Final = 0.5
#: SQLite takes that many values in one statement, in every release.
_MOST_VALUES: Final = 500
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SCHEMA: Final = "CREATE TABLE done (id TEXT PRIMARY KEY) WITHOUT ROWID"


class SQLiteCheckpoint:
    """The `Checkpoint` in a file, made with access for this user alone."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Make or check the file.

        Raises:
            StoreRefusedError: others could read it, or it is not a checkpoint.
            StoreUnavailableError: another process has it, or it cannot be made.
            StoreCorruptError: it cannot be read any more.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "persona_share-checkpoint")
            try:
                await self._do(self._connect)
            except BaseException:
                await self.close()
                raise

    async def known(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Answer which of these were noted."""
        return await self._do(lambda: self._known(object_ids))

    async def note(self, object_ids: Sequence[str]) -> None:
        """Note these, all or none of them."""
        await self._do(lambda: self._note(object_ids))

    async def close(self) -> None:
        """Let go of the file, and wait for the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            closing = thread.submit(self._disconnect)
            try:
                await asyncio.shield(asyncio.wrap_future(closing))
            finally:
                thread.shutdown(wait=closing.done())

    async def _do(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            message = "the checkpoint is not open"
            raise StoreUnavailableError(message)
        return await asyncio.wrap_future(self._thread.submit(_safely, work))

    # ── What the thread does ────────────────────────────────────────────────────

    def _connect(self) -> None:
        beside = [self._path.with_name(self._path.name + word) for word in _BESIDE]
        identity = _file.private_file(self._path, beside)
        network = _file.network_file_system(self._path.parent)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            self._require_same(identity)
            # Alone with its file there is neither a shared index nor the fault that
            # several writers of a log meet; a log of one outlives its process.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            mode = "truncate" if network else "wal"
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA trusted_schema = OFF")
            _settle(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _require_same(self, identity: _file.Identity) -> None:
        if _file.identity(self._path) != identity:
            message = "the file was replaced while it was opened"
            raise StoreUnavailableError(message)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _known(self, object_ids: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for first in range(0, len(object_ids), _MOST_VALUES):
            part = object_ids[first : first + _MOST_VALUES]
            marks = ",".join("?" * len(part))
            question = f"SELECT id FROM done WHERE id IN ({marks})"  # noqa: S608  # marks alone
            found.update(row[0] for row in self._opened().execute(question, part))
        return frozenset(found)

    def _note(self, object_ids: Sequence[str]) -> None:
        connection = self._opened()
        rows = [(each,) for each in object_ids]
        if len(rows) == 1:
            connection.execute("INSERT OR IGNORE INTO done VALUES (?)", rows[0])
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR IGNORE INTO done VALUES (?)", rows)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            message = "the checkpoint is not open"
            raise StoreUnavailableError(message)
        return self._connection

    def __repr__(self) -> str:
        return f"<SQLiteCheckpoint {self._path.name}>"


def _settle(connection: sqlite3.Connection) -> None:
    """Take the file for good, and give it its table if it has none."""
    connection.execute("BEGIN EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION:
        if application or things:
            message = "the file is the database of another program"
            raise StoreRefusedError(message)
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute("COMMIT")


def _safely(work: Callable[[], T]) -> T:
    try:
        return work()
    except sqlite3.Error as error:
        what = f"SQLite says {getattr(error, 'sqlite_errorname', type(error).__name__)}"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            advice = "Take the file away: what it knew is fetched again."
            raise StoreCorruptError(what, advice=advice) from None
        raise StoreUnavailableError(what) from None
