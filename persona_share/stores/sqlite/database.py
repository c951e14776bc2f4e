"""The file and its connection: everything that blocks, for one thread to do."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from persona_share._protocol.stored import Record, dies_at
from persona_share._protocol.stored_codec import LONGEST, Found, pack, unpack
from persona_share.errors import StoreRefusedError, StoreUnavailableError
from persona_share.stores import _file
from persona_share.stores._changing import Change
from persona_share.stores.sqlite.journal import Journal, journal_for


T = TypeVar("T")

#: How long a lock of somebody else is waited for, in seconds.
BUSY: Final = 2.0
#: Between two looks at a lock: SQLite's own pauses grow to 0.1 s, and where many
#: processes write, whoever has waited longest then looks most rarely.
_PAUSE: Final = 0.002
#: "PSTS": the file is ours and not another program's database.
_APPLICATION: Final = 0x50535453
_BESIDE: Final = ("-wal", "-shm", "-journal")
#: The n-th step makes version n of the schema out of the one before.
STEPS: Final = (
    (
        (
            "CREATE TABLE records (name TEXT PRIMARY KEY, body BLOB NOT NULL,"
            " number INTEGER NOT NULL, dies_at REAL NOT NULL) WITHOUT ROWID"
        ),
        "CREATE INDEX records_by_death ON records (dies_at)",
    ),
)
_SETTINGS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)
_READ: Final = "SELECT body, number FROM records WHERE name = ? AND length(body) <= ?"
_NAMES: Final = "SELECT name FROM records ORDER BY name"
_WRITE: Final = (
    "INSERT INTO records (name, body, number, dies_at) VALUES (?, ?, ?, ?) ON CONFLICT"
    " (name) DO UPDATE SET body = excluded.body, number = excluded.number,"
    " dies_at = excluded.dies_at"
)
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: After so many writes the records that nobody needs any more are dropped.
_SWEEP: Final = 500


class Database:
    """One process's connection to the file; used by one thread at a time."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        stamp: Callable[[], str],
        warn: Callable[[str], None],
        random: Callable[[], float],
    ) -> None:
        self._path = path
        self._beside = [path.with_name(path.name + word) for word in _BESIDE]
        self._now = now
        self._stamp = stamp
        self._warn = warn
        self._random = random
        self._pause = threading.Event().wait
        self._connection: sqlite3.Connection | None = None
        self._identity: _file.Identity | None = None
        self._network = _file.network_file_system(path.parent)
        self._writes = 0
        self._distrusted: set[str] = set()

    @property
    def journal(self) -> Journal:
        """The journal that this file gets here."""
        return journal_for(sqlite3.sqlite_version_info, self._network)

    def open(self) -> None:
        """Make or check the file, and connect to it."""
        self._safely(lambda _: None)
        if self._network is not None:
            self._warn(f"locks are not to be trusted on {self._network} (F106)")

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def apply(self, key: str, change: Change[T], *, announce: bool) -> tuple[T, int]:
        """Apply a change in one transaction, unless it changes nothing."""
        return self._safely(
            lambda connection: self._apply(connection, key, change, announce=announce)
        )

    def number(self, key: str) -> int:
        """Answer the number of the key's last announced change."""
        return self._safely(lambda connection: self._read(connection, key)[0])

    def names(self) -> list[str]:
        """Answer every name."""
        rows = self._safely(lambda each: self._patiently(each.execute(_NAMES).fetchall))
        return [name for (name,) in rows]

    def _apply(
        self,
        connection: sqlite3.Connection,
        key: str,
        change: Change[T],
        *,
        announce: bool,
    ) -> tuple[T, int]:
        # Looking needs no lock that keeps others from writing, and mostly it is enough.
        number, found = self._read(connection, key)
        new, answer = change(found.record, self._now())
        if new == found.record and not found.moved:
            return answer, number
        with _transaction(lambda statement: self._execute(connection, statement)):
            number, found = self._read(connection, key)
            now = self._now()
            new, answer = change(found.record, now)
            number += announce
            values = key, pack(key, new, now), number, dies_at(new, now)
            connection.execute(_WRITE, values)
            self._writes += 1
            if self._writes % _SWEEP == 1:
                connection.execute("DELETE FROM records WHERE dies_at <= ?", (now,))
        return answer, number

    def _read(self, connection: sqlite3.Connection, key: str) -> tuple[int, Found]:
        row = self._patiently(
            lambda: connection.execute(_READ, (key, LONGEST)).fetchone()
        )
        if row is None:
            return 0, Found(Record())
        number, found = row[1], unpack(key, row[0], self._now())
        if found is None and key not in self._distrusted:
            self._distrusted.add(key)
            self._warn("a record cannot be believed and counts as missing")
        return number, found or Found(Record())

    def _execute(self, connection: sqlite3.Connection, statement: str) -> None:
        self._patiently(lambda: connection.execute(statement))

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do what may find the file locked, again and again for as long as that."""
        waited = 0.0
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or waited >= BUSY:
                    raise
            pause = _PAUSE * (0.5 + self._random())
            self._pause(pause)
            waited += pause

    # ── The connection ──────────────────────────────────────────────────────────

    def _safely(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._attempt(work)
        except _BrokenError as broken:
            self._begin_anew(str(broken))
        try:
            return self._attempt(work)
        except _BrokenError as broken:
            raise StoreUnavailableError(str(broken)) from None

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._current())
        except sqlite3.Error as error:
            what = _what(error)
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
                raise _BrokenError(what) from None
            raise StoreUnavailableError(what) from None

    def _current(self) -> sqlite3.Connection:
        if self._connection is not None:
            if _file.identity(self._path) == self._identity:
                return self._connection
            self._warn("the file was deleted or replaced; it is opened again")
            self.close()
        self._identity = _file.private_file(self._path, self._beside)
        connection = sqlite3.connect(
            self._path, timeout=BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        if _file.identity(self._path) != self._identity:
            message = "the file was replaced while it was opened"
            raise StoreUnavailableError(message)
        for setting in _SETTINGS:
            connection.execute(setting)
        wanted = self.journal.mode
        (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        if mode != wanted:
            message = f"the file has the journal {mode} and somebody uses it so"
            raise StoreUnavailableError(message)
        migrate(connection, STEPS)
        connection.execute("PRAGMA busy_timeout = 0")  # from here on we wait ourselves

    def _begin_anew(self, what: str) -> None:
        self.close()
        # Another process may have been here first: its new file is not to be moved.
        if self._identity is None or _file.identity(self._path) != self._identity:
            return
        try:
            word = f"corrupt-{self._stamp()}"
            aside = _file.move_aside(self._path, word, self._beside)
        except OSError as error:
            raise _file.unavailable(error, self._path) from None
        self._warn(f"{what}; the file is now {aside.name}, and a new one is begun")


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]]) -> None:
    """Bring the schema to its newest version, in one transaction.

    Raises:
        StoreRefusedError: the file is another program's, or of a newer version.
    """
    if _version(connection, len(steps)) == len(steps):
        return
    with _transaction(connection.execute):
        for step in steps[_version(connection, len(steps)) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")


def _version(connection: sqlite3.Connection, newest: int) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and (application or version or things):
        message = "the file is the database of another program"
        raise StoreRefusedError(message)
    if version > newest:
        message = "the file was written by a newer version of persona_share"
        raise StoreRefusedError(message)
    return int(version)


@contextmanager
def _transaction(execute: Callable[[str], object]) -> Iterator[None]:
    # IMMEDIATE: a transaction that only later wants to write may be refused (F101).
    execute("BEGIN IMMEDIATE")
    try:
        yield
        execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # it may have ended by itself
            execute("ROLLBACK")
        raise


def _what(error: sqlite3.Error) -> str:
    return f"SQLite says {getattr(error, 'sqlite_errorname', type(error).__name__)}"


class _BrokenError(Exception):
    """The file is not, or no more, a database that can be read."""
