"""Rate-limit headers."""

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.http import Response
from persona_share._protocol.limits import count_of, retry_after_of


QUOTA = b'{"errors":[{"title":"Quota exceeded"}]}'
JSON = {"content-type": "application/json"}


def wish(status=429, body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return retry_after_of(Response(status=status, headers=JSON | named, body=body))


def test_retry_after_beats_the_reset():
    assert wish(retry_after="7", ratelimit_reset="30") == 7
    assert wish(503, retry_after="7") == 7


def test_reset_counts_when_nothing_remains():
    assert wish(ratelimit_reset="30") == 30
    assert wish(ratelimit_reset="30", ratelimit_remaining="0") == 30
    assert wish(ratelimit_reset="0") == 0


def test_reset_does_not_count_while_something_remains():
    assert wish(ratelimit_reset="30", ratelimit_remaining="3") is None


def test_quota_has_a_reset_of_its_own():
    limits = {"ratelimit_reset": "3", "ratelimit_remaining": "0"}
    assert wish(body=QUOTA, quota_reset="40", **limits) == 40
    assert wish(body=QUOTA, **limits) is None


def test_other_statuses_have_no_retry_after():
    for status in (200, 400, 401, 403, 404, 408, 500, 502, 504):
        assert wish(status, retry_after="7", ratelimit_reset="7") is None
    assert wish(503, ratelimit_reset="7") is None


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "1.5", "+3", "1e3", "٣", "9" * 40, "0x10", "inf"]
)
def test_invalid_number_of_seconds_is_ignored(text):
    assert wish(retry_after=text) is None
    assert wish(ratelimit_reset=text) is None


def test_reset_that_looks_like_an_instant_is_ignored():
    assert wish(ratelimit_reset="3600") == 3600
    assert wish(ratelimit_reset="3601") is None
    assert wish(ratelimit_reset="1767225600") is None


def test_no_wait_is_longer_than_an_hour():
    assert wish(retry_after="999999999") == 3600
    now, later = "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"
    assert wish(503, retry_after=later, date=now) == 3600


def test_of_repeated_headers_the_largest_counts():
    assert wish(retry_after="5, 9, x") == 9
    assert wish(ratelimit_reset="5, 9", ratelimit_remaining="0, 0") == 9


def test_date_counts_from_the_date_of_the_response():
    now, later = "Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:42 GMT"
    assert wish(retry_after=later, date=now) == 42
    assert wish(retry_after=now, date=later) is None  # it is over
    assert wish(retry_after=later) is None
    assert wish(retry_after=later, date="today") is None


@given(st.text(), st.text(), st.text())
def test_no_header_can_break_it(one, two, three):
    seconds = wish(retry_after=one, date=two, ratelimit_reset=three)
    assert seconds is None or seconds >= 0


def test_count_is_a_whole_number_or_none():
    assert count_of({"a": " 7 "}, "a") == 7
    assert count_of({"a": "x"}, "a") is None
    assert count_of({}, "a") is None
