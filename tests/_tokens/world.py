"""A manager's whole world in one object, moved by hand: no real second passes.

Each verb does one thing and then lets everything run that can run without time passing;
`check` then asks the watch for what broke.
"""

import asyncio
import logging

import attrs

from persona_share import ScopedTokenManager
from persona_share._tokens.bearer import TokenBearer
from persona_share._tokens.tickets import TicketState
from persona_share._wire.messages import Request
from persona_share.errors import InvalidArgumentError, PersonaError
from persona_share.model.secret import Secret
from persona_share.testing.clock import FakeClock
from tests._tokens.endpoint import Endpoint
from tests._tokens.held import HAIR
from tests._tokens.roads import WIDEST, A, Account, B, C, code_for
from tests._tokens.watch import LogKeeper


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
    """One caller that waits for something."""

    task: asyncio.Task
    what: str
    ends: float
    cancelled: bool = False


class TokenWorld:
    """One manager, its partner, the service, a clock, and the loop that they run in."""

    def __init__(self, policy, *, seed=0, codes=True, **service):
        self.loop = asyncio.SelectorEventLoop()
        self.clock = FakeClock()
        self.timers = 0.0
        self.policy = policy
        self.endpoint = Endpoint(self.clock, **service)
        self.account = Account(self.endpoint, policy, seed=seed)
        self.watch = self.account.watch
        self.partner, self.api = self.account.partner, self.account.api
        self.keeper = LogKeeper(self.watch)
        logging.getLogger("persona_share").addHandler(self.keeper)
        self.codes = codes
        self.waiters = []
        self.pushed = []
        self.seen = []
        self._open()

    def _open(self):
        self.manager = ScopedTokenManager(
            self.account,
            codes=self.partner if self.codes else None,
            renewal=self.policy,
            hooks=[self.watch.hook],
        )
        self.watch.attach(self.manager)
        self.bearers = {}
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

    def do(self, call, *arguments):
        """Call something inside the loop, and let everything settle."""

        async def body():
            result = call(*arguments)
            await settle()
            return result

        return self.loop.run_until_complete(body())

    def settle(self):
        """Let everything run that can run without time passing."""
        self.loop.run_until_complete(settle())

    # ── Callers ─────────────────────────────────────────────────────────────────

    def get(self, scope, callers, timeout):
        """Let so many callers ask for a token; they wait, unless one is at hand."""
        serving = self.watch.held.serving(scope)
        if serving is not None and self.watch.held.comes_at_once(serving):
            self.run(self._at_once(scope))
            return
        for _ in range(callers):
            self._wait("get", self._got(scope, timeout), timeout)
        self.settle()

    async def _at_once(self, scope):
        coroutine = self.manager.token(scope)
        try:
            coroutine.send(None)
        except StopIteration as end:
            self._receive(scope, end.value)
        else:
            coroutine.close()
            self.watch.require(
                10, holds=False, what="a caller waits though it need not"
            )

    def _receive(self, scope, token):
        self.watch.got(scope, token)
        if all(token is not each for each in self.seen):
            self.seen.append(token)

    async def _got(self, scope, seconds):
        deadline = self.clock.now() + seconds
        try:
            token = await self.manager.token(scope, timeout=seconds)
        except PersonaError as error:
            self.watch.failed(scope, error, deadline)
        else:
            self._receive(scope, token)

    def call(self, scope, delays):
        """Let a caller use its token; the API may answer 401."""
        self.api.delays.append(delays)
        deadline = self.clock.now() + self.account.timeout
        request = Request(
            method="GET", route="/x", target=str(scope), deadline=deadline
        )
        self._wait("call", self._called(scope, request), float("inf"))
        self.settle()

    async def _called(self, scope, request):
        stack = self.account.bearing(self._bearer(scope))
        try:
            await stack.send(request)
        except PersonaError as error:
            self.watch.failed(scope, error, request.deadline)

    def _bearer(self, scope):
        """Answer what a session of this scope takes its tokens from."""
        if scope not in self.bearers:
            broker = self.manager._broker
            self.bearers[scope] = TokenBearer(scope, broker, self.account.world)
        return self.bearers[scope]

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
        code = self._pushed(grants)
        self._offer(code, hint, told=told)

    def offer_again(self, code, hint):
        """Push a code that was pushed before."""
        self._offer(code, hint, told=False)

    def _offer(self, text, hint, *, told):
        life = self.endpoint.code_life if told else None
        code = code_for(self.endpoint, text, life) if told else text
        self.watch.sendings.received(text, hint, life)
        try:
            self.do(self.manager.offer, code, hint)
        except InvalidArgumentError:
            full = len(self.manager._broker.codes.pool)
            least = min(self.policy.most_codes_a_scope, self.policy.most_codes)
            self.watch.require(21, full >= least, "a code is refused without a reason")
            self.watch.sendings.codes.pop(text)
            self.pushed.remove(text)

    def exchange(self, grants, hint):
        """Deliver a code that is to be exchanged at once."""
        self.exchange_again(self._pushed(grants), hint)

    def remembered(self):
        """Answer the pushed codes that the manager still knows.

        It forgets the oldest when there are many: without a store it cannot know that
        such a code, should it be delivered again, was exchanged long ago.
        """
        pool = self.manager._broker.codes.pool
        return [text for text in self.pushed if pool.known(Secret(text)) is not None]

    def exchange_again(self, text, hint):
        """Deliver a code, maybe one that was delivered before."""
        self.watch.sendings.received(text, hint, None, demanded=True)
        self._wait("exchange", self._exchanged(text, hint), self.account.timeout)
        self.settle()

    async def _exchanged(self, text, hint):
        deadline = self.clock.now() + self.account.timeout
        try:
            await self.manager.exchange(text, scope=hint)
        except InvalidArgumentError:
            return  # too many wait
        except PersonaError as error:
            self.watch.unhappy(error, deadline)

    def _pushed(self, grants):
        text = self.endpoint.issue(grants)
        self.pushed.append(text)
        return text

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
        held = self.watch.held.value(token.reveal())
        current = held is not None and self.watch.held.usable(held)
        self.watch.complaining = True
        self.do(self.manager.invalidate, token)
        self.watch.complaining = False
        buried = not current or token.reveal() in self.watch.dead
        self.watch.require(13, buried, "a complaint was not heard")

    def warm(self, scope):
        """Ask for a token that is kept ready."""
        self._wait("warm", self._warmed(scope), float("inf"))
        self.watch.pinned.add(scope)
        self.settle()

    async def _warmed(self, scope):
        deadline = self.clock.now() + self.account.timeout
        try:
            await self.manager.warm(scope)
        except PersonaError as error:
            # It tells a moment later than a caller of its own would have heard.
            self.watch.unhappy(error, deadline)

    def forget(self, scope):
        """Let the manager forget a scope."""
        self.watch.forgotten(scope)
        self.run(self.manager.forget(scope))

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
        self.do(self.watch.at_rest, SCOPES, self.bearers)
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
