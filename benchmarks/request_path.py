"""The cost of one call: a typed inquiry with all checks, compared with plain aiohttp.

Client and server are processes of their own. The CPU is the client's alone; the ways
take turns in one process, and the medians of their runs are compared. The same call is
also made without any network, which a busy machine cannot disturb.
"""

import asyncio
import gc
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import attrs
import orjson

from benchmarks.figure import Figure, Figures, show
from benchmarks.http_server import ID, SCOPE, inquiry, server
from benchmarks.timing import timed, timed_async
from persona_share import PersonaClient, ScopedTokenManager
from persona_share._protocol.http import Request, Response
from persona_share._transport.runtime import system_runtime
from persona_share.ports import Sender


# Calls and rounds for each concurrency: the load of the machine varies, so many short
# runs compare better than a few long ones.
CALLS_AND_ROUNDS = {1: (200, 31), 50: (200, 31), 200: (800, 15)}
# The same without a network.
CALLS, ROUNDS, NOWHERE = 500, 31, "http://127.0.0.1:1/api/v1"
JSON = "raw aiohttp + json.loads"
ORJSON = "raw aiohttp + orjson.loads"
OURS = "session.inquiries.retrieve"

Work = Callable[[], Awaitable[object]]


@attrs.frozen
class Run:
    """One run of one way: per call its CPU, its share of the time, and its slowest."""

    cpu: float
    wall: float
    p99: float


@asynccontextmanager
async def ways(url: str) -> AsyncIterator[dict[str, Work]]:
    """Open the three ways to get an inquiry."""
    headers = {
        "Authorization": "Bearer persona_access_token_of_the_benchmark",
        "Accept": "application/json",
        "Key-Inflection": "kebab",
        "Persona-Version": "2025-12-08",
    }
    async with AsyncExitStack() as stack:

        async def bare(loads: Callable[[bytes], object]) -> Work:
            connector = aiohttp.TCPConnector(limit=max(CALLS_AND_ROUNDS))
            session = await stack.enter_async_context(
                aiohttp.ClientSession(headers=headers, connector=connector)
            )

            async def get() -> object:
                async with session.get(f"{url}/inquiries/{ID}") as response:
                    return loads(await response.read())

            return get

        async def partner(_scope: object) -> str:
            return "code"

        client = await stack.enter_async_context(
            PersonaClient("key", base_url=url, insecure_local=True)
        )
        manager = await stack.enter_async_context(
            ScopedTokenManager(client, codes=partner)
        )
        scoped = manager.session(SCOPE)

        async def retrieve() -> object:
            return (await scoped.inquiries.retrieve(ID)).status

        yield {
            JSON: await bare(json.loads),
            ORJSON: await bare(orjson.loads),
            OURS: retrieve,
        }


async def run(work: Work, concurrency: int, calls: int) -> Run:
    """Make the calls, so many at once."""
    left, taken = iter(range(calls)), []
    clock = time.perf_counter

    async def worker() -> None:
        for _ in left:
            began = clock()
            await work()
            taken.append(clock() - began)

    gc.collect()
    started, cpu = clock(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    cpu, wall = time.process_time() - cpu, clock() - started
    taken.sort()
    return Run(cpu / calls, wall / calls, taken[int(len(taken) * 0.99)])


async def measured(concurrency: int) -> dict[str, Run]:
    """Return the medians of each way."""
    calls, rounds = CALLS_AND_ROUNDS[concurrency]
    async with server() as url, ways(url) as works:
        runs: dict[str, list[Run]] = {name: [] for name in works}
        for number in range(rounds + 1):
            for name, work in works.items():
                result = await run(work, concurrency, calls)
                if number:  # the first round opens the connections
                    runs[name].append(result)
    return {
        name: Run(
            *(statistics.median(values) for values in zip(*map(attrs.astuple, each)))  # noqa: B905 - all are alike
        )
        for name, each in runs.items()
    }


@attrs.define
class CannedResponses:
    """A transport that responds at once, without a network."""

    inner: Sender
    inquiry: bytes = b""

    async def send(self, request: Request) -> Response:
        """Return a token, or the inquiry."""
        headers = {"content-type": "application/json", "ratelimit-limit": "100000"}
        headers |= {"ratelimit-remaining": "99000", "ratelimit-reset": "60"}
        body = self.inquiry
        if request.route == "/oauth/token":
            token = {"access-token": "t" * 60, "token-type": "bearer"}
            token |= {"expires-in": 3599, "scope": str(SCOPE)}
            body = json.dumps(token).encode()
        sent = request.deadline - 100
        return Response(status=200, headers=headers, body=body, first_sent_at=sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def without_network() -> tuple[float, float]:
    """Return the CPU of a call, and of `json.loads` of its body, in seconds."""
    body = await inquiry()
    runtime = attrs.evolve(
        system_runtime(), wrap_transport=lambda inner: CannedResponses(inner, body)
    )

    async def partner(_scope: object) -> str:
        return "code"

    def decode() -> None:
        for _ in range(CALLS):
            json.loads(body)

    async with (
        PersonaClient(
            "key", base_url=NOWHERE, insecure_local=True, _runtime=runtime
        ) as client,
        ScopedTokenManager(client, codes=partner) as manager,
    ):
        scoped = manager.session(SCOPE)

        async def retrieve() -> None:
            for _ in range(CALLS):
                await scoped.inquiries.retrieve(ID)

        await retrieve()
        runs = [(await timed_async(retrieve), timed(decode)) for _ in range(ROUNDS)]
    ours, decoding = (min(each) / CALLS for each in zip(*runs, strict=True))
    return ours, decoding


def figures() -> Figures:
    """Return CPU and throughput at each concurrency, and the slowest at the highest."""
    ours, decoding = asyncio.run(without_network())
    yield Figure(
        name=f"client CPU of {OURS} without a network",
        unit="us",
        ours=round(ours * 1e6, 1),
        yardstick=round(decoding * 1e6, 1),
        compared_with="json.loads of the same body",
    )
    for concurrency in CALLS_AND_ROUNDS:
        medians = asyncio.run(measured(concurrency))
        retrieved = medians[OURS]
        for yardstick, goal in ((JSON, 1.10), (ORJSON, 1.35)):
            yield Figure(
                name=f"client CPU of {OURS} at concurrency {concurrency}",
                unit="us",
                ours=round(retrieved.cpu * 1e6, 1),
                yardstick=round(medians[yardstick].cpu * 1e6, 1),
                compared_with=yardstick,
                at_most=goal,
            )
        yield Figure(
            name=f"time between answers at concurrency {concurrency}",
            unit="us",
            ours=round(retrieved.wall * 1e6, 1),
            yardstick=round(medians[JSON].wall * 1e6, 1),
            compared_with=JSON,
            at_most=1 / 0.75,
        )
    yield Figure(
        name=f"p99 of {OURS} at concurrency {concurrency}",
        unit="ms",
        ours=round(retrieved.p99 * 1e3, 2),
        yardstick=round(medians[JSON].p99 * 1e3, 2),
        compared_with=JSON,
        at_most=1.2,
    )


if __name__ == "__main__":
    show(figures)
