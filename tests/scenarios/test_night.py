"""A night of copying, as the documentation shows it, with fewer people."""

import re
from pathlib import Path

import pytest

from benchmarks.night import UNKNOWN, Night


PAGE = Path("docs/howto/copying.md").read_text("utf-8")


def without_numbers(text):
    return re.sub(r"\d[\d,]*", "N", text).split("\n")


@pytest.mark.asyncio
async def test_a_night_of_copying_ends_with_every_person_complete(tmp_path, capsys):
    night = Night(24, tmp_path / "people", concurrency=2)
    began = night.clock.now()
    await night.run()
    first, second = night.reports

    assert night.problems() == []
    assert 12 < first.copied < 24
    assert (second.copied, second.skipped) == (24 - first.copied, first.copied)
    assert [each.id for each in night.failed] == [UNKNOWN] * 2
    assert night.clock.now() - began >= 600  # the outage
    # The page shows the lines of the command, whose last one `main` prints.
    (shown,) = re.findall(r"```text\n(00:00:00 .*?)\n```", PAGE, re.DOTALL)
    printed = capsys.readouterr().out.rstrip()
    assert {*without_numbers(printed)} == {*without_numbers(shown)[:-1]}

    # A file or a person that is missing would be noticed.
    night.truth.files[night.truth.ids[0]] += 1
    night.truth.statuses[night.truth.ids[1]]["account"] = "not covered"
    night.copied = [each for each in night.copied if each.id != night.truth.ids[2]]
    assert len(night.problems()) == 4
