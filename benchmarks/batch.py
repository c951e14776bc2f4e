"""A batch of many objects, compared with a handwritten loop.

The loop is a semaphore and `asyncio.gather` on plain aiohttp and orjson, without rate
limits, token expiry, retries or types. Client and server are separate processes; runs of
both alternate in one process, and their medians are compared.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import orjson

from benchmarks.figure import Figure, Figures, show
from benchmarks.http_server import ID, SCOPE, server
from persona_share import Fetched, PersonaClient, ScopedTokenManager


ROUNDS = 3
OBJECTS = 10_000
CONCURRENCY = 32
BY_HAND = "semaphore and gather on raw aiohttp + orjson.loads"

Way = Callable[[], Awaitable[None]]


@asynccontextmanager
async def ways(url: str) -> AsyncIterator[tuple[Way, Way]]:
    """Open both ways to fetch all objects."""
    headers = {
        "Authorization": "Bearer persona_access_token_of_the_benchmark",
        "Accept": "application/json",
        "Key-Inflection": "kebab",
        "Persona-Version": "2025-12-08",
    }
    ids = [ID] * OBJECTS
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers=headers, connector=connector)
        )

        async def by_hand() -> None:
            semaphore = asyncio.Semaphore(CONCURRENCY)

            async def one(object_id: str) -> object:
                async with (
                    semaphore,
                    session.get(f"{url}/inquiries/{object_id}") as response,
                ):
                    return orjson.loads(await response.read())

            found = await asyncio.gather(*(one(each) for each in ids))
            assert len(found) == OBJECTS

        async def partner(_scope: object) -> str:
            return "code"

        client = await stack.enter_async_context(
            PersonaClient("key", base_url=url, insecure_local=True)
        )
        manager = await stack.enter_async_context(
            ScopedTokenManager(client, codes=partner)
        )
        scoped = manager.session(SCOPE)

        async def batch() -> None:
            count = 0
            async for each in scoped.fetch(ids, concurrency=CONCURRENCY):
                assert isinstance(each, Fetched)
                count += each.resource.type == "inquiry"
            assert count == OBJECTS

        yield batch, by_hand


async def seconds(way: Way) -> float:
    """Return the duration of one run in seconds."""
    gc.collect()
    started = time.perf_counter()
    await way()
    return time.perf_counter() - started


async def measured() -> tuple[float, float]:
    """Return the objects per second of the batch and of the loop."""
    taken: tuple[list[float], list[float]] = [], []
    async with server() as url, ways(url) as both:
        for number in range(ROUNDS + 1):
            for runs, way in zip(taken, both, strict=True):
                took = await seconds(way)
                if number:  # the first round opens the connections
                    runs.append(took)
    ours, theirs = (OBJECTS / statistics.median(runs) for runs in taken)
    return ours, theirs


def figures() -> Figures:
    """Yield the objects per second of `session.fetch`."""
    ours, theirs = asyncio.run(measured())
    yield Figure(
        name=f"a batch of {OBJECTS} objects, {CONCURRENCY} at once",
        unit="objects/s",
        ours=round(ours, 1),
        yardstick=round(theirs, 1),
        compared_with=BY_HAND,
        at_least=0.9,
    )


if __name__ == "__main__":
    show(figures)
