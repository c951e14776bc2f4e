"""SQLiteStore: records in a file, for all processes of one machine.

Only this user may read and write the file. Permissions that a volume changed are
tightened: Kubernetes makes every file of a volume group-readable when ``fsGroup`` is
set. A file is refused if others could have written to it.
"""

import errno
import logging
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar, Final, TypeVar
from weakref import WeakSet

from anyio import CapacityLimiter, to_thread

from persona_share._transport.private_files import (
    create_private,
    make_folder,
    others_may,
    problem_of,
)
from persona_share.errors import (
    ConfigurationError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import TIMEOUT, BaseStore, PerProcess, pack, unpack


T = TypeVar("T")
_LOG: Final = logging.getLogger("persona_share")

#: How long a lock of another process is waited for, in seconds.
PATIENCE: Final = 1.0
#: The pause between two attempts to lock the file, in seconds. SQLite's own pauses
#: grow, so the process that has waited longest would try least often.
_PAUSE: Final = 0.002
#: "PSTS" marks a file of this store; version 1 of the schema was that of 0.1.
_APPLICATION: Final = 0x50535453
_VERSION: Final = 2
_FILES: Final = ("", "-wal", "-shm", "-journal")
#: The marks of the file, how much is in it, and whether it has our table.
_STATE: Final = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master),
  (SELECT count(*) FROM pragma_table_info('records') WHERE name = 'etag')
FROM pragma_application_id, pragma_user_version
"""
_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value BLOB NOT NULL,
      etag TEXT NOT NULL, expires REAL NOT NULL, written REAL NOT NULL) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS records_expiry ON records (expires)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
#: One journal for every release of SQLite: the write-ahead log loses pages in some.
_SETTINGS: Final = """
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
"""
#: A transaction that only later wants to write may be refused at once.
_BEGIN: Final = "BEGIN IMMEDIATE"
_READ: Final = "SELECT value, etag, expires FROM records WHERE key = ?"
_ETAG: Final = "SELECT etag FROM records WHERE key = ? AND expires > ?"
_REPLACE: Final = "REPLACE INTO records VALUES (?, ?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM records WHERE key = ?"
_PURGE: Final = """
DELETE FROM records WHERE key IN
  (SELECT key FROM records WHERE expires <= ? LIMIT 100)
"""
_PAGE: Final = """
SELECT key FROM records WHERE key > ? AND substr(key, 1, ?) = ? AND expires > ?
  AND substr(key, 1, 1) <> '.' ORDER BY key LIMIT 1000
