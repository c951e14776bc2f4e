"""What went wrong, and for how long nobody tries again."""

import pytest

from persona_share import Scope
from persona_share._tokens.setbacks import Setbacks
from persona_share.errors import (
    AssertionRefusedError,
    AuthorizationCodeRequiredError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
)
from persona_share.model.policy import RenewalPolicy
from persona_share.testing import FakeClock, fake_runtime


A, B = Scope.read("inq_1"), Scope.read("inq_2")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def setbacks(clock):
    return Setbacks(fake_runtime(clock), RenewalPolicy())


def unavailable(**facts):
    return ExchangeUnavailableError("down", **facts)


def test_a_failure_stands_for_its_pause_and_no_longer(setbacks, clock):
    pause = setbacks.note(A, unavailable(), None)
    assert 0 < pause <= 1
    standing = setbacks.of(A)
    assert isinstance(standing, ExchangeUnavailableError)
    assert standing.retry_after == pytest.approx(pause)
    assert setbacks.of(B) is None
    clock.advance(pause)
    assert setbacks.of(A) is None


def test_each_caller_gets_an_error_of_its_own(setbacks):
    setbacks.note(A, unavailable(), None)
    assert setbacks.of(A) is not setbacks.of(A)


def test_pauses_grow_to_a_minute_and_never_further(setbacks):
    pauses = [setbacks.note(A, unavailable(), None) for _ in range(200)]
    assert max(pauses[:1]) <= 1
    assert max(pauses) <= 60
    assert max(pauses) > 30


def test_while_a_token_lives_there_is_time_for_more_than_one_try(setbacks):
    for _ in range(20):
        setbacks.note(A, unavailable(), None)
    assert setbacks.note(A, unavailable(), 40.0) <= 10


def test_a_refused_api_key_stands_against_every_scope(setbacks, clock):
    error = ExchangeAuthenticationError("refused", retry_after=60.0)
    assert setbacks.note(A, error, None) == 60
    assert isinstance(setbacks.of(B), ExchangeAuthenticationError)
    clock.advance(60)
    assert setbacks.of(B) is None


def test_a_refused_assertion_stands_against_its_scope_alone(setbacks, clock):
    error = AssertionRefusedError("refused", retry_after=60.0)
    assert setbacks.note(A, error, None) == 60
    assert isinstance(setbacks.of(A), AssertionRefusedError)
    assert setbacks.of(B) is None


def test_a_closed_api_stands_against_its_scope_for_five_minutes(setbacks):
    error = ExchangeForbiddenError("forbidden", retry_after=300.0)
    assert setbacks.note(A, error, None) == 300
    assert setbacks.of(B) is None


def test_the_code_source_rests_longer_and_longer_up_to_five_minutes(setbacks):
    error = CodeSourceError("down", reason="ValueError")
    pauses = [setbacks.note(A, error, None) for _ in range(12)]
    assert 1 <= pauses[0] <= 2
    assert pauses == sorted(pauses[:8]) + pauses[8:]
    assert 150 <= pauses[-1] <= 300


def test_less_than_was_asked_is_asked_for_as_rarely_as_a_source_that_failed(setbacks):
    error = ScopeNotGrantedError("less", missing="report.read:rep_1")
    pauses = [setbacks.note(A, error, None) for _ in range(12)]
    assert 1 <= pauses[0] <= 2
    assert 150 <= pauses[-1] <= 300


@pytest.mark.parametrize(("left", "pause"), [(800.0, 300.0), (40.0, 40.0)])
def test_less_than_is_held_is_not_asked_for_again_soon(setbacks, left, pause):
    error = ScopeNotGrantedError("less", missing="report.read:rep_1")
    assert setbacks.note(A, error, left) == pause


def test_a_source_without_a_code_rests_as_one_that_failed(setbacks):
    error = AuthorizationCodeRequiredError("none")
    assert setbacks.note(A, error, None, asked_source=True) >= 1


def test_where_no_source_was_asked_nobody_needs_a_rest(setbacks):
    error = AuthorizationCodeRequiredError("none")
    assert setbacks.note(A, error, None, asked_source=False) == 0
    assert setbacks.of(A) is None


def test_three_refused_codes_in_a_minute_stop_exchanges_for_half_a_minute(
    setbacks, clock
):
    for _ in range(2):
        setbacks.rejected(clock.now())
        clock.advance(29)
    assert not setbacks.broken
    setbacks.rejected(clock.now())
    assert isinstance(setbacks.of(B), CodeRejectedError)
    clock.advance(30)
    assert not setbacks.broken


def test_three_refused_codes_in_a_longer_time_stop_nothing(setbacks, clock):
    for _ in range(6):
        setbacks.rejected(clock.now())
        clock.advance(31)
    assert not setbacks.broken


def test_a_token_clears_what_stood_against_key_and_codes(setbacks, clock):
    setbacks.note(A, ExchangeAuthenticationError("no", retry_after=60.0), None)
    for _ in range(3):
        setbacks.rejected(clock.now())
    setbacks.worked()
    assert setbacks.of(B) is None


def test_a_new_code_clears_its_scope_and_every_part_of_it(setbacks):
    for scope in (A, B, A | B):
        setbacks.note(scope, unavailable(), None)
    setbacks.clear_within(A | B)
    assert [setbacks.of(scope) for scope in (A, B, A | B)] == [None] * 3


def test_setbacks_of_many_scopes_are_forgotten_when_they_are_over(clock):
    setbacks = Setbacks(fake_runtime(clock), RenewalPolicy(most_tokens=10))
    for number in range(100):
        setbacks.note(Scope.read(f"inq_{number}"), unavailable(), None)
        clock.advance(10)
    assert len(setbacks._by_scope) <= 10 + 1
