"""Workers report the calls of tests, and everything that does not pass."""

from types import SimpleNamespace

import pytest

from tests.brief_reports import BriefReports, suffice


TESTS = """
    import pytest

    @pytest.fixture
    def broken():
        assert False

    @pytest.fixture
    def broken_at_its_end():
        yield
        assert False

    def test_passes():
        pass

    def test_fails():
        assert False

    def test_setup_fails(broken):
        pass

    def test_teardown_fails(broken_at_its_end):
        pass

    @pytest.mark.skip
    def test_is_skipped():
        pass
"""


class Recorder:
    def __init__(self):
        self.reports = []

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition("::")[2]
        self.reports.append((name, report.when, report.outcome))


def test_calls_and_phases_that_do_not_pass_are_reported(pytester):
    pytester.makepyfile(TESTS)
    recorder = Recorder()
    scope = "asyncio_default_fixture_loop_scope=function"
    in_order = ("-p", "no:randomly", "-o", scope)
    pytester.inline_run(*in_order, plugins=[BriefReports(), recorder])

    assert recorder.reports == [
        ("test_passes", "call", "passed"),
        ("test_fails", "call", "failed"),
        ("test_setup_fails", "setup", "failed"),
        ("test_teardown_fails", "call", "passed"),
        ("test_teardown_fails", "teardown", "failed"),
        ("test_is_skipped", "setup", "skipped"),
    ]


OPTIONS = {
    "durations": None,
    "xmlpath": None,
    "maxfail": 0,
    "verbose": 0,
    "setupshow": False,
}


@pytest.mark.parametrize(
    "asked",
    [
        {"durations": 10},
        {"xmlpath": "report.xml"},
        {"maxfail": 1},
        {"verbose": 1},
        {"setupshow": True},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_brief_reports_do_not_suffice_when_more_is_asked(asked):
    assert suffice(SimpleNamespace(**OPTIONS))
    assert not suffice(SimpleNamespace(**OPTIONS | asked))
