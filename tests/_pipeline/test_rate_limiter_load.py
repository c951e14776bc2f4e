"""RateLimiter under load: thousands of callers, cancellations, wrong headers and clock jumps."""

import asyncio
import gc
import math
import selectors
import time
from contextlib import suppress

import attrs
import pytest

from persona_share._pipeline.authenticated import Authenticated
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.shared_rate_limit import SharedLimitTracker
from persona_share._protocol.http import Request, Response
from persona_share._transport.runtime import seeded_random
from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    PersonaError,
    RateLimitedError,
    StoreUnavailableError,
)
from persona_share.model.policy import RateLimitPolicy
from persona_share.model.secret import Secret
from persona_share.ports import Share


MAX_ITERATION_SECONDS = 0.1
LATENCY = 0.2

ABSURD = [
    {"ratelimit-limit": "300", "ratelimit-remaining": "-5", "ratelimit-reset": "30"},
    {"ratelimit-limit": "0", "ratelimit-remaining": "0", "ratelimit-reset": "0"},
    {"ratelimit-limit": "7", "ratelimit-remaining": "1e9", "ratelimit-reset": "NaN"},
    {"ratelimit-limit": "9" * 9, "ratelimit-remaining": "1", "ratelimit-reset": "3600"},
    {"ratelimit-limit": "8", "ratelimit-remaining": "9", "ratelimit-reset": "9" * 30},
    {"retry-after": "999999999"},
    {
        "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    },
    {"retry-after": "-1"},
    {},
]


class TimedSelector(selectors.DefaultSelector):
    """A selector on virtual time that records the longest loop iteration."""

    def __init__(self):
        super().__init__()
        self.virtual = 0.0
        self.longest = 0.0
        self._turned = None

    def select(self, timeout=None):
        now = time.thread_time()  # this thread's own: the machine has other work, too
        if self._turned is not None:
            self.longest = max(self.longest, now - self._turned)
        ready = super().select(0)
        if not ready and timeout:
            self.virtual += timeout
        self._turned = time.thread_time()
        return ready


class TimedLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, with a watchdog."""

    def __init__(self):
        self.selector = TimedSelector()
        super().__init__(self.selector)

    def time(self):
        return self.selector.virtual


class JumpingClock:
    """The virtual time of the loop, which may jump as after a suspension."""

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return asyncio.get_running_loop().time() + self.ahead

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)  # noqa: TID251 - virtual


@attrs.define(eq=False, slots=False)
class Token:
    """A token that is fresh, due for a refresh, or expired, as chance has it."""

    clock: JumpingClock
    random: object
    header = Secret("Bearer x")

    def cached(self):
        return None if self.random() < 0.3 else self

    async def get(self, deadline):
        if (
            self.random() < 0.5
        ):  # an expired token takes time, one due for a refresh none
            await self.clock.sleep(self.random())
        return self

    def on_success(self, authorization, route):
        pass

    async def on_unauthorized(self, authorization, refusals, deadline, route):
        await self.clock.sleep(self.random() / 10)
        return self if refusals < 2 else None


class Service:
    """Fixed windows of a minute; it sometimes sends wrong headers or does not respond."""

    def __init__(self, clock, random, limit, fault_rate):
        self.clock, self.random, self.limit, self.fault_rate = (
            clock,
            random,
            limit,
            fault_rate,
        )
        self.ends = self.count = 0
        self.in_progress = 0
        self.reached = []

    async def send(self, request):
        self.in_progress += 1
        self.reached.append(request.target)
        try:
            return await self._respond()
        finally:
            self.in_progress -= 1

    async def _respond(self):
        sent = self.clock.now()
        await self.clock.sleep(LATENCY * self.random())
        chance = self.random()
        if chance < self.fault_rate / 3:
            raise (
                ConnectionLostError("lost")
                if chance < self.fault_rate / 6
                else ConnectError("no")
            )
        now = self.clock.now()
        if now >= self.ends:
            self.ends, self.count = now + 60, 0
        self.count += 1
        status = 200 if self.count <= self.limit else 429
        headers = {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(max(self.limit - self.count, 0)),
            "ratelimit-reset": str(math.ceil(self.ends - now)),
        }
        if chance < self.fault_rate:
            headers = ABSURD[int(self.random() * len(ABSURD))]
            status = (200, 401, 429, 503)[int(self.random() * 4)]
        return Response(status=status, headers=headers, first_sent_at=sent)


class FaultySharedLimit:
    """A shared window in this process; its store is down now and then."""

    def __init__(self, clock, random):
        self.clock, self.random, self.left, self.ends = clock, random, 0, 0.0

    async def take(self, name, wanted, seen, *, first=False):
        await self.clock.sleep(0.001)
        if self.random() < 0.05:
            raise StoreUnavailableError("down")
        now = self.clock.now()
        if seen is not None and now >= self.ends:
            self.left, self.ends = seen.remaining - 1, now + seen.reset
        if now >= self.ends:
            return Share(1 if wanted else 0, 1.0)
        slots = min(wanted, max(self.left // 8, 1) if self.left > 0 else 0)
        self.left -= slots
        return Share(slots, self.ends - now)


class LoadTest:
    """Thousands of callers before one limiter, on virtual time."""

    def __init__(self, seed, case, *, shared):
        self.random = seeded_random(seed)
        self.clock, self.case = JumpingClock(), case
        self.service = Service(self.clock, self.random, case.limit, case.fault_rate)
        policy = RateLimitPolicy(max_wait=case.max_wait)
        tracker = None
        if shared:
            memory = FaultySharedLimit(self.clock, self.random)
            tracker = SharedLimitTracker(policy, memory, "name", self.clock)
        self.limiter = RateLimiter(self.clock, policy, tracker)
        token = Token(self.clock, self.random)
        self.plain = Authenticated(self.service, token, self.limiter)
        self.first = Authenticated(self.service, token, self.limiter, priority=True)
        self.late = 0.0

    def request(self, seconds):
        deadline = self.clock.now() + seconds
        return Request(method="GET", route="/x", target="/x", deadline=deadline)

    async def call(self):
        await self.clock.sleep(self.random() * 120)
        request = self.request(self.random() * 200)
        sender = self.first if self.random() < 0.05 else self.plain
        jumped = self.clock.ahead
        with suppress(PersonaError):
            await sender.send(request)
        # A clock jump does not count as lateness.
        now = self.clock.now() - (self.clock.ahead - jumped)
        self.late = max(self.late, now - request.deadline)

    async def jump(self):
        for _ in range(3):
            await self.clock.sleep(20)
            self.clock.ahead += 300 * self.random() if self.case.fault_rate else 0

    async def last(self):
        """Send one more call: no slot was lost, so it is served."""
        self.service.fault_rate = 0
        for _ in range(20):
            try:
                response = await self.plain.send(self.request(9e3))
                if response.ok:
                    return response
                await self.clock.sleep(60)
            except RateLimitedError as error:
                await self.clock.sleep(error.retry_after)
        raise AssertionError

    async def run(self):
        loop = asyncio.get_running_loop()
        calls = [asyncio.create_task(self.call()) for _ in range(self.case.callers)]
        for _ in range(3):  # that so many tasks begin at once is the test's own doing
            await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
        loop.selector.longest = 0.0
        for task in calls:
            if self.random() < 0.2:
                loop.call_later(self.random() * 150, task.cancel)
        await asyncio.wait([*calls, asyncio.create_task(self.jump())])
        assert [
            task for task in calls if not task.cancelled() and task.exception()
        ] == []
        assert self.limiter.waiting == 0
        assert self.service.in_progress == 0
        assert self.limiter.tracker.in_flight == 0
        assert (await self.last()).status == 200
        await self.limiter.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}


@attrs.frozen
class Case:
    """The number of callers, the limit, and the share of faulty responses."""

    callers: int
    limit: int
    fault_rate: float = 0.0
    max_wait: float | None = None


CASES = [
    Case(3_000, 5_000),
    Case(2_000, 300),
    Case(2_000, 300, fault_rate=0.1),
    Case(1_500, 20, fault_rate=0.3, max_wait=2.0),
]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_storm_leaves_no_stall_no_lost_slot_and_no_late_call(seed, case, shared):
    loop = TimedLoop()
    load_test = LoadTest(seed, case, shared=shared)
    gc.disable()  # a collection takes long where thousands of tests came before
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(load_test.run())
    finally:
        gc.enable()
    assert load_test.late <= 3 + 3 * LATENCY  # a token may still be acquired, then sent
    assert loop.selector.longest < MAX_ITERATION_SECONDS