"""
_MOUNTS: Final = Path("/proc/self/mounts")
_NETWORK: Final = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.", "glusterfs", "gpfs", "lustre"),
    *("ncpfs", "nfs", "smb", "virtiofs"),
)
#: Closing a file drops every lock that this process holds on it, so no thread may make
#: and close a file while another one opens it in SQLite.
_MAKING: Final = threading.Lock()


class SQLiteStore(BaseStore):
    """Shares records between the processes of one machine, and keeps them over restarts.

    The file is made with mode 0600 and holds tokens in clear text unless `Encrypted`
    wraps the store. Its clock is the machine's boot clock, which a change of the wall
    clock does not move; after a reboot it continues from the wall time, never backwards.

    Raises:
        ConfigurationError: this is not a path.
    """

    _concurrency = 1

    def __init__(
        self, path: str | os.PathLike[str], *, runtime: Runtime | None = None
    ) -> None:
        super().__init__(runtime)
        self._path = path_of(path)
        # Closing a connection in a forked child would drop locks of its parent.
        self._databases = PerProcess(lambda: _Database(self._path, self._runtime))

    async def _open(self) -> None:
        await self._run(_Database.use)

    async def _read(self, key: str) -> Versioned:
        def read(database: _Database) -> Versioned:
            connection, now = database.use()
            row = connection.execute(_READ, (key,)).fetchone()
            if row is not None:
                value, etag, expires = row
                # Checked first: a damaged expiry must not make a record look expired.
                value = unpack(value, key, str(etag), repr(expires))
                if expires > now:
                    return Versioned(value, etag, now)
            return Versioned(None, "", now)

        return await self._run(read)

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        versions = set()

        def write(database: _Database) -> bool:
            connection, now = database.use()
            versions.add(connection.execute("PRAGMA data_version").fetchone())
            with connection:
                connection.execute(_BEGIN)
                [held] = connection.execute(_ETAG, (key, now)).fetchone() or [""]
                if held != if_etag:
                    return False
                if value is None:
                    connection.execute(_DELETE, (key,))
                else:
                    expires = now + ttl
                    stored = pack(value, key, etag, repr(expires))
                    connection.execute(_REPLACE, (key, stored, etag, expires, now))
            return True

        try:
            return await self._run(write)
        except sqlite3.OperationalError as error:
            # While others write, this is a lost race. A lock that is only held is none.
            if not _is_busy(error) or len(versions) <= 1:
                raise
            return False

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        def page(database: _Database) -> list[str]:
            connection, now = database.use()
            rows = connection.execute(_PAGE, (last, len(prefix), prefix, now))
            return [key for (key,) in rows]

        last = ""
        while keys := await self._run(page):
            yield keys
            last = keys[-1]

    async def _purge(self) -> None:
        def purge(database: _Database) -> None:
            connection, now = database.use()
            # Not now if the file is locked: operations that wait behind would fail.
            with suppress(sqlite3.OperationalError):
                connection.execute(_PURGE, (now,))

        await self._run(purge)

    async def _aclose(self) -> None:
        await self._run(_Database.close)

    async def _run(self, work: Callable[["_Database"], T]) -> T:
        """Do work in a thread; the operations on one database follow one another."""
        database = self._databases.get()

        def in_turn() -> T:
            if not database.lock.acquire(timeout=TIMEOUT):
                message = f"{self!r} is still busy with an earlier operation"
                raise StoreUnavailableError(message)
            try:
                return self._patiently(lambda: work(database))
            finally:
                database.lock.release()

        # A separate limiter: threads that the application keeps busy delay nothing.
        return await to_thread.run_sync(
            in_turn, abandon_on_cancel=True, limiter=CapacityLimiter(1)
        )

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do work that may find the file locked; try again for a second."""
        clock, waited = self._runtime.clock, 0.0
        while True:
            started = clock.now()
            try:
                return work()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or waited >= PATIENCE:
                    raise
            threading.Event().wait(_PAUSE)
            # The pauses alone would be too little on a machine that is busy, and the
            # clock of a test may not advance.
            waited += max(_PAUSE, clock.now() - started)

    def _error(self, error: BaseException) -> StoreError:
        if not isinstance(error, OSError | sqlite3.Error):
            return super()._error(error)
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if isinstance(error, OSError):
            name = errno.errorcode.get(error.errno or 0, name)
        advice = StoreUnavailableError.advice
        if name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            advice = f"Move {self._path} away; a new file is created in its place."
        message = f"the file {self._path} cannot be used ({name})"
        return StoreUnavailableError(message, advice=advice)

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path.name}>"


