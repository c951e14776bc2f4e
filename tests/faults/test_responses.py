"""F14 to F26: responses that stall, break off, have a wrong size, or are not HTTP."""

import asyncio
import gzip
import zlib

import pytest

from persona_share.errors import (
    ConnectionLostError,
    DeadlineExceededError,
    OutcomeUnknownError,
    Phase,
    ProtocolError,
    ResponseTooLargeError,
    TransportError,
    UnexpectedContentTypeError,
)
from persona_share.model.policy import Timeouts
from tests.faults.environment import SHORT_ATTEMPT, SHORT_READ
from tests.faults.test_network import CHANGE, CREATE, LOST, READ, calling, phases
from tests.proxy import Proxy
from tests.servers import (
    RawServer,
    decompression_bomb,
    drip_bytes,
    endless_body,
    http_response,
    never_respond,
    respond_with,
    send_and_close,
    stall_in_body,
)


BODY = b'{"data":{"type":"inquiry","id":"inq_1","attributes":{"status":"completed"}}}'
GOOD = http_response(200, BODY)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = HEAD + b"Content-Length: 999\r\n\r\n" + BODY


async def failing(env, handler, operation=READ, kind=TransportError, **options):
    """Call a server that behaves like this, and return the error and the server."""
    server = RawServer(handler)
    async with server, env.client_of(server, **options) as client:
        with pytest.raises(kind) as caught:
            await calling(client, operation)
    return caught.value, server


async def attempts_until_success(env, *responses):
    """Call a server whose last response is good, and return the number of requests."""
    left = list(responses)

    async def serve(connection):
        while left:
            await connection.request()
            piece = left.pop(0)
            await connection.send(piece)
            if piece != GOOD:
                return

    server = RawServer(serve)
    async with server, env.client_of(server) as client:
        document = await calling(client, READ)
    assert document.data.id == "inq_1"
    return server.received.count(b"GET ")


# ── F14 to F16: too slow, too short ─────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", [never_respond, stall_in_body])
async def test_f14_stalled_body_fails_at_the_read_timeout(env, handler):
    error, server = await failing(
        env, handler, kind=ConnectionLostError, timeout=SHORT_READ
    )
    assert phases(error) == LOST
    assert {each.reason for each in error.attempts} == {"read timeout"}
    assert server.connections == 3  # none of them was used again


@pytest.mark.asyncio
async def test_f14_change_is_not_retried_after_a_stall(env):
    error, server = await failing(
        env, stall_in_body, CHANGE, OutcomeUnknownError, timeout=SHORT_READ
    )
    assert phases(error) == [Phase.AMBIGUOUS]
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f15_slow_body_fails_at_the_attempt_timeout(env):
    error, _ = await failing(
        env, drip_bytes(0.05), kind=ConnectionLostError, timeout=SHORT_ATTEMPT
    )
    assert {each.reason for each in error.attempts} == {"timeout"}


@pytest.mark.asyncio
async def test_f15_slow_body_fails_at_the_deadline(env):
    loop = asyncio.get_running_loop()
    server = RawServer(drip_bytes(0.02))
    async with server, env.client_of(server) as client:
        started = loop.time()
        with pytest.raises(DeadlineExceededError):
            await calling(client, READ, timeout=0.1)
        assert loop.time() - started < 10


@pytest.mark.asyncio
async def test_f16_short_body_is_retried(env):
    assert await attempts_until_success(env, SHORT, SHORT, GOOD) == 3


@pytest.mark.asyncio
async def test_f16_post_with_a_short_body_is_retried_with_its_key(env):
    error, server = await failing(
        env, send_and_close(SHORT), CREATE, OutcomeUnknownError
    )
    assert phases(error) == LOST
    assert server.received.count(error.idempotency_key.encode()) == 3


@pytest.mark.asyncio
async def test_f16_truncated_response_is_an_error(env):
    inquiry = env.add_inquiry()
    env.sandbox.faults.truncate("GET /inquiries/{inquiry-id}", times=2)
    assert (await env.client.inquiries.retrieve(inquiry.id)).id == inquiry.id
    assert len(env.entries()) == 3


