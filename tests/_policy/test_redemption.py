"""Polling intervals: from one to thirty seconds, and never past the deadline (F147)."""

import pytest
from hypothesis import given, strategies as st

from persona_share._policy.redemption import pause


@pytest.mark.parametrize(
    ("asked", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (99, 30)]
)
def test_f147_pause_doubles_up_to_half_a_minute(asked, seconds):
    assert pause(asked, 0.0, 1_000) == seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_f147_jitter_is_a_quarter_and_the_callers_time_is_the_end(asked, random, left):
    base = pause(asked, 0.0, 1_000)

    assert 0 <= pause(asked, random, left) <= left
    assert base <= pause(asked, random, 1_000) <= base * 1.25
