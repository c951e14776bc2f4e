"""The main job under uvloop, as under asyncio's own loop."""

import asyncio
import sys

import pytest
import uvloop

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import DeadlineExceededError, ProtocolError
from persona_share.model.policy import RetryPolicy
from persona_share.sandbox import Sandbox


async def main_job():
    """Authorize, exchange, fetch, receive half a response, time out, cancel, close."""
    ours = type(asyncio.get_running_loop()).__module__
    async with Sandbox() as sandbox:
        options = {"base_url": sandbox.url, "insecure_local": True}
        inquiry = sandbox.add_inquiry()
        scope = Scope.read(inquiry.id)
        once = RetryPolicy(attempts=1)
        async with (
            PersonaClient(sandbox.source.api_key, **options) as source,
            PersonaClient(sandbox.destination.api_key, retry=once, **options) as client,
        ):

            async def ask_partner(wanted):
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=wanted
                )

            async with ScopedTokenManager(client, codes=ask_partner) as manager:
                session = manager.session(scope)
                work = [session.inquiries.retrieve(inquiry.id) for _ in range(50)]
                found = await asyncio.gather(*work)
                assert {each.id for each in found} == {inquiry.id}
                sandbox.faults.truncate("*")
                with pytest.raises(ProtocolError):
                    await session.inquiries.retrieve(inquiry.id)
                sandbox.faults.hang("*", times=2)
                with pytest.raises(DeadlineExceededError):
                    await session.inquiries.retrieve(inquiry.id, timeout=0.05)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await session.inquiries.retrieve(inquiry.id)
                await session.inquiries.retrieve(inquiry.id)
        assert sandbox.log.tokens_issued == 1
    return ours


def test_main_job_runs_under_uvloop():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main_job()).partition(".")[0] == "uvloop"
    assert tuple(map(int, uvloop.__version__.split(".")[:2])) >= (0, 23)


def test_main_job_works_without_uvloop():
    with asyncio.Runner() as runner:
        assert runner.run(main_job()).startswith("asyncio")
    assert "uvloop" in sys.modules  # imported is not installed
