"""The tests on every Python of this machine, with the lowest and the newest dependencies.

``nox -l`` lists the sessions; ``python noxfile.py`` prints which Pythons it found, and
``nox -t others`` runs the tests that depend on a Python's asyncio, ssl and sqlite3 on each of
them but the one that runs nox.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nox


PROJECT = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
#: Each Python that the classifiers name, and its free-threaded build where there is one.
VERSIONS = [
    each.rpartition(" ")[2]
    for each in PROJECT["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", each)
]
VERSIONS += [f"{each}t" for each in VERSIONS if each not in ("3.11", "3.12")]
EXTRAS = ",".join(PROJECT["optional-dependencies"])
#: Tests of what differs between Pythons: asyncio, TLS, the clock and the stores.
DIFFERING = (
    "tests/_tokens",
    "tests/_transport",
    "tests/faults",
    "tests/scenarios",
    "tests/stores",
    "tests/testing",
    "tests/test_pytest_plugin.py",
)
PARALLEL = ("-q", "-n", "auto", "--dist", "worksteal")

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.tags = ["newest"]


def runs(path: str | None, version: str) -> bool:
    """Return whether a path is this Python; pyenv has commands for absent versions."""
    if path is None:
        return False
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    told = subprocess.run(  # noqa: S603 - an interpreter
        [path, "-c", code], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() == version.rstrip("t")


def interpreters() -> dict[str, str]:
    """Return the path of each Python that is on PATH or that pyenv has."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for version in VERSIONS:
        name = f"python{version}"
        installed = sorted(root.glob(f"versions/{version.rstrip('t')}.*/bin/{name}"))
        candidates = [shutil.which(name), *map(str, reversed(installed))]
        fitting = [each for each in candidates if runs(each, version)]
        if fitting:
            found[version] = fitting[0]
    return found


PYTHONS = interpreters()
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def install(session: nox.Session, *options: str) -> None:
    """Install the package with all extras, and the tools of its tests."""
    session.install(*options, "-e", f".[{EXTRAS}]", "--group", "test")


def add_sessions(version: str, path: str) -> None:
    """Add the sessions of one Python."""

    @nox.session(name=f"tests-{version}", python=path, tags=["newest"])
    def tests(session: nox.Session) -> None:
        """Run the tests with the newest dependencies."""
        install(session)
        session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)

    tags = [] if version == RUNNING else ["others"]

    @nox.session(name=f"differing-{version}", python=path, tags=tags)
    def differing(session: nox.Session) -> None:
        """Run the tests of asyncio, TLS, the clock and the stores."""
        install(session)
        paths = session.posargs or [each for each in DIFFERING if Path(each).exists()]
        session.run("python", "-m", "pytest", *PARALLEL, *paths)

    @nox.session(name=f"lowest-{version}", python=path, venv_backend="uv")
    def lowest(session: nox.Session) -> None:
        """Run the tests with the lowest dependencies that pyproject.toml allows."""
        bounds = Path(session.create_tmp(), "lowest.txt").resolve()
        session.run_install(
            *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
            *("--all-extras", "--resolution", "lowest-direct", "--quiet"),
            *("--python", path, "--output-file", str(bounds)),
            external=True,
        )
        install(session, "--constraint", str(bounds))
        session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)


for each in PYTHONS.items():
    add_sessions(*each)

if not PYTHONS.keys() - {RUNNING}:

    @nox.session(name="no-other-python", python=False, tags=["others"])
    def no_other_python(session: nox.Session) -> None:
        """Say that there is nothing to do."""
        session.log("this machine has no other Python that the classifiers name")


if __name__ == "__main__":
    absent = [version for version in VERSIONS if version not in PYTHONS]
    print(f"Pythons found: {' '.join(PYTHONS)}; not here: {' '.join(absent) or '-'}")
