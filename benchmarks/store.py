"""Stores: what it costs to look for a token, to bring one, and to hold it."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from persona_share._policy.election import Carried, Lead

from benchmarks.figure import Figure, Figures, show
from benchmarks.stand import Stand, one_scope
from persona_share import Scope
from persona_share._protocol.record import TokenRecord, token_blob
from persona_share._transport.runtime import system_runtime
from persona_share.model.secret import Secret
from persona_share.ports import TokenStore
from persona_share.stores import Encrypted, MemoryStore, RedisStore, SQLiteStore
from tests.redis_server import RedisServer


RING = [b"\x01" * 32]
LOOKS = 500
MINTS = 100
SCOPES = 500
LIFETIME = 3_599.0
#: Of one scope in Redis, in bytes.
MOST_BYTES = 1_024


def name_of(number: int) -> str:
    """Answer a name as long as real ones."""
    return f"{number:040x}"


def blob_of(name: str) -> bytes:
    """Answer the record of a token for two objects."""
    scope = Scope.read("inq_ABA6hSLYBEiW9YcyuqtbKLm4", "ver_uqWAdmj4zQbFpYBbxs9qfM3D")
    token = Secret("t" * 64)
    return token_blob(name, TokenRecord(token, scope, scope, LIFETIME))


async def mint(store: TokenStore, number: int) -> None:
    """Lead, attach a code, note that it is sent, and publish a token."""
    name = name_of(number)
    lead = await store.elect(name, "owner", newer_than=0, at_least=0.0)
    assert isinstance(lead, Lead)
    await store.attach(name, "owner", lead.fence, Carried("id", 594.0, b"c" * 150))
    await store.mark_sent(name, "owner", lead.fence, 0)
    await store.publish(
        name, "owner", lead.fence, remaining=LIFETIME, blob=blob_of(name)
    )


async def rate(work: Callable[[int], Awaitable[object]], count: int) -> float:
    """Answer how often a second something can be done, one after the other."""
    started = perf_counter()
    for number in range(count):
        await work(number)
    return count / (perf_counter() - started)


async def measured(store: TokenStore) -> tuple[float, float]:
    """Answer mints and looks a second."""
    await store.open(system_runtime())
    try:
        mints = await rate(lambda number: mint(store, number), MINTS)
        looks = await rate(
            lambda number: store.elect(
                name_of(number % MINTS), "other", newer_than=0, at_least=0.0
            ),
            LOOKS,
        )
    finally:
        await store.close()
    return mints, looks


async def bytes_a_scope(server: RedisServer, store: TokenStore) -> float:
    """Answer what one scope takes in Redis, all its keys together."""
    server.client.flushall()
    await store.open(system_runtime())
    try:
        for number in range(SCOPES):
            await mint(store, number)
    finally:
        await store.close()
    usage = (server.client.memory_usage(key) or 0 for key in server.client.scan_iter())
    return sum(usage) / SCOPES


class Counting(MemoryStore):
    """A store that counts its operations."""

    operations = 0

    async def change(self, *arguments: object, **options: object) -> object:
        """Count one operation."""
        self.operations += 1
        return await super().change(*arguments, **options)


async def operations_of_hits() -> int:
    """Answer how many operations a thousand hits cost."""
    store, scope = Counting(), one_scope(1)
    async with Stand(system_runtime(), store=store).manager as manager:
        await manager.token(scope)
        before = store.operations
        for _ in range(1_000):
            await manager.token(scope)
        return store.operations - before


@contextmanager
def stores(server: RedisServer) -> Iterator[dict[str, TokenStore]]:
    """Answer every store by its name."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tokens.db"
        yield {
            "memory": MemoryStore(),
            "SQLite": SQLiteStore(file),
            "Redis": RedisStore(server.url, plaintext=True),
            "Redis, encrypted": Encrypted(RedisStore(server.url), keys=RING),
        }


def figures() -> Figures:
    """Answer the figures of every store; rates have no goal, they are the machine's."""
    server = RedisServer()
    try:
        with stores(server) as every:
            for name, store in every.items():
                server.client.flushall()
                mints, looks = asyncio.run(measured(store))
                yield Figure(name=f"{name}: mints", unit="1/s", ours=round(mints))
                yield Figure(
                    name=f"{name}: read-or-elect", unit="1/s", ours=round(looks)
                )
            for name in ("Redis", "Redis, encrypted"):
                yield Figure(
                    name=f"{name}: memory of one scope",
                    unit="B",
                    ours=round(asyncio.run(bytes_a_scope(server, every[name]))),
                    at_most=MOST_BYTES,
                    absolute=True,
                )
        yield Figure(
            name="store operations of 1,000 hits",
            unit="1",
            ours=asyncio.run(operations_of_hits()),
            at_most=0,
            absolute=True,
        )
    finally:
        server.stop()


if __name__ == "__main__":
    show(figures)
