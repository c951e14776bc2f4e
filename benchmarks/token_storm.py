"""The exchanges that one event causes; each of them uses up a code."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import (
    LIFETIME,
    ManagerHarness,
    one_scope,
    settle,
    wait_until,
)
from persona_share.testing import FakeClock, fake_runtime


FOLLOWERS = 50
CALLERS = 200
WAVES = 10
WAVE = 100
# How long the service takes, in seconds of virtual time.
DELAY = 0.2
SCOPE = one_scope(1)


@attrs.frozen
class EventCost:
    """The exchanges and requests of an event."""

    exchanges: int
    requests: int
    failed: int


@attrs.define
class Case:
    """One event, with its own manager."""

    harness: ManagerHarness
    clock: FakeClock

    @classmethod
    def new(cls) -> "Case":
        """Return a case whose service responds after a delay."""
        clock = FakeClock()
        harness = ManagerHarness(fake_runtime(clock))
        harness.service.delay = DELAY
        return cls(harness, clock)

    def callers(self, number: int) -> list[asyncio.Task[object]]:
        """Start callers and return their tasks."""
        loop, manager = asyncio.get_running_loop(), self.harness.manager
        return [loop.create_task(manager.token(SCOPE)) for _ in range(number)]

    async def sent(self) -> None:
        """Wait until the exchange is with the service."""
        await wait_until(lambda: bool(self.harness.service.exchanges))

    async def ended(self, tasks: list[asyncio.Task[object]]) -> int:
        """Let time pass until all callers are done, and return how many failed."""
        while not all(task.done() for task in tasks):
            self.clock.advance(0.05)
            await settle()
        return sum(task.cancelled() or task.exception() is not None for task in tasks)

    def event_cost(self, failed: int) -> EventCost:
        """Return the cost so far."""
        return EventCost(
            exchanges=self.harness.manager.metrics().codes_claimed,
            requests=len(self.harness.service.exchanges),
            failed=failed,
        )


async def leader_cancelled(case: Case) -> EventCost:
    """The caller that began the exchange is cancelled, and others wait for it."""
    leader, *followers = case.callers(1 + FOLLOWERS)
    await case.sent()
    leader.cancel()
    return case.event_cost(await case.ended(followers))


async def sole_caller_cancelled(case: Case) -> EventCost:
    """The only caller is cancelled; another one comes later."""
    (caller,) = case.callers(1)
    await case.sent()
    caller.cancel()
    await settle()
    case.clock.advance(DELAY)
    await settle()
    return case.event_cost(await case.ended(case.callers(1)))


async def down_without_token(case: Case, callers: int = CALLERS) -> EventCost:
    """The service is down, and no caller has a token."""
    case.harness.service.broken = True
    return case.event_cost(await case.ended(case.callers(callers)))


async def one_failing_exchange(case: Case) -> EventCost:
    """The yardstick of the others: one caller while the service is down."""
    return await down_without_token(case, 1)


async def down_with_token(case: Case, left: float) -> EventCost:
    """The service is down while a token lives, and callers come in waves."""
    await case.ended(case.callers(1))
    before = case.event_cost(0)
    case.harness.service.broken = True
    case.clock.advance(LIFETIME - DELAY - left)
    failed = 0
    for _ in range(WAVES):
        failed += await case.ended(case.callers(WAVE))
    # Wait for the exchange in the background as well.
    while case.harness.manager.metrics().failures == {}:
        case.clock.advance(0.05)
        await settle()
    after = case.event_cost(failed)
    return EventCost(
        after.exchanges - before.exchanges, after.requests - before.requests, failed
    )


async def advisory(case: Case) -> EventCost:
    """Its renewal is due."""
    return await down_with_token(case, 299.0)


async def mandatory(case: Case) -> EventCost:
    """Its renewal is urgent."""
    return await down_with_token(case, 45.0)


EVENTS: dict[str, Callable[[Case], Awaitable[EventCost]]] = {
    f"leader cancelled, {FOLLOWERS} followers": leader_cancelled,
    "sole caller cancelled, one comes later": sole_caller_cancelled,
    f"service down, no token, {CALLERS} callers": down_without_token,
    f"service down, token valid (advisory), {WAVES}x{WAVE} callers": advisory,
    f"service down, token valid (mandatory), {WAVES}x{WAVE} callers": mandatory,
}


async def cost(event: Callable[[Case], Awaitable[EventCost]]) -> EventCost:
    """Return the cost of one event with a new manager."""
    case = Case.new()
    async with case.harness.manager as manager:
        event_cost = await event(case)
        closing = asyncio.ensure_future(manager.aclose())
        await settle()
        await closing
    return event_cost


def _figures_of(
    name: str, event_cost: EventCost, failing: EventCost
) -> Iterator[Figure]:
    one = Figure(
        name=f"{name}: exchanges",
        unit="exchanges",
        ours=event_cost.exchanges,
        yardstick=1,
        compared_with="one exchange",
        at_most=1,
    )
    yield one
    if "down" in name:
        yield attrs.evolve(
            one,
            name=f"{name}: requests",
            unit="requests",
            ours=event_cost.requests,
            yardstick=failing.requests,
            compared_with="one failing exchange with its repetitions",
        )
    if "no token" not in name:
        yield Figure(
            name=f"{name}: callers that failed",
            unit="callers",
            ours=event_cost.failed,
            at_most=0,
            absolute=True,
        )


def figures() -> Figures:
    """Yield the figures of each event."""
    failing = asyncio.run(cost(one_failing_exchange))
    for name, event in EVENTS.items():
        yield from _figures_of(name, asyncio.run(cost(event)), failing)


if __name__ == "__main__":
    show(figures)
