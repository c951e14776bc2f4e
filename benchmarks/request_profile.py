"""Print in which functions the CPU of a call is spent, from samples of the stack.

A sample costs nothing between the signals, so the caches of the processor are as cold as
in production: a tracing profiler hides that. A function includes the time in C since the
previous function began. Usage: ``python -m benchmarks.request_profile [CONCURRENCY]``.
"""

import asyncio
import signal
import sys
import time
from collections import Counter
from types import FrameType

from benchmarks.http_server import server
from benchmarks.request_path import JSON, OURS, run, ways


RUNS, CALLS, LINES = 60, 1000, 40


async def profile(name: str, concurrency: int) -> None:
    """Print the CPU per call of the functions that take the most."""
    samples: Counter[str] = Counter()

    def sample(_signal: int, frame: FrameType | None) -> None:
        assert frame is not None
        code = frame.f_code
        file = "/".join(code.co_filename.rsplit("/", 2)[-2:])
        samples[f"{file}:{code.co_name}"] += 1

    async with server() as url, ways(url) as works:
        await run(works[name], concurrency, CALLS)
        signal.signal(signal.SIGPROF, sample)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        cpu = time.process_time()
        for _ in range(RUNS):
            await run(works[name], concurrency, CALLS)
        signal.setitimer(signal.ITIMER_PROF, 0)
    each = (time.process_time() - cpu) / RUNS / CALLS * 1e6
    print(f"{each:7.1f} us: {name} at concurrency {concurrency}")
    for function, count in samples.most_common(LINES):
        print(f"{count / samples.total() * each:7.1f} us {function}")


if __name__ == "__main__":
    for way in (JSON, OURS):
        asyncio.run(profile(way, int(sys.argv[1]) if sys.argv[1:] else 50))
