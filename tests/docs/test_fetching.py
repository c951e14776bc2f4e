"""The page "Fetch ten thousand inquiries": its example runs, against the sandbox."""

import pytest

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox
from tests.docs.blocks import ROOT, blocks_of


BLOCKS = blocks_of("docs/howto/fetching.md")


@pytest.mark.asyncio
async def test_example_fetches_shared_objects_and_prints_failures(tmp_path, capsys):
    async with Sandbox() as sandbox:
        options = {"base_url": sandbox.url, "insecure_local": True}

        def client():
            return PersonaClient(sandbox.destination.api_key, **options)

        (block,) = BLOCKS
        names = {"from_the_sandbox": client}
        code = block.replace("PersonaClient.from_env()", "from_the_sandbox()")
        exec(compile(code, "fetching.md", "exec"), names)  # noqa: S102 - our own page
        ids = [sandbox.add_inquiry().id for _ in range(5)]
        kept = {}
        async with PersonaClient(sandbox.source.api_key, **options) as source:

            async def ask_partner(scope):
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=scope
                )

            report = await names["fetch_all"](
                [*ids, "inq_gone"], ask_partner, kept.__setitem__, tmp_path / "done"
            )

    assert set(kept) == {*ids}
    assert (report.fetched, report.failed) == (5, 1)
    assert "inq_gone" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["fetching.md", "failing.md"])
def test_readme_leads_to_the_page(name):
    assert f"(docs/howto/{name})" in (ROOT / "README.md").read_text("utf-8")
