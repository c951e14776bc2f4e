"""The share of a rate limit that the limiter uses, on virtual time.

3,000 calls by 64 workers against 300 in each fixed window: alone, beside another client that
spends one call a second, and beside a second process that knows nothing of the first.
Responses take 50 to 100 ms, so they overtake each other. Each case is run with a
reset that is rounded up and with one that is rounded down; the worse one counts.
"""

import asyncio
import math
from collections.abc import Callable, Iterator

import attrs

from benchmarks.figure import Figure, Figures, show
from benchmarks.virtual import run
from persona_share._pipeline.authenticated import ApiKeyCredential, Authenticated
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.retrying import Retrying
from persona_share._protocol.http import Request, Response
from persona_share._transport.runtime import seeded_random
from persona_share.model.policy import RateLimitMode, RateLimitPolicy, RetryPolicy
from persona_share.model.secret import Secret
from persona_share.testing import fake_runtime


CALLS = 3_000
WORKERS = 64
LIMIT = 300
WINDOW = 60.0
LATENCY = 0.05
# Enough for every call; and its own delays play no part.
PATIENT = RetryPolicy(attempts=1_000, budget=1_000_000)
CALL = Request(method="GET", route="/x", target="/x", deadline=math.inf)


class LoopClock:
    """A clock that shows the virtual time."""

    def now(self) -> float:
        """Return the time of the event loop."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on virtual time."""
        await asyncio.sleep(seconds)  # noqa: TID251 - the loop's time is the clock


@attrs.define
class Service:
    """Counts in fixed windows that begin with their first request, as documented."""

    rounded: Callable[[float], int]
    random: Callable[[], float] = attrs.field(factory=lambda: seeded_random(1))
    limit: int = LIMIT
    refused: int = 0
    windows: list[int] = attrs.field(factory=list)
    _began: float | None = None
    _ends: float = -math.inf

    def count(self) -> tuple[int, dict[str, str]]:
        """Count one request and return its status and headers."""
        now = asyncio.get_running_loop().time()
        if now >= self._ends:
            self._began = now if self._began is None else self._began
            self._ends = now + WINDOW
            self.windows.append(0)
        admitted = self.windows[-1] < self.limit
        self.windows[-1] += admitted
        return 200 if admitted else 429, {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.limit - self.windows[-1]),
            "ratelimit-reset": str(self.rounded(self._ends - now)),
        }

    async def send(self, request: Request) -> Response:  # noqa: ARG002 - all are alike
        """Return after a random time, so responses overtake each other."""
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(LATENCY / 2 * (1 + self.random()))  # noqa: TID251 - virtual
        status, headers = self.count()
        self.refused += status == 429  # noqa: PLR2004 - too many requests
        await asyncio.sleep(LATENCY / 2 * (1 + self.random()))  # noqa: TID251 - virtual
        return Response(status=status, headers=headers, first_sent_at=started)

    @property
    def unused(self) -> float:
        """The share of the allowance that was lost: in the worst window, or in time.

        The last window does not count.
        """
        assert self._began is not None
        taken = (self._ends - WINDOW - self._began) / WINDOW
        in_time = sum(self.windows[:-1]) / (self.limit * taken)
        return 1 - min(in_time, *(used / self.limit for used in self.windows[:-1]))


async def process(service: Service, calls: int, mode: RateLimitMode) -> None:
    """Make so many calls with a rate limiter of its own."""
    limiter = RateLimiter(LoopClock(), RateLimitPolicy(mode=mode))
    await spend(service, iter(range(calls)), limiter, WORKERS)
    await limiter.close()


async def spend(
    service: Service, calls: Iterator[int], limiter: RateLimiter, workers: int
) -> None:
    """Make the calls that are left through a rate limiter."""
    runtime = attrs.evolve(fake_runtime(), clock=LoopClock())
    limited = Authenticated(service, ApiKeyCredential(Secret("key")), limiter)
    sender = Retrying(limited, runtime, PATIENT, limiter=limiter)

    async def work() -> None:
        for _ in calls:
            assert (await sender.send(CALL)).ok

    await asyncio.gather(*(work() for _ in range(workers)))


async def crowd(
    service: Service,
    *,
    processes: int = 1,
    other_clients: bool = False,
    calls: int = CALLS,
    mode: RateLimitMode = RateLimitMode.WINDOW,
) -> Service:
    """Divide the calls among processes; another client may spend one a second."""

    async def other_organization() -> None:
        while True:
            service.count()
            await asyncio.sleep(1)  # noqa: TID251 - virtual

    other = asyncio.create_task(other_organization()) if other_clients else None
    each = calls // processes
    await asyncio.gather(*(process(service, each, mode) for _ in range(processes)))
    if other is not None:
        other.cancel()
    return service


def figures() -> Figures:
    """Return the unused part of the limit and the refused calls of each case."""
    for name, processes, other_clients, unused, refused in (
        ("alone", 1, False, 0.01, 0),
        ("beside one call a second", 1, True, 0.02, 10),
        ("two processes that know nothing of each other", 2, False, 0.02, 10),
    ):
        runs = [
            run(
                crowd(
                    Service(rounded), processes=processes, other_clients=other_clients
                )
            )
            for rounded in (math.ceil, math.floor)
        ]
        yield Figure(
            name=f"rate limit, {name}: share of the allowance lost",
            unit="1",
            ours=round(max(each.unused for each in runs), 4),
            at_most=unused,
            absolute=True,
        )
        yield Figure(
            name=f"rate limit, {name}: answers 429 in {CALLS} calls",
            unit="1",
            ours=max(each.refused for each in runs),
            at_most=refused,
            absolute=True,
        )


if __name__ == "__main__":
    show(figures)
