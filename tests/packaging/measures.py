"""The measures of the house: how long its files are, and how well they are tested."""

import statistics
from pathlib import Path


HOUSE = Path(__file__).parents[2]
MEDIAN_AT_MOST = 120
LONGEST_AT_MOST = 400


def lengths(folder: str) -> dict[str, int]:
    """Answer the number of lines of each Python file that has any."""
    files = {
        str(path.relative_to(HOUSE)): len(path.read_text("utf-8").splitlines())
        for path in (HOUSE / folder).rglob("*.py")
    }
    return {name: lines for name, lines in files.items() if lines}


def summary() -> str:
    """Answer the measures in one line."""
    source, tests = lengths("persona_share"), lengths("tests")
    longest = max(source, key=source.__getitem__)
    return (
        f"house: {len(source)} files, median {statistics.median(source.values()):.0f} "
        f"lines, longest {source[longest]} ({longest}), "
        f"{sum(tests.values())} test lines for {sum(source.values())} source lines"
    )
