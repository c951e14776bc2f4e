"""What importing the library costs: alone, and with the names that every user needs."""

import statistics
import subprocess
import sys
import time

from benchmarks.figure import Figure, Figures


RUNS = 15
ALONE = "import persona_share"
USED = "from persona_share import PersonaClient, Scope, ScopedTokenManager"
YARDSTICK = "import aiohttp"
NOTHING = "pass"


def milliseconds(statement: str) -> float:
    """Answer how long a new interpreter takes for this statement, start-up included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603 - our own
    return (time.perf_counter() - started) * 1000


def figures() -> Figures:
    """Answer the import times, as medians of alternating runs, less the start-up."""
    runs: dict[str, list[float]] = {ALONE: [], USED: [], YARDSTICK: [], NOTHING: []}
    for _ in range(RUNS):
        for statement, taken in runs.items():
            taken.append(milliseconds(statement))
    cost = {
        statement: statistics.median(taken) - statistics.median(runs[NOTHING])
        for statement, taken in runs.items()
    }
    for statement in (ALONE, USED):
        yield Figure(
            name=statement,
            unit="ms",
            ours=round(cost[statement], 1),
            yardstick=round(cost[YARDSTICK], 1),
            compared_with=YARDSTICK,
            at_most=1.2,
        )
