"""PostgresStore: records in a table of PostgreSQL."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, LiteralString
from weakref import WeakSet

import psycopg
from psycopg import conninfo, errors, sql
from psycopg_pool import AsyncConnectionPool, PoolClosed

from persona_share._protocol.urls import is_loopback
from persona_share._waiting import TimeIsUpError
from persona_share.errors import ConfigurationError, StoreError, StoreRefusedError
from persona_share.model.secret import Secret, as_secret
from persona_share.ports import Runtime, Versioned
from persona_share.stores.base import (
    TIMEOUT,
    BaseStore,
    PerLoop,
    cannot_connect,
    pack,
    unpack,
)


_NOW: Final = sql.SQL("extract(epoch from clock_timestamp())::float8")
#: One transaction; those who create the table at once do so one after the other.
_CREATE: Final[LiteralString] = """
SELECT pg_advisory_xact_lock(hashtext('persona_share'));
CREATE TABLE IF NOT EXISTS {table} (key text COLLATE "C" PRIMARY KEY,
  value bytea NOT NULL, etag text NOT NULL, expires float8 NOT NULL);
CREATE INDEX IF NOT EXISTS {index} ON {table} (expires)
"""
_READ: Final[LiteralString] = """
SELECT found.value, found.etag, found.expires, {now} FROM (SELECT 1) AS one
LEFT JOIN {table} AS found ON found.key = %(key)s
"""
#: A write that is repeated, because its response was lost, finds its own etag.
_INSERT: Final[LiteralString] = """
INSERT INTO {table} AS old (key, value, etag, expires)
VALUES (%(key)s, %(value)s, %(etag)s, {now} + %(ttl)s) ON CONFLICT (key) DO UPDATE
SET value = excluded.value, etag = excluded.etag, expires = excluded.expires
WHERE old.expires <= {now} OR old.etag = excluded.etag RETURNING key
"""
_UPDATE: Final[LiteralString] = """
UPDATE {table} SET value = %(value)s, etag = %(etag)s, expires = {now} + %(ttl)s
WHERE key = %(key)s AND etag IN (%(if_etag)s, %(etag)s) AND expires > {now} RETURNING key
"""
_DELETE: Final[LiteralString] = """
DELETE FROM {table} WHERE key = %(key)s AND etag = %(if_etag)s AND expires > {now}
RETURNING key
"""
_PURGE: Final[LiteralString] = """
DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= {now}
  LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING key
