"""The page about share tokens does what it says, against the sandbox."""

import pytest

from persona_share import PersonaClient
from persona_share.sandbox import Sandbox
from tests.docs.blocks import blocks_of, names_of


PAGE = "docs/howto/share-tokens.md"
CONNECT, OFFER, CLONE, HYDRATE, PEEK = blocks_of(PAGE)


async def offered(sandbox, source_id):
    """Return a share token, created as the page says."""
    sandbox.switches.accepts_after = 0
    sandbox.switches.redemption_seconds = 0
    connect = names_of(CONNECT, PAGE, sandbox, sandbox.source)["connection_to"]
    offer = names_of(OFFER, PAGE, sandbox, sandbox.source)["offer"]
    return await offer(await connect(sandbox.destination.id), source_id)


@pytest.mark.asyncio
async def test_connection_is_created_once():
    async with Sandbox() as sandbox:
        sandbox.switches.accepts_after = 0
        connect = names_of(CONNECT, PAGE, sandbox, sandbox.source)["connection_to"]

        first = await connect(sandbox.destination.id)

        assert await connect(sandbox.destination.id) == first


@pytest.mark.asyncio
async def test_share_token_is_redeemed_as_a_clone():
    async with Sandbox() as sandbox:
        token = await offered(sandbox, sandbox.add_inquiry().id)
        receive = names_of(CLONE, PAGE, sandbox, sandbox.destination)["receive"]

        assert (await receive(token)).startswith("inq_")


@pytest.mark.asyncio
async def test_failed_redemption_prints_its_reason(capsys):
    async with Sandbox() as sandbox:
        token = await offered(sandbox, sandbox.add_inquiry().id)
        sandbox.faults.fail_redemption("import_failed")
        receive = names_of(CLONE, PAGE, sandbox, sandbox.destination)["receive"]

        assert await receive(token) is None
        assert "import_failed" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_share_token_hydrates_an_inquiry_with_mapped_fields():
    async with Sandbox() as sandbox:
        account = sandbox.add_account(fields={"address_street_1": "1 Street"})
        target = sandbox.add_inquiry(
            organization=sandbox.destination, fields={"street_address": "none"}
        )
        token = await offered(sandbox, account.id)
        receive = names_of(HYDRATE, PAGE, sandbox, sandbox.destination)["receive_into"]

        assert await receive(target.id, token) == target.id
        async with PersonaClient(
            sandbox.destination.api_key, base_url=sandbox.url, insecure_local=True
        ) as client:
            filled = await client.inquiries.retrieve(target.id)
        assert filled.values["street_address"] == "1 Street"


@pytest.mark.asyncio
async def test_names_of_fields_are_peeked_before_redemption():
    async with Sandbox() as sandbox:
        token = await offered(sandbox, sandbox.add_inquiry().id)
        peek = names_of(PEEK, PAGE, sandbox, sandbox.destination)["peek"]

        assert "name-first" in await peek(token)
