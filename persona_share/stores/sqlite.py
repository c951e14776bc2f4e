"""SQLiteStore: records in a file, for all processes of one machine.

Only this user may read and write the file. It is made with mode 0600 before SQLite opens
it, because SQLite gives its journals the permissions of the file. Permissions that a
volume changed are tightened: Kubernetes makes every file of a volume group-readable when
``fsGroup`` is set. A file is refused if others could have written to it.
"""

import errno
import logging
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread

from persona_share.errors import (
    ConfigurationError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import TIMEOUT, BaseStore, pack, unpack


T = TypeVar("T")
#: Which file it is, whatever its name: the numbers of the device and of the file.
_Identity = tuple[int, int]
_LOG: Final = logging.getLogger("persona_share")

#: How long a lock of another process is waited for, in seconds.
PATIENCE: Final = 1.0
#: The mean pause between two attempts to lock the file, in seconds. SQLite's own pauses
#: grow, so the process that has waited longest would try least often.
_PAUSE: Final = 0.002
#: "PSTS" marks a file of this store; version 1 of the schema was that of 0.1.
_APPLICATION: Final = 0x50535453
_VERSION: Final = 2
_BESIDE: Final = ("-wal", "-shm", "-journal")
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value BLOB NOT NULL,"
    " etag TEXT NOT NULL, expires REAL NOT NULL, written REAL NOT NULL) WITHOUT ROWID"
)
_SETTINGS: Final = (
    # One journal for every release of SQLite: the write-ahead log loses pages in some.
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)
_READ: Final = "SELECT value, etag, expires FROM records WHERE key = ?"
_WRITE: Final = (
    "INSERT INTO records SELECT :key, :value, :etag, :expires, :now"
    " WHERE :if_etag = '' OR EXISTS"
    " (SELECT 1 FROM records WHERE key = :key AND etag = :if_etag AND expires > :now)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag,"
    " expires = excluded.expires, written = excluded.written"
    " WHERE records.etag = :if_etag OR records.expires <= :now"
)
_DELETE: Final = "DELETE FROM records WHERE key = ? AND etag = ? AND expires > ?"
_PURGE: Final = (
    "DELETE FROM records WHERE key IN"
    " (SELECT key FROM records WHERE expires <= ? LIMIT 100)"
)
_PAGE: Final = (
    "SELECT key FROM records WHERE key > ? AND substr(key, 1, ?) = ?"
    " AND expires > ? AND substr(key, 1, 1) <> '.' ORDER BY key LIMIT 1000"
)
_NEW: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.", "glusterfs", "gpfs", "lustre"),
    *("ncpfs", "nfs", "smb", "virtiofs"),
)
# Closing a file drops every lock that this process holds on it, so no thread may make
# and close a file while another one opens it in SQLite.
_MAKING: Final = threading.Lock()
#: Closing a connection in a forked child would drop locks of its parent.
_INHERITED: Final["list[_Database]"] = []


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
        self._connect_lazily()

    def _connect_lazily(self) -> None:
        self._process = os.getpid()
        self._database = _Database(self._path, self._runtime)

    async def _open(self) -> None:
        await self._run(lambda database: database.connect())

    async def _read(self, key: str) -> Versioned:
        return await self._run(lambda database: database.read(key))

    async def _write(
        self, key: str, value: bytes | None, if_etag: str, ttl: float
    ) -> bool:
        etag = self._new_etag()
        return await self._run(
            lambda database: database.write(key, value, etag, if_etag, ttl)
        )

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        last = ""
        while page := await self._run(lambda each: each.page(prefix, last)):  # noqa: B023
            yield page
            last = page[-1]

    async def _purge(self) -> None:
        await self._run(lambda database: database.purge())

    async def _aclose(self) -> None:
        await self._run(lambda database: database.close())

    async def _run(self, work: Callable[["_Database"], T]) -> T:
        if self._process != os.getpid():
            _INHERITED.append(self._database)
            self._connect_lazily()
        database = self._database

        def locked() -> T:
            if not database.lock.acquire(timeout=TIMEOUT):
                message = f"{self!r} is still busy with an earlier operation"
                raise StoreUnavailableError(message)
            try:
                return work(database)
            finally:
                database.lock.release()

        # A separate limiter: threads that the application keeps busy delay nothing.
        return await to_thread.run_sync(
            locked, abandon_on_cancel=True, limiter=CapacityLimiter(1)
        )

    def _error(self, error: Exception) -> StoreError:
        if isinstance(error, OSError):
            return _unavailable(error, self._path)
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        advice = StoreUnavailableError.advice
        if name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            advice = f"Move {self._path} away; a new file is created in its place."
        message = f"the file {self._path} cannot be used ({name})"
        return StoreUnavailableError(message, advice=advice)

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path.name}>"


