"""A manager's whole world in one object, moved by hand: no real second passes.

Each verb does one thing and then lets everything run that can run without time passing;
`check` then asks the watch for what broke.
"""

import asyncio
import logging

import attrs

from persona_share import ScopedTokenManager
from persona_share._tokens.tickets import TicketState
from persona_share.model.secret import Secret
from persona_share.testing.clock import FakeClock
from tests._tokens.callers import Callers
from tests._tokens.endpoint import Endpoint
from tests._tokens.held import HAIR
from tests._tokens.masks import LogKeeper
from tests._tokens.roads import WIDEST, A, B, C, ClientContext


#: More turns than any honest chain of callbacks needs.
MOST_TURNS = 20_000
SCOPES = (A, B, A | B, WIDEST, C)


async def settle():
    """Let everything run that can run without time passing."""
    loop = asyncio.get_running_loop()
    for _ in range(MOST_TURNS):
        # Only the loop knows whether anything is ready; a fixed number of turns would
        # be slow where it is large and wrong where it is small.
        if not loop._ready:
            return
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
    message = "the manager never comes to rest"
    raise AssertionError(message)


@attrs.define(eq=False)
class Waiter:
    """One caller that waits for something, until a reading of the timers."""

    task: asyncio.Task
    what: str
    ends: float


