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


def test_the_table_has_every_method_and_no_other():
    table = runpy.run_path(str(ROOT / "docs/conf.py"))["method_table"]()
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.+) \|$", table, re.MULTILINE)
    listed = [f"{name}.{word}" for name, row in rows for word in row[1:-1].split("` `")]
    files = {f"files.{name}" for name in dir(Files) if not name.startswith("_")}

    assert sorted(listed) == sorted(methods() | files)


@pytest.mark.asyncio
async def test_an_object_comes_with_what_is_included():
    async with Sandbox() as box:
        (inquiry,) = box.populate(1)
        summary = names_of(SUMMARY, PAGE, box, box.source)["summary"]

        assert await summary(inquiry) == ("completed", 2)


@pytest.mark.asyncio
async def test_listing_yields_all_pages():
    async with Sandbox() as box:
        wanted = [box.add_inquiry(status="approved").id for _ in range(3)]
        box.add_inquiry()
        approved = names_of(APPROVED, PAGE, box, box.source)["approved"]

        assert await approved() == wanted[::-1]
        assert await approved(since=wanted[1]) == wanted[:1]


@pytest.mark.asyncio
async def test_a_file_is_saved(tmp_path):
    async with Sandbox() as box:
        document = box.add_document(content=b"hello").id
        save = names_of(SAVE, PAGE, box, box.source)["save_paper"]

        assert await save(document, tmp_path / "paper.pdf") == 5
