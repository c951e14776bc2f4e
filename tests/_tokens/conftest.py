"""A token manager on a fake clock, with a scripted service and code source."""

import asyncio
import json

import attrs
import pytest
import pytest_asyncio

from persona_share import Scope, ScopedTokenManager
from persona_share._protocol.http import Response
from persona_share.errors import ConnectionLostError
from persona_share.stores import MemoryStore
from persona_share.testing.clock import FakeClock, fake_runtime


@attrs.define
class Service:
    """A fake ``POST /oauth/token``: it issues tokens or follows its script.

    ``script`` lists responses and errors for the next requests; None means a token.
    While it is ``silent``, requests fail at their deadline.
    """

    clock: FakeClock
    lifetime: int = 3599
    delay: float = 0.0
    silent: bool = False
    headers: dict = attrs.field(factory=dict)
    script: list = attrs.field(factory=list)
    requests: list = attrs.field(factory=list)
    grants: object = None
    issued: int = 0
    when_issued: object = None

    async def send(self, request):
        self.requests.append(request)
        sent = self.clock.now()
        number = len(self.requests)
        if self.silent:
            await self.clock.sleep(request.deadline - sent)
            message = "no response in time"
            raise ConnectionLostError(message)
        if self.delay:
            await self.clock.sleep(self.delay)
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return attrs.evolve(outcome, first_sent_at=sent)
        self.issued += 1
        if self.when_issued is not None:
            self.when_issued.set()
        scope = self.grants if self.grants is not None else self.scope_of(request)
        response = {
            "access-token": f"token{number}",
            "token-type": "bearer",
            "expires-in": self.lifetime,
            "scope": str(scope),
        }
        body = json.dumps(response).encode()
        return Response(status=201, headers=self.headers, body=body, first_sent_at=sent)

    def scope_of(self, request):
        """Return the scope that is encoded in a code of `Partner`."""
        return Scope(bytes.fromhex(code_of(request).split(".")[1]).decode().split())

    @property
    def codes(self):
        return [code_of(request) for request in self.requests]

    @property
    def keys(self):
        return [request.idempotency_key.reveal() for request in self.requests]


def code_of(request):
    """Return the code in the form of an exchange."""
    return dict(pair.split("=") for pair in request.body.decode().split("&"))["code"]


@attrs.define
class Partner:
    """A code source that records its calls, and that can fail or wait."""

    clock: FakeClock
    requested_scopes: list = attrs.field(factory=list)
    script: list = attrs.field(factory=list)
    delay: float = 0.0

    async def __call__(self, scope):
        self.requested_scopes.append(scope)
        if self.delay:
            await self.clock.sleep(self.delay)
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, BaseException):
            raise outcome
        return self.code(scope) if outcome is None else outcome

    def code(self, scope):
        return f"code{len(self.requested_scopes)}.{str(scope).encode().hex()}"


@attrs.define
class ClientContext:
    """A client context with only the fake service."""

    runtime: object
    exchanger: object
    origin: str = "https://api.withpersona.com/api/v1"
    headers: dict = attrs.field(factory=dict)
    timeout: float = 100.0
    naming_secret: bytes = b"names"
    file_access: object = None
    check_identity: bool = True

    @property
    def context(self):
        return self

    def sender_for(self, source):
        return source

    def require_open(self):
        pass


class CountedStore(MemoryStore):
    """A store that counts the reads of records."""

    reads = 0

    async def read(self, key):
        self.reads += 1
        return await super().read(key)


@attrs.define
class Harness:
    clock: FakeClock
    service: Service
    partner: Partner
    context: ClientContext
    events: list = attrs.field(factory=list)
    managers: list = attrs.field(factory=list)

    async def manager(self, *, entered=True, **options):
        options.setdefault("codes", self.partner)
        manager = ScopedTokenManager(
            self.context, hooks=[self.events.append], **options
        )
        self.managers.append(manager)
        return await manager.__aenter__() if entered else manager

    async def settle(self):
        """Run tasks until all of them wait for time to pass."""
        for _ in range(30):
            await asyncio.sleep(0)  # noqa: TID251  # lets others run

    async def advance_clock(self, seconds, step=None):
        """Advance the clock in steps, and run all tasks after each."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step or seconds, left))
            left -= step or seconds
            await self.settle()

    async def advance_until_done(self, work, seconds=60.0, step=0.5):
        """Await something while the clock advances, for at most these seconds."""
        task = asyncio.ensure_future(work)
        await self.settle()
        while not task.done() and seconds > 0:
            await self.advance_clock(step)
            seconds -= step
        assert task.done(), "it still waits"
        return await task

    def recorded(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def new_harness():
    clock = FakeClock()
    service = Service(clock)
    context = ClientContext(fake_runtime(clock), service)
    return Harness(clock, service, Partner(clock), context)


@pytest.fixture
def make_harness():
    """Return a factory for tests with their own event loops; its managers stay open."""
    return new_harness


@pytest_asyncio.fixture
async def harness():
    harness = new_harness()
    yield harness
    for manager in harness.managers:
        closing = asyncio.ensure_future(manager.aclose())
        await harness.settle()
        await harness.settle()
        harness.clock.advance(10)
        await closing
    assert {task for task in asyncio.all_tasks() if not task.done()} == {
        asyncio.current_task()
    }, "a task was left behind"