class _Database:
    """The connection to the file; used by one thread at a time, and it blocks."""

    def __init__(self, path: Path, runtime: Runtime) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._path = path
        self._beside = [path.with_name(path.name + word) for word in _BESIDE]
        self._clock = runtime.clock
        self._random = runtime.random
        self._boot_id = runtime.boot_id
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None
        self._ahead = 0.0

    def read(self, key: str) -> Versioned:
        """Return a record."""
        connection = self.connect()
        row = self._patiently(lambda: connection.execute(_READ, (key,)).fetchone())
        now = self._now()
        if row is None:
            return Versioned(None, "", now)
        value, etag, expires = row
        # Checked first: a damaged expiry must not make a record look expired.
        value = unpack(value, key, str(etag), repr(expires))
        return (
            Versioned(value, etag, now) if expires > now else Versioned(None, "", now)
        )

    def write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        """Replace or delete a record; False if it has changed or stays locked."""
        connection, now = self.connect(), self._now()
        expires = now + ttl
        row = {"key": key, "etag": etag, "if_etag": if_etag, "now": now}

        def write() -> bool:
            if value is not None:
                stored = pack(value, key, etag, repr(expires))
                values = {**row, "value": stored, "expires": expires}
                return connection.execute(_WRITE, values).rowcount == 1
            if if_etag:
                return connection.execute(_DELETE, (key, if_etag, now)).rowcount == 1
            found = connection.execute(_READ, (key,)).fetchone()
            return found is None or found[2] <= now

        try:
            return self._patiently(write)
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            return False

    def purge(self) -> None:
        """Delete some of the expired records."""
        self.connect().execute(_PURGE, (self._now(),))

    def page(self, prefix: str, last: str) -> list[str]:
        """Return the next keys with this prefix."""
        connection = self.connect()
        values = last, len(prefix), prefix, self._now()
        rows = self._patiently(lambda: connection.execute(_PAGE, values).fetchall())
        return [str(key) for (key,) in rows]

    def connect(self) -> sqlite3.Connection:
        """Return the connection; make it if the file is another one by now."""
        if self._connection is not None:
            if identity(self._path) == self._identity:
                return self._connection
            _LOG.warning("the store %s was deleted or replaced", self._path)
            self.close()
        self._identity = private_file(self._path, self._beside)
        if (kind := network_file_system(self._path.parent)) is not None:
            _LOG.warning("locks are unreliable on %s: %s", kind, self._path)
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def close(self) -> None:
        """Close the connection; the next operation makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _set_up(self, connection: sqlite3.Connection) -> None:
        if identity(self._path) != self._identity:
            message = f"{self._path} was replaced while it was opened"
            raise StoreUnavailableError(message)
        for setting in _SETTINGS:
            self._patiently(lambda: connection.execute(setting).fetchall())  # noqa: B023
        self._patiently(lambda: _prepare(connection, self._path))
        self._ahead = self._patiently(lambda: self._set_clock(connection))

    def _set_clock(self, connection: sqlite3.Connection) -> float:
        """Return how far the store's clock is ahead of the boot clock.

        The process that opens the file first after a boot decides that, for all. Time
        never steps back, so nothing lives longer than it would have without the reboot.
        """
        boot, wall = self._clock.now(), self._clock.wall().timestamp()
        key = f".clock/{self._boot_id}"
        with _transaction(connection):
            if self._boot_id:
                row = connection.execute(_READ, (key,)).fetchone()
                if row is not None:
                    return float(unpack(row[0], key))
            (last,) = connection.execute("SELECT max(written) FROM records").fetchone()
            ahead = max(wall, last or wall) - boot
            if self._boot_id:
                connection.execute("DELETE FROM records WHERE key GLOB '.clock/*'")
                value = pack(repr(ahead).encode(), key)
                row = key, value, "", float("inf"), boot + ahead
                connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", row)
        return ahead

    def _now(self) -> float:
        return self._clock.now() + self._ahead

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do work that may find the file locked; try again for a second."""
        waited = 0.0
        while True:
            started = self._clock.now()
            try:
                return work()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or waited >= PATIENCE:
                    raise
            pause = _PAUSE * (0.5 + self._random())
            threading.Event().wait(pause)
            # The pauses alone would be too little on a machine that is busy, and the
            # clock of a test may not advance.
            waited += max(pause, self._clock.now() - started)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the table in a new file, or check that this file is a store."""
    with _transaction(connection):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        columns = connection.execute("PRAGMA table_info(records)").fetchall()
        (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not (application or version or things):
            connection.execute(_TABLE)
            connection.execute("CREATE INDEX records_expiry ON records (expires)")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            return
        names = [str(column[1]) for column in columns]
    if (application, version) == (_APPLICATION, 1):
        message = f"{path} was written by persona_share 0.1"
        advice = "Delete it, or choose another path; tokens are acquired again."
        raise StoreRefusedError(message, advice=advice)
    if application != _APPLICATION and "etag" not in names:
        message = f"{path} is the database of another program"
        raise StoreRefusedError(message, advice="Choose another path.")
    if (application, version) != (_APPLICATION, _VERSION) or "etag" not in names:
        message = f"{path} is damaged, or was written by a later version"
        advice = f"Update persona_share, or move {path} away."
        raise StoreUnavailableError(message, advice=advice)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: a transaction that only later wants to write may be refused.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # it may have ended by itself
            connection.execute("ROLLBACK")
        raise


def _is_busy(error: sqlite3.OperationalError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


# ── The file ────────────────────────────────────────────────────────────────────────


def path_of(path: object) -> Path:
    """Return an absolute path, with ``~`` expanded.

    Raises:
        ConfigurationError: this is not a path.
    """
    message = "a file path must be a str or a pathlib.Path"
    if not isinstance(path, str | os.PathLike) or not (text := os.fspath(path)):
        raise ConfigurationError(message)
    if not isinstance(text, str) or "\0" in text:
        raise ConfigurationError(message)
    if text == ":memory:":
        memory = "':memory:' is not a file"
        raise ConfigurationError(memory, advice="Use MemoryStore().")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        unknown = f"the home directory of {text!r} is not known"
        raise ConfigurationError(unknown) from None


def private_file(path: Path, beside: Iterable[Path] = ()) -> _Identity:
    """Make the file, or tighten and check the one that is there and those beside it.

    Raises:
        StoreRefusedError: others could have written to it, or could replace it.
        StoreUnavailableError: the system does not allow it.
    """
    try:
        _private_directory(path.parent)
        with _MAKING:
            made = _made(path)
        for each in (path, *beside):
            with suppress(FileNotFoundError):
                _tighten(each, os.lstat(each))
        return made or _identity(os.lstat(path))
    except OSError as error:
        failure = _unavailable(error, path)
    raise failure


def identity(path: Path) -> _Identity | None:
    """Return which file has this name now, or None."""
    try:
        return _identity(os.lstat(path))
    except FileNotFoundError:
        return None


def _unavailable(error: OSError, path: Path) -> StoreUnavailableError:
    """Return our error for the system's; it names the file and the reason."""
    reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return StoreUnavailableError(f"the file {path} cannot be used ({reason})")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of network file system that holds this path, or None.

    Locks of such file systems are unreliable. Return None if the system does
    not list its mounts.
    """
    with suppress(OSError, ValueError, IndexError, StopIteration):
        kinds = {
            # Fields of Linux's mountinfo: … mount point, …, "-", kind, …
            Path(before.split(" ")[4].replace("\\040", " ")): after.split(" ")[0]
            for before, after in (
                line.split(" - ", 1) for line in mounts.read_text().splitlines()
            )
        }
        real = path.resolve()
        nearest = next(each for each in (real, *real.parents) if each in kinds)
        kind = kinds[nearest]
        return kind if kind.startswith(_NETWORK) else None
    return None


def _made(path: Path) -> _Identity | None:
    try:
        number = os.open(path, _NEW, 0o600)
    except FileExistsError:
        return None
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(number, 0o600)  # a umask may have removed even our own bits
        return _identity(os.fstat(number))
    finally:
        os.close(number)


def _private_directory(directory: Path) -> None:
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not _has_owners() or not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
        return
    if found.st_uid == os.geteuid():
        directory.chmod(mode & ~0o027)
        _LOG.warning(
            "the directory %s was writable by all users; its mode was tightened",
            directory,
        )
    else:
        # An emptyDir of Kubernetes belongs to root. A file of another user in it is
        # still refused, because of its owner.
        _LOG.warning("the directory %s is writable by all users", directory)


def _tighten(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a file"
        message = f"{path} is {what}"
        raise StoreRefusedError(message)
    if not _has_owners():
        return
    if found.st_uid != os.geteuid():
        message = f"{path} belongs to another user"
        raise StoreRefusedError(message)
    if found.st_mode & stat.S_IWOTH:
        message = f"{path} is writable by all users"
        raise StoreRefusedError(message)
    if found.st_mode & 0o077:
        path.chmod(0o600)
        _LOG.warning("other users could read %s; its mode is now 0600", path)


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _has_owners() -> bool:
    return hasattr(os, "geteuid")
