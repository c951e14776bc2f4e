"""A separate process for measurements; run by the tests of goals."""

import asyncio
import gc
import os
import random  # noqa: TID251 — seeded by the goal itself
import re
import sys
import time

from persona_share import PersonaClient
from persona_share.errors import PersonaError
from tests.servers import RawServer, answer


MIB = 1024 * 1024
DICE = random.Random(12)  # noqa: S311 — the same run every time


def peak():
    """Return the most memory this process ever had, in bytes.

    `ru_maxrss` begins with what the parent had, so it would hide a small rise.
    """
    with open("/proc/self/status") as told:  # noqa: PTH123 — of the kernel
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", told.read())[1])


async def bomb(url):
    """Ask for a bomb in several ways: print what each brought, took and needed."""
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
    """Return each request a little late, and some of them never."""
    while True:
        await connection.request()
        if DICE.random() < 0.1:
            await connection.gone()
            return
        await asyncio.sleep(DICE.random() * 0.005)  # noqa: TID251 — real sockets
        await connection.send(answer(200, b'{"data":null}'))


async def _struck(client):
    """Make a call that is cancelled or runs out of time, unless it is quick."""
    patience = 0.25 if DICE.random() < 0.1 else 0.001 + DICE.random() * 0.008
    if DICE.random() < 0.5:
        return await client.request("GET", "/x", timeout=patience, retries=0)
    task = asyncio.ensure_future(client.request("POST", "/x", json={}))
    await asyncio.wait({task}, timeout=patience)
    task.cancel()
    return await task


async def _strike(client, calls):
    """Break calls off, twenty at a time, and return how many were and were not."""
    ended = {True: 0, False: 0}

    async def work():
        while ended[True] < calls:
            [how] = await asyncio.gather(_struck(client), return_exceptions=True)
            ended[isinstance(how, BaseException)] += 1

    await asyncio.gather(*(work() for _ in range(20)))
    return ended[True], ended[False]


async def hygiene(calls):
    """Break off many calls: print how many ended so, and what was left of them."""
    async with RawServer(_slow) as server:
        client = PersonaClient("key", base_url=server.api, insecure_local=True)
        before = descriptors()
        async with client:
            broken, whole = await _strike(client, int(calls))
            socket = client.context._http
            free = socket._slots._value == socket._pool.size
        for _ in range(100):  # the server learns of it a few turns later
            if descriptors() == before and not server._tasks:
                break
            await asyncio.sleep(0.02)  # noqa: TID251 — real sockets
        left, tasks = len(descriptors()) - len(before), len(asyncio.all_tasks()) - 1
    gc.collect()
    print(broken, whole, left, tasks, free, sep="|")  # noqa: T201


if __name__ == "__main__":
    asyncio.run({"bomb": bomb, "hygiene": hygiene}[sys.argv[1]](sys.argv[2]))
