"""F2 to F4 and F9 on real sockets: black holes, slow names, uploads that break."""

import asyncio
import socket
from contextlib import contextmanager

import pytest

from persona_share import PersonaClient
from persona_share.errors import (
    ConnectError,
    OutcomeUnknownError,
    Phase,
)
from persona_share.model.policy import Timeouts
from tests.faults.test_network import (
    CHANGE,
    CREATE,
    EVERY,
    LOST,
    NEVER_SENT,
    READ,
    calling,
    phases,
)
from tests.servers import RawServer


@contextmanager
def black_hole(host, port=0):
    """Return the port of a listener with a full queue, which drops connections."""
    with socket.socket() as listener:
        listener.bind((host, port))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def names(look_up):
    """Replace name resolution in the event loop."""
    loop = asyncio.get_running_loop()
    loop.getaddrinfo = look_up
    try:
        yield
    finally:
        del loop.getaddrinfo


def test_f2_no_call_exceeds_its_time_limit():
    allowed = Timeouts()
    assert (allowed.connect, allowed.read, allowed.attempt, allowed.call) == (
        5,
        30,
        60,
        100,
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", EVERY, ids=lambda each: each[0])
async def test_f2_connection_that_is_not_accepted_times_out(env, operation):
    loop = asyncio.get_running_loop()
    short_connect = Timeouts(connect=0.05, call=100)
    with black_hole("127.0.0.1") as port:
        url = f"http://127.0.0.1:{port}/api/v1"
        async with env.new_client(url, timeout=short_connect) as client:
            started = loop.time()
            with pytest.raises(ConnectError) as caught:
                await calling(client, operation)
            took = loop.time() - started
    assert phases(caught.value) == NEVER_SENT
    assert [each.reason for each in caught.value.attempts] == ["connect timeout"] * 3
    assert 3 * 0.05 <= took < 3 * 0.05 + 1


@pytest.mark.asyncio
async def test_f3_call_times_out_when_a_name_server_takes_ten_seconds(env):
    async def look_up(*_arguments, **_options):
        await asyncio.sleep(10)  # noqa: TID251 — it is cut off long before

    host = "api.unknown.invalid"
    client = PersonaClient(
        "key",
        base_url=f"https://{host}/api/v1",
        allowed_hosts=[host],
        timeout=Timeouts(connect=0.05),
        _runtime=env.runtime,
    )
    with names(look_up):
        async with client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, READ)
    assert phases(caught.value) == NEVER_SENT


@pytest.mark.asyncio
async def test_f4_unresponsive_first_address_costs_half_a_second(env):
    inquiry = env.add_inquiry()
    loop = asyncio.get_running_loop()
    port = env.proxy.port

    async def look_up(*_arguments, **_options):
        addresses = ("127.0.0.2", "127.0.0.1")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses
        ]

    with black_hole("127.0.0.2", port), names(look_up):
        url = f"http://localhost:{port}/api/v1"
        async with env.new_client(url, timeout=Timeouts()) as client:
            started = loop.time()
            assert (await client.inquiries.retrieve(inquiry.id)).id == inquiry.id
            took = loop.time() - started
    assert 0.1 < took <= 10  # it did try the first one
    assert env.clock.slept == []


# ── F9 ──────────────────────────────────────────────────────────────────────────


async def reset_in_the_upload(connection):
    connection._server.received += await connection.head()
    connection.reset()


async def uploaded(env, operation, kind):
    """Send two megabytes to a server that closes, and return the error and the keys."""
    server = RawServer(reset_in_the_upload)
    async with server, env.client_of(server) as client:
        with pytest.raises(kind) as caught:
            await calling(client, operation, json={"x": "y" * 2_000_000})
    lines = server.received.split(b"\r\n")
    keys = [line[17:] for line in lines if line.startswith(b"Idempotency-Key: ")]
    return caught.value, keys


@pytest.mark.asyncio
async def test_f9_post_is_retried_with_its_key_when_reset_in_its_body(env):
    error, keys = await uploaded(env, CREATE, OutcomeUnknownError)
    assert phases(error) == LOST
    assert keys == [error.idempotency_key.encode()] * 3


@pytest.mark.asyncio
async def test_f9_change_is_not_retried_when_reset_in_its_body(env):
    error, keys = await uploaded(env, CHANGE, OutcomeUnknownError)
    assert phases(error) == [Phase.AMBIGUOUS]
    assert keys == []
