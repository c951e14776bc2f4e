"""The shortest time of calls at a limit per minute."""

import pytest

from persona_share._policy.rate_limit import minimum_duration
from persona_share.model.batch import RateLimitStatus


@pytest.mark.parametrize(
    ("calls", "remaining", "resets_in", "seconds"),
    [
        (0, 0, 30, 0),
        (100, 100, 30, 0),
        (101, 100, 30, 30),  # one has to wait for the next window
        (400, 100, 30, 30),
        (401, 100, 30, 90),  # and one for the window after that
        (10_000, 300, 60, 60 + 32 * 60),  # 34 windows, the first of them at once
    ],
)
def test_last_call_waits_for_its_window(calls, remaining, resets_in, seconds):
    allowance = RateLimitStatus(limit=300, remaining=remaining, resets_in=resets_in)

    assert minimum_duration(calls, allowance).total_seconds() == seconds


def test_limit_of_zero_does_not_divide_by_zero():
    allowance = RateLimitStatus(limit=0, remaining=0, resets_in=60)

    assert minimum_duration(1, allowance).total_seconds() == 60
