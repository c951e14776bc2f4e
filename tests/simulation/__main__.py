"""Run the simulation from the command line; the last line tells how it went."""

import argparse
import hashlib
import os
import sys

from persona_share._transport.runtime import SystemClock
from tests.simulation.run import Simulation


def twice(seed, steps):
    """Run one seed twice; answer the trace's hash and what broke."""
    first, second = (Simulation(seed, steps).run() for _ in range(2))
    breaks = list(first.breaks)
    if first.trace != second.trace:
        breaks.append("the same seed left two traces")
    return first.trace, breaks


def main(arguments=None):
    """Run so many seeds, for so many minutes at the most."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    minutes = os.environ.get("SOAK_MINUTES", "15")
    parser.add_argument("--minutes", type=float, default=float(minutes))
    asked = parser.parse_args(arguments)
    clock = SystemClock()
    end = clock.now() + 60 * asked.minutes
    total, done, broken = hashlib.sha256(), 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        if clock.now() > end:
            break
        trace, breaks = twice(seed, asked.steps)
        total.update(trace.encode())
        done, broken = done + 1, broken + len(breaks)
        for each in breaks:
            sys.stdout.write(f"seed {seed}: {each}\n")
        sys.stdout.flush()
    trace = total.hexdigest()[:16]
    last = f"simulation: seeds={done} breaks={broken} trace={trace}"
    sys.stdout.write(f"{last}\n")
    return 1 if broken or not done else 0


if __name__ == "__main__":
    sys.exit(main())
