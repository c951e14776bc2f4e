"""The run ends with how many of the faults that are due were survived: ``faults: n/n``."""

import re

import pytest

from tests.faults.catalogue import DUE, FAULTS


#: Both f62 and f63 stand in test_f62_f63_once_sent_an_exchange_lands.
ID = re.compile(r"(?<=_f)0*([0-9]+[a-f]?)(?=_)")


class Tally:
    """Which faults have a test, and which of those tests passed."""

    def __init__(self, config):
        # A part of the suite cannot tell whether a test is missing.
        chosen = config.option.keyword or config.option.markexpr
        from_settings = config.args_source is config.ArgsSource.TESTPATHS
        self.whole = from_settings and not chosen
        self.tests = {}
        self.passed = set()

    def collect(self, items):
        known = {fault for step in FAULTS.values() for fault in step}
        for item in items:
            for number in ID.findall(item.name.partition("[")[0]):
                fault = f"f{number}"
                if fault not in known:
                    message = f"{item.nodeid} names {fault}, which is in no catalogue"
                    raise pytest.UsageError(message)
                self.tests.setdefault(fault, set()).add(item.nodeid)

    @property
    def survived(self):
        return {
            fault
            for fault in DUE & self.tests.keys()
            if self.tests[fault] <= self.passed
        }

    @property
    def missing(self):
        return sorted(DUE - self.tests.keys(), key=lambda fault: (len(fault), fault))

    def summary(self):
        line = f"faults: {len(self.survived)}/{len(DUE)}"
        if not self.whole:
            return f"{line} in this part of the tests"
        return f"{line}, no test for {' '.join(self.missing)}" if self.missing else line

    # ── What pytest calls ───────────────────────────────────────────────────────

    def pytest_collection_modifyitems(self, items):
        self.collect(items)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
        elif not report.passed:
            self.passed.discard(report.nodeid)

    def pytest_sessionfinish(self, session):
        if self.whole and self.missing and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(self.summary())


def pytest_configure(config):
    config.pluginmanager.register(Tally(config), "faults")
