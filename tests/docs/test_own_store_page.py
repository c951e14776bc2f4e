"""The page "Write your own store": its example passes the contract and works."""

import pytest

from persona_share import PersonaClient
from persona_share.errors import StoreCorruptError, StoreRefusedError
from persona_share.sandbox import Sandbox
from persona_share.stores import Encrypted, MemoryStore
from tests.docs.blocks import blocks_of, names_of


PAGE = "docs/howto/own-store.md"
STORE, CONTRACT, USE = blocks_of(PAGE)
NAMES = names_of(STORE + CONTRACT, PAGE, __name__=__name__)
TestDirectoryStore = NAMES["TestDirectoryStore"]


@pytest.mark.asyncio
async def test_manager_uses_the_store_of_the_page(tmp_path):
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry().id

        async def ask_partner(scope):
            async with PersonaClient(
                sandbox.source.api_key, base_url=sandbox.url, insecure_local=True
            ) as source:
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=scope
                )

        names = names_of(STORE + USE, PAGE, sandbox, sandbox.destination)
        scope, keys = f"inquiry.read:{inquiry}", [b"\x01" * 32]
        got = [
            await names["serve"](ask_partner, str(tmp_path), keys, scope)
            for _ in range(2)
        ]
        issued = sandbox.log.tokens_issued

    assert got == [scope] * 2
    assert issued == 1


@pytest.mark.asyncio
async def test_damaged_file_is_reported_and_stays(tmp_path):
    store = NAMES["DirectoryStore"](tmp_path)
    await store.open()
    (tmp_path / "scope=one.json").write_text("damaged")
    with pytest.raises(StoreCorruptError):
        await store.read("scope/one")


@pytest.mark.asyncio
async def test_store_that_others_can_read_is_refused_without_encryption():
    class Public(MemoryStore):
        accepts_secrets = False

    assert Encrypted(Public(), b"\x01" * 32).accepts_secrets
    from persona_share import ScopedTokenManager  # noqa: PLC0415 - the refusal only

    async with PersonaClient("persona_sandbox_x") as client:
        with pytest.raises(StoreRefusedError, match="Encrypted"):
            ScopedTokenManager(client, store=Public())
