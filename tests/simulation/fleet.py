"""Several managers over one store, in one deterministic loop, with faults and cancels.

A seed decides everything: the calls, which store operations fail, hang or lose their
response, when callers are cancelled, how clocks step, and which manager freezes while it
holds a lease.
"""

import asyncio
import random  # noqa: TID251  # a seed decides everything
import selectors
from contextlib import suppress

import attrs

from persona_share import Scope, ScopedTokenManager
from persona_share._tokens.record import ScopeRecord, code_id, decode
from persona_share.errors import PersonaError, StoreUnavailableError
from persona_share.model.secret import Secret
from persona_share.stores import MemoryStore
from persona_share.testing.clock import FakeClock, fake_runtime
from tests.simulation.service import CODE_LIFE, LIFETIME, Service


SCOPES = [Scope.read("inq_1"), Scope.read("ver_2")]
MANAGERS = 3
ACTIONS = 25
MAX_TURNS = 100_000
#: Every rejected token may cost one code more; so may every refused one.
GUARD = 10.0


class NoSockets(selectors.SelectSelector):
    """A selector that asks the system for nothing: the simulation has no sockets."""

    def select(self, timeout=None):
        assert timeout == 0, "the simulation waits for something outside itself"
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits."""

    def __init__(self):
        super().__init__(NoSockets())

    def _write_to_self(self):
        """Do nothing: each callback comes from the thread of the loop."""


class FaultyStore:
    """One manager's connection to the shared store; it can fail, hang, lag and lose responses."""

    accepts_secrets = True

    def __init__(self, store, fleet):
        self._store = store
        self._fleet = fleet
        self.frozen_until = 0.0
        self.down_until = 0.0

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def _trouble(self):
        """Wait while frozen, and fail at random; return whether to lose the response."""
        clock, rng = self._fleet.clock, self._fleet.rng
        if self.frozen_until > clock.now():
            await clock.sleep(self.frozen_until - clock.now())
        await clock.sleep(rng.choice([0.0, 0.0, 0.01]))
        if not self._fleet.faulty:
            return False
        fault = rng.random()
        if self.down_until > clock.now() or fault < 0.01:
            raise rng.choice([OSError, StoreUnavailableError, ValueError])("down")
        if fault < 0.015:
            await clock.sleep(10_000.0)
        return fault < 0.03

    async def read(self, key):
        await self._trouble()
        found = await self._store.read(key)
        return attrs.evolve(found, now=found.now + self._fleet.step)

    async def write(self, key, value, *, if_etag, ttl):
        lost = await self._trouble()
        written = await self._store.write(key, value, if_etag=if_etag, ttl=ttl)
        return False if lost else written

    async def keys(self, prefix):
        async for key in self._store.keys(prefix):
            yield key


@attrs.define
class Exchanger:
    """Sends the requests of one manager, so that the service knows whose they are."""

    service: Service
    number: int

    async def send(self, request):
        return await self.service.send(request, self.number)


@attrs.define
class Context:
    """The part of a client context that a manager uses."""

    runtime: object
    exchanger: object
    origin: str = "https://api.withpersona.com/api/v1"
    headers: dict = attrs.field(factory=dict)
    timeout: float = 60.0
    naming_secret: bytes = b"names"

    @property
    def context(self):
        return self

    def require_open(self):
        pass


