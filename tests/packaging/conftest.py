"""The wheel and the sdist, built once, and environments that contain only them.

Nothing is downloaded; dependencies are linked from this environment.
"""

import functools
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import attrs
import pytest
from packaging.requirements import Requirement


CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]


def run(*command, cwd=None):
    """Run a command and return its exit code and output."""
    found = subprocess.run(  # noqa: S603 - our own interpreters
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    return found.returncode, found.stdout + found.stderr


@attrs.frozen
class Release:
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Return the wheel and the sdist of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    code, output = run(
        sys.executable, "-m", "hatchling", "build", "-d", out, cwd=CHECKOUT
    )
    assert code == 0, output
    [wheel], [sdist] = out.glob("*.whl"), out.glob("*.tar.gz")
    return Release(wheel, sdist)


def closure(*names):
    """Return these distributions and all that they need in this environment."""
    found, left = {}, list(names)
    while left:
        requirement = Requirement(left.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = requirement.marker is None or requirement.marker.evaluate()
        if not wanted or name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra that is not wanted here
        left += [
            each
            for each in found[name].requires or ()
            if "extra ==" not in each and "extra==" not in each
        ]
    return list(found.values())


def link(each: Distribution, into: Path):
    """Make a distribution of this environment importable in another one."""
    for top in {Path(file).parts[0] for file in each.files or ()}:
        place = Path(str(each.locate_file(top)))
        if top not in ("..", "__pycache__") and place.exists():
            (into / top).symlink_to(place)


@pytest.fixture(scope="session")
def environment(release, tmp_path_factory):
    """Return a function that makes an environment of the wheel and of these distributions."""

    @functools.cache
    def made(*names):
        home = tmp_path_factory.mktemp("venv")
        venv.create(home, with_pip=False, symlinks=True)
        python = home / "bin" / "python"
        [site] = home.glob("lib/python*/site-packages")
        core = distribution("persona-share").requires or ()
        wanted = [each for each in core if "extra ==" not in each]
        for each in closure(*wanted, *names):
            link(each, site)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
        code, output = run(*pip, "--no-deps", "--no-index", release.wheel)
        assert code == 0, output
        return python

    return made
