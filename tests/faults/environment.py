"""A sandbox behind a proxy that breaks connections, and clients on a fake clock."""

import asyncio
import contextlib

import attrs
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.model.policy import Timeouts
from persona_share.sandbox import Sandbox
from persona_share.testing import FakeClock, fake_runtime
from tests.proxy import Proxy


#: Timeouts that real sockets never reach, even on a busy machine.
LONG_TIMEOUTS = Timeouts(connect=20, read=20, attempt=40, call=100)
#: Timeouts that only a stalled response reaches.
SHORT_READ = Timeouts(connect=20, read=0.3, attempt=40, call=100)
#: Timeouts that only a whole attempt reaches.
SHORT_ATTEMPT = Timeouts(connect=20, read=20, attempt=0.6, call=100)


class AutojumpClock(FakeClock):
    """A clock that jumps to the end of every sleep and records its duration."""

    def __init__(self):
        super().__init__()
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time


@attrs.define
class Environment:
    sandbox: Sandbox
    proxy: Proxy
    clock: AutojumpClock
    runtime: object
    source: PersonaClient
    client: PersonaClient
    events: list

    def new_client(self, url=None, **options):
        """Return another client of the destination, behind the proxy by default."""
        return PersonaClient(
            self.sandbox.destination.api_key,
            base_url=url or self.proxy.url,
            insecure_local=True,
            _runtime=self.runtime,
            **{"timeout": LONG_TIMEOUTS, **options},
        )

    @contextlib.asynccontextmanager
    async def client_of(self, server, **options):
        """Open a client of a `RawServer`."""
        async with self.new_client(server.api, **options) as client:
            yield client

    def add_inquiry(self):
        """Add an inquiry that the client may read."""
        return self.sandbox.add_inquiry(organization=self.sandbox.destination)

    async def new_code(self, scope):
        return await self.source.oauth.authorize(
            client_id=self.sandbox.destination.id, scope=scope
        )

    def manager(self, **options):
        return ScopedTokenManager(self.client, **options)

    async def advance_until_done(self, work, step=0.25):
        """Advance the shared clock until a task is done (`manual_env` only)."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0.005)
            self.clock.advance(step)
        return await task

    def entries(self, operation=None):
        """Return the requests that reached the sandbox, without those of the source."""
        source = self.sandbox.source.id
        return [
            entry
            for entry in self.sandbox.log.find()
            if entry.organization != source and operation in (None, entry.operation)
        ]


@contextlib.asynccontextmanager
async def new_environment(clock):
    """Create an environment whose client and sandbox share a clock."""
    events = []
    runtime = fake_runtime(clock)
    async with (
        Sandbox(_clock=clock.epoch, rate_limit=None) as sandbox,
        Proxy(int(sandbox.url.split(":")[2].partition("/")[0])) as proxy,
    ):
        options = {
            "insecure_local": True,
            "_runtime": runtime,
            "timeout": LONG_TIMEOUTS,
        }
        async with (
            PersonaClient(
                sandbox.source.api_key, base_url=sandbox.url, **options
            ) as source,
            PersonaClient(
                sandbox.destination.api_key,
                base_url=proxy.url,
                hooks=[events.append],
                **options,
            ) as client,
        ):
            yield Environment(sandbox, proxy, clock, runtime, source, client, events)


@pytest_asyncio.fixture
async def env():
    """Return an environment in which waits take no real time."""
    async with new_environment(AutojumpClock()) as env:
        yield env


@pytest_asyncio.fixture
async def manual_env():
    """Return an environment whose clock moves only in `advance_until_done`."""
    async with new_environment(FakeClock()) as env:
        yield env
