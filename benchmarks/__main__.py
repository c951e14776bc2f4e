"""Print every figure as one line of JSON, or only those of the modules named."""

import sys
from importlib import import_module

from benchmarks.figure import show


MODULES = [
    "import_time",
    "decode",
    "request_path",
    "rate_limit",
    "shared_rate_limit",
    "token_hit",
    "token_stampede",
    "token_hour_boundary",
    "token_scale",
    "token_storm",
    "store",
    "fleet",
    "batch",
    "batch_files",
    "batch_sandbox",
]


if __name__ == "__main__":
    names = sys.argv[1:] or MODULES
    show(*(import_module(f"benchmarks.{name}").figures for name in names))