class _Database:
    """The connection to the file; used by one thread at a time, and it blocks."""

    _every: ClassVar["WeakSet[_Database]"] = WeakSet()
    _paused: ClassVar[list[list["_Database"]]] = []

    def __init__(self, path: Path, runtime: Runtime) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._every.add(self)
        self._path = path
        self._clock = runtime.clock
        self._boot_id = runtime.boot_id
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._ahead = 0.0

    @classmethod
    def pause_all(cls) -> None:
        """Wait for the operations under way before a fork.

        A child inherits the locks that SQLite holds then, and nothing would end them.
        """
        every = sorted(cls._every, key=id)  # so that two forks wait for one another
        cls._paused.append(
            [each for each in every if each.lock.acquire(timeout=TIMEOUT)]
        )

    @classmethod
    def resume_all(cls) -> None:
        """Allow operations again, in the parent and in its child."""
        for each in cls._paused.pop():
            each.lock.release()

    def use(self) -> tuple[sqlite3.Connection, float]:
        """Return the connection, and the time; connect if the file is another one."""
        if self._connection is not None and _identity(self._path) != self._identity:
            _LOG.warning("the store %s was deleted or replaced", self._path)
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection, self._clock.now() + self._ahead

    def close(self) -> None:
        """Close the connection; the next operation makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        _make_private(self._path)
        if (kind := network_file_system(self._path.parent)) is not None:
            _LOG.warning("locks are unreliable on %s: %s", kind, self._path)
        self._identity = _identity(self._path)
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        with ExitStack() as failure:
            failure.callback(connection.close)
            if _identity(self._path) != self._identity:
                message = f"{self._path} was replaced while it was opened"
                raise StoreUnavailableError(message)
            is_new = _is_new(connection, self._path)
            connection.executescript(_SETTINGS)
            with connection:
                connection.execute(_BEGIN)
                if is_new:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                self._ahead = self._clock_ahead(connection)
            failure.pop_all()
        return connection

    def _clock_ahead(self, connection: sqlite3.Connection) -> float:
        """Return how far the store's clock is ahead of the boot clock.

        The process that opens the file first after a boot decides that, for all. Time
        never steps back, so nothing lives longer than it would have without the reboot.
        """
        key = f".clock/{self._boot_id}"
        row = connection.execute(_READ, (key,)).fetchone()
        if row is not None:
            return float(unpack(row[0], key))
        boot, wall = self._clock.now(), self._clock.wall().timestamp()
        (last,) = connection.execute("SELECT max(written) FROM records").fetchone()
        ahead = max(wall, last or wall) - boot
        if self._boot_id:
            connection.execute("DELETE FROM records WHERE key GLOB '.clock/*'")
            row = key, pack(repr(ahead).encode(), key), "", float("inf"), boot + ahead
            connection.execute(_REPLACE, row)
        return ahead


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_Database.pause_all,
        after_in_parent=_Database.resume_all,
        after_in_child=_Database.resume_all,
    )


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether nothing is in the file yet; raise if it is not a store."""
    application, version, things, has_table = connection.execute(_STATE).fetchone()
    if (application, version) == (_APPLICATION, 1):
        message = f"{path} was written by persona_share 0.1"
        advice = "Delete it, or choose another path; tokens are acquired again."
        raise StoreRefusedError(message, advice=advice)
    if not (application or version or things):
        return True
    if application != _APPLICATION and not has_table:
        message = f"{path} is the database of another program"
        raise StoreRefusedError(message, advice="Choose another path.")
    if (application, version) != (_APPLICATION, _VERSION) or not has_table:
        message = f"{path} is damaged, or was written by a later version"
        advice = f"Update persona_share, or move {path} away."
        raise StoreUnavailableError(message, advice=advice)
    return False


def _is_busy(error: sqlite3.OperationalError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


# ── The file ────────────────────────────────────────────────────────────────────────


def path_of(given: object) -> Path:
    """Return an absolute path, with ``~`` expanded."""
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        message = "a file path must be a str or a pathlib.Path"
        raise ConfigurationError(message)
    if text == ":memory:":
        message = "':memory:' is not a file"
        raise ConfigurationError(message, advice="Use MemoryStore().")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        message = f"the home directory of {text!r} is not known"
        raise ConfigurationError(message) from None


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of network file system that holds this path, or None.

    Locks of such file systems are unreliable. Only Linux lists its mounts.
    """
    with suppress(OSError):
        lines = [line.split(" ") for line in mounts.read_text().splitlines()]
        kinds = {Path(line[1].replace("\\040", " ")): line[2] for line in lines}
        real = path.resolve()
        kind = next(
            (kinds[each] for each in (real, *real.parents) if each in kinds), ""
        )
        return kind if kind.startswith(_NETWORK) else None
    return None


def _make_private(path: Path) -> None:
    """Make the file, or check the one that is there; SQLite's journals get its mode."""
    make_folder(path.parent)
    _tighten_directory(path.parent)
    with _MAKING, suppress(FileExistsError):
        os.close(create_private(path))
    for ending in _FILES:
        with suppress(FileNotFoundError):
            _tighten(path.with_name(path.name + ending))


def _tighten_directory(directory: Path) -> None:
    found = directory.stat()
    if found.st_mode & stat.S_ISVTX or not others_may(found, stat.S_IWOTH):
        return
    # An emptyDir of Kubernetes belongs to root. A file of another user in it is still
    # refused, because of its owner.
    words = ""
    if found.st_uid == os.geteuid():
        directory.chmod(stat.S_IMODE(found.st_mode) & ~0o027)
        words = "; its mode was tightened"
    _LOG.warning("the directory %s is writable by all users%s", directory, words)


def _tighten(path: Path) -> None:
    """Make the file unreadable to others; refuse it if they could have written it."""
    found = path.lstat()
    problem = problem_of(found)
    if problem is None and others_may(found, stat.S_IWOTH):
        problem = "is writable by all users"
    if problem is not None:
        message = f"{path} {problem}"
        raise StoreRefusedError(message)
    if others_may(found):
        path.chmod(0o600)
        _LOG.warning("other users could read %s; its mode is now 0600", path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file has this name now (its device and number), or None."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
