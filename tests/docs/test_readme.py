"""Each Python block of the README runs against the sandbox."""

import re

import pytest

from persona_share.sandbox import Sandbox
from tests.docs.blocks import ROOT, blocks_of, names_of
from tests.packaging.conftest import PROJECT


PAGE = "README.md"
BLOCKS = blocks_of(PAGE)


def test_readme_has_an_example_for_each_side_and_one_to_try():
    defined = [re.findall(r"^async def (\w+)", block, re.MULTILINE) for block in BLOCKS]

    assert defined == [["read"], ["share"], ["try_it"]]


@pytest.mark.parametrize("block", BLOCKS[:2])
def test_example_of_one_side_fits_in_ten_lines_of_code(block):
    lines = [line for line in block.splitlines() if line and "import" not in line]

    assert len(lines) <= 10


@pytest.mark.asyncio
async def test_destination_reads_a_name_with_a_code_of_the_source():
    destination_block, source_block, _ = BLOCKS
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry(
            fields={"name-first": "Ada", "birthdate": "1815-12-10"}
        )
        source = names_of(source_block, PAGE, sandbox, sandbox.source)

        async def ask_partner(scope):
            return await source["share"](sandbox.destination.id, *scope.object_ids())

        names = names_of(destination_block, PAGE, sandbox, sandbox.destination)

        found = await names["read"](inquiry.id, ask_partner)
        assert found == ("Ada", "1815-12-10")


@pytest.mark.asyncio
async def test_example_to_try_needs_nothing_but_the_library():
    names = names_of(BLOCKS[2], PAGE)

    assert isinstance(await names["try_it"](), str)


def test_readme_lists_exactly_the_extras_that_can_be_installed():
    text = (ROOT / PAGE).read_text("utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    listed = re.findall(r"`(\w+)`", " ".join(rows))
    assert sorted(listed) == sorted(PROJECT["optional-dependencies"])


def test_every_target_of_make_that_the_readme_names_is_there():
    text = (ROOT / PAGE).read_text("utf-8")
    named = set(re.findall(r"\bmake (\w[\w-]*)", text))
    rules = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert {"demo", "test"} <= named <= set(rules)
