"""The long tests: ``python -m tests.soak PART`` runs one part, bounded in time.

``SOAK_MINUTES`` limits the time of a part. A part that does not stop soon after it is
killed and fails. Further arguments go to the part:
``python -m tests.soak saving --runs 50``.
"""

import os
import subprocess
import sys


GRACE = 5.0
PARTS = {
    "properties": (
        "pytest",
        "-q",
        "--hypothesis-profile=soak",
        "-ofaulthandler_timeout=600",  # a batch may take minutes on a busy machine
        "tests/_policy",
        "tests/_tokens/test_record.py",
        "tests/model",
        "tests/_protocol",
    ),
    "kills": ("tests.fleet.kills", "--kills=500"),
    "batch": (
        "pytest",
        "-q",
        "tests/scenarios/test_ten_thousand.py",
        "tests/cli/test_killed.py",
        "tests/batch/test_dask.py",
    ),
    "saving": ("tests.batch.soak", "--runs=500"),
    "fuzz": ("tests.fuzz", "--n=50000"),
    "sandbox": ("tests.sandbox.soak",),
    "simulation": ("tests.simulation", "--seeds=2000"),
    "transport": ("tests.transport_soak",),
    "webhooks": ("tests.webhook_mutations", "--headers=50000"),
}


def main(part, *arguments):
    """Run one part and return its exit code."""
    minutes = float(os.environ.setdefault("SOAK_MINUTES", "20"))
    command = [sys.executable, "-m", *PARTS[part], *arguments]
    return subprocess.call(  # noqa: S603  # it is our own command
        command, timeout=60 * (minutes + GRACE)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
