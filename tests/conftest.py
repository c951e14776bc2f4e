"""Settings of all tests: bounded property tests, and no network beyond loopback."""

import ipaddress
import os
import signal
import socket
import sys

import pytest
from hypothesis import HealthCheck, settings

from persona_share._transport.runtime import SystemClock


_MINUTES = float(os.environ.get("SOAK_MINUTES", "inf"))

# `make test` is the same run every time; `--hypothesis-profile=soak` searches afresh,
# with 10,000 examples of each property in 20 minutes.
settings.register_profile("default", derandomize=True, max_examples=50, deadline=None)
settings.register_profile(
    "soak",
    max_examples=int(min(500 * max(_MINUTES, 1), 10_000)),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")

# A soak ends after SOAK_MINUTES.
_NOW = SystemClock().now
_END = _NOW() + 60 * _MINUTES


def pytest_runtest_protocol(item):
    """Start no test after the end of a soak."""
    if _NOW() > _END:
        item.session.shouldstop = "the minutes of this soak are used up"
        return True
    return None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Let a soak that used up its minutes without a failure succeed."""
    if _NOW() > _END and not session.testsfailed:
        session.exitstatus = pytest.ExitCode.OK


# Programs that tests start would inherit a SIGINT that is ignored, as it is when a shell
# without job control starts the run in the background.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A separate project; `tests/packaging` installs the package and runs its tests.
collect_ignore = ["downstream"]

# The tally counts the faults whose tests ran, and reports them at the end.
pytest_plugins = (
    "tests.selection",
    "tests.watchdog",
    "tests.brief_reports",
    "tests.faults.tally",
    "pytester",
)


def _stays_here(event, arguments):
    """Refuse a connection that would leave this machine."""
    if event != "socket.connect" or arguments[0].family == socket.AF_UNIX:
        return
    host = arguments[1][0]
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise AssertionError(f"a test tried to connect to {host}")


# An audit hook cannot be removed; a test run never needs to.
sys.addaudithook(_stays_here)
