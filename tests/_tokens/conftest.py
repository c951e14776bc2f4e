"""A broker's runtime: a clock that is moved by hand and a service that is scripted."""

import asyncio
import json

import attrs
import pytest
import pytest_asyncio

from persona_share import Scope, ScopedTokenManager
from persona_share._protocol.http import Response
from persona_share.errors import ConnectionLostError
from persona_share.testing.clock import FakeClock, fake_runtime


@attrs.define
class Service:
    """Stands in for ``POST /oauth/token``: mints, or does what it was told.

    ``script`` holds answers and errors for the next requests, None for a token. While
    it is ``silent`` nothing comes back before a request's deadline.
    """

    clock: FakeClock
    lifetime: int = 3599
    delay: float = 0.0
    silent: bool = False
    headers: dict = attrs.field(factory=dict)
    script: list = attrs.field(factory=list)
    requests: list = attrs.field(factory=list)
    grants: object = None
    minted: int = 0

    async def send(self, request):
        self.requests.append(request)
        sent = self.clock.now()
        number = len(self.requests)
        if self.silent:
            await self.clock.sleep(request.deadline - sent)
            message = "no answer in time"
            raise ConnectionLostError(message)
        if self.delay:
            await self.clock.sleep(self.delay)
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return attrs.evolve(outcome, first_sent_at=sent)
        self.minted += 1
        scope = self.grants if self.grants is not None else self.scope_of(request)
        answer = {
            "access-token": f"token{number}",
            "token-type": "bearer",
            "expires-in": self.lifetime,
            "scope": str(scope),
        }
        body = json.dumps(answer).encode()
        return Response(status=201, headers=self.headers, body=body, first_sent_at=sent)

    def scope_of(self, request):
        """The codes of `Partner` carry their scope, for this stand-in to read."""
        return Scope(bytes.fromhex(code_of(request).split(".")[1]).decode().split())

    @property
    def codes(self):
        return [code_of(request) for request in self.requests]

    @property
    def keys(self):
        return [request.idempotency_key.reveal() for request in self.requests]


def code_of(request):
    """The code in the form of an exchange."""
    return dict(pair.split("=") for pair in request.body.decode().split("&"))["code"]


@attrs.define
class Partner:
    """A code source that counts, and that can be told to fail or to wait."""

    clock: FakeClock
    asked: list = attrs.field(factory=list)
    script: list = attrs.field(factory=list)
    delay: float = 0.0

    async def __call__(self, scope):
        self.asked.append(scope)
        if self.delay:
            await self.clock.sleep(self.delay)
        outcome = self.script.pop(0) if self.script else None
        if isinstance(outcome, BaseException):
            raise outcome
        return self.code(scope) if outcome is None else outcome

    def code(self, scope):
        return f"code{len(self.asked)}.{str(scope).encode().hex()}"


@attrs.define
class ClientContext:
    """The context that a manager stands on, with nothing behind it but the service."""

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


@attrs.define
class House:
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
        """Let everything run that can run without time passing."""
        for _ in range(30):
            await asyncio.sleep(0)  # noqa: TID251  # lets others run

    async def pass_time(self, seconds, step=None):
        """Let time pass in steps, and everything that is due happen in each."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step or seconds, left))
            left -= step or seconds
            await self.settle()

    async def soon(self, work, seconds=60.0, step=0.5):
        """Await something while time passes, this much at the most."""
        task = asyncio.ensure_future(work)
        await self.settle()
        while not task.done() and seconds > 0:
            await self.pass_time(step)
            seconds -= step
        assert task.done(), "it still waits"
        return await task

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def new_house():
    clock = FakeClock()
    service = Service(clock)
    context = ClientContext(fake_runtime(clock), service)
    return House(clock, service, Partner(clock), context)


@pytest.fixture
def make_house():
    """For tests that run event loops of their own; nobody closes its managers."""
    return new_house


@pytest_asyncio.fixture
async def house():
    house = new_house()
    yield house
    for manager in house.managers:
        closing = asyncio.ensure_future(manager.aclose())
        await house.settle()
        house.clock.advance(10)
        await closing
    assert {task for task in asyncio.all_tasks() if not task.done()} == {
        asyncio.current_task()
    }, "a task was left behind"
