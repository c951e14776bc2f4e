"""A pytest plugin that counts the faults whose tests passed: ``faults: n/n``.

Under pytest-xdist the workers run the tests and the controller, which sees every report,
counts.
"""

import re

import pytest

from tests.faults.catalogue import DUE, FAULTS


#: A name may have several ids: test_f62_f63_….
ID = re.compile(r"(?<=_f)0*([0-9]+[a-f]?)(?=_)")


class Tally:
    """The faults that have a test, and the tests that passed."""

    def __init__(self, config):
        # A part of the suite does not show whether a test is missing.
        option = config.option
        from_settings = config.args_source is config.ArgsSource.TESTPATHS
        chosen = option.keyword or option.markexpr or option.slow
        self.whole = from_settings and not chosen
        self.tests = {}
        self.passed = set()
        self.unknown = set()

    def collect(self, node_ids):
        """Record which tests belong to which faults."""
        known = {fault for step in FAULTS.values() for fault in step}
        for node_id in node_ids:
            name = node_id.partition("[")[0].rpartition("::")[2]
            for number in ID.findall(name):
                fault = f"f{number}"
                if fault not in known:
                    self.unknown.add(f"{node_id} names {fault}")
                self.tests.setdefault(fault, set()).add(node_id)

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
        if self.unknown:
            return f"{line}; not in the catalogue: {', '.join(sorted(self.unknown))}"
        if not self.whole:
            return f"{line} in this part of the tests"
        return f"{line}, no test for {' '.join(self.missing)}" if self.missing else line

    # ── What pytest calls ───────────────────────────────────────────────────────

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        self.collect(item.nodeid for item in items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids):
        self.collect(ids)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
        elif not report.passed:
            self.passed.discard(report.nodeid)

    def pytest_sessionfinish(self, session):
        incomplete = self.unknown or (self.whole and self.missing)
        if incomplete and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(self.summary())


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tally(config), "faults")