"""
_PAGE: Final[LiteralString] = """
SELECT key FROM {table} WHERE key > %(last)s AND starts_with(key, %(prefix)s)
AND expires > {now} ORDER BY key LIMIT 1000
"""
_TABLE: Final = re.compile(r"([a-z_][a-z0-9_]{0,40}\.)?[a-z_][a-z0-9_]{0,40}")
#: A refused connection has no error code, only these words.
_REFUSALS: Final = ("authentication failed", "does not exist", "is not permitted")
#: With these the server is authenticated and the connection encrypted.
_SAFE_MODES: Final = frozenset({"verify-ca", "verify-full"})


class PostgresStore(BaseStore):
    """Shares records between processes through a table of PostgreSQL.

    ``dsn`` is a URL or a connection string. ``persona-share store init`` makes the
    table, or ``create=True`` when the store is opened. It works behind pgbouncer in
    transaction mode. ``plaintext=True`` allows to keep tokens without `Encrypted`,
    ``allow_insecure=True`` a connection whose certificate is not verified.

    Raises:
        ConfigurationError: the connection string cannot be used.
        StoreRefusedError: others could read what is sent.
    """

    _concurrency = 8
    _broken: tuple[type[Exception], ...] = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
    )

    def __init__(
        self,
        dsn: str | Secret,
        *,
        table: str = "persona_share_records",
        create: bool = False,
        plaintext: bool = False,
        allow_insecure: bool = False,
        runtime: Runtime | None = None,
    ) -> None:
        dsn = as_secret(dsn)
        super().__init__(runtime)
        if not _TABLE.fullmatch(table):
            message = "the name of a table may have letters, digits and underscores"
            raise ConfigurationError(message)
        if not allow_insecure and not _is_private(_options(dsn)):
            message = "others could read the traffic to this PostgreSQL server"
            advice = "Use sslmode=verify-full, or pass allow_insecure=True."
            raise StoreRefusedError(message, advice=advice)
        self.accepts_secrets = plaintext
        self._create = create
        self._table = sql.Identifier(*table.split("."))
        self._index = sql.Identifier(f"{table.rpartition('.')[2]}_expires")
        self._pools = PerLoop(lambda: _Pool(dsn, self._concurrency))

    async def _open(self) -> None:
        if self._create:
            await self._execute(_CREATE)
        await self._execute(_READ, key="open/check")

    async def _read(self, key: str) -> Versioned:
        [(value, etag, expires, now)] = await self._execute(_READ, key=key)
        if value is not None:
            value = unpack(bytes(value), key, etag)
            if expires > now:
                return Versioned(value, etag, now)
        return Versioned(None, "", now)

    async def _write(
        self, key: str, value: bytes | None, etag: str, if_etag: str, ttl: float
    ) -> bool:
        stored = None if value is None else pack(value, key, etag)
        statement = _DELETE if value is None else _UPDATE if if_etag else _INSERT
        row = {"key": key, "value": stored, "etag": etag, "if_etag": if_etag}
        try:
            return bool(await self._execute(statement, ttl=ttl, **row))
        except (errors.SerializationFailure, errors.DeadlockDetected):
            return False

    async def _purge(self) -> None:
        await self._execute(_PURGE)

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        last = ""
        while rows := await self._execute(_PAGE, prefix=prefix, last=last):
            yield [key for (key,) in rows]
            [last] = rows[-1]

    def _detach(self) -> Callable[[], Awaitable[None]]:
        pool = self._pools.pop()
        return self._aclose if pool is None else pool.close

    async def _execute(self, statement: LiteralString, **values: object) -> list[Any]:
        """Run a statement; return its rows, which are those that it found or changed."""
        return await self._with_retry(self._try_once, self._query(statement), values)

    async def _try_once(
        self, query: sql.Composed, values: Mapping[str, object]
    ) -> list[Any]:
        if self._pools.get().problem is not None:
            self._pools.pop()
        pool = self._pools.get()
        await pool.connections.open(wait=False)  # does nothing when it is open
        try:
            async with pool.connections.connection() as connection:
                cursor = await connection.execute(query, values or None)
                return await cursor.fetchall() if cursor.description else []
        except PoolClosed:
            problem = pool.problem or cannot_connect("PostgreSQL")
        raise problem.fresh()

    async def _drop_connections(self) -> None:
        pool = self._pools.get().connections
        if not pool.closed:
            await pool.check()  # drops only those that are broken

    def _query(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(table=self._table, index=self._index, now=_NOW)

    def _error(self, error: BaseException) -> StoreError:
        name = type(error).__name__
        match error:
            case TimeIsUpError() if not self._pools.get().is_connected:
                return cannot_connect("PostgreSQL")
            case errors.UndefinedTable():
                message = f"this database has no table for records ({name})"
                advice = "Run 'persona-share store init', or pass create=True."
            case errors.InsufficientPrivilege() | errors.UndefinedColumn():
                message = f"the table cannot be used ({name})"
                advice = "Check the name of the table and the privileges of the user."
            case _:
                return super()._error(error)
        return StoreRefusedError(message, advice=advice)

    def __repr__(self) -> str:
        return "<PostgresStore>"


_POOL: Final = "persona_share"
# Stores report why there is no connection; the pool would log each attempt, too.
logging.getLogger("psycopg.pool").addFilter(
    lambda record: repr(_POOL) not in record.getMessage()
)
_CONNECTION: Final[dict[str, Any]] = {
    "autocommit": True,
    "prepare_threshold": None,  # pgbouncer gives each statement another connection
    "connect_timeout": 2,
    "keepalives_idle": 30,
    "application_name": "persona_share",
}


class _Pool:
    """The connections of one event loop; closed when none can be made.

    psycopg's pool alone would repeat a refused login, which may lock the account, and let
    the operations wait that need a connection.
    """

    def __init__(self, dsn: Secret, size: int) -> None:
        #: Why this pool has no connections.
        self.problem: StoreError | None = None
        self._made: WeakSet[psycopg.AsyncConnection[Any]] = WeakSet()
        self._closing: asyncio.Future[None] | None = None
        connects: Any = self  # where the pool expects a class of connections
        self.connections: AsyncConnectionPool[Any] = AsyncConnectionPool(
            dsn.reveal(),
            connection_class=connects,
            kwargs=_CONNECTION,
            min_size=0,
            max_size=size,
            open=False,
            timeout=TIMEOUT,
            reconnect_timeout=TIMEOUT,
            name=_POOL,
        )

    @property
    def is_connected(self) -> bool:
        """Whether any connection was made that is not known to be broken."""
        return not all(each.closed for each in self._made)

    async def connect(
        self, dsn: str, **options: Any
    ) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        """Return a new connection; close the pool if it cannot have any."""
        try:
            connection = await psycopg.AsyncConnection.connect(dsn, **options)
        except psycopg.Error as error:
            problem = _problem(str(error))
        else:
            self._made.add(connection)
            return connection
        if isinstance(problem, StoreRefusedError) or not self.is_connected:
            self.problem = problem
            self._closing = self._closing or asyncio.ensure_future(self._close())
        raise psycopg.OperationalError(problem.what)

    async def close(self) -> None:
        """Close the connections."""
        await (self._closing or self._close())

    async def _close(self) -> None:
        await self.connections.close(timeout=TIMEOUT / 2)


def _problem(text: str) -> StoreError:
    """Return our error for the reason why there is no connection."""
    if any(words in text for words in _REFUSALS):
        message = "PostgreSQL refused the user, the password or the database"
        return StoreRefusedError(message, advice="Check the connection string.")
    return cannot_connect("PostgreSQL")


def _options(dsn: Secret) -> Mapping[str, Any]:
    try:
        return conninfo.conninfo_to_dict(dsn.reveal())
    except psycopg.Error:
        message = "the connection string of PostgreSQL cannot be read"
    raise ConfigurationError(message)


def _is_private(options: Mapping[str, Any]) -> bool:
    def given(name: str) -> Any:
        return options.get(name) or os.environ.get(f"PG{name.upper()}")

    if given("service"):  # it names a file with more options, even an address
        return options.get("sslmode") in _SAFE_MODES
    hosts = given("hostaddr") or given("host")
    return given("sslmode") in _SAFE_MODES or all(
        not host or host.startswith(("/", "@")) or is_loopback(host)
        for host in str(hosts or "").split(",")
    )
