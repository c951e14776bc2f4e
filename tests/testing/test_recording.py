"""Calls can be recorded by vcrpy, without credentials, and replayed."""

import pytest
import vcr

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing import vcr_options


async def share(sandbox, inquiry_id):
    """Retrieve an object as the partner does, with everything that this takes."""
    here = {"base_url": sandbox.url, "insecure_local": True}
    async with (
        PersonaClient(sandbox.source.api_key, **here) as source,
        PersonaClient(sandbox.destination.api_key, **here) as destination,
    ):
        scope = Scope.read(inquiry_id)
        code = await source.oauth.authorize(
            client_id=sandbox.destination.id, scope=scope, idempotency_key="one"
        )
        async with ScopedTokenManager(destination) as manager:
            await manager.exchange(code)
            return await manager.session(scope).inquiries.retrieve(inquiry_id)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_recorded_exchange_is_replayed_and_holds_no_credential(tmp_path):
    cassette = tmp_path / "shared.yaml"
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry()
        with vcr.use_cassette(str(cassette), record_mode="once", **vcr_options()):
            recorded = await share(sandbox, inquiry.id)
        calls = len(sandbox.log.find())
        with vcr.use_cassette(str(cassette), record_mode="none", **vcr_options()):
            replayed = await share(sandbox, inquiry.id)
        assert len(sandbox.log.find()) == calls
        secrets = [sandbox.source.api_key, sandbox.destination.api_key]
    assert replayed.raw == recorded.raw
    text = cassette.read_text()
    assert "localbox_" not in text
    assert not any(secret in text for secret in secrets)


@pytest.mark.asyncio
async def test_without_any_option_the_credential_is_still_masked(tmp_path):
    cassette = tmp_path / "plain.yaml"
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry(organization=sandbox.source)
        for _ in range(2):
            with vcr.use_cassette(str(cassette), record_mode="once"):
                async with PersonaClient(
                    sandbox.source.api_key, base_url=sandbox.url, insecure_local=True
                ) as client:
                    assert (
                        await client.inquiries.retrieve(inquiry.id)
                    ).id == inquiry.id
        assert sandbox.source.api_key not in cassette.read_text()