# ── F17 to F18: garbage ─────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f17_extra_bytes_do_not_reach_the_next_response(env):
    poisoned = GOOD + http_response(200, BODY.replace(b"inq_1", b"inq_X"))

    async def serve(connection):
        while True:
            await connection.request()
            await connection.send(poisoned)

    server = RawServer(serve)
    async with server, env.client_of(server) as client:
        for _ in range(3):
            assert (await calling(client, READ)).data.id == "inq_1"
    assert server.connections >= 2  # a connection with garbage is not used again


CHUNKS = {
    "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
    "a size too large": b"fff\r\n{}\r\n0\r\n\r\n",
    "no final chunk": b"2\r\n{}\r\n",
    "no end of a chunk": b"2\r\n{}0\r\n\r\n",
}
BAD_TRAILER = b"2\r\n{}\r\n0\r\nbad\0trailer\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
async def test_f18_invalid_chunks_are_retried(env, chunks):
    assert await attempts_until_success(env, CHUNKED + chunks, GOOD) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("rest", [BAD_TRAILER, *CHUNKS.values()], ids=repr)
async def test_f18_invalid_chunks_after_a_valid_head_are_retried(env, rest):
    async def serve(connection):
        await connection.request()
        if server.connections > 1:
            await connection.send(GOOD)
            return
        await connection.send(CHUNKED)
        await asyncio.sleep(0.05)  # noqa: TID251 — so that it is read by itself
        await connection.send(rest)

    # It ends at once: a call may take no longer than its first attempt's silence.
    async with RawServer(serve) as server, env.client_of(server) as client:
        assert (await calling(client, READ, timeout=10)).data.id == "inq_1"
    assert server.connections == 2


# ── F19 to F21: too large ───────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f19_decompression_bomb_is_refused_without_a_retry(env):
    error, server = await failing(
        env, decompression_bomb(512), kind=ResponseTooLargeError
    )
    assert phases(error) == [Phase.ANSWERED]
    assert server.connections == 1


GZIP = [("Content-Encoding", "gzip")]
ENCODED = {
    "no gzip though it says so": (http_response(200, BODY, GZIP), 2),
    "gzip that breaks off": (http_response(200, gzip.compress(BODY)[:-9], GZIP), 2),
    "something after the gzip": (
        http_response(200, gzip.compress(BODY) + b"x", GZIP),
        2,
    ),
    "a damaged gzip": (http_response(200, gzip.compress(BODY)[:12] + b"xx", GZIP), 2),
}
UNASKED = {
    "br": "br",
    "zstd": "zstd",
    "deflate": "deflate",
    "six codings": ", ".join(["gzip"] * 6),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("corrupted", "attempts"), ENCODED.values(), ids=ENCODED)
async def test_f20_body_that_cannot_be_decoded_is_retried(env, corrupted, attempts):
    assert await attempts_until_success(env, corrupted, GOOD) == attempts


@pytest.mark.asyncio
@pytest.mark.parametrize("coding", UNASKED.values(), ids=UNASKED)
async def test_f20_unrequested_content_coding_is_not_retried(env, coding):
    packed = http_response(200, zlib.compress(BODY), [("Content-Encoding", coding)])
    error, _ = await failing(env, respond_with(packed), kind=ProtocolError)
    assert phases(error) == [Phase.AMBIGUOUS]


@pytest.mark.asyncio
async def test_f21_endless_body_is_refused_at_the_limit(env):
    error, server = await failing(env, endless_body, kind=ResponseTooLargeError)
    assert phases(error) == [Phase.ANSWERED]
    assert server.connections == 1


# ── F22 to F24: no response of the service ──────────────────────────────────────

