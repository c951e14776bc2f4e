"""The checks that run after the documentation was built."""

import importlib.util
from pathlib import Path

import pytest


SOURCE = Path(__file__).parents[2] / "docs/page_checks.py"


@pytest.fixture(scope="module")
def page_checks():
    spec = importlib.util.spec_from_file_location("page_checks", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def output(tmp_path):
    """Return a built documentation with one page."""
    (tmp_path / "howto").mkdir()
    (tmp_path / "howto/cli.html").write_text("<html></html>", "utf-8")
    (tmp_path / "llms.txt").write_text("- [CLI](howto/cli.html): text\n", "utf-8")
    return tmp_path


def test_correct_documentation_has_no_problems(page_checks, output):
    assert list(page_checks.problems(output, "")) == []


def test_page_is_named_when_it_is_too_large(page_checks, output):
    (output / "howto/cli.html").write_bytes(b" " * 100_001)

    [found] = page_checks.problems(output, "")

    assert found == "howto/cli.html has 100,001 bytes; the maximum is 100,000"


@pytest.mark.parametrize("link", ["/howto/cli.html", "howto/none.html"])
def test_relative_link_is_named_when_it_leads_nowhere(page_checks, output, link):
    (output / "llms.txt").write_text(f"[CLI]({link})", "utf-8")

    assert list(page_checks.problems(output, "")) == [
        f"llms.txt: there is no file {link}"
    ]


def test_relative_link_is_named_when_the_base_url_is_known(page_checks, output):
    [found] = page_checks.problems(output, "https://docs.example/")

    assert "does not begin with https://docs.example/" in found


def test_absolute_links_are_correct_when_the_base_url_is_known(page_checks, output):
    link = "https://docs.example/howto/cli.html"
    (output / "llms.txt").write_text(f"[CLI]({link})", "utf-8")

    assert list(page_checks.problems(output, "https://docs.example/")) == []


def test_missing_links_are_a_problem(page_checks, output):
    (output / "llms.txt").write_text("# persona_share\n", "utf-8")

    assert list(page_checks.problems(output, "")) == ["llms.txt has no links"]
