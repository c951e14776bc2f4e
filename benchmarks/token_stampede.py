"""A stampede: very many callers want one token that has just ended."""

import asyncio

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import (
    LIFETIME,
    ManagerHarness,
    one_scope,
    settle,
    wait_until,
)
from benchmarks.timing import paired_async
from persona_share.model.token import AccessToken
from persona_share.testing import FakeClock, fake_runtime


WAITERS = 10_000
ROUNDS = 25


async def _figures() -> list[Figure]:
    clock = FakeClock()
    harness, scope = ManagerHarness(fake_runtime(clock)), one_scope(1)
    loop = asyncio.get_running_loop()
    exchanges: list[int] = []

    async with harness.manager as manager:
        await manager.token(scope)

        async def waiters() -> None:
            # All callers arrive in one loop iteration; then the service responds.
            clock.advance(LIFETIME)
            harness.service.gate = asyncio.Event()
            before = len(harness.service.exchanges)
            tasks = [loop.create_task(manager.token(scope)) for _ in range(WAITERS)]
            await wait_until(lambda: len(harness.service.exchanges) > before)
            harness.service.gate.set()
            tokens: list[AccessToken] = await asyncio.gather(*tasks)
            assert len({id(token) for token in tokens}) == 1
            exchanges.append(len(harness.service.exchanges) - before)

        async def shared() -> None:
            future: asyncio.Future[str] = loop.create_future()

            async def wait() -> str:
                return await future

            tasks = [loop.create_task(wait()) for _ in range(WAITERS)]
            await settle(1)  # all of them wait now
            future.set_result("token")
            await asyncio.gather(*tasks)

        pair = await paired_async(waiters, shared, ROUNDS)
    return [
        Figure(
            name=f"exchanges for {WAITERS} waiters on one ended token",
            unit="exchanges",
            ours=max(exchanges),
            yardstick=1,
            compared_with="one exchange",
            at_most=1,
        ),
        Figure(
            name=f"time of {WAITERS} waiters on one ended token",
            unit="ms",
            ours=round(pair.ours * 1e3, 2),
            yardstick=round(pair.yardstick * 1e3, 2),
            compared_with="one shared future awaited by as many tasks",
            at_most=2,
        ),
    ]


def figures() -> Figures:
    """Return the figures of a stampede."""
    yield from asyncio.run(_figures())


if __name__ == "__main__":
    show(figures)
