"""One rate-limit window that several processes spend, on virtual time.

As in `rate_limit`, 3,000 calls are made against 300 in each window, and the worse of two
ways to round the reset counts. Each process has a rate limiter of its own; the window is
in a store, whose operations take half a millisecond.
"""

import asyncio
import math
from collections.abc import Iterator

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.rate_limit import CALLS, LoopClock, Service, spend
from benchmarks.virtual import run
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.shared_rate_limit import SharedLimitTracker
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Versioned
from persona_share.stores import MemoryStore, SharedRateLimit
from persona_share.testing import fake_runtime


#: Processes, calls that each makes at once, and the most writes per 10 calls: of 50
#: processes each has six calls in a window, and must write once to get them.
SHARING = ((4, 16, 1.0), (50, 1, 2.0))


class CountingStore(MemoryStore):
    """A store on virtual time that takes a moment and counts writes and attempts."""

    writes = attempts = 0

    async def read(self, key: str) -> Versioned:
        """Read after the time that a store takes."""
        await asyncio.sleep(0.0005)  # noqa: TID251 - virtual
        return await super().read(key)

    async def write(
        self, key: str, value: bytes | None, *, if_etag: str, ttl: float
    ) -> bool:
        """Write after the time that a store takes."""
        self.attempts += 1
        await asyncio.sleep(0.0005)  # noqa: TID251 - virtual
        written = await super().write(key, value, if_etag=if_etag, ttl=ttl)
        self.writes += written
        return written


async def process(
    service: Service,
    store: CountingStore,
    calls: Iterator[int],
    workers: int,
    number: int,
) -> None:
    """Make calls of one process, with a rate limiter whose window is shared."""
    clock, policy = LoopClock(), RateLimitPolicy()
    runtime = attrs.evolve(fake_runtime(seed=number), clock=clock)
    shared = SharedRateLimit(store, runtime=runtime)
    await shared.open()
    tracker = SharedLimitTracker(policy, shared, "window", clock)
    limiter = RateLimiter(clock, policy, tracker)
    await spend(service, calls, limiter, workers)
    await limiter.close()


async def together(
    service: Service, processes: int, workers: int
) -> tuple[Service, CountingStore]:
    """Let so many processes share a window, and return what they left in the store."""
    store = CountingStore(runtime=attrs.evolve(fake_runtime(), clock=LoopClock()))
    calls = iter(range(CALLS))
    await asyncio.gather(
        *(
            process(service, store, calls, workers, number)
            for number in range(processes)
        )
    )
    return service, store


def figures() -> Figures:
    """Return how processes that share a window spend it."""
    for processes, workers, most_writes in SHARING:
        runs = [
            run(together(Service(each), processes, workers))
            for each in (math.ceil, math.floor)
        ]
        name = f"{processes} processes that share a window"
        yield Figure(
            name=f"{name}: share of the answers 429",
            unit="1",
            ours=max(service.refused for service, _ in runs) / CALLS,
            at_most=0.001,
            absolute=True,
        )
        yield Figure(
            name=f"{name}: share of it that is lost",
            unit="1",
            ours=round(max(service.unused for service, _ in runs), 4),
        )
        for what, goal, counted in (
            ("writes", most_writes, [store.writes for _, store in runs]),
            ("attempts to write", None, [store.attempts for _, store in runs]),
        ):
            yield Figure(
                name=f"{name}: {what} per 10 calls",
                unit="1",
                ours=round(max(counted) / CALLS * 10, 2),
                at_most=goal,
                absolute=True,
            )


if __name__ == "__main__":
    show(figures)