class Fleet:
    """The managers, their common store, the service and the partner of one seed."""

    def __init__(self, seed, *, eager=False):
        self.rng = random.Random(seed)  # noqa: S311  # no secrets
        self.clock = FakeClock()
        self.faulty = self.rng.random() < 0.8
        self.step = 0.0
        self.stepped = False
        self.stepped_back = self.stepped_ahead = 0.0
        self.loop = SimulatedLoop()
        if eager:
            self.loop.set_task_factory(asyncio.eager_task_factory)
        self.service = Service(self.clock, self.rng)
        self.service.faulty = self.faulty
        runtime = fake_runtime(self.clock, seed=seed)
        self.common = MemoryStore(runtime=runtime)
        self.stores = [FaultyStore(self.common, self) for _ in range(MANAGERS)]
        self.managers = [
            ScopedTokenManager(
                Context(runtime, Exchanger(self.service, number)),
                codes=self._codes,
                store=store,
            )
            for number, store in enumerate(self.stores)
        ]
        self.rejected = [set() for _ in self.managers]
        self.rejections = 0
        self.offered = {}
        self.given_twice = set()
        self.tasks = []
        self.broken = self.service.broken

    async def _codes(self, scope):
        await self.clock.sleep(self.rng.choice([0.0, 1.0, 20.0, 45.0]))
        if self.faulty and self.rng.random() < 0.05:
            message = "the partner fails"
            raise ValueError(message)
        return self.service.new_code(scope)

    # ── Time ────────────────────────────────────────────────────────────────────

    def run(self, seconds, until=lambda: False):
        """Let time pass, and everything happen at its own instant."""
        self.loop.run_until_complete(self._advance(seconds, until))

    async def _advance(self, seconds, until):
        end = self.clock._timer + seconds
        while not until():
            await self._settle()
            sleepers = self.clock._sleepers
            due = min(sleepers[0][0], end) if sleepers else end
            if until() or due >= end:
                break
            self.clock.advance(max(due - self.clock._timer, 0.0))
        if not until():
            self.clock.advance(max(end - self.clock._timer, 0.0))
            await self._settle()

    async def _settle(self):
        for _ in range(MAX_TURNS):
            if not self.loop._ready:
                return
            await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
        self.broken.append("the loop never comes to rest")

    # ── Actions ─────────────────────────────────────────────────────────────────

    async def _get(self, number, scope, seconds):
        manager = self.managers[number]
        deadline = self.clock.now() + seconds
        token = None
        with suppress(PersonaError):
            token = await manager.token(scope, timeout=seconds)
            self._check(number, token, scope)
        if self.clock.now() > deadline + 0.001:
            self.broken.append("a caller waited past its deadline")
        return token

    def _check(self, number, token, scope):
        if token.scope != scope:
            self.broken.append("a token of another scope was handed out")
        value, now = token.reveal(), self.clock.now()
        if value in self.rejected[number]:
            self.broken.append("a rejected token was handed out")
        # A token that comes from a record is as old as the store's clock says: a clock
        # that went back by five minutes adds them to what this manager can know.
        if now >= self.service.ends[value] + self.stepped_back:
            self.broken.append("a token was handed out after its end")
        if token.ends > self._latest_end(value) + self.stepped_back + 0.001:
            self.broken.append("a token is believed to live longer than it does")
        if token.ends - now < GUARD - 0.001:
            self.broken.append("a token was handed out in its last moments")

    def _latest_end(self, value):
        """Return the latest end of a token that a manager may believe in.

        It counts from the first send of its code under its key. A code that two
        managers get while a store fails may count from the later one of their first
        sends: the second manager cannot know of the first one's request. Repeated
        sends change nothing.
        """
        name = value.removeprefix("token.")
        if name in self.given_twice:
            code = self.service.codes[name]
            sent = [
                at for (key, _), at in code.first_sent.items() if key == code.issued
            ]
            return max(sent) + LIFETIME
        return self.service.ends[value]

    async def _reject(self, number, scope):
        token = await self._get(number, scope, 30.0)
        if token is not None and not self.stepped:
            self.managers[number].invalidate(token)
            self.rejected[number].add(token.reveal())
            self.rejections += 1

    async def _offer(self, number, scope):
        code = self.service.new_code(scope)
        with suppress(PersonaError):
            await self.managers[number].offer(code, scope)
            self.offered[code] = self.clock.now()

    async def _exchange(self, numbers, scope):
        code = self.service.new_code(scope)
        if self.faulty:
            self.given_twice.add(code)
        for number in numbers:
            with suppress(PersonaError):
                got = await self.managers[number].exchange(code, scope=scope)
                if got != scope:
                    self.broken.append("an exchange returned another scope")

    def act(self):
        """Run one random action."""
        rng, number = self.rng, self.rng.randrange(MANAGERS)
        scope, kind = rng.choice(SCOPES), rng.random()
        if kind < 0.55:
            self._start(self._get(number, scope, rng.choice([5.0, 30.0, 60.0])))
        elif kind < 0.62:
            self._start(self._offer(number, scope))
        elif kind < 0.70:
            numbers = rng.sample(range(MANAGERS), 2)
            self._start(self._exchange(numbers, scope))
        elif kind < 0.75:
            self._start(self._reject(number, scope))
        elif kind < 0.85 and self.tasks:
            rng.choice(self.tasks).cancel()
        elif self.faulty:
            self._disturb(number)
        self.run(rng.choice([0.0, 0.5, 4.0, 20.0, 300.0, 900.0]))

    def _disturb(self, number):
        kind, until = self.rng.random(), self.clock.now()
        until += self.rng.choice([4.0, 18.0, 40.0])
        if kind < 0.4:
            self.stores[number].down_until = until
        elif kind < 0.8:
            self.stores[number].frozen_until = until
        elif kind < 0.9:
            step = self.rng.choice([-300.0, 300.0])
            self.step += step
            self.stepped_back += max(0.0, -step)
            self.stepped_ahead += max(0.0, step)
            self.stepped = True
        else:
            self.clock.step_wall(self.rng.choice([-7_200.0, 7_200.0]))

    def _start(self, work):
        self.tasks = [task for task in self.tasks if not task.done()]
        self.tasks.append(self.loop.create_task(work))

    # ── The whole ───────────────────────────────────────────────────────────────

    def check(self):
        """Run everything and return what broke."""
        try:
            for manager in self.managers:
                self._await(manager.__aenter__(), 60.0)
            for _ in range(ACTIONS):
                self.act()
            self._recover()
            self._end()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            with suppress(Exception):
                self.loop.run_until_complete(self._settle())
            self.loop.close()
        return self.broken

    def _await(self, work, seconds):
        task = self.loop.create_task(work)
        self.run(seconds, task.done)
        return task.result() if task.done() and not task.cancelled() else None

    def _recover(self):
        """With everything healthy again, every manager has a token of each scope."""
        self.faulty = self.service.faulty = False
        for store in self.stores:
            store.frozen_until = store.down_until = 0.0
        self.run(120.0)
        overdue = [task for task in self.tasks if not task.done()]
        if overdue:
            self.broken.append(f"{len(overdue)} callers hang")
        for scope in SCOPES:
            for number in range(MANAGERS):
                got = None
                for _ in range(14):
                    got = self._await(self._get(number, scope, 60.0), 61.0)
                    if got is not None:
                        break
                    self.run(60.0)
                if got is None:
                    self.broken.append("a manager gets no token after the faults")
        self._check_codes()
        self._renew()

    def _check_codes(self):
        """No code that was acknowledged is neither used nor in a record nor expired.

        A store whose clock stepped ahead holds codes for expired that much earlier.
        """
        now, kept = self.clock.now(), self._await(self._codes_in_records(), 1.0)
        now += self.stepped_ahead
        for name, at in self.offered.items():
            code = self.service.codes[name]
            fresh = now < at + CODE_LIFE - 60 and code.token is None
            if fresh and not code.refused and code_id(Secret(name)) not in kept:
                self.broken.append("a code that was offered is lost")

    async def _codes_in_records(self):
        kept = set()
        async for key in self.common.keys("scope/"):
            value = (await self.common.read(key)).value
            kept |= {each.id for each in decode(key, value, ScopeRecord).codes}
        return kept

    def _renew(self):
        """In health one renewal costs one code for all managers."""
        if self.stepped or self.broken:
            return
        before = len(self.service.codes)
        used = sum(code.token is not None for code in self.service.codes.values())
        for _ in range(12):
            self.run(300.0)
            for number in range(MANAGERS):
                for scope in SCOPES:
                    self._start(self._get(number, scope, 60.0))
        self.run(70.0)
        # A code of the last seconds may still be on its way.
        settled = self.clock.now() - 10.0 + CODE_LIFE
        codes = list(self.service.codes.values())[before:]
        pulled = sum(code.ends < settled for code in codes)
        now_used = sum(code.token is not None for code in self.service.codes.values())
        if pulled > now_used - used:
            self.broken.append("a renewal cost more than one code a token")
        # Codes that were delivered before are used at their last safe moment.
        if sum(code.token is not None for code in codes) > 2 * len(SCOPES):
            self.broken.append("tokens are renewed too often")

    def _end(self):
        for manager in self.managers:
            closing = self.loop.create_task(manager.aclose())
            self.run(8.0, closing.done)
            if not closing.done():
                self.broken.append("closing takes longer than its grace")
        self.run(1.0)
        left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        if left:
            self.broken.append(f"{len(left)} tasks are left behind")


def broken_by(seed, *, eager=False):
    """Return what breaks under a seed; an error of ours counts as broken."""
    try:
        return Fleet(seed, eager=eager).check()
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"{type(error).__name__}: {error}"]
