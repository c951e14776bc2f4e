"""The cost per token among few and among many: time, memory and ``metrics()``."""

import asyncio
import gc
import os
import statistics
import time
from pathlib import Path

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import ManagerHarness, one_scope
from benchmarks.token_hit import TickingClock
from persona_share.model.policy import RenewalPolicy
from persona_share.testing import fake_runtime


FEW, MANY = 1_000, 100_000
#: So many tokens are acquired, and hit, in one measurement.
PART = 500
#: Rounds of ``metrics()``, and repetitions of a hit.
ROUNDS = 9


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class MeasuredManager:
    """A manager that holds more and more tokens, and what they cost, in seconds."""

    def __init__(self) -> None:
        policy = RenewalPolicy(max_tokens=2 * MANY)
        self.harness = ManagerHarness(fake_runtime(TickingClock()), policy)
        self.harness.service.limit = 10 * MANY  # the clock hardly moves
        self.acquired: dict[int, float] = {}
        self.hit: dict[int, float] = {}
        self.metrics: dict[int, float] = {}
        self.memory: dict[int, int] = {}

    async def grow(self, start: int, end: int) -> None:
        """Acquire tokens up to this number, and measure the last ones."""
        parts = []
        for number in range(start, end, PART):
            parts.append(await self._part(number))
            self.harness.service.exchanges.clear()
        self.acquired[end] = statistics.median(parts[-9:]) / PART
        self.hit[end] = statistics.median(
            [await self._hits(end) for _ in range(ROUNDS)]
        )
        self.metrics[end] = statistics.median(self._metrics() for _ in range(ROUNDS))
        self.memory[end] = resident()

    async def _part(self, start: int) -> float:
        scopes = [one_scope(number) for number in range(start, start + PART)]
        started = time.thread_time()
        for scope in scopes:
            await self.harness.manager.token(scope)
        return time.thread_time() - started

    async def _hits(self, end: int) -> float:
        scopes = [one_scope(number) for number in range(0, end, end // PART)]
        started = time.thread_time()
        for scope in scopes:
            await self.harness.manager.token(scope)
        return (time.thread_time() - started) / len(scopes)

    def _metrics(self) -> float:
        started = time.thread_time()
        self.harness.manager.metrics()
        return time.thread_time() - started


async def counted() -> MeasuredManager:
    """Return what tokens cost among few and among many."""
    found = MeasuredManager()
    async with found.harness.manager:
        await found.grow(0, FEW)
        await found.grow(FEW, MANY)
    return found


def figures() -> Figures:
    """Return how the costs grow with the number of scopes."""
    found = asyncio.run(counted())
    for name, costs in (("acquiring", found.acquired), ("a hit on", found.hit)):
        yield Figure(
            name=f"CPU of {name} a token among {MANY} scopes",
            unit="us",
            ours=round(costs[MANY] * 1e6, 2),
            yardstick=round(costs[FEW] * 1e6, 2),
            compared_with=f"the same among {FEW} scopes",
            at_most=1.3,
        )
    yield Figure(
        name=f"memory of each of {MANY} scopes",
        unit="B",
        ours=round((found.memory[MANY] - found.memory[FEW]) / (MANY - FEW), 1),
        at_most=700,
        absolute=True,
    )
    yield Figure(
        name=f"metrics() with {MANY} scopes",
        unit="ms",
        ours=round(found.metrics[MANY] * 1e3, 3),
        at_most=5,
        absolute=True,
    )


if __name__ == "__main__":
    show(figures)
