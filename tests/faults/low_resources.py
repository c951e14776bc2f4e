"""A program with limited resources, run by `test_system`."""

import asyncio
import os
import resource
import sys
from contextlib import suppress

from persona_share import PersonaClient
from persona_share.errors import MalformedResponseError, PersonaError
from persona_share.model.policy import RetryPolicy


ONCE = RetryPolicy(attempts=1)


def report(*words):
    sys.stdout.write(" ".join(words) + "\n")


async def memory(client):
    """Decode a body that exceeds the memory limit, then a small one."""
    await client.request("GET", "/small")
    with open("/proc/self/statm") as file:  # noqa: ASYNC230, PTH123 — of the kernel
        used = int(file.read().split()[0]) * resource.getpagesize()
    most = used + 150 * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        await client.request("GET", "/large")
    except MalformedResponseError as error:
        report(type(error).__name__)
    await client.request("GET", "/small")
    report("recovered")


async def descriptors(client):
    """Make a call without free file descriptors, then with some."""
    await client.request("GET", "/small")  # to import every module
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    with suppress(OSError):
        while True:
            held.append(os.dup(0))
    try:
        await client.request("GET", "/small")
    except PersonaError as error:
        report(type(error).__name__, error.phase.name, error.attempts[-1].reason)
    for descriptor in held:
        os.close(descriptor)
    await client.request("GET", "/small")
    report("recovered")


async def main(what, url):
    async with PersonaClient(
        "key", base_url=url, insecure_local=True, retry=ONCE
    ) as client:
        await {"memory": memory, "descriptors": descriptors}[what](client)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
