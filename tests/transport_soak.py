"""A soak of the transport: mixed calls with faults and cancellations, watched for leaks.

``python -m tests.transport_soak`` runs for ``SOAK_MINUTES`` and prints how resident
memory, file descriptors and tasks grow per request after the first fifth of the time.
The server is another process, so that only the client is measured.
"""

import asyncio
import gc
import gzip
import os
import random  # noqa: TID251 - seeded by the soak itself
import sys
from contextlib import suppress

from persona_share import PersonaClient, RateLimitPolicy, RetryPolicy
from persona_share.errors import PersonaError
from tests.servers import RawServer, http_response


WORKERS = 32
# The most that may be left behind: bytes a request, descriptors and tasks in all.
MOST_BYTES, MOST_FILES, MOST_TASKS = 4.0, 8, 4
# Memory that the allocator may keep, for any number of requests.
SLACK = 512 * 1024
# Fewer requests than this say nothing about what one leaves behind; a short soak on a
# busy machine has to make as many a minute, at the least.
LEAST_REQUESTS, LEAST_PER_MINUTE = 10_000, 1_000
BODY = b'{"data":{"type":"inquiry","id":"inq_1","attributes":{"status":"completed"}}}'
LIMITS = [
    ("RateLimit-Limit", "100000"),
    ("RateLimit-Remaining", "99000"),
    ("RateLimit-Reset", "60"),
]


def say(text):
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def misbehave(connection):
    """Return most requests well, and the others in every way that goes wrong."""
    zipped = gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])
    while True:
        await connection.request()
        chance = random.random()  # noqa: S311 - no secret
        if chance < 0.02:
            connection.reset()
            return
        if chance < 0.04:
            await connection.send(http_response(503, b"{}"))
        elif chance < 0.05:
            await connection.send(
                http_response(520, b"<html>", content_type="text/html")
            )
        elif chance < 0.06:
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
            return
        elif chance < 0.07:
            await connection.send(
                http_response(404, b'{"errors":[{"title":"Not found"}]}')
            )
        elif chance < 0.3:
            headers = [("Content-Encoding", "gzip"), *LIMITS]
            await connection.send(http_response(200, zipped, headers))
        else:
            await connection.send(http_response(200, BODY, LIMITS))


async def serve():
    """Serve until standard input ends."""
    async with RawServer(misbehave, remembers=False) as server:
        say(server.port)
        await asyncio.to_thread(sys.stdin.read)


class Measured:
    """The resources of this process after a number of requests."""

    def __init__(self, requests):
        gc.collect()
        self.requests = requests
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - tiny
            self.memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the names alone
        self.tasks = len(asyncio.all_tasks())


async def soak(url, seconds):
    """Make calls for so long, and return the measurements."""
    calls, found = 0, []
    ends = asyncio.get_running_loop().time() + seconds
    policy = RetryPolicy(budget=10**9, transient_base=0.001)
    options = {"base_url": url, "insecure_local": True, "retry": policy}

    async def work():
        nonlocal calls
        while asyncio.get_running_loop().time() < ends:
            calls += 1
            call = asyncio.ensure_future(client.inquiries.retrieve("inq_1", timeout=5))
            if random.random() < 0.05:  # noqa: S311 - no secret
                await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
                call.cancel()
            with suppress(PersonaError, asyncio.CancelledError):
                await call

    async with PersonaClient(
        "key", rate_limit=RateLimitPolicy(max_wait=2), **options
    ) as client:
        workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
        for part in range(1, 11):
            await asyncio.sleep(seconds / 11)  # noqa: TID251 - a soak takes real time
            found.append(Measured(calls))
            say(f"{part}/10: {calls} calls, {found[-1].memory / 2**20:.1f} MiB")
        await asyncio.gather(*workers)
    return found


def judged(found, seconds):
    """Print the slopes; return whether they are flat."""
    first, last = found[1], found[-1]
    requests = max(last.requests - first.requests, 1)
    grown = last.memory - first.memory
    slope = grown / requests
    files, tasks = last.files - first.files, last.tasks - first.tasks
    say(
        f"soak-transport: {requests} requests, {slope:.2f} B a request,"
        f" {files:+d} descriptors, {tasks:+d} tasks"
    )
    return (
        requests >= min(LEAST_REQUESTS, LEAST_PER_MINUTE * seconds / 60)
        and grown <= MOST_BYTES * requests + SLACK
        and files <= MOST_FILES
        and tasks <= MOST_TASKS
    )


async def main():
    """Run the server and the soak; return the exit code."""
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "20"))
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.transport_soak",
        "serve",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        port = int(await server.stdout.readline())
        found = await soak(f"http://127.0.0.1:{port}/api/v1", seconds)
        return not judged(found, seconds)
    finally:
        server.stdin.close()
        await server.wait()


if __name__ == "__main__":
    random.seed(1)
    sys.exit(asyncio.run(serve() if "serve" in sys.argv else main()))
