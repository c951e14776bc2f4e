"""Stores: what a token costs in codes, operations, time and bytes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import ManagerHarness, one_scope
from persona_share._transport.runtime import system_runtime
from persona_share.ports import Store, Versioned
from persona_share.stores import (
    Encrypted,
    MemoryStore,
    PostgresStore,
    RedisStore,
    SQLiteStore,
)
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer


KEYS = [b"\x01" * 32]
SCOPES = 50
MANAGERS = 4
#: Bytes of one scope in Redis: its token, and the code it was exchanged for.
MOST_BYTES = 2_048


class CountingStore:
    """Another store, whose operations are counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = self.writes = self.lost = 0

    async def open(self) -> None:
        """Open the store."""
        await self._store.open()

    async def read(self, key: str) -> Versioned:
        """Read a record."""
        self.reads += 1
        return await self._store.read(key)

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Write a record."""
        self.writes += 1
        written = await self._store.write(key, value, if_etag=if_etag, ttl=ttl)
        self.lost += not written
        return written

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """List keys."""
        return self._store.keys(prefix)

    async def aclose(self) -> None:
        """Close the store."""
        await self._store.aclose()


async def tokens_of_all(store: CountingStore) -> tuple[float, float, int]:
    """Let managers need the same scopes at once.

    Return the codes and the seconds of a token, and the operations of 1,000 hits.
    """
    runtime = system_runtime()
    harnesses = [ManagerHarness(runtime, store=store) for _ in range(MANAGERS)]
    for harness in harnesses:
        await harness.manager.__aenter__()
    started = perf_counter()
    await asyncio.gather(
        *(
            harness.manager.token(one_scope(number))
            for harness in harnesses
            for number in range(SCOPES)
        )
    )
    seconds = perf_counter() - started
    before = store.reads + store.writes
    for _ in range(1_000):
        await harnesses[0].manager.token(one_scope(1))
    hits = store.reads + store.writes - before
    for harness in harnesses:
        await harness.manager.aclose()
    return sum(harness.codes for harness in harnesses) / SCOPES, seconds / SCOPES, hits


@contextmanager
def stores(
    redis: RedisServer, postgres: PostgresServer
) -> Iterator[dict[str, tuple[Store, Callable[[], int]]]]:
    """Yield each store by its name, empty, with a function that says how large it is."""
    postgres.clear()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tokens.db"

        def in_redis() -> int:
            keys = list(redis.client.scan_iter())
            return sum(redis.client.memory_usage(key) or 0 for key in keys)

        def in_postgres() -> int:
            size = "SELECT pg_total_relation_size('persona_share_records')"
            return int(postgres.sql(size))

        yield {
            "memory": (MemoryStore(), lambda: 0),
            "SQLite": (SQLiteStore(file), lambda: file.stat().st_size),
            "Redis": (RedisStore(redis.url, plaintext=True), in_redis),
            "Redis, encrypted": (Encrypted(RedisStore(redis.url), KEYS), in_redis),
            "Postgres": (
                PostgresStore(postgres.url, create=True, plaintext=True),
                in_postgres,
            ),
        }


def figures() -> Figures:
    """Yield the figures of every store; times have no goal, they are the machine's."""
    redis, postgres = RedisServer(), PostgresServer()
    try:
        with stores(redis, postgres) as every:
            for name, (inner, size) in every.items():
                redis.client.flushall()
                store = CountingStore(inner)
                codes, seconds, hits = asyncio.run(tokens_of_all(store))
                yield from of_one(name, store, codes, seconds, hits)
                if size():
                    yield Figure(
                        name=f"{name}: bytes of one scope",
                        unit="B",
                        ours=round(size() / SCOPES),
                        at_most=MOST_BYTES if "Redis" in name else None,
                        absolute=True,
                    )
    finally:
        redis.stop()
        postgres.remove()


def of_one(
    name: str, store: CountingStore, codes: float, seconds: float, hits: int
) -> Figures:
    """Yield the figures of one store."""
    yield Figure(
        name=f"{name}: codes per token, {MANAGERS} managers",
        unit="codes",
        ours=codes,
        at_most=1.0,
        absolute=True,
    )
    yield Figure(
        name=f"{name}: store operations of 1,000 hits",
        unit="1",
        ours=hits,
        at_most=0,
        absolute=True,
    )
    for what, count in (("reads", store.reads), ("writes", store.writes)):
        yield Figure(
            name=f"{name}: {what} per token of {MANAGERS} managers",
            unit="1",
            ours=round(count / SCOPES, 1),
        )
    yield Figure(
        name=f"{name}: time of a token for {MANAGERS} managers",
        unit="ms",
        ours=round(seconds * 1_000, 1),
    )


if __name__ == "__main__":
    show(figures)
