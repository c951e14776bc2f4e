"""One run: many workers, several managers and one service, in virtual time.

Everything follows from the seed, so that the same seed leaves the same trace, and a
break of an invariant can be looked at again.
"""

import asyncio
import hashlib
import logging

import attrs

from persona_share import ScopedTokenManager
from persona_share._tokens.tickets import TicketState
from persona_share.model.policy import RenewalPolicy
from persona_share.testing.clock import FakeClock
from tests._tokens.callers import Callers
from tests._tokens.held import HAIR
from tests._tokens.masks import LogKeeper
from tests._tokens.roads import ClientContext
from tests._tokens.sendings import Ledger
from tests._tokens.world import SCOPES, settle
from tests.simulation.faults import Dice, MoodyEndpoint, MoodyPartner
from tests.simulation.workers import Worker


#: Which API key each manager has; two of them are as two processes of one organization.
API_KEYS = ("key-1", "key-1", "key-2")
WORKERS = 12
POLICY = RenewalPolicy(most_tokens=4, most_codes=12, most_codes_a_scope=3)


@attrs.frozen
class Result:
    """What a run leaves: the hash of its trace, and the invariants that broke."""

    trace: str
    breaks: tuple
    lines: tuple


class Trace:
    """Keeps what happened, line by line, each at its virtual instant."""

    def __init__(self, clock):
        self._clock = clock
        self.lines = []

    def __call__(self, name, what):
        """Keep one line."""
        self.lines.append(f"{self._clock.now():.6f} {name} {what}")


class Traced:
    """A `Sender` that writes into the trace what leaves and what comes back."""

    def __init__(self, inner, name, trace):
        self._inner, self._name, self._trace = inner, name, trace

    async def send(self, request):
        """Send, and write it down."""
        self._trace(self._name, f"sends {request.body!r}")
        try:
            response = await self._inner.send(request)
        except BaseException as error:
            self._trace(self._name, f"got {type(error).__name__}")
            raise
        self._trace(self._name, f"got {response.status}")
        return response


class Place:
    """One manager after the other on one context, and the watch over them."""

    def __init__(self, name, context, trace):
        self.name = name
        self.context = context
        self.closing = True
        #: The timers' instant of the loop's last turn before this one.
        self.turned_at = 0.0
        self.manager = self.callers = None
        self._trace = trace
        self._clock = context.watch.clock

    async def open(self):
        """Open a manager."""
        watch = self.context.watch
        self.manager = ScopedTokenManager(
            self.context,
            codes=self.context.partner,
            renewal=POLICY,
            hooks=[watch.hook, lambda event: self._trace(self.name, event)],
        )
        watch.attach(self.manager)
        self.callers = Callers(self.manager, self.context)
        self.context.partner.given.clear()
        await self.manager.__aenter__()
        self.closing = False

    async def close(self):
        """Close the manager, and check how it ends (26)."""
        self.closing = True
        watch, started = self.context.watch, self._clock._timer
        await self.manager.aclose()
        in_time = within_grace(started, self.turned_at, self._clock._timer)
        watch.require(26, in_time, "closing takes too long")
        pool = self.manager._broker.codes.pool
        sent = [each for each in pool if each.state is TicketState.SENT]
        watch.require(26, not sent, "a ticket stays sent")

    async def reopen(self):
        """Close the manager, and open another one."""
        if not self.closing:
            await self.close()
            await self.open()

    def check(self):
        """Let the watch look at what is held."""
        if not self.closing:
            self.context.watch.at_rest(SCOPES, self.callers.bearers)


def within_grace(started, turned_at, ended):
    """Answer whether a closing ended in its grace, or at the first turn after that.

    A loop that is late can end nothing before it has a turn.
    """
    last = started + POLICY.drain
    return ended <= last + HAIR or turned_at < last - HAIR


class Simulation:
    """One run from one seed; ``plant`` may put a mistake into each context."""

    def __init__(self, seed, steps, plant=lambda context: None):
        self._dice = dice = Dice(seed)
        self._clock = FakeClock()
        self._trace = Trace(self._clock)
        self._endpoint = MoodyEndpoint(
            self._clock,
            dice,
            lifetime=dice.pick((3599, 3599, 900, 300)),
            limit=dice.pick((None, 300, 60)),
            kills_older=dice.chance(0.3),
        )
        ledger = Ledger()
        self._places = [
            self._place(number, key, ledger, plant)
            for number, key in enumerate(API_KEYS)
        ]
        self._steps = iter(range(steps))

    def _place(self, number, api_key, ledger, plant):
        name, seed = f"manager-{number}", int(self._dice.between(0, 1e6))
        context = ClientContext(
            self._endpoint, POLICY, api_key=api_key, ledger=ledger, seed=seed
        )
        context.partner = MoodyPartner(self._endpoint, context.watch, self._dice)
        context.exchanger = Traced(context.exchanger, name, self._trace)
        plant(context)
        return Place(name, context, self._trace)

    def run(self):
        """Run to the end and answer what it leaves."""
        log = logging.getLogger("persona_share")
        keepers = [LogKeeper(place.context.watch) for place in self._places]
        for keeper in keepers:
            log.addHandler(keeper)
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._main())
        finally:
            for keeper in keepers:
                log.removeHandler(keeper)
        lines = tuple(self._trace.lines)
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        breaks = [each for place in self._places for each in place.context.watch.breaks]
        return Result(digest, tuple(breaks), lines)

    async def _main(self):
        for place in self._places:
            await place.open()
        workers = [
            Worker(self._places, self._endpoint, self._dice, self._steps, self._trace)
            for _ in range(WORKERS)
        ]
        await self._through([worker.run() for worker in workers])
        await self._through([place.close() for place in self._places])
        left = len(asyncio.all_tasks()) - 1
        watch = self._places[0].context.watch
        watch.require(26, not left, f"{left} tasks are left behind")

    async def _through(self, work):
        """Move the clock from one instant at which something is due to the next."""
        tasks = [asyncio.ensure_future(each) for each in work]
        known = -1
        while True:
            await settle()
            if len(self._trace.lines) > known:
                known = len(self._trace.lines)
                for place in self._places:
                    place.check()
            if all(task.done() for task in tasks):
                break
            self._pass_time()
        for task in tasks:
            task.result()

    def _pass_time(self):
        clock, dice = self._clock, self._dice
        if dice.chance(0.005):
            clock.suspend(dice.pick((1.0, 60.0, 4000.0)), timers=False)
        if dice.chance(0.005):
            clock.step_wall(dice.pick((-86_400.0, -3600.0, 3600.0, 86_400.0)))
        for place in self._places:
            place.turned_at = clock._timer
        # Now and then the loop is late, and much is due at once.
        late = dice.between(0, 20) if dice.chance(0.01) else 0.0
        clock.advance(max(clock._sleepers[0][0] - clock._timer, 0.0) + late)
        self._endpoint.catch_up()