class TokenWorld:
    """One manager, its partner, the service, a clock, and the loop that they run in."""

    def __init__(
        self, policy, *, seed=0, codes=True, plant=lambda context: None, **service
    ):
        self.loop = asyncio.SelectorEventLoop()
        self.clock = FakeClock()
        self.timers = 0.0
        self.policy = policy
        self.endpoint = Endpoint(self.clock, **service)
        self.context = ClientContext(self.endpoint, policy, seed=seed)
        self.watch = self.context.watch
        self.partner, self.api = self.context.partner, self.context.api
        self.keeper = LogKeeper(self.watch)
        logging.getLogger("persona_share").addHandler(self.keeper)
        plant(self.context)
        self.codes = codes
        self.waiters = []
        self.pushed = []
        self._open()

    def _open(self):
        self.manager = ScopedTokenManager(
            self.context,
            codes=self.partner if self.codes else None,
            renewal=self.policy,
            hooks=[self.watch.hook],
        )
        self.watch.attach(self.manager)
        self.callers = Callers(self.manager, self.context)
        self.pushed.clear()
        self.partner.given.clear()
        self.run(self.manager.__aenter__())

    def run(self, awaitable):
        """Await something that needs no time to pass, and let everything settle."""

        async def body():
            result = await awaitable
            await settle()
            return result

        return self.loop.run_until_complete(body())

    def settle(self):
        """Let everything run that can run without time passing."""
        self.loop.run_until_complete(settle())

    # ── Callers ─────────────────────────────────────────────────────────────────

    @property
    def seen(self):
        """The tokens that callers got."""
        return self.callers.seen

    def get(self, scope, callers, timeout):
        """Let so many callers ask for a token; they wait, unless one is at hand."""
        for _ in range(callers):
            self._wait("get", self.callers.get(scope, timeout), timeout)
        self.settle()

    def call(self, scope, delays):
        """Let a caller use its token; the API may answer 401."""
        self.api.delays.append(delays)
        self._wait("call", self.callers.call(scope), float("inf"))
        self.settle()

    def warm(self, scope):
        """Ask for a token that is kept ready."""
        self._wait("warm", self.callers.warm(scope), float("inf"))
        self.settle()

    def _wait(self, what, coroutine, timeout):
        task = self.loop.create_task(coroutine)
        self.waiters.append(Waiter(task, what, self.timers + timeout))

    def cancel(self, chosen):
        """Cancel some of the callers; nothing else may change by that."""
        others = [each for each in self.waiters if each not in chosen]
        before = [each.task.done() for each in others]
        known = len(self.watch.ledger.keys)
        for waiter in chosen:
            waiter.task.cancel()
        self.settle()
        at_once = all(each.task.cancelled() for each in chosen)
        self.watch.require(6, at_once, "a cancelled caller does not see it at once")
        same = before == [each.task.done() for each in others]
        self.watch.require(6, same, "cancelling one caller ended another's wait")
        sent = len(self.watch.ledger.keys) - known
        self.watch.require(6, not sent, "cancelling a caller sent a code")
        self.waiters = others

    # ── Codes ───────────────────────────────────────────────────────────────────

    def offer(self, hint, grants, *, told):
        """Push a code into the pool."""
        text = self.endpoint.issue(grants)
        if self.run(self.callers.offer(text, hint, told=told)):
            self.pushed.append(text)

    def offer_again(self, text, hint):
        """Push a code that was pushed before."""
        self.run(self.callers.offer(text, hint, told=False))

    def exchange(self, grants, hint):
        """Deliver a code that is to be exchanged at once."""
        text = self.endpoint.issue(grants)
        self.pushed.append(text)
        self.exchange_again(text, hint)

    def exchange_again(self, text, hint):
        """Deliver a code, maybe one that was delivered before."""
        self._wait("exchange", self.callers.exchange(text, hint), self.context.timeout)
        self.settle()

    def remembered(self):
        """Answer the pushed codes that the manager still knows.

        It forgets the oldest when there are many: without a store it cannot know that
        such a code, should it be delivered again, was exchanged long ago.
        """
        pool = self.manager._broker.codes.pool
        return [text for text in self.pushed if pool.known(Secret(text)) is not None]

    # ── Time ────────────────────────────────────────────────────────────────────

    def jump(self, seconds):
        """Let time pass at one stroke: everything is late."""
        self.clock.advance(seconds)
        self.timers += seconds
        self.endpoint.catch_up()
        self.settle()

    def wait(self, seconds):
        """Let time pass, and everything happen at its own instant."""
        end = self.clock._timer + seconds
        while True:
            due = self.clock._sleepers[0][0] if self.clock._sleepers else end
            step = max(min(due, end) - self.clock._timer, 0.0)
            self.jump(step)
            if due > end - HAIR:
                return

    def suspend(self, seconds):
        """Let the machine sleep: the timers of the loop do not count it."""
        self.clock.suspend(seconds, timers=False)
        self.endpoint.catch_up()
        self.settle()

    def step_wall(self, seconds):
        """Set the wall clock; nothing may follow from it."""
        before, known = self._shown(), len(self.watch.events)
        self.clock.step_wall(seconds)
        self.settle()
        same = before == self._shown() and known == len(self.watch.events)
        self.watch.require(15, same, "a step of the wall clock changed something")

    def _shown(self):
        held = [(t.generation, t.ends, t.expires_in) for t in self.manager.tokens()]
        return held, [each.task.done() for each in self.waiters]

    # ── Complaints and the end ──────────────────────────────────────────────────

    def invalidate(self, token):
        """Complain about a token, current or old."""
        self.run(self.callers.invalidate(token))

    def forget(self, scope):
        """Let the manager forget a scope."""
        self.run(self.callers.forget(scope))

    def reopen(self):
        """Close the manager and open another one in its place."""
        self.close_manager()
        self._open()

    def close_manager(self):
        """Close the manager; it may take its grace, and leaves nothing behind."""
        closing = self.loop.create_task(self.manager.aclose())
        self.settle()
        self.wait(self.policy.drain + HAIR)
        self.watch.require(26, closing.done(), "closing takes longer than its grace")
        if not closing.done():
            closing.cancel()
        self.settle()
        for waiter in self.waiters:
            ended = waiter.task.done() or waiter.what == "call"
            self.watch.require(26, ended, "a caller still waits after the end")
            waiter.task.cancel()
        self.settle()
        left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        self.watch.require(26, not left, f"{len(left)} tasks are left behind")
        pool = self.manager._broker.codes.pool
        sent = [each for each in pool if each.state is TicketState.SENT]
        self.watch.require(26, not sent, "a ticket stays sent")
        self.waiters.clear()

    def check(self):
        """Raise `AssertionError` if any invariant is broken."""
        overdue = [each for each in self.waiters if each.ends + 1 < self.timers]
        hang = [each.what for each in overdue if not each.task.done()]
        self.watch.require(23, not hang, f"still waiting: {hang}")
        self._collect()

        async def look():
            self.watch.at_rest(SCOPES, self.callers.bearers)

        self.run(look())
        assert not self.watch.breaks, self.watch.breaks

    def _collect(self):
        for waiter in self.waiters:
            if waiter.task.done() and not waiter.task.cancelled():
                waiter.task.result()  # an error that no test expects ends the test
            elif waiter.task.done():
                self.watch.require(6, holds=False, what="a caller was cancelled")
        self.waiters = [each for each in self.waiters if not each.task.done()]

    def close(self):
        """End everything, and check the end."""
        try:
            self.close_manager()
            assert not self.watch.breaks, self.watch.breaks
        finally:
            logging.getLogger("persona_share").removeHandler(self.keeper)
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.settle()
            self.loop.close()
