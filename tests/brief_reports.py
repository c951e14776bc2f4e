"""A pytest plugin for workers: one message to the controller about a test that passes.

pytest-xdist sends five: that a test starts and that it finishes, and a report of each of
its phases. For most tests that takes longer than the test itself. A phase that does not
pass is always reported, and so are all of them to those who ask for more.
"""

import pytest
from _pytest.runner import runtestprotocol


class BriefReports:
    """Reports the call of each test, and of other phases only those that do not pass."""

    def pytest_runtest_protocol(self, item, nextitem):
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        return True


def suffice(option):
    """Return whether no option needs what brief reports leave out."""
    times = option.durations is not None or option.xmlpath
    at_once = option.maxfail or option.verbose > 0
    return not (times or at_once or option.setupshow)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if hasattr(config, "workerinput") and suffice(config.option):
        config.pluginmanager.register(BriefReports(), "brief_reports")
