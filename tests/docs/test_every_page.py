"""Tests run all Python blocks of all pages."""

import pytest

from tests.docs.blocks import ROOT, blocks_of


PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in path.parts
)
TESTS = "".join(
    path.read_text("utf-8") for path in (ROOT / "tests" / "docs").glob("test_*.py")
)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)])
def test_every_page_with_code_blocks_has_a_test(page):
    folder, _, name = page.rpartition("/")
    together = f'"{folder}/' in TESTS and f'"{name.removesuffix(".md")}"' in TESTS
    assert page in TESTS or together
