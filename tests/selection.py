"""A pytest plugin that selects the tests of a run and reports those it left out.

A test that cannot run here is not collected, and nothing is marked as skipped. A test
says what it needs with ``@pytest.mark.needs("description")``; a test that uses a server
is recognized by its fixture (`SERVERS`) or by a parameter such as ``"redis"``.

``@pytest.mark.slow`` marks a test that takes long. A run of the whole suite leaves
those out; ``--slow`` runs these alone, and a run of named paths runs everything there.
"""

import gc
import importlib.util
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests import postgres_server, redis_server


#: Fixtures that start a server, and which one.
SERVERS = {
    "one_redis": "redis-server",
    "own_redis": "redis-server",
    "one_postgres": "postgresql",
    "own_postgres": "postgresql",
}
#: Values of parameters that stand for a server.
PARAMETERS = {"redis": "redis-server", "postgres": "postgresql"}
#: Modules that import a library which does not exist for every Python and platform.
LIBRARIES = {
    "scenarios/test_uvloop.py": "uvloop",
    "browser/test_inspector.py": "playwright",
    "docs/test_reference_pages.py": "sphinx",
    "docs/test_surface.py": "sphinx",
    "packaging/test_contracts.py": "importlinter",
}
TESTS = Path(__file__).parent


def describes_persona():
    """Return whether Persona's description is here; see tests/contract."""
    from tests.contract.description import PATH  # noqa: PLC0415 - only if it is asked

    return PATH.is_file()


#: Requirements of tests: how to detect each, and how to get it.
NEEDS = {
    "redis-server": (
        lambda: redis_server.BINARY is not None,
        "Debian: apt-get install redis-server",
    ),
    "postgresql": (
        lambda: postgres_server.BINARIES is not None,
        "Debian: apt-get install postgresql",
    ),
    "description": (
        describes_persona,
        "Persona's OpenAPI file; PERSONA_OPENAPI_SPEC names it",
    ),
    "chromium": (
        lambda: shutil.which("chromium") is not None,
        "Debian: apt-get install chromium",
    ),
    "root": (lambda: hasattr(os, "geteuid") and os.geteuid() == 0, "run as root"),
    "linux": (lambda: Path("/proc/self/fd").is_dir(), "reads /proc"),
}


def needs_of(item):
    """Return what this test needs and this machine may lack."""
    found = [name for mark in item.iter_markers("needs") for name in mark.args]
    found += [SERVERS[name] for name in item.fixturenames if name in SERVERS]
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    found += [
        PARAMETERS[value]
        for value in values
        if isinstance(value, str) and value in PARAMETERS
    ]
    return found


class Selection:
    """Leaves out what cannot run here, and counts it."""

    def __init__(self, config):
        self._only_slow = config.option.slow
        self._whole = config.args_source is config.ArgsSource.TESTPATHS
        self._here = {}
        self.left_out = Counter()

    def lacks(self, name):
        """Return whether this machine lacks what a test may need."""
        if name not in self._here:
            self._here[name] = NEEDS[name][0]()
        return not self._here[name]

    def chooses(self, item):
        """Return whether this run wants the test, and note it if it cannot run."""
        is_slow = item.get_closest_marker("slow") is not None
        if self._only_slow != is_slow and (self._only_slow or self._whole):
            return False
        lacking = next(filter(self.lacks, needs_of(item)), None)
        if lacking is not None:
            self.left_out[lacking] += 1
        return lacking is None

    # ── What pytest calls ───────────────────────────────────────────────────────

    def pytest_ignore_collect(self, collection_path):
        if not collection_path.is_relative_to(TESTS):
            return None
        library = LIBRARIES.get(collection_path.relative_to(TESTS).as_posix())
        if library is None or importlib.util.find_spec(library) is not None:
            return None
        self.left_out[library] = 1
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self):
        # Thousands of tests are no garbage: not now, and not in any later collection.
        gc.disable()
        try:
            return (yield)
        finally:
            gc.freeze()
            gc.enable()
            # With the default, 700, collections take a tenth of the time of a run.
            gc.set_threshold(10_000)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self.chooses(item)]

    def pytest_sessionfinish(self, session):
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["left_out"] = dict(self.left_out)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        # Every worker collects the whole suite, so each of them says the same.
        self.left_out |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))

    def pytest_terminal_summary(self, terminalreporter):
        if self.left_out:
            terminalreporter.write_line(self.summary())

    def summary(self):
        """Return one line about what was left out, and how to get what it needs."""
        parts = [
            f"{count} that need {name} ({NEEDS[name][1]})"
            if name in NEEDS
            else f"a module that needs {name}"
            for name, count in sorted(self.left_out.items())
        ]
        return f"left out: {', '.join(parts)}"


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests alone")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Start one worker more than there are processors: tests wait for others, too."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return len(usable(0)) + 1


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; `make test-slow` runs it")
    config.addinivalue_line("markers", "needs(name, …): what a machine may lack")
    config.pluginmanager.register(Selection(config), "selection")
