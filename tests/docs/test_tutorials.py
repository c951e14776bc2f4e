"""Run both tutorials from top to bottom, and compare their output with the pages."""

import asyncio
import contextlib
import io
import re
import runpy
import shlex
import sys

import pytest

from persona_share.sandbox import Sandbox
from tests.docs.blocks import ROOT


PAGES = ("docs/tutorial/source.md", "docs/tutorial/destination.md")
FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPORT = re.compile(r"(\w+)=(\S+)")


def run_program(words):
    """Run a program of the page, and return what it prints."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(sys, "argv", words)
        runpy.run_path(words[0], run_name="__main__")
    return output.getvalue()


def steps_of(page):
    """Yield each program, and each command with its output, in the order of the page."""
    text = (ROOT / page).read_text("utf-8")
    for language, block in FENCE.findall(text):
        if language == "python":
            yield ("write", re.match(r"# (\w+\.py)\n", block)[1], block)
            continue
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = command.replace("\\\n", "").partition("\n")
            yield (*line.split(maxsplit=1), output)


@pytest.mark.asyncio
async def test_tutorials_print_what_the_pages_show(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ran = []
    keys = {"source_key": "localbox_source", "destination_key": "localbox_destination"}
    async with Sandbox(rate_limit=None, **keys) as sandbox:
        sandbox.populate(3)
        for step, what, content in [each for page in PAGES for each in steps_of(page)]:
            match step:
                case "write":
                    (tmp_path / what).write_text(content, "utf-8")
                case "export":
                    for name, value in EXPORT.findall(what):
                        monkeypatch.setenv(name, value)
                    monkeypatch.setenv("PERSONA_BASE_URL", sandbox.url)
                case "python":
                    words = shlex.split(what)
                    # As the page says, a second exchange returns the same token.
                    for _ in range(2 if words == ["read_once.py"] else 1):
                        printed = await asyncio.to_thread(run_program, words)
                        assert printed == content, what
                    ran.append(words[0])
    written = {each.name for each in tmp_path.glob("*.py")}
    assert set(ran) == written
    assert len(ran) == 5
    assert sandbox.log.tokens_issued == 2


def test_tutorial_starts_the_sandbox_that_the_test_uses():
    text = (ROOT / PAGES[0]).read_text("utf-8")
    for words in (
        "--inquiries 3",
        "--source-key localbox_source --destination-key localbox_destination",
    ):
        assert words in text
