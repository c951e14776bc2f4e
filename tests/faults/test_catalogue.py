"""The catalogue has each id once, and a run reports ids without a test."""

from types import SimpleNamespace

import pytest

from tests.faults.catalogue import BUILT, DUE, FAULTS
from tests.faults.tally import Tally


def ids(*ranges):
    return {f"f{number}" for first, last in ranges for number in range(first, last + 1)}


def test_every_fault_belongs_to_one_step():
    listed = [fault for step in FAULTS.values() for fault in step]
    expected = ids((1, 26), (30, 38), (40, 90), (100, 117), (120, 129), (140, 148))
    expected |= {f"f39{letter}" for letter in "abcdef"}
    assert sorted(listed) == sorted(expected)
    assert len(listed) == 129


def test_required_faults_follow_from_the_steps():
    assert set(FAULTS) >= BUILT
    assert {"f40", "f60", "f87"} <= DUE


@pytest.fixture
def tally(pytestconfig):
    """A tally of the whole suite, whatever was asked of this run."""
    sources = pytestconfig.ArgsSource
    option = SimpleNamespace(keyword="", markexpr="", slow=False)
    whole = SimpleNamespace(
        option=option, ArgsSource=sources, args_source=sources.TESTPATHS
    )
    return Tally(whole)


def node(name):
    return f"tests/test_x.py::{name}"


def passed(name):
    return SimpleNamespace(nodeid=node(name), when="call", passed=True)


def test_run_fails_when_a_fault_has_no_test(tally):
    tally.collect([node("test_f60_many_callers")])
    assert set(tally.missing) == DUE - {"f60"}
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    tally.pytest_sessionfinish(session)
    assert session.exitstatus is pytest.ExitCode.TESTS_FAILED
    assert "no test for f1 f2" in tally.summary()


def test_test_name_can_contain_several_ids_with_or_without_zeros(tally):
    tally.collect([node("test_f062_f63_it_lands"), node("test_f40_a[f41_]")])
    assert set(tally.tests) == {"f62", "f63", "f40"}


def test_fault_counts_when_all_its_tests_passed(tally):
    tally.collect([node("test_f60_one"), node("test_f60_two")])
    tally.pytest_runtest_logreport(passed("test_f60_one"))
    assert tally.survived == set()
    tally.pytest_runtest_logreport(passed("test_f60_two"))
    assert tally.survived == {"f60"}


def test_run_fails_when_a_test_names_an_id_that_is_not_in_the_catalogue(tally):
    tally.collect([node("test_f999_unheard_of")])
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    tally.pytest_sessionfinish(session)

    assert session.exitstatus is pytest.ExitCode.TESTS_FAILED
    assert "test_f999_unheard_of names f999" in tally.summary()
