"""Files stay short enough to be read in one sitting."""

import statistics

from tests.packaging.measures import LONGEST_AT_MOST, MEDIAN_AT_MOST, lengths


def test_half_of_the_files_fit_on_two_screens():
    assert statistics.median(lengths("persona_share").values()) <= MEDIAN_AT_MOST


def test_no_file_is_longer_than_the_limit():
    files = lengths("persona_share") | lengths("tests")

    assert {n: lines for n, lines in files.items() if lines > LONGEST_AT_MOST} == {}
