"""The page of Persona's operations names every method, and its examples run."""

import re
import runpy

import pytest

from persona_share.resources import Files
from persona_share.sandbox import Sandbox
from tests.contract.calls import methods
from tests.docs.blocks import ROOT, blocks_of, names_of


PAGE = "docs/surface.md"
SUMMARY, APPROVED, SAVE = blocks_of(PAGE)


def test_table_has_every_method_and_no_other():
    table = runpy.run_path(str(ROOT / "docs/conf.py"))["method_table"]()
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.+) \|$", table, re.MULTILINE)
    listed = [f"{name}.{word}" for name, row in rows for word in row[1:-1].split("` `")]
    files = {f"files.{name}" for name in dir(Files) if not name.startswith("_")}

    assert sorted(listed) == sorted(methods() | files)


@pytest.mark.asyncio
async def test_object_has_its_included_objects():
    async with Sandbox() as sandbox:
        (inquiry,) = sandbox.populate(1)
        summary = names_of(SUMMARY, PAGE, sandbox, sandbox.source)["summary"]

        assert await summary(inquiry) == ("completed", 2)


@pytest.mark.asyncio
async def test_listing_yields_all_pages():
    async with Sandbox() as sandbox:
        wanted = [sandbox.add_inquiry(status="approved").id for _ in range(3)]
        sandbox.add_inquiry()
        approved = names_of(APPROVED, PAGE, sandbox, sandbox.source)["approved"]

        assert await approved() == wanted[::-1]
        assert await approved(since=wanted[1]) == wanted[:1]


@pytest.mark.asyncio
async def test_file_is_saved(tmp_path):
    async with Sandbox() as sandbox:
        document = sandbox.add_document(content=b"hello").id
        save = names_of(SAVE, PAGE, sandbox, sandbox.source)["save_paper"]

        assert await save(document, tmp_path / "paper.pdf") == 5
