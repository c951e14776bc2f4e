"""Three managers, one store and much bad weather, from a seed: what never happens.

Requests and answers are lost, the store goes down and forgets, tokens are revoked,
managers close and open, callers leave. Whatever comes of it, nobody gets a token that
has ended or that somebody complained of, and no code is sent under a key of its own.
"""

import asyncio
from collections import Counter, defaultdict

import pytest

from persona_share import ScopedTokenManager
from persona_share._transport.runtime import seeded_random
from persona_share.errors import PersonaError
from persona_share.testing.clock import FakeClock, fake_runtime
from tests._tokens.endpoint import Endpoint, Fault, Plan, code_of
from tests._tokens.roads import A, B, Road, code_for
from tests._tokens.sharing import Unreliable


SCOPES = (A, B, A | B)
HAIR = 1e-6
STEPS = 150
MANAGERS = 3


class Sent:
    """What leaves, by code and by scope, in place of a watch over one manager."""

    def __init__(self):
        self.keys = defaultdict(set)
        self.under_way = Counter()
        self.most = 0

    def leaving(self, request):
        code = code_of(request)
        self.keys[code].add(request.idempotency_key.reveal())
        self.under_way[code] += 1
        self.most = max(self.most, self.under_way[code])

    def answered(self, request, response):
        self.under_way[code_of(request)] -= 1

    @property
    def sendings(self):
        return self


class ClientContext:
    """The context of one process; all of them have the same API key."""

    origin = "https://api.withpersona.com/api/v1"
    timeout = 100.0
    naming_secret = b"names"

    def __init__(self, endpoint, sent, seed):
        self.exchanger = Road(endpoint, "key", sent)
        self.runtime = fake_runtime(endpoint.clock, seed=seed)
        self.headers = {}
        self.context = self

    def sender_for(self, source):
        return source

    def require_open(self):
        pass


class Storm:
    def __init__(self, seed, *, outages):
        self.random = seeded_random(seed)
        self.seed, self.outages = seed, outages
        self.clock = FakeClock()
        lifetime = self.pick((3599, 900) if outages else (120, 300))
        self.endpoint = Endpoint(self.clock, lifetime=lifetime)
        self.store, self.sent = Unreliable(), Sent()
        self.managers, self.asking = [], []
        self.complained, self.given = set(), []

    def pick(self, choices):
        return choices[int(self.random() * len(choices))]

    async def codes(self, scope):
        await self.clock.sleep(self.pick((0.0, 0.0, 3.0)))
        text = self.endpoint.issue(scope)
        return code_for(self.endpoint, text, self.endpoint.code_life)

    async def open(self):
        context = ClientContext(self.endpoint, self.sent, int(1e6 * self.random()))
        manager = ScopedTokenManager(context, codes=self.codes, store=self.store)
        self.managers.append(await manager.__aenter__())

    async def get(self, manager, scope, patience):
        try:
            token = await manager.token(scope, timeout=patience)
        except PersonaError:
            return
        true = self.endpoint.tokens[token.reveal()]
        assert self.clock.now() < true.ends, "a token is given that has ended"
        assert token.ends <= true.ends + HAIR, "its end is after the true one"
        assert scope <= true.scope, "it does not cover what was asked"
        mine = (id(manager), token.reveal()) not in self.complained
        assert mine, "what a manager complained of comes back to it"
        self.given.append((manager, token))

    def ask(self, manager):
        work = self.get(manager, self.pick(SCOPES), self.pick((0.5, 20.0, 100.0)))
        self.asking.append(asyncio.ensure_future(work))

    def leave(self, manager):
        if self.asking:
            self.pick(self.asking).cancel()

    def complain(self, manager):
        mine = [token for each, token in self.given if each is manager]
        if mine:
            token = self.pick(mine)
            manager.invalidate(token)
            self.complained.add((id(manager), token.reveal()))

    def bad_weather(self, manager):
        faults = [each for each in Fault if each is not Fault.REFUSED]
        delay = self.pick((0.0, 1.0, 12.0))
        self.endpoint.plans.append(Plan(self.pick(faults), delay, delay))

    def outage(self, manager):
        self.store.down = self.outages and not self.store.down

    def oblivion(self, manager):
        if self.outages:
            self.store.forget_everything()

    def replace(self, manager):
        self.managers.remove(manager)
        self.asking.append(asyncio.ensure_future(manager.aclose()))

    async def step(self):
        act = self.pick(
            (
                *(self.ask, self.ask, self.ask, self.ask, self.leave, self.complain),
                *(self.bad_weather, self.outage, self.oblivion, self.replace),
            )
        )
        act(self.pick(self.managers))
        if len(self.managers) < MANAGERS:
            await self.open()
        await settle()
        # A leap that is longer than a lease is a leader that was frozen.
        leaps = (0.1, 2.0, 2.0, 16.0, 61.0, 900.0) if self.outages else (0.1, 2.0, 4.0)
        self.clock.advance(self.pick(leaps))
        await settle()

    async def run(self):
        for _ in range(MANAGERS):
            await self.open()
        for _ in range(STEPS):
            await self.step()
        self.store.down = False
        self.asking += [asyncio.ensure_future(each.aclose()) for each in self.managers]
        for _ in range(600):
            await settle()
            if all(task.done() for task in self.asking):
                break
            self.clock.advance(1.0)
        for task in self.asking:
            assert task.done(), "somebody waits for ever"
            if not task.cancelled():
                task.result()
        await settle()
        left = [task for task in asyncio.all_tasks() if not task.done()]
        assert len(left) == 1, "a task is left behind"
        assert all(len(keys) <= 2 for keys in self.sent.keys.values())


async def settle():
    loop = asyncio.get_running_loop()
    for _ in range(20_000):
        # Only the loop knows whether anything is ready.
        if not loop._ready:
            return
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time


@pytest.mark.parametrize("outages", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_8_11_13_14_23_25_26_a_fleet_in_a_storm(seed, outages):
    storm = Storm(seed, outages=outages)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(storm.run())

    assert storm.given
    if not outages:
        assert storm.sent.most == 1
