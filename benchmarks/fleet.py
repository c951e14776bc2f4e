"""The codes that processes spend together.

Real processes share a file, Redis or PostgreSQL. A source that takes 45 seconds is asked
on virtual time, by managers of one event loop that share a store in memory.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import ManagerHarness, one_scope
from benchmarks.rate_limit import LoopClock
from benchmarks.virtual import run
from persona_share import Scope
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore
from persona_share.testing import fake_runtime
from tests.fleet.workers import WorkerConfig, WorkerProcesses
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer


SCOPES = 200
#: Managers that ask for the same tokens, and how long their source takes, in seconds.
MANAGERS, SLOW_SCOPES, SLOW = 6, 20, 45.0
#: The longest time that a caller waits for a slow source.
PATIENCE = 60.0


async def codes_per_token(store: str | None, processes: int) -> float:
    """Return the codes per token when several processes need the same tokens."""
    async with Sandbox(rate_limit=None) as sandbox:
        config = WorkerConfig(
            sandbox.url,
            sandbox.source.api_key,
            sandbox.destination.api_key,
            sandbox.destination.id,
        )
        scopes = [str(Scope.read(sandbox.add_inquiry().id)) for _ in range(SCOPES)]
        config = attrs.evolve(config, store=store)
        async with WorkerProcesses(config, processes, "get_each", scopes) as workers:
            results = await workers.results()
        tokens = {token for result in results for token in result.values()}
        return sandbox.log.codes_issued / len(tokens)


async def slow_source() -> tuple[float, float]:
    """Return codes per token with a slow source, and the longest wait in seconds."""
    clock = LoopClock()
    store = MemoryStore(runtime=attrs.evolve(fake_runtime(), clock=clock))
    harnesses = []
    for number in range(MANAGERS):
        runtime = attrs.evolve(fake_runtime(seed=number), clock=clock)
        harnesses.append(SlowManagerHarness(runtime, store=store))
    scopes = [one_scope(number) for number in range(SLOW_SCOPES)]

    async def wait(harness: ManagerHarness, scope: Scope) -> tuple[str, float]:
        started = clock.now()
        token = await harness.manager.token(scope, timeout=300)
        return token.reveal(), clock.now() - started

    async with AsyncExitStack() as stack:
        for harness in harnesses:
            await stack.enter_async_context(harness.manager)
        got = await asyncio.gather(
            *(wait(harness, scope) for harness in harnesses for scope in scopes)
        )
    tokens = {token for token, _ in got}
    codes = sum(harness.codes for harness in harnesses)
    assert len(tokens) == SLOW_SCOPES, "every manager got the same tokens"
    return codes / len(tokens), max(waited for _, waited in got)


class SlowManagerHarness(ManagerHarness):
    """A manager whose source of codes takes its time."""

    async def _code(self, scope: Scope) -> str:
        await self.runtime.clock.sleep(SLOW)
        return await super()._code(scope)


@contextmanager
def stores(redis: RedisServer, postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """Return the addresses of the stores by name, each empty."""
    redis.client.flushall()
    postgres.clear()
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "tokens.db")
        yield {"SQLite": path, "Redis": redis.url, "PostgreSQL": postgres.url}


def figures() -> Figures:
    """Return what tokens cost in codes, and how long a slow source is waited for."""
    codes, waited = run(slow_source())
    name = f"{MANAGERS} managers, a source that takes {SLOW:.0f} s"
    yield Figure(
        name=f"{name}: codes per token",
        unit="codes",
        ours=codes,
        at_most=1.0,
        absolute=True,
    )
    yield Figure(
        name=f"{name}: longest wait",
        unit="s",
        ours=round(waited, 2),
        at_most=PATIENCE,
        absolute=True,
    )
    redis, postgres = RedisServer(), PostgresServer()
    try:
        for processes in (1, 4, 8):
            with stores(redis, postgres) as urls:
                for kind, url in urls.items():
                    yield Figure(
                        name=f"{SCOPES} scopes, {processes} processes, {kind}:"
                        " codes per token",
                        unit="codes",
                        ours=asyncio.run(codes_per_token(url, processes)),
                        at_most=1.0,
                        absolute=True,
                    )
    finally:
        redis.stop()
        postgres.stop()
        postgres.remove()


if __name__ == "__main__":
    show(figures)
