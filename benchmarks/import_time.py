"""The time to import the library, alone and with the most common names."""

import os
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure, Figures


RUNS = 11
ALONE = "import persona_share"
USED = "from persona_share import PersonaClient, Scope, ScopedTokenManager"
YARDSTICK = "import aiohttp"
NOTHING = "pass"


def milliseconds(statement: str, cache: str) -> float:
    """Return the time of this statement in a new interpreter, including start-up.

    It is time of the processor: what else runs on the machine does not count. Code
    that was compiled before is taken from the cache, as everywhere but here and now.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = f"{statement}\nimport time; print(time.process_time())"
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        env=environment,
    )
    return float(done.stdout) * 1000


def figures() -> Figures:
    """Return the import times, as medians of alternating runs, less the start-up."""
    runs: dict[str, list[float]] = {ALONE: [], USED: [], YARDSTICK: [], NOTHING: []}
    with TemporaryDirectory() as cache:
        for statement in runs:  # once to compile
            milliseconds(statement, cache)
        for _ in range(RUNS):
            for statement, taken in runs.items():
                taken.append(milliseconds(statement, cache))
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
            at_most=1.2 if statement == ALONE else None,
        )
