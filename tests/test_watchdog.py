"""A test that takes too long is reported."""

import threading
from types import SimpleNamespace

import pytest

from tests.watchdog import CHECKS, Watchdog


@pytest.fixture
def stream(tmp_path):
    with (tmp_path / "stderr").open("w+", encoding="utf-8") as stream:
        yield stream


def read(stream):
    stream.seek(0)
    return stream.read()


@pytest.fixture
def watchdog(stream):
    """Return a watchdog that knows a test and checks on demand."""
    watchdog = Watchdog(stream, limit=60.0)
    watchdog._test = "test_one"
    return watchdog


def test_test_is_reported_once_when_it_is_seen_at_all_checks(watchdog, stream):
    for _ in range(3 * CHECKS):
        watchdog.check()
    report = read(stream)

    assert report.count("test_one takes longer than 60 seconds") == 1
    assert "in test_test_is_reported_once" in report


def test_nothing_is_reported_when_another_test_has_started(watchdog, stream):
    for _ in range(CHECKS):
        watchdog.check()
    watchdog._test = "test_two"
    for _ in range(CHECKS):
        watchdog.check()

    assert read(stream) == ""


def test_nothing_is_reported_while_a_debugger_is_open(watchdog, stream):
    watchdog.pytest_enter_pdb()
    for _ in range(2 * CHECKS):
        watchdog.check()

    assert read(stream) == ""


def test_stacks_of_all_threads_are_written_by_the_own_thread(stream):
    watchdog, written = Watchdog(stream, limit=0.01), threading.Event()
    check = watchdog.check

    def check_and_notify():
        check()
        if watchdog._checks == CHECKS:
            written.set()

    watchdog.check = check_and_notify
    watchdog.pytest_runtest_protocol(SimpleNamespace(nodeid="test_that_hangs"))
    assert written.wait(60)
    watchdog.pytest_sessionfinish()
    report = read(stream)

    assert "test_that_hangs takes longer than 0.01 seconds" in report
    assert "in test_stacks_of_all_threads_are_written_by_the_own_thread" in report
    assert "watchdog.py" in report


def test_each_test_of_this_run_is_watched(request):
    watchdog = request.config.pluginmanager.get_plugin("watchdog")

    assert watchdog._test == request.node.nodeid
    assert "watchdog" in {each.name for each in threading.enumerate()}
