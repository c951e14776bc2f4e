"""The fleet: codes that processes burn together, and one window that they spend.

The codes are burnt by real processes, each with a manager of its own, over a file and
over Redis. The window is spent on virtual time, by the script that Redis runs.
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
from persona_share._protocol.limits import Seen
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Runtime, Share
from persona_share.sandbox import Sandbox
from persona_share.stores.redis.window import script
from tests.fleet.crew import Crew, Place
from tests.redis_server import RedisServer


SCOPES = 50
SHARING = 4
CLOCK = "local now = tonumber(redis.call('GET', 'test:now'))"


class VirtualShared:
    """A shared window whose Redis has the virtual time."""

    def __init__(self, server: RedisServer) -> None:
        server.client.flushall()
        self._redis = server.client
        self._script = server.client.register_script(script(CLOCK))

    async def open(self, runtime: Runtime) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Hold nothing."""

    async def take(self, name: str, wanted: int, seen: Seen | None) -> Share:
        """Take some calls, after the time that a question to Redis takes."""
        await asyncio.sleep(0.0005)  # noqa: TID251 - virtual
        now = asyncio.get_running_loop().time()
        self._redis.set("test:now", int(1_000 * now))
        told = () if seen is None else (seen.remaining, int(1_000 * seen.reset))
        reply = self._script(keys=[name], args=["proof", wanted, *told])
        return Share(int(reply[3]), int(reply[4]) / 1_000)


async def process(service: Service, shared: VirtualShared, calls: int) -> None:
    """Make so many calls with a rate limiter whose window is shared."""
    window = SharedLimitTracker(RateLimitPolicy(), shared, "window", LoopClock())
    limiter = RateLimiter(LoopClock(), RateLimitPolicy(), window)
    await spend(service, calls, limiter, WORKERS // SHARING)
    await limiter.close()


async def together(server: RedisServer, service: Service) -> Service:
    """Let processes share a window."""
    shared = VirtualShared(server)
    each = CALLS // SHARING
    await asyncio.gather(*(process(service, shared, each) for _ in range(SHARING)))
    return service


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
        runs = [
            run(together(server, Service(each))) for each in (math.ceil, math.floor)
        ]
        yield Figure(
            name=f"{SHARING} processes that share a window: share of the answers 429",
            unit="1",
            ours=max(each.refused for each in runs) / CALLS,
            at_most=0.01,
            absolute=True,
        )
        yield Figure(
            name=f"{SHARING} processes that share a window: share of it that is lost",
            unit="1",
            ours=round(max(each.unused for each in runs), 4),
        )
    finally:
        server.stop()


if __name__ == "__main__":
    show(figures)
