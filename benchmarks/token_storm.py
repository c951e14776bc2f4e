"""How many exchanges one event causes: each of them costs a code that works once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.stand import LIFETIME, Stand, one_scope, settle, until
from persona_share.testing import FakeClock, fake_runtime


FOLLOWERS = 50
CALLERS = 200
WAVES = 10
WAVE = 100
# How long the service takes, in seconds of virtual time.
DELAY = 0.2
SCOPE = one_scope(1)


@attrs.frozen
class Toll:
    """What an event cost."""

    exchanges: int
    requests: int
    failed: int


@attrs.define
class Case:
    """One event on a stand of its own."""

    stand: Stand
    clock: FakeClock

    @classmethod
    def new(cls) -> "Case":
        """Answer a stand whose service takes its time."""
        clock = FakeClock()
        stand = Stand(fake_runtime(clock))
        stand.service.delay = DELAY
        return cls(stand, clock)

    def callers(self, number: int) -> list[asyncio.Task[object]]:
        """Answer so many callers, on their way."""
        loop, manager = asyncio.get_running_loop(), self.stand.manager
        return [loop.create_task(manager.token(SCOPE)) for _ in range(number)]

    async def sent(self) -> None:
        """Wait until the exchange is with the service."""
        await until(lambda: bool(self.stand.service.exchanges))

    async def ended(self, tasks: list[asyncio.Task[object]]) -> int:
        """Let time pass until all callers are done, and answer how many failed."""
        while not all(task.done() for task in tasks):
            self.clock.advance(0.05)
            await settle()
        return sum(task.cancelled() or task.exception() is not None for task in tasks)

    def toll(self, failed: int) -> Toll:
        """Answer what it cost up to now."""
        return Toll(
            exchanges=self.stand.manager.metrics().codes_claimed,
            requests=len(self.stand.service.exchanges),
            failed=failed,
        )


async def leader_cancelled(case: Case) -> Toll:
    """The caller that began the exchange is cancelled, and others wait for it."""
    leader, *followers = case.callers(1 + FOLLOWERS)
    await case.sent()
    leader.cancel()
    return case.toll(await case.ended(followers))


async def sole_caller_cancelled(case: Case) -> Toll:
    """The only caller is cancelled; another one comes later."""
    (caller,) = case.callers(1)
    await case.sent()
    caller.cancel()
    await settle()
    case.clock.advance(DELAY)
    await settle()
    return case.toll(await case.ended(case.callers(1)))


async def down_without_token(case: Case, callers: int = CALLERS) -> Toll:
    """The service is down, and nobody holds a token."""
    case.stand.service.broken = True
    return case.toll(await case.ended(case.callers(callers)))


async def one_failing_exchange(case: Case) -> Toll:
    """The yardstick of the others: one caller while the service is down."""
    return await down_without_token(case, 1)


async def down_with_token(case: Case, left: float) -> Toll:
    """The service is down while a token lives, and callers come in waves."""
    await case.ended(case.callers(1))
    before = case.toll(0)
    case.stand.service.broken = True
    case.clock.advance(LIFETIME - DELAY - left)
    failed = 0
    for _ in range(WAVES):
        failed += await case.ended(case.callers(WAVE))
    # What began in the background comes to its end, too.
    while case.stand.manager.metrics().failures == {}:
        case.clock.advance(0.05)
        await settle()
    after = case.toll(failed)
    return Toll(
        after.exchanges - before.exchanges, after.requests - before.requests, failed
    )


async def advisory(case: Case) -> Toll:
    """Its renewal is due."""
    return await down_with_token(case, 299.0)


async def mandatory(case: Case) -> Toll:
    """Its renewal is urgent."""
    return await down_with_token(case, 45.0)


EVENTS: dict[str, Callable[[Case], Awaitable[Toll]]] = {
    f"leader cancelled, {FOLLOWERS} followers": leader_cancelled,
    "sole caller cancelled, one comes later": sole_caller_cancelled,
    f"service down, no token, {CALLERS} callers": down_without_token,
    f"service down, token valid (advisory), {WAVES}x{WAVE} callers": advisory,
    f"service down, token valid (mandatory), {WAVES}x{WAVE} callers": mandatory,
}


async def cost(event: Callable[[Case], Awaitable[Toll]]) -> Toll:
    """Answer what one event costs on a new stand."""
    case = Case.new()
    async with case.stand.manager as manager:
        toll = await event(case)
        closing = asyncio.ensure_future(manager.aclose())
        await settle()
        await closing
    return toll


def _figures_of(name: str, toll: Toll, failing: Toll) -> Iterator[Figure]:
    one = Figure(
        name=f"{name}: exchanges",
        unit="exchanges",
        ours=toll.exchanges,
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
            ours=toll.requests,
            yardstick=failing.requests,
            compared_with="one failing exchange with its repetitions",
        )
    if "no token" not in name:
        yield Figure(
            name=f"{name}: callers that failed",
            unit="callers",
            ours=toll.failed,
            at_most=0,
            absolute=True,
        )


def figures() -> Figures:
    """Answer what each event costs."""
    failing = asyncio.run(cost(one_failing_exchange))
    for name, event in EVENTS.items():
        yield from _figures_of(name, asyncio.run(cost(event)), failing)


if __name__ == "__main__":
    show(figures)
