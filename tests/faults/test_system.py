"""F127 and F128: too little memory, too few descriptors, each in a process of its own."""

import asyncio
import sys

import pytest

from tests.servers import RawServer, http_response


SMALL = http_response(200, b'{"data":null}', [("Connection", "close")])
# Fifteen million bytes, which as Python's lists need many times as much.
LARGE = http_response(200, b'{"data":[' + b"[]," * 5_000_000 + b"0]}")


async def serving(connection):
    head = await connection.request()
    await connection.send(LARGE if b"/large" in head else SMALL)


async def starved(what):
    """Run a process with too few resources, and return its output."""
    async with RawServer(serving) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-m", "tests.faults.low_resources", what, server.api),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode().splitlines()


@pytest.mark.asyncio
async def test_f127_body_that_does_not_fit_into_memory_raises_a_typed_error():
    assert await starved("memory") == ["MalformedResponseError", "recovered"]


@pytest.mark.asyncio
async def test_f128_without_a_descriptor_nothing_is_sent_and_it_recovers():
    expected = "ConnectError NOT_SENT too many open files"
    assert await starved("descriptors") == [expected, "recovered"]
