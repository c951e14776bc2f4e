"""Random schedules for the soak: ``python -m tests.simulation --seeds N``.

It runs so many seeds, or as many as there is time for in ``SOAK_MINUTES``. The mutants
are planted first: a run that is short still shows that they are found.
"""

import argparse
import logging
import os
import sys

from persona_share._transport.runtime import SystemClock
from tests.simulation.fleet import broken_by
from tests.simulation.mutants import MUTANTS, planted


def main(arguments=None):
    """Run the seeds, then plant every mutant; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    now = SystemClock().now
    end = now() + 60 * float(os.environ.get("SOAK_MINUTES", "inf"))
    seeds = range(given.first, given.first + given.seeds)
    caught = 0
    for name in MUTANTS:
        with planted(name):
            found = next((seed for seed in seeds if broken_by(seed)), None)
        caught += found is not None
        print(f"mutant: {name}: {'missed' if found is None else f'seed {found}'}")  # noqa: T201  # this is a program
    ran = broken = 0
    for seed in seeds:
        for what in broken_by(seed):
            broken += 1
            print(f"broken: seed={seed} {what}")  # noqa: T201  # as above
        ran += 1
        if now() > end:
            break
    print(  # noqa: T201  # as above
        f"simulation: seeds={ran} broken={broken} mutants={caught}/{len(MUTANTS)}"
    )
    return bool(broken) or caught < len(MUTANTS)


if __name__ == "__main__":
    sys.exit(main())
