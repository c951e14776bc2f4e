"""Print every figure as one line of JSON, or only those of the modules named."""

import sys
from importlib import import_module


MODULES = ["imports"]


def main() -> None:
    """Run the benchmarks one after the other, so that none disturbs another."""
    for name in sys.argv[1:] or MODULES:
        for figure in import_module(f"benchmarks.{name}").figures():
            print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
