"""Random schedules for the soak: ``python -m tests.simulation --seeds N``."""

import argparse
import logging
import sys

from tests.simulation.fleet import broken_by
from tests.simulation.mutants import MUTANTS, planted


def main(arguments=None):
    """Run the seeds, then plant every mutant; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    seeds = range(given.first, given.first + given.seeds)
    broken = [(seed, what) for seed in seeds for what in broken_by(seed)]
    for seed, what in broken:
        print(f"broken: seed={seed} {what}")  # noqa: T201  # this is a program
    caught = 0
    for name in MUTANTS:
        with planted(name):
            found = next((seed for seed in seeds if broken_by(seed)), None)
        caught += found is not None
        print(f"mutant: {name}: {'missed' if found is None else f'seed {found}'}")  # noqa: T201  # as above
    print(  # noqa: T201  # as above
        f"simulation: seeds={given.seeds} broken={len(broken)}"
        f" mutants={caught}/{len(MUTANTS)}"
    )
    return bool(broken) or caught < len(MUTANTS)


if __name__ == "__main__":
    sys.exit(main())
