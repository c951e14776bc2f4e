"""A wheel and an sdist contain the package, and no tests or tools."""

import tarfile
import zipfile
from email.parser import Parser
from pathlib import PurePosixPath

import pytest

from tests.packaging.conftest import CHECKOUT, PROJECT


pytestmark = pytest.mark.slow


def sources():
    return {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "persona_share").rglob("*")
        if path.suffix in (".html", ".json", ".py", ".typed")
    }


def test_wheel_contains_the_package_and_its_metadata(release):
    names = set(zipfile.ZipFile(release.wheel).namelist())
    described = {name for name in names if ".dist-info/" in name}
    assert names - described == sources()
    assert "persona_share/py.typed" in names


def test_sdist_contains_the_package_and_its_build_files(release):
    with tarfile.open(release.sdist) as archive:
        names = {PurePosixPath(each.name) for each in archive.getmembers()}
    inside = {name.relative_to(name.parts[0]).as_posix() for name in names}
    about = {
        ".gitignore",  # the builder's own, so that the sdist builds as the checkout does
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "SECURITY.md",
        "pyproject.toml",
    }
    assert inside == sources() | about


def test_wheel_declares_dependencies_and_the_pytest_plugin(release):
    archive = zipfile.ZipFile(release.wheel)
    [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
    found = Parser().parsestr(archive.read(metadata).decode())
    core = [each for each in found.get_all("Requires-Dist") if "extra" not in each]
    assert len(core) == len(PROJECT["dependencies"]) == 5
    assert set(found.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    [points] = [
        name for name in archive.namelist() if name.endswith("entry_points.txt")
    ]
    assert (
        "persona_share = persona_share.pytest_plugin" in archive.read(points).decode()
    )


def test_changelog_has_a_section_for_this_version():
    changes = (CHECKOUT / "CHANGELOG.md").read_text("utf-8")
    release = PROJECT["version"].partition(".dev")[0]
    assert f"## {release} (" in changes
