"""The hour boundary: many tokens that were issued together must be refreshed.

The hour passes in virtual time. The service announces a limit so high that nothing but
the draw of each token's renewal spreads the load. With several processes only the draws
are simulated: the first process that comes renews the token, for all.
"""

import asyncio
from collections import Counter

from benchmarks.figure import Figure, Figures, show
from benchmarks.manager_harness import (
    LIFETIME,
    LIMIT,
    ManagerHarness,
    one_scope,
    settle,
)
from persona_share._policy.token_lifetime import refresh_window, scaled
from persona_share._tokens.cache import _PROCESS_JITTER
from persona_share._transport.runtime import seeded_random
from persona_share.model.policy import RenewalPolicy
from persona_share.testing import FakeClock, fake_runtime


KEYS = 10_000
ISSUED_WITHIN = 2.0
STEPS = 20
# Every key is used this often, which is what keeps its token renewed.
USED_EVERY = 300
FIXED = "tokens minted per {}: a renewal at a fixed offset repeats that"


async def renewals() -> tuple[list[float], list[float]]:
    """Return the times of the first exchanges and of the refreshes of one hour."""
    clock = FakeClock()
    harness = ManagerHarness(fake_runtime(clock))
    scopes = [one_scope(number) for number in range(KEYS)]
    async with harness.manager as manager:
        for step in range(STEPS):
            await asyncio.gather(*(manager.token(each) for each in scopes[step::STEPS]))
            clock.advance(ISSUED_WITHIN / STEPS)
        for second in range(LIFETIME):
            if second % USED_EVERY == 0:
                for scope in scopes:
                    await manager.token(scope)
            clock.advance(1.0)
            await settle()
        metrics = manager.metrics()
        closing = asyncio.ensure_future(manager.aclose())
        await settle()
        await closing
    assert metrics.renewals == KEYS, "every token in use is renewed, and once"
    assert not metrics.failures
    assert metrics.codes_per_token == 1.0
    sent = harness.service.exchanges
    return sent[:KEYS], sent[KEYS:]


def drawn(processes: int) -> list[float]:
    """Return the instants of the renewals by a fleet, whose publisher drew them."""
    random, policy = seeded_random(processes), RenewalPolicy()
    jitter = scaled(_PROCESS_JITTER, LIFETIME)
    return [
        ISSUED_WITHIN * number / KEYS
        + LIFETIME
        - refresh_window(LIFETIME, random(), policy)
        + min(jitter * random() for _ in range(processes))
        for number in range(KEYS)
    ]


def peak(instants: list[float], seconds: float) -> int:
    """Return the largest number of exchanges in any interval of this length."""
    return max(Counter(int(each / seconds) for each in instants).values())


def figures() -> Figures:
    """Return the highest rates of exchanges in the hour after the first."""
    first, renewed = asyncio.run(renewals())
    for interval, seconds, goal in (("second", 1, 35), ("minute", 60, None)):
        yield Figure(
            name=f"{KEYS} keys at the hour boundary, limit {LIMIT}: peak a {interval}",
            unit="exchanges",
            ours=peak(renewed, seconds),
            yardstick=peak(first, seconds),
            compared_with=FIXED.format(interval),
            at_most=goal,
            absolute=True,
        )
    for processes, goal in ((1, 35), (8, 40), (50, 60)):
        yield Figure(
            name=f"{KEYS} keys at the hour boundary, {processes} processes: peak a second",
            unit="exchanges",
            ours=peak(drawn(processes), 1),
            at_most=goal,
            absolute=True,
        )


if __name__ == "__main__":
    show(figures)