HEADS = {
    "20,000 headers": b"X: a\r\n" * 20_000,
    "a header of a megabyte": b"X: " + b"a" * 1_000_000 + b"\r\n",
    "NUL in a header": b"X: a\0b\r\n",
    "a bare line feed": b"X: a\nY b\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("lines", HEADS.values(), ids=HEADS)
async def test_f22_oversized_head_is_an_error(env, lines):
    handler = send_and_close(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
    error, _ = await failing(env, handler, kind=ProtocolError)
    assert phases(error) == [Phase.AMBIGUOUS]


@pytest.mark.asyncio
async def test_f23_first_of_two_responses_is_used(env):
    async def twice(connection):
        await connection.request()
        await connection.send(GOOD + http_response(500))

    server = RawServer(twice)
    async with server, env.client_of(server) as client:
        assert (await calling(client, READ)).data.id == "inq_1"


@pytest.mark.asyncio
async def test_f23_informational_responses_are_ignored(env):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100
    server = RawServer(respond_with(early + GOOD))
    async with server, env.client_of(server) as client:
        assert (await calling(client, READ)).data.id == "inq_1"


@pytest.mark.asyncio
async def test_f23_endless_informational_responses_end_with_the_attempt(env):
    async def flood(connection):
        await connection.request()
        while True:
            await connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    error, server = await failing(env, flood, CHANGE, OutcomeUnknownError)
    assert phases(error) == [Phase.AMBIGUOUS]
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f23_response_before_the_end_of_the_upload_is_used(env):
    async def respond_early(connection):
        await connection.head()
        await connection.send(GOOD)

    server = RawServer(respond_early)
    async with server, env.client_of(server) as client:
        body = {"x": "y" * 2_000_000}
        document = await calling(client, CREATE, json=body)
    assert document.data.id == "inq_1"


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", [READ, CREATE], ids=["GET", "POST"])
async def test_f24_web_page_is_an_error_and_is_not_retried(env, operation):
    page = http_response(200, b"<html>Log in</html>", content_type="text/html")
    error, server = await failing(
        env, respond_with(page), operation, UnexpectedContentTypeError
    )
    assert phases(error) == [Phase.ANSWERED]
    assert server.received.count(b" HTTP/1.1\r\n") == 1


# ── F25 to F26: bad networks ────────────────────────────────────────────────────

TOXICS = {
    "latency": {"latency": 0.1, "jitter": 0.05},
    "bandwidth": {"bandwidth": 56_000},
    "slices": {"slicer": (5, 0.0)},
    "slow close": {"slow_close": 0.2},
    "all of them": {
        "latency": 0.002,
        "bandwidth": 200_000,
        "slicer": (50, 0.0),
        "slow_close": 0.1,
    },
}


@pytest.mark.asyncio
@pytest.mark.parametrize("toxics", TOXICS.values(), ids=TOXICS)
async def test_f25_slow_network_changes_no_result(env, toxics):
    inquiry = env.add_inquiry()
    wanted = (await env.client.inquiries.retrieve(inquiry.id)).raw
    async with env.new_client(timeout=Timeouts()) as client:
        for name, value in toxics.items():
            setattr(env.proxy, name, value)
        found = await client.inquiries.retrieve(inquiry.id)
        assert found.raw == wanted
    assert env.clock.slept == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "toxic", [{"timeout": 0.01}, {"reset_peer": 0.0}, {"limit_data": 99}], ids=str
)
async def test_f25_broken_network_raises_connection_lost(env, toxic):
    inquiry = env.add_inquiry()
    for name, value in toxic.items():
        setattr(env.proxy, name, value)
    with pytest.raises(TransportError) as caught:
        await env.client.inquiries.retrieve(inquiry.id)
    assert phases(caught.value) == LOST
    env.proxy.clear()
    assert (await env.client.inquiries.retrieve(inquiry.id)).id == inquiry.id


@pytest.mark.asyncio
async def test_f26_responses_are_matched_when_links_stop_and_resume_in_another_order(
    env,
):
    inquiry = env.add_inquiry()
    port = env.proxy._upstream
    proxies = [Proxy(port) for _ in range(8)]
    for proxy in proxies:
        await proxy.up()
    clients = [env.new_client(proxy.url) for proxy in proxies]
    for client in clients:
        await client.__aenter__()
        await client.inquiries.retrieve(inquiry.id)
    calls = []
    for proxy, client in zip(proxies, clients, strict=True):
        proxy.stop()
        calls += [client.inquiries.retrieve(inquiry.id) for _ in range(4)]
    done = asyncio.gather(*calls)
    for place in (3, 0, 7, 1, 6, 2, 5, 4):
        await asyncio.sleep(0.01)  # noqa: TID251 — real sockets
        proxies[place].go()
    assert {each.id for each in await done} == {inquiry.id}
    for client, proxy in zip(clients, proxies, strict=True):
        assert client.context._limiter.tracker.in_flight == 0
        await client.aclose()
        await proxy.down()
