"""Calls can be recorded by vcrpy, without credentials, and replayed."""

import pytest
import vcr

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing import vcr_options


async def share(box, inquiry_id):
    """Retrieve an object as the partner does, with everything that this takes."""
    here = {"base_url": box.url, "insecure_local": True}
    async with (
        PersonaClient(box.source.api_key, **here) as source,
        PersonaClient(box.destination.api_key, **here) as destination,
    ):
        scope = Scope.read(inquiry_id)
        code = await source.oauth.authorize(
            client_id=box.destination.id, scope=scope, idempotency_key="one"
        )
        async with ScopedTokenManager(destination) as manager:
            await manager.exchange(code)
            return await manager.session(scope).inquiries.retrieve(inquiry_id)


@pytest.mark.asyncio
async def test_a_recorded_exchange_is_replayed_and_holds_no_credential(tmp_path):
    cassette = tmp_path / "shared.yaml"
    async with Sandbox() as box:
        inquiry = box.add_inquiry()
        with vcr.use_cassette(str(cassette), record_mode="once", **vcr_options()):
            recorded = await share(box, inquiry.id)
        calls = len(box.log.find())
        with vcr.use_cassette(str(cassette), record_mode="none", **vcr_options()):
            replayed = await share(box, inquiry.id)
        assert len(box.log.find()) == calls
        secrets = [box.source.api_key, box.destination.api_key]
    assert replayed.raw == recorded.raw
    text = cassette.read_text()
    assert "localbox_" not in text
    assert not any(secret in text for secret in secrets)


@pytest.mark.asyncio
async def test_without_any_option_the_credential_is_still_masked(tmp_path):
    cassette = tmp_path / "plain.yaml"
    async with Sandbox() as box:
        inquiry = box.add_inquiry(organization=box.source)
        for _ in range(2):
            with vcr.use_cassette(str(cassette), record_mode="once"):
                async with PersonaClient(
                    box.source.api_key, base_url=box.url, insecure_local=True
                ) as client:
                    assert (
                        await client.inquiries.retrieve(inquiry.id)
                    ).id == inquiry.id
        assert box.source.api_key not in cassette.read_text()
