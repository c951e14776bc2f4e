"""A pytest plugin that names a test that takes too long, with the stacks of all threads.

`faulthandler_timeout` of pytest starts and joins a thread for each test; this starts one
thread for all. A thread cannot run while another holds the interpreter's lock, so it also
postpones a dump that needs no lock.
"""

import faulthandler
import os
import threading

import pytest


#: Seconds that a test may take.
LIMIT = 120.0
#: How often a test is looked at within the limit.
CHECKS = 8


class Watchdog:
    """Writes to a stream once the same test was seen at several checks in a row."""

    def __init__(self, stream, limit=LIMIT):
        self._stream = stream
        self._limit = limit
        self._test = self._seen = self._thread = None
        self._checks = 0
        self._stopped = threading.Event()

    def check(self):
        """Report the test if it is the same as at the last checks."""
        test = self._test
        self._checks = self._checks + 1 if test is self._seen else 0
        self._seen = test
        if test is not None and self._checks == CHECKS:
            text = f"\n{test} takes longer than {self._limit:g} seconds\n"
            self._stream.write(text)
            self._stream.flush()
            faulthandler.dump_traceback(self._stream)

    def run(self):
        """Check until the end of the tests."""
        while not self._stopped.wait(self._limit / CHECKS):
            faulthandler.dump_traceback_later(self._limit, file=self._stream)
            self.check()
        faulthandler.cancel_dump_traceback_later()

    # ── What pytest calls ───────────────────────────────────────────────────────

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self._test = item.nodeid
        if self._thread is None:  # where tests run, not where workers are controlled
            self._thread = threading.Thread(
                target=self.run, name="watchdog", daemon=True
            )
            self._thread.start()

    def pytest_enter_pdb(self):
        self._test = None

    def pytest_sessionfinish(self):
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def pytest_unconfigure(self):
        self._stream.close()


def pytest_configure(config):
    # Descriptor 2 belongs to the capture of each test later, but not now.
    stream = os.fdopen(os.dup(2), "w", encoding="utf-8")
    config.pluginmanager.register(Watchdog(stream), "watchdog")
