"""The cost of a cached token: time per request, and memory."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from functools import partial

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import ManagerHarness, one_scope
from benchmarks.timing import Pair, paired, paired_async
from persona_share import Scope, ScopedTokenManager
from persona_share._transport.runtime import system_runtime
from persona_share.ports import CredentialSource
from persona_share.testing import FakeClock, fake_runtime


ROUNDS = 41
CALLS = 4_000
SCOPES = 10_000
UNCOUNTED = 1_000
LOOK_UP = "a dictionary look-up with an expiry check in a function, on the same clock"


def dictionary(
    harness: ManagerHarness, key: str, header: str
) -> Callable[[str], str | None]:
    """Return the reference: a function that looks up a header and checks its expiry."""
    now = harness.runtime.clock.now
    held = {key: (header, now() + 3_000.0)}

    def look_up(key: str) -> str | None:
        value, ends = held[key]
        return value if now() < ends else None

    return look_up


def from_dictionary(look_up: Callable[[str], str | None], key: str) -> None:
    """Look up again and again."""
    for _ in range(CALLS):
        look_up(key)


def from_session(source: CredentialSource) -> None:
    """Do again and again, word for word, what every request does (`_send/bearer`)."""
    for _ in range(CALLS):
        authorization = source.cached()
        if authorization is not None:
            authorization.header  # noqa: B018 - to be measured, not to be used


async def from_manager(manager: ScopedTokenManager, asked: Scope | str) -> None:
    """Ask the manager again and again."""
    for _ in range(CALLS):
        await manager.token(asked)


async def times() -> list[Figure]:
    """Measure a hit in a session and a hit in the manager, each beside a look-up."""
    harness, scope = ManagerHarness(system_runtime()), one_scope(1)
    key = str(scope)
    async with harness.manager as manager:
        token = await manager.token(scope)
        source = harness.source_of(scope)
        await source.get(harness.runtime.clock.now() + 1)
        assert source.cached() is token
        yardstick = partial(
            from_dictionary, dictionary(harness, key, token.header), key
        )

        async def awaited() -> None:
            yardstick()

        session = paired(partial(from_session, source), yardstick, ROUNDS)
        by_scope, by_text = [
            await paired_async(partial(from_manager, manager, asked), awaited, ROUNDS)
            for asked in (scope, key)
        ]
        assert len(harness.service.exchanges) == 1
    return [
        hit("header from a session", session, 2.0),
        hit("await manager.token(Scope)", by_scope, 4.0),
        hit("await manager.token(str)", by_text, 4.0),
    ]


def hit(name: str, pair: Pair, goal: float) -> Figure:
    """Return the figure of one call."""
    return Figure(
        name=name,
        unit="ns",
        ours=round(pair.ours / CALLS * 1e9, 1),
        yardstick=round(pair.yardstick / CALLS * 1e9, 1),
        compared_with=LOOK_UP,
        at_most=goal,
    )


class TickingClock(FakeClock):
    """Moves on with every look: no two instants are one number, held only once.

    Unlike an event loop's timers, what sleeps on it is gone as soon as it is cancelled.
    """

    def now(self) -> float:
        """Return the next time."""
        self.advance(1e-6)
        return super().now()


async def memory() -> Figure:
    """Measure what the manager holds for each of many scopes of one atom.

    That is every byte allocated while the tokens are acquired and kept afterwards:
    token, scope, entry, its place in the dictionary, the record of its renewal. The
    first tokens only warm up, as what is there once (the interpreter's lists of free
    objects, too) is no cost of a scope. Not counted are the atom index, the ledger of
    codes, which has a bound of its own, and what this benchmark notes for itself.
    """
    tracemalloc.start()
    harness = ManagerHarness(fake_runtime(TickingClock()))
    async with harness.manager as manager:
        for number in range(SCOPES):
            if number == UNCOUNTED:
                before = traced(harness)
            await manager.token(one_scope(number))
        held = traced(harness) - before
        assert len(manager.tokens()) == SCOPES
    tracemalloc.stop()
    return Figure(
        name="memory of a cached scope, without the atom index",
        unit="B",
        ours=round(held / (SCOPES - UNCOUNTED), 1),
        at_most=600,
        absolute=True,
    )


def traced(harness: ManagerHarness) -> int:
    """Return the bytes in use, without those of the harness."""
    harness.service.exchanges.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _figures() -> list[Figure]:
    return [*await times(), await memory()]


def figures() -> Figures:
    """Return the figures of a hit."""
    yield from asyncio.run(_figures())


if __name__ == "__main__":
    show(figures)
