"""The pages for contributors name functions and files that exist."""

import re

import pytest

from tests.packaging.conftest import CHECKOUT


LIBRARY = CHECKOUT / "persona_share"
PAGES = ("architecture.md", "contributing/request.md", "contributing/endpoint.md")
SOURCE = "\n".join(path.read_text("utf-8") for path in LIBRARY.rglob("*.py"))


def page(name):
    return (CHECKOUT / "docs" / name).read_text("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_exists(name):
    paths = re.findall(r"`((?:persona_share/|tests/)?[\w/]+\.py)`", page(name))
    places = [CHECKOUT, LIBRARY, LIBRARY / "_policy", LIBRARY / "resources"]
    named = {path for path in paths if not path.endswith("/x.py")}

    assert named
    assert [
        path for path in named if not any((each / path).exists() for each in places)
    ] == []


def test_every_function_of_the_diagram_exists():
    diagram = page("contributing/request.md").split("```")[1]
    named = re.findall(r"\b([A-Z]\w+)\.(\w+)", diagram)

    assert len(named) > 5
    assert [
        f"{owner}.{method}"
        for owner, method in named
        if not re.search(rf"^class {owner}\b", SOURCE, re.MULTILINE)
        or not re.search(rf"^    (?:async )?def {method}\(", SOURCE, re.MULTILINE)
    ] == []


def test_every_package_is_described_once():
    table = page("architecture.md").partition("## Packages")[2].partition("## Three")[0]
    described = set(
        re.findall(
            r"`(\w+)`", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))
        )
    )
    packages = {
        path.stem
        for path in LIBRARY.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    # A package that is being replaced has its successor beside it for a while.
    successors = {name for name in packages if name.endswith("_next")}
    assert packages - described - successors == {"__init__", "__main__"}
