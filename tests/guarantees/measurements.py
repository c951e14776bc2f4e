"""Measurements, run in a separate process by `test_resource_usage`."""

import asyncio
import gc
import os
import random  # noqa: TID251 — seeded by the goal itself
import re
import sys
import time

from persona_share import PersonaClient
from persona_share.errors import PersonaError
from tests.servers import RawServer, http_response


MIB = 1024 * 1024
RNG = random.Random(12)  # noqa: S311 — the same run every time


def peak():
    """Return the peak memory of this process in bytes.

    `ru_maxrss` starts at the parent's value, so it would hide a small rise.
    """
    with open("/proc/self/status") as file:  # noqa: PTH123 — of the kernel
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1])


async def decompression_bomb(url):
    """Request a bomb in several ways; print each result, its time and its memory."""
    async with PersonaClient("key", base_url=url, insecure_local=True) as client:
        calls = {
            "JSON": lambda: client.inquiries.retrieve("inq_1"),
            "a code": lambda: client.oauth.authorize(
                client_id="o", scope="inquiry.read:inq_1"
            ),
            "a PDF": lambda: client.inquiries.print("inq_1"),
            "an error": lambda: client.request("GET", "/failing", retries=0),
        }
        await client.request("GET", "/small")
        for name, call in calls.items():
            gc.collect()
            before, started = peak(), time.perf_counter()
            try:
                await call()
            except PersonaError as error:
                took = time.perf_counter() - started
                rise = (peak() - before) / MIB
                print(name, type(error).__name__, f"{took:.3f}", f"{rise:.1f}", sep="|")  # noqa: T201


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 — numbers, no paths


async def _slow(connection):
    """Respond to each request with a delay, and to some never."""
    while True:
        await connection.request()
        if RNG.random() < 0.1:
            await connection.wait_closed()
            return
        await asyncio.sleep(RNG.random() * 0.005)  # noqa: TID251 — real sockets
        await connection.send(http_response(200, b'{"data":null}'))


async def _interrupted_call(client):
    """Make a call that is cancelled or times out unless it is fast."""
    patience = 0.25 if RNG.random() < 0.1 else 0.001 + RNG.random() * 0.008
    if RNG.random() < 0.5:
        return await client.request("GET", "/x", timeout=patience, retries=0)
    task = asyncio.ensure_future(client.request("POST", "/x", json={}))
    await asyncio.wait({task}, timeout=patience)
    task.cancel()
    return await task


async def _interrupt_calls(client, calls):
    """Interrupt calls, 20 at a time; return how many were interrupted and completed."""
    ended = {True: 0, False: 0}

    async def work():
        while ended[True] < calls:
            [how] = await asyncio.gather(
                _interrupted_call(client), return_exceptions=True
            )
            ended[isinstance(how, BaseException)] += 1

    await asyncio.gather(*(work() for _ in range(20)))
    return ended[True], ended[False]


async def cancelled_calls(calls):
    """Interrupt many calls; print their number and the resources left."""
    async with RawServer(_slow) as server:
        client = PersonaClient("key", base_url=server.api, insecure_local=True)
        before = descriptors()
        async with client:
            broken, whole = await _interrupt_calls(client, int(calls))
            socket = client.context._http
            free = socket._slots._value == socket._pool.size
        for _ in range(100):  # the server notices a few iterations later
            if descriptors() == before and not server._tasks:
                break
            await asyncio.sleep(0.02)  # noqa: TID251 — real sockets
        left, tasks = len(descriptors()) - len(before), len(asyncio.all_tasks()) - 1
    gc.collect()
    print(broken, whole, left, tasks, free, sep="|")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(
        {"bomb": decompression_bomb, "cancelled_calls": cancelled_calls}[sys.argv[1]](
            sys.argv[2]
        )
    )
