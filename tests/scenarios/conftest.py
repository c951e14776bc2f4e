"""Two organizations on one sandbox, and one clock for clients and sandbox."""

import asyncio

import attrs
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing.clock import FakeClock, fake_runtime


@attrs.define
class Scenario:
    sandbox: Sandbox
    clock: FakeClock
    source: PersonaClient
    destination: PersonaClient
    authorized: int = 0

    async def ask_partner(self, scope):
        self.authorized += 1
        return await self.source.oauth.authorize(
            client_id=self.sandbox.destination.id, scope=scope
        )

    def manager(self, **options):
        return ScopedTokenManager(
            self.destination, **{"codes": self.ask_partner, **options}
        )

    async def advance_until_done(self, task, step=0.5, steps=2_000):
        """Advance the shared clock until a task is done."""
        task = asyncio.ensure_future(task)
        for _ in range(steps):
            for _ in range(200):  # a second; a request must not meet a later time
                await asyncio.wait({task}, timeout=0.005)
                if task.done() or not self.clock.in_flight.count:
                    break
            if task.done():
                break
            self.clock.advance(step)
        return await task


@pytest_asyncio.fixture
async def scenario():
    clock = FakeClock()
    runtime = fake_runtime(clock)
    async with Sandbox(_clock=clock.epoch, rate_limit=None) as sandbox:
        options = {"base_url": sandbox.url, "insecure_local": True, "_runtime": runtime}
        async with (
            PersonaClient(sandbox.source.api_key, **options) as source,
            PersonaClient(sandbox.destination.api_key, **options) as destination,
        ):
            yield Scenario(sandbox, clock, source, destination)
