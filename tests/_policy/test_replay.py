"""An event is handled by one process at a time, and again only if none finished."""

import pytest
from hypothesis import given, strategies as st

from persona_share._policy.replay import (
    MAX_LEASE,
    Claim,
    Handled,
    InProgress,
    claim,
    from_bytes,
    is_owned_by,
    to_bytes,
)


NOW = 1_000.0


def claimed(record, owner="ours", *, now=NOW, lease=30.0):
    return claim(record, owner, now=now, lease=lease)


def test_unknown_event_is_claimed():
    assert claimed(None) == Claim("ours", NOW + 30)


def test_event_that_another_handles_is_in_progress():
    assert claimed(Claim("theirs", NOW + 12)) == InProgress(12)


@pytest.mark.parametrize("until", [NOW, NOW - 1, NOW + MAX_LEASE + 1])
def test_claim_that_expired_or_makes_no_sense_is_taken_over(until):
    assert claimed(Claim("theirs", until)) == Claim("ours", NOW + 30)


def test_own_claim_is_claimed_again_when_its_response_was_lost():
    assert claimed(Claim("ours", NOW + 12)) == Claim("ours", NOW + 30)


def test_handled_event_stays_handled():
    assert claimed(Handled()) == Handled()


@pytest.mark.parametrize("record", [Claim("ours", 12.5), Handled()])
def test_record_survives_writing_and_reading(record):
    assert from_bytes(to_bytes(record)) == record


@pytest.mark.parametrize("data", [b"", b"seen", b"[1]", b"{}", b'["a","b"]', b"\xff"])
def test_record_that_cannot_be_read_counts_as_handled(data):
    assert from_bytes(data) == Handled()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["claim", "confirm", "release"]),
            st.floats(0, 20),
        ),
        max_size=40,
    )
)
def test_claimed_or_finished_event_cannot_be_claimed(steps):
    record, now, holder = None, NOW, None
    for owner, step, passes in steps:
        now += passes
        if step == "claim":
            result = claimed(record, owner, now=now)
            if isinstance(result, Claim):
                assert holder is None or holder[0] == owner or holder[1] <= now
                record, holder = result, (owner, result.until)
            else:
                assert record == Handled() or holder[1] > now
        elif holder is not None and holder[0] == owner and is_owned_by(record, owner):
            record, holder = (Handled() if step == "confirm" else None), None
