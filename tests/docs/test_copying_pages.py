"""The pages on copying and on engines: their examples run, against the sandbox."""

import pytest

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox
from tests.docs.blocks import blocks_of, names_of


@pytest.mark.asyncio
async def test_example_of_copying_copies_people(tmp_path, capsys):
    page = "docs/howto/copying.md"
    (block,) = blocks_of(page)
    async with Sandbox() as sandbox:
        ids = [sandbox.add_inquiry().id for _ in range(3)]
        options = {"base_url": sandbox.url, "insecure_local": True}
        async with PersonaClient(sandbox.source.api_key, **options) as source:

            async def ask_partner(scope):
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=scope
                )

            names = names_of(block, page, sandbox, sandbox.destination)
            report = await names["copy_all"](ids, ask_partner, tmp_path / "people")

            again = await names["copy_all"](
                [*ids, "inq_unknown"], ask_partner, tmp_path / "people"
            )

    assert report.copied == 3
    assert (again.copied, again.unchanged, again.failed) == (0, 3, 1)
    assert "failed: inq_unknown" in capsys.readouterr().out


def test_example_of_engines_makes_jobs_that_can_be_pickled():
    page = "docs/howto/engines.md"
    (block,) = blocks_of(page)
    names = names_of(block, page)
    jobs = names["jobs_for"]([f"inq_{number}" for number in range(10)], 3)

    assert sum(len(each.ids) for each in jobs) == 10
