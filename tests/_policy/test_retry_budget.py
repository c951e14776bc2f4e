"""The budget of retries."""

import pytest
from hypothesis import given, strategies as st

from persona_share._policy.retry import Budget
from persona_share.model.policy import RetryPolicy


@pytest.fixture
def budget():
    return Budget(RetryPolicy())


def test_retry_takes_from_the_budget_and_its_success_returns_it(budget):
    assert budget.spend(14)
    assert budget.level == 486
    assert budget.spend(14)
    assert budget.level == 472
    budget.succeeded(14)
    assert budget.level == 486


def test_success_without_a_retry_adds_one(budget):
    assert budget.spend(14)
    budget.succeeded()
    assert budget.level == 487


def test_it_never_holds_more_than_at_first(budget):
    budget.succeeded()
    budget.succeeded(14)
    assert budget.level == 500


def test_dead_service_gets_thirty_five_retries_and_no_more(budget):
    assert [budget.spend(14) for _ in range(36)] == [True] * 35 + [False]
    assert budget.level == 10
    assert budget.spend(5)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=200))
def test_its_level_stays_between_nothing_and_all(steps):
    budget = Budget(RetryPolicy(budget=50))
    for spends, amount in steps:
        if spends:
            budget.spend(amount)
        else:
            budget.succeeded(amount)
        assert 0 <= budget.level <= 50
