"""A night of copying, as the documentation shows it, with fewer people."""

import re
from pathlib import Path

import pytest

from benchmarks.night import UNKNOWN, CopyRun


PAGE = Path("docs/howto/copying.md").read_text("utf-8")


def without_numbers(text):
    return re.sub(r"\d[\d,]*", "N", text).split("\n")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_night_of_copying_ends_with_every_person_complete(tmp_path, capsys):
    copy_run = CopyRun(24, tmp_path / "people", concurrency=2)
    began = copy_run.clock.now()
    await copy_run.run()
    first, second = copy_run.reports

    assert copy_run.problems() == []
    assert 12 < first.copied < 24
    assert (second.copied, second.skipped) == (24 - first.copied, first.copied)
    assert [each.id for each in copy_run.failed] == [UNKNOWN] * 2
    assert copy_run.clock.now() - began >= 600  # the outage
    # The page shows the lines of the command, whose last one `main` prints.
    (shown,) = re.findall(r"```text\n(00:00:00 .*?)\n```", PAGE, re.DOTALL)
    printed = capsys.readouterr().out.rstrip()
    assert {*without_numbers(printed)} == {*without_numbers(shown)[:-1]}

    # A file or a person that is missing would be noticed.
    copy_run.expected.files[copy_run.expected.ids[0]] += 1
    copy_run.expected.statuses[copy_run.expected.ids[1]]["account"] = "not covered"
    copy_run.copied = [
        each for each in copy_run.copied if each.id != copy_run.expected.ids[2]
    ]
    assert len(copy_run.problems()) == 4
