"""Hundreds of runs that fail: kills, power cuts, full disks, outages, overlapping runs.

``python -m tests.batch.soak`` prints one line for each kind of failure: how many runs
there were, and how often something was lost, saved twice, or saved with a hole.
"""

import argparse
import asyncio
import math
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.batch.saved import FAILURES, KINDS, Job
from tests.processes import FORKSERVER


#: A file system in memory, where the system has one: a sync costs nothing there.
MEMORY = Path("/dev/shm")  # noqa: S108  # files for this user alone
#: Seeds of one task of a process.
PART = 5
#: A soak of so many minutes must do all runs; a shorter one does some of each kind.
WHOLE = 20
PROBLEMS = ("lost", "twice", "holes")


def run_part(failure, kind, seeds, end):
    """Run these seeds until the end, at least one, and count runs and problems."""
    counts, texts = Counter(), []
    for seed in seeds:
        if counts["runs"] and time.monotonic() > end:  # noqa: TID251  # a soak takes real time
            break
        folder = MEMORY if os.access(MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(dir=folder) as name:
            job = Job(kind, Path(name))
            try:
                runs = asyncio.run(FAILURES[failure](job, seed))
            except Exception as error:  # noqa: BLE001  # reported with its seed
                job.problems.append(("failed", repr(error)))
                runs = 1
        counts["runs"] += runs
        counts.update({each for each, _ in job.problems})
        texts += [f"{kind}, seed {seed}: {each}: {what}" for each, what in job.problems]
    return counts, texts


def main(runs, processes, minutes, failures):
    """Run everything and return the exit code."""
    end = time.monotonic() + 60 * minutes  # noqa: TID251  # a soak takes real time
    good = True
    least = runs if minutes >= WHOLE else 1
    rounds = [(failure, kind) for failure in failures for kind in KINDS]
    with ProcessPoolExecutor(processes, mp_context=FORKSERVER) as pool:
        for number, (failure, kind) in enumerate(rounds):
            now = time.monotonic()  # noqa: TID251  # as above
            share = now + (end - now) / (len(rounds) - number)
            counts, texts = _run(pool, failure, kind, runs, share)
            found = ", ".join(f"{counts[each]} {each}" for each in PROBLEMS)
            print(f"{kind}, {failure}: {counts['runs']} runs, {found}", flush=True)  # noqa: T201  # this is a program
            for each in texts[:10]:
                print(f"  {each}", flush=True)  # noqa: T201  # as above
            good = good and not texts and counts["runs"] >= least
    return 0 if good else 1


def _run(pool, failure, kind, runs, end):
    """Run one kind of failure, at least once; a seed may have several runs, or none."""
    counts, texts, first = Counter(), [], 0
    while counts["runs"] < (1 if time.monotonic() > end else runs):  # noqa: TID251  # as above
        # As many seeds as are missing, if those to come are like those before.
        rate = max(counts["runs"] / first, 0.1) if first else 1.0
        last = first + max(math.ceil((runs - counts["runs"]) / rate), PART)
        last = min(last, first + 8 * PART)
        parts = [range(x, min(x + PART, last)) for x in range(first, last, PART)]
        first = last
        tasks = [pool.submit(run_part, failure, kind, each, end) for each in parts]
        for each in tasks:
            found, lines = each.result()
            counts += found
            texts += lines
    return counts, texts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.batch.soak")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "20"))
    )
    parser.add_argument("--failures", nargs="+", choices=FAILURES, default=[*FAILURES])
    given = parser.parse_args()
    sys.exit(main(given.runs, given.processes, given.minutes, given.failures))
