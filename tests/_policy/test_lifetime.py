"""The windows of a token: they scale with its lifetime and leave no gap."""

import pytest
from hypothesis import given, strategies as st

from persona_share._policy.lifetime import (
    Standing,
    advisory,
    code_deadline,
    code_is_sendable,
    cooldown,
    guard,
    mandatory,
    shortened,
    source_backoff,
    standing,
    windows,
)
from persona_share.model.policy import RenewalPolicy


POLICY = RenewalPolicy()
lifetimes = st.floats(0.5, 86_400)
randoms = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        (3, 1.5),
        (600, 300),
        (900, 300),
        (1200, 300),
        (3599, 900),
        (5399, 900),
        (5400, 2700),
        (86400, 3600),
    ],
)
def test_the_advisory_window_has_four_tiers_and_is_half_a_life_at_most(
    lifetime, expected
):
    assert advisory(lifetime) == expected


@pytest.mark.parametrize(
    ("lifetime", "must", "end"), [(3599, 60, 10), (900, 30, 10), (5, 1.25, 0.25)]
)
def test_mandatory_and_guard_shrink_with_the_lifetime(lifetime, must, end):
    assert mandatory(lifetime, POLICY) == must
    assert guard(lifetime, POLICY) == end


@pytest.mark.parametrize(("random", "before_end"), [(0.0, 300), (0.5, 600), (1.0, 900)])
def test_an_hour_is_renewed_between_900_and_300_seconds_before_its_end(
    random, before_end
):
    assert windows(3599, random, POLICY).refresh == pytest.approx(before_end)


def test_under_pressure_the_window_is_stretched_to_1500_seconds():
    assert windows(3599, 1.0, POLICY, pressed=True).refresh == pytest.approx(1500)


@given(lifetimes, randoms, st.booleans())
def test_every_life_has_all_four_stages_in_order(lifetime, random, pressed):
    drawn = windows(lifetime, random, POLICY, pressed=pressed)
    assert 0 < drawn.guard < drawn.mandatory <= drawn.refresh <= lifetime / 2


@given(lifetimes, randoms, st.floats(0, 2))
def test_a_token_is_never_usable_in_its_last_moments(lifetime, random, part):
    drawn = windows(lifetime, random, POLICY)
    now = part * lifetime
    stands = standing(now, lifetime, lifetime - drawn.refresh, lifetime, POLICY)
    assert (stands is Standing.EXPIRED) == (now >= lifetime - drawn.guard)


def test_the_stages_follow_one_another():
    at = [0, 2700, 3539, 3589]
    stages = [standing(now, 3599, 2699, 3599, POLICY) for now in at]
    assert stages == list(Standing)


@given(st.integers(1, 10**6), randoms)
def test_a_cooldown_is_above_0_and_60_seconds_at_the_most(failures, random):
    assert 0 < cooldown(failures, random, POLICY) <= 60


@given(st.integers(1, 10**6), randoms, st.floats(1, 3600))
def test_while_a_token_lives_a_cooldown_is_a_quarter_of_that_at_the_most(
    failures, random, left
):
    assert cooldown(failures, random, POLICY, left) <= left / 4


@given(st.integers(1, 10**6), randoms)
def test_a_code_source_rests_300_seconds_at_the_most(failures, random):
    assert 1 <= source_backoff(failures, random, POLICY) <= 300


def test_delays_are_a_tenth_of_the_lifetime_at_the_most():
    assert shortened(5, 3599) == 5
    assert shortened(5, 3) == pytest.approx(0.3)


def test_f85_a_code_is_not_sent_in_its_last_5_seconds():
    assert code_deadline(100, 599, POLICY) == 694


def test_f86_a_code_of_unknown_age_lives_599_seconds_from_its_receipt():
    assert code_deadline(100, None, POLICY) == 694


def test_a_code_needs_40_seconds_of_life_to_begin_its_exchange():
    assert code_is_sendable(554, 594, 0, POLICY)
    assert not code_is_sendable(554.1, 594, 0, POLICY)


def test_a_short_code_needs_a_tenth_of_its_life():
    deadline = code_deadline(0, 10, POLICY)
    assert code_is_sendable(8.5, deadline, 0, POLICY)
    assert not code_is_sendable(8.6, deadline, 0, POLICY)
