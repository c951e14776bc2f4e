"""Paired timing: alternating runs of our code and of the reference, so that drift affects both.

What is timed never waits and is run by one thread, so its time is that of the
processor: what else runs on the machine does not count.
"""

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import attrs


@attrs.frozen
class Pair:
    """The medians of alternating runs, in seconds."""

    ours: float
    yardstick: float


def timed(work: Callable[[], object]) -> float:
    """Return the duration in seconds, without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        started = time.thread_time()
        work()
        return time.thread_time() - started
    finally:
        gc.enable()


async def timed_async(work: Callable[[], Awaitable[object]]) -> float:
    """Return the duration in seconds, without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        started = time.thread_time()
        await work()
        return time.thread_time() - started
    finally:
        gc.enable()


def paired(
    ours: Callable[[], object], yardstick: Callable[[], object], rounds: int
) -> Pair:
    """Return the medians of alternating runs."""
    with _older_objects_set_aside():
        runs = [(timed(ours), timed(yardstick)) for _ in range(rounds)]
    return _medians(runs)


async def paired_async(
    ours: Callable[[], Awaitable[object]],
    yardstick: Callable[[], Awaitable[object]],
    rounds: int,
) -> Pair:
    """Return the medians of so many runs of each, taken by turns in one event loop."""
    with _older_objects_set_aside():
        runs = [
            (await timed_async(ours), await timed_async(yardstick))
            for _ in range(rounds)
        ]
    return _medians(runs)


@contextmanager
def _older_objects_set_aside() -> Iterator[None]:
    """Spare the collections between the runs everything that was there before them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _medians(runs: list[tuple[float, float]]) -> Pair:
    ours, yardstick = zip(*runs, strict=True)
    return Pair(statistics.median(ours), statistics.median(yardstick))
