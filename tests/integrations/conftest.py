"""A sandbox and an application that uses it."""

import asyncio
from contextlib import asynccontextmanager

import attrs
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.sandbox import Sandbox
from persona_share.testing import FakeClock, fake_runtime


CANARY = "CANARY-3b1f"


@attrs.define
class Harness:
    sandbox: Sandbox
    clock: FakeClock
    opened: int = 0

    def client(self, side, **options):
        return PersonaClient(
            side.api_key,
            base_url=self.sandbox.url,
            insecure_local=True,
            _runtime=fake_runtime(self.clock),
            **options,
        )

    async def advance_until_done(self, work, step=0.5):
        """Advance the clock until a task is done."""
        task = asyncio.ensure_future(work)
        for _ in range(2_000):
            await asyncio.wait({task}, timeout=0.005)
            if task.done():
                break
            self.clock.advance(step)
        return await task

    @asynccontextmanager
    async def opening(self, **options):
        """Open the clients and the manager of an application."""
        async with (
            self.client(self.sandbox.source) as source,
            self.client(self.sandbox.destination) as client,
        ):

            async def ask_partner(scope):
                return await source.oauth.authorize(
                    client_id=self.sandbox.destination.id, scope=scope
                )

            options = {"codes": ask_partner, **options}
            async with ScopedTokenManager(client, **options) as manager:
                self.opened += 1
                try:
                    yield manager
                finally:
                    self.opened -= 1


@pytest_asyncio.fixture
async def harness():
    clock = FakeClock()
    async with Sandbox(_clock=clock.epoch, rate_limit=None) as sandbox:
        yield Harness(sandbox, clock)
