"""The ways between one manager and the service, and what its partner says on them."""

import asyncio
from collections import deque
from datetime import timedelta

import attrs

from persona_share import Scope
from persona_share._pipeline.authenticated import Authenticated
from persona_share._protocol.http import Response
from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
)
from persona_share.model.token import AuthorizationCode
from persona_share.testing.clock import fake_runtime
from tests._tokens.endpoint import CANARY, Fault
from tests._tokens.watch import Watch


A, B, C = Scope.read("inq_1"), Scope.read("ver_2"), Scope.read("act_3")
WIDEST = A | B | C


class Road:
    """The `Sender` between one client and the endpoint; somebody watches it."""

    def __init__(self, endpoint, api_key, watch):
        self._endpoint = endpoint
        self._clock = endpoint.clock
        self._api_key = api_key
        self._watch = watch

    async def send(self, request):
        """Send as planned, and answer or fail as planned."""
        plan = self._endpoint.next_plan()
        sent = self._clock.now()
        self._watch.sendings.leaving(request)
        response = None
        try:
            response = await self._travelled(request, plan, sent)
        finally:
            self._watch.sendings.answered(request, response)
        return attrs.evolve(response, first_sent_at=sent)

    async def _travelled(self, request, plan, sent):
        endpoint, arrival = self._endpoint, sent + plan.before
        try:
            await self._on_the_way(plan.before, request.deadline)
        except (asyncio.CancelledError, DeadlineExceededError):
            if plan.fault not in {Fault.LOST_BEFORE, Fault.UNREACHABLE}:
                endpoint.overlook(request, self._api_key, plan, arrival)
            raise
        if plan.fault is Fault.UNREACHABLE:
            message = "no connection"
            raise ConnectError(message)
        if plan.fault is Fault.LOST_BEFORE:
            message = "the request was lost"
            raise ConnectionLostError(message)
        endpoint.catch_up()
        response = endpoint.serve(request, self._api_key, plan, arrival)
        await self._on_the_way(plan.after, request.deadline)
        if plan.fault is Fault.LOST_AFTER:
            message = "the answer was lost"
            raise ConnectionLostError(message)
        late = plan.fault is Fault.GATEWAY_TIMEOUT_AFTER
        return Response(status=504) if late else response

    async def _on_the_way(self, seconds, deadline):
        left = deadline - self._clock.now()
        if seconds:
            await self._clock.sleep(min(seconds, left))
        if seconds > left:
            message = "the attempt took too long"
            raise DeadlineExceededError(message)


class Api:
    """The `Sender` for everything else: it lets a call in, or answers 401."""

    def __init__(self, endpoint, watch):
        self._endpoint = endpoint
        self._watch = watch
        self.delays = deque()
        self.stray = 0

    async def send(self, request):
        """Answer whether the token is good at the moment when the call arrives."""
        value = request.authorization.removeprefix("Bearer ")
        self._watch.calling(value, request)
        before, after = self.delays.popleft() if self.delays else (0.0, 0.0)
        if before:
            await self._endpoint.clock.sleep(before)
        good = self._endpoint.honours(value)
        if good and self.stray:
            self.stray -= 1
            good = False
        if after:
            await self._endpoint.clock.sleep(after)
        return Response(status=200 if good else 401)


class Partner:
    """The code source: answers codes, or does what the next of its plans says."""

    def __init__(self, endpoint, watch):
        self.endpoint = endpoint
        self.watch = watch
        self.plans = []
        self.given = []

    async def __call__(self, scope):
        """Answer a code for this scope, late or wrong where that is planned."""
        sendings = self.watch.sendings
        sendings.asking(scope)
        asking_now = sendings.asking_now
        asking_now[scope] += 1
        kind, delay = self.next_plan()
        try:
            if delay:
                await self.endpoint.clock.sleep(delay)
        finally:
            asking_now[scope] -= 1
        return self._answer(kind, scope)

    def next_plan(self):
        """Answer what to do about the next question, and after how long."""
        return self.plans.pop(0) if self.plans else ("code", 0.0)

    def _answer(self, kind, scope):
        match kind:
            case "raise":
                raise ValueError(CANARY)
            case "nothing":
                return None
            case "used" if self.given:
                return self.given[-1]
        grants = {"wide": WIDEST, "narrow": Scope(scope.atoms[:1])}.get(kind, scope)
        life = 1.0 if kind == "ended" else self.endpoint.code_life
        text = self.endpoint.issue(grants)
        if kind == "unknown":
            del self.endpoint.codes[text]
        self.watch.sendings.received(text, scope, life, pulled=True)
        self.given.append(code_for(self.endpoint, text, life))
        return self.given[-1]


def code_for(endpoint, text, life):
    """Answer a code with its end, as a partner would hand it over."""
    ends = endpoint.clock.wall() + timedelta(seconds=life)
    return AuthorizationCode(text, expires_at=ends)


class ClientContext:
    """The context that a manager stands on: roads to the service, and a watch."""

    origin = "https://api.withpersona.com/api/v1"
    timeout = 100.0
    naming_secret = b"names"

    def __init__(self, endpoint, policy, *, api_key="key", ledger=None, seed=0):
        self.watch = Watch(endpoint, policy, api_key, ledger)
        self.partner = Partner(endpoint, self.watch)
        self.api = Api(endpoint, self.watch)
        self.exchanger = Road(endpoint, api_key, self.watch)
        self.runtime = fake_runtime(endpoint.clock, seed=seed)
        self.headers = {}
        self.context = self

    def sender_for(self, source):
        """Answer the stack that carries a token and hears of every 401."""
        return Authenticated(self.api, source)

    def require_open(self):
        """Find that it is open."""
