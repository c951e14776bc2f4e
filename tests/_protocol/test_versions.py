"""A version is a date that the service's documents name, or one to be warned of."""

import pytest

from persona_share._protocol.versions import DEFAULT, KNOWN, doubt_about, is_date


#: The header's enumeration, a folder of the description, and the newest of the guides.
DOCUMENTED = [
    "2020-05-18",
    "2021-02-21",
    "2021-05-14",
    "2021-07-05",
    "2021-08-18",
    "2022-09-01",
    "2023-01-05",
    "2025-10-27",
    "2025-12-08",
    "2026-09-29",
]


def test_the_default_is_the_version_of_the_description():
    assert DEFAULT == "2025-12-08"


def test_every_documented_version_is_known():
    assert sorted(KNOWN) == DOCUMENTED
    assert [doubt_about(each) for each in DOCUMENTED] == [None] * len(DOCUMENTED)


def test_another_date_is_doubted():
    assert "2027-01-01" in doubt_about("2027-01-01")


@pytest.mark.parametrize(
    "value", ["", "latest", "2025-12-8", "2025-12-08\r\nX: y", "٢٠٢٥-12-08", None, 2025]
)
def test_what_is_no_date_is_none(value):
    assert not is_date(value)
