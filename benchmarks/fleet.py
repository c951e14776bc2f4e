"""The fleet: codes that processes burn together, and one window that they spend.

The codes are burnt by real processes, each with a manager of its own, over a file and
over Redis. The window is spent on virtual time, over the store in memory.
"""

import asyncio
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.pacing import CALLS, WORKERS, LoopClock, Service, spend
from benchmarks.virtual import run
from persona_share import Scope
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.shared_rate_limit import SharedLimitTracker
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports.store import Versioned
from persona_share.sandbox import Sandbox
from persona_share.stores import MemoryStore, SharedRateLimit
from persona_share.testing import fake_runtime
from tests.fleet.crew import Crew, Place
from tests.redis_server import RedisServer


SCOPES = 50
SHARING = 4


class CountingStore(MemoryStore):
    """A store on virtual time that takes a moment and counts its writes."""

    writes = 0

    async def read(self, key: str) -> Versioned:
        """Read after the time that a store takes."""
        await asyncio.sleep(0.0005)  # noqa: TID251 - virtual
        return await super().read(key)

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Write after the time that a store takes."""
        await asyncio.sleep(0.0005)  # noqa: TID251 - virtual
        written = await super().write(key, value, if_etag=if_etag, ttl=ttl)
        self.writes += written
        return written


async def process(service: Service, store: CountingStore, number: int) -> None:
    """Make the calls of one process, with a rate limiter whose window is shared."""
    clock, policy = LoopClock(), RateLimitPolicy()
    runtime = attrs.evolve(fake_runtime(seed=number), clock=clock)
    shared = SharedRateLimit(store, runtime=runtime)
    await shared.open()
    tracker = SharedLimitTracker(policy, shared, "window", clock)
    limiter = RateLimiter(clock, policy, tracker)
    await spend(service, CALLS // SHARING, limiter, WORKERS // SHARING)
    await limiter.close()


async def together(service: Service) -> tuple[Service, int]:
    """Let processes share a window, and return how often the store was written."""
    store = CountingStore(runtime=attrs.evolve(fake_runtime(), clock=LoopClock()))
    await asyncio.gather(*(process(service, store, each) for each in range(SHARING)))
    return service, store.writes


async def burnt(store: str | None, processes: int) -> float:
    """Answer how many codes a token cost, where so many processes need the same."""
    async with Sandbox(rate_limit=None) as box:
        place = Place(
            box.url, box.source.api_key, box.destination.api_key, box.destination.id
        )
        scopes = [str(Scope.read(box.add_inquiry().id)) for _ in range(SCOPES)]
        place = attrs.evolve(place, store=store)
        async with Crew(place, processes, "each", scopes) as crew:
            results = await crew.results()
        tokens = {token for result in results for token in result.values()}
        return box.log.codes_issued / len(tokens)


@contextmanager
def stores(server: RedisServer) -> Iterator[dict[str, str]]:
    """Answer the stores by name, each empty."""
    server.client.flushall()
    with tempfile.TemporaryDirectory() as directory:
        yield {"SQLite": str(Path(directory) / "tokens.db"), "Redis": server.url}


def figures() -> Figures:
    """Answer what codes cost, and how a shared window is spent."""
    server = RedisServer()
    try:
        for processes in (1, 4, 8):
            with stores(server) as places:
                for name, place in places.items():
                    yield Figure(
                        name=f"codes burnt per token, {processes} processes, {name}",
                        unit="codes",
                        ours=asyncio.run(burnt(place, processes)),
                        at_most=1.0,
                        absolute=True,
                    )
        runs = [run(together(Service(each))) for each in (math.ceil, math.floor)]
        yield Figure(
            name=f"{SHARING} processes that share a window: share of the answers 429",
            unit="1",
            ours=max(service.refused for service, _ in runs) / CALLS,
            at_most=0.01,
            absolute=True,
        )
        yield Figure(
            name=f"{SHARING} processes that share a window: share of it that is lost",
            unit="1",
            ours=round(max(service.unused for service, _ in runs), 4),
        )
        yield Figure(
            name=f"{SHARING} processes that share a window: writes per 10 calls",
            unit="1",
            ours=round(max(writes for _, writes in runs) / CALLS * 10, 2),
            at_most=5,
            absolute=True,
        )
    finally:
        server.stop()


if __name__ == "__main__":
    show(figures)
