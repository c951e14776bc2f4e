"""The background pages name the tests that show their claims."""

import re

import pytest

from tests.docs.blocks import ROOT


PAGES = sorted(path.stem for path in (ROOT / "docs" / "why").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_a_page_names_are_there(page):
    text = (ROOT / "docs" / "why" / f"{page}.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)`", text)
    # Another page names switches of the sandbox, which tests run with all settings.
    assert named or page == "unknown"
    assert [path for path in named if not (ROOT / path).is_file()] == []
