"""A sandbox behind a proxy that breaks connections, and clients on a fast clock."""

import asyncio
import contextlib

import attrs
import pytest_asyncio

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.model.policy import Timeouts
from persona_share.sandbox import Sandbox
from persona_share.testing import FakeClock, fake_runtime
from tests.proxy import Proxy


#: A real socket's times, which no machine is too busy for.
PATIENT = Timeouts(connect=20, read=20, attempt=40, call=100)
#: Only a response that stalls is too slow for these, on a busy machine, too.
HASTY = Timeouts(connect=20, read=0.3, attempt=40, call=100)
#: Only an attempt as a whole is too slow for these.
BRIEF = Timeouts(connect=20, read=20, attempt=0.6, call=100)


class QuickClock(FakeClock):
    """A clock that jumps to the end of every sleep, and remembers how long it was."""

    def __init__(self):
        super().__init__()
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time


@attrs.define
class Scene:
    box: Sandbox
    proxy: Proxy
    clock: QuickClock
    runtime: object
    source: PersonaClient
    client: PersonaClient
    events: list

    def a_client(self, url=None, **options):
        """Make one more client of the destination, behind the proxy or elsewhere."""
        return PersonaClient(
            self.box.destination.api_key,
            base_url=url or self.proxy.url,
            insecure_local=True,
            _runtime=self.runtime,
            **{"timeout": PATIENT, **options},
        )

    @contextlib.asynccontextmanager
    async def client_of(self, server, **options):
        """Open a client of a `RawServer`, once that listens."""
        async with self.a_client(server.api, **options) as client:
            yield client

    def an_inquiry(self):
        """Add an inquiry that the client may read."""
        return self.box.add_inquiry(organization=self.box.destination)

    async def a_code(self, scope):
        return await self.source.oauth.authorize(
            client_id=self.box.destination.id, scope=scope
        )

    def manager(self, **options):
        return ScopedTokenManager(self.client, **options)

    async def until(self, work, step=0.25):
        """Let time pass for both sides until something is done (`exchanges` only)."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0.005)
            self.clock.advance(step)
        return await task

    def entries(self, operation=None):
        """What reached the sandbox, but for the codes of the source."""
        source = self.box.source.id
        return [
            entry
            for entry in self.box.log.find()
            if entry.organization != source and operation in (None, entry.operation)
        ]


@contextlib.asynccontextmanager
async def a_scene(clock):
    """Create a scene with a clock that both sides share."""
    events = []
    runtime = fake_runtime(clock)
    async with (
        Sandbox(_clock=clock.epoch, rate_limit=None) as box,
        Proxy(int(box.url.split(":")[2].partition("/")[0])) as proxy,
    ):
        options = {"insecure_local": True, "_runtime": runtime, "timeout": PATIENT}
        async with (
            PersonaClient(box.source.api_key, base_url=box.url, **options) as source,
            PersonaClient(
                box.destination.api_key,
                base_url=proxy.url,
                hooks=[events.append],
                **options,
            ) as client,
        ):
            yield Scene(box, proxy, clock, runtime, source, client, events)


@pytest_asyncio.fixture
async def scene():
    """A scene for calls whose waits take no real time."""
    async with a_scene(QuickClock()) as scene:
        yield scene


@pytest_asyncio.fixture
async def exchanges():
    """A scene for exchanges with deadlines: time passes only in `until`."""
    async with a_scene(FakeClock()) as scene:
        yield scene
