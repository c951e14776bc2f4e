"""What the README shows, runs: each Python block, against the sandbox."""

import re

import pytest

from persona_share.sandbox import Sandbox
from tests.docs.blocks import blocks_of, names_of


PAGE = "README.md"
BLOCKS = blocks_of(PAGE)


def test_the_readme_has_an_example_for_each_side_and_one_to_try():
    defined = [re.findall(r"^async def (\w+)", block, re.MULTILINE) for block in BLOCKS]

    assert defined == [["share"], ["ask_partner", "fetch"], ["try_it"]]


@pytest.mark.parametrize("block", BLOCKS[:2])
def test_an_example_of_one_side_fits_in_ten_lines_of_code(block):
    lines = [line for line in block.splitlines() if line and "import" not in line]

    assert len(lines) <= 10


@pytest.mark.asyncio
async def test_the_two_sides_share_what_the_destination_asks_for():
    source_block, destination_block, _ = BLOCKS
    async with Sandbox() as box:
        inquiries = [box.add_inquiry().id for _ in range(3)]
        source = names_of(source_block, PAGE, box, box.source)

        async def share(_partner, *ids):
            return await source["share"](box.destination.id, *ids)

        names = names_of(destination_block, PAGE, box, box.destination, share=share)

        assert len(await names["fetch"](*inquiries)) == len(inquiries)


@pytest.mark.asyncio
async def test_the_example_to_try_needs_nothing_but_the_library():
    names = names_of(BLOCKS[2], PAGE)

    assert isinstance(await names["try_it"](), str)
