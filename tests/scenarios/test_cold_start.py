"""A client that starts in a window that others have nearly spent."""

import asyncio

import pytest

from persona_share import PersonaClient
from persona_share.errors import RateLimitedError
from persona_share.sandbox import Sandbox


@pytest.mark.asyncio
async def test_no_call_gets_a_429_when_a_cold_start_meets_a_nearly_spent_window():
    async with Sandbox(rate_limit=60) as sandbox:
        inquiry = sandbox.add_inquiry(organization=sandbox.source)
        here = {"base_url": sandbox.url, "insecure_local": True}
        async with PersonaClient(sandbox.source.api_key, **here) as earlier:
            for _ in range(50):
                await earlier.inquiries.retrieve(inquiry.id)
        async with PersonaClient(sandbox.source.api_key, **here) as client:
            results = await asyncio.gather(
                *(client.inquiries.retrieve(inquiry.id, timeout=5) for _ in range(100)),
                return_exceptions=True,
            )
        assert sandbox.log.count(status=429) == 0
    refused = [each for each in results if isinstance(each, Exception)]
    assert {type(each) for each in refused} == {RateLimitedError}
    assert len(results) - len(refused) >= 8
    assert all("waited" in str(each) for each in refused)
