"""Two organizations on one sandbox, and one clock that moves client and service."""

import asyncio

import attrs
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing.clock import FakeClock, fake_runtime


@attrs.define
class Journey:
    box: Sandbox
    clock: FakeClock
    source: PersonaClient
    destination: PersonaClient
    authorized: int = 0

    async def ask_partner(self, scope):
        self.authorized += 1
        return await self.source.oauth.authorize(
            client_id=self.box.destination.id, scope=scope
        )

    def manager(self, **options):
        return ScopedTokenManager(
            self.destination, **{"codes": self.ask_partner, **options}
        )

    async def until(self, task, step=0.5, steps=2_000):
        """Let time pass for both sides until something is done."""
        task = asyncio.ensure_future(task)
        for _ in range(steps):
            await asyncio.wait({task}, timeout=0.005)
            if task.done():
                break
            self.clock.advance(step)
        return await task


@pytest_asyncio.fixture
async def journey():
    clock = FakeClock()
    runtime = fake_runtime(clock)
    async with Sandbox(_clock=clock.epoch, rate_limit=None) as box:
        options = {"base_url": box.url, "insecure_local": True, "_runtime": runtime}
        async with (
            PersonaClient(box.source.api_key, **options) as source,
            PersonaClient(box.destination.api_key, **options) as destination,
        ):
            yield Journey(box, clock, source, destination)
