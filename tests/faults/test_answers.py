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
from tests.faults.scene import BRIEF, HASTY
from tests.faults.test_network import CHANGE, CREATE, LOST, READ, calling, phases
from tests.proxy import Proxy
from tests.servers import (
    RawServer,
    answer,
    answering,
    bomb,
    dripping,
    ending_with,
    endless_body,
    silence,
    stalling_body,
)


BODY = b'{"data":{"type":"inquiry","id":"inq_1","attributes":{"status":"completed"}}}'
GOOD = answer(200, BODY)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = HEAD + b"Content-Length: 999\r\n\r\n" + BODY


async def failing(scene, behaviour, operation=READ, kind=TransportError, **options):
    """Call a server that behaves like this, and return the error and the server."""
    server = RawServer(behaviour)
    async with server, scene.client_of(server, **options) as client:
        with pytest.raises(kind) as caught:
            await calling(client, operation)
    return caught.value, server


async def healed(scene, *answers):
    """Call a server whose last response is good, and return the number of requests."""
    left = list(answers)

    async def behave(connection):
        while left:
            await connection.request()
            piece = left.pop(0)
            await connection.send(piece)
            if piece != GOOD:
                return

    server = RawServer(behave)
    async with server, scene.client_of(server) as client:
        document = await calling(client, READ)
    assert document.data.id == "inq_1"
    return server.received.count(b"GET ")


# ── F14 to F16: too slow, too short ─────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", [silence, stalling_body])
async def test_f14_stalled_body_fails_at_the_read_timeout(scene, behaviour):
    error, server = await failing(
        scene, behaviour, kind=ConnectionLostError, timeout=HASTY
    )
    assert phases(error) == LOST
    assert {each.reason for each in error.attempts} == {"read timeout"}
    assert server.connections == 3  # none of them was used again


@pytest.mark.asyncio
async def test_f14_change_is_not_retried_after_a_stall(scene):
    error, server = await failing(
        scene, stalling_body, CHANGE, OutcomeUnknownError, timeout=HASTY
    )
    assert phases(error) == [Phase.AMBIGUOUS]
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f15_slow_body_fails_at_the_attempt_timeout(scene):
    error, _ = await failing(
        scene, dripping(0.05), kind=ConnectionLostError, timeout=BRIEF
    )
    assert {each.reason for each in error.attempts} == {"timeout"}


@pytest.mark.asyncio
async def test_f15_slow_body_fails_at_the_deadline(scene):
    loop = asyncio.get_running_loop()
    server = RawServer(dripping(0.02))
    async with server, scene.client_of(server) as client:
        started = loop.time()
        with pytest.raises(DeadlineExceededError):
            await calling(client, READ, timeout=0.1)
        assert loop.time() - started < 10


@pytest.mark.asyncio
async def test_f16_short_body_is_retried(scene):
    assert await healed(scene, SHORT, SHORT, GOOD) == 3


@pytest.mark.asyncio
async def test_f16_post_with_a_short_body_is_retried_with_its_key(scene):
    error, server = await failing(
        scene, ending_with(SHORT), CREATE, OutcomeUnknownError
    )
    assert phases(error) == LOST
    assert server.received.count(error.idempotency_key.encode()) == 3


@pytest.mark.asyncio
async def test_f16_truncated_response_is_an_error(scene):
    inquiry = scene.an_inquiry()
    scene.box.faults.truncate("GET /inquiries/{inquiry-id}", times=2)
    assert (await scene.client.inquiries.retrieve(inquiry.id)).id == inquiry.id
    assert len(scene.entries()) == 3


# ── F17 to F18: garbage ─────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f17_extra_bytes_do_not_reach_the_next_response(scene):
    poisoned = GOOD + answer(200, BODY.replace(b"inq_1", b"inq_X"))

    async def behave(connection):
        while True:
            await connection.request()
            await connection.send(poisoned)

    server = RawServer(behave)
    async with server, scene.client_of(server) as client:
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
async def test_f18_invalid_chunks_are_retried(scene, chunks):
    assert await healed(scene, CHUNKED + chunks, GOOD) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("rest", [BAD_TRAILER, *CHUNKS.values()], ids=repr)
async def test_f18_invalid_chunks_after_a_valid_head_are_retried(scene, rest):
    async def behave(connection):
        await connection.request()
        if server.connections > 1:
            await connection.send(GOOD)
            return
        await connection.send(CHUNKED)
        await asyncio.sleep(0.05)  # noqa: TID251 — so that it is read by itself
        await connection.send(rest)

    # It ends at once: a call may take no longer than its first attempt's silence.
    async with RawServer(behave) as server, scene.client_of(server) as client:
        assert (await calling(client, READ, timeout=10)).data.id == "inq_1"
    assert server.connections == 2


# ── F19 to F21: too large ───────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f19_decompression_bomb_is_refused_without_a_retry(scene):
    error, server = await failing(scene, bomb(512), kind=ResponseTooLargeError)
    assert phases(error) == [Phase.ANSWERED]
    assert server.connections == 1


GZIP = [("Content-Encoding", "gzip")]
ENCODED = {
    "no gzip though it says so": (answer(200, BODY, GZIP), 2),
    "gzip that breaks off": (answer(200, gzip.compress(BODY)[:-9], GZIP), 2),
    "something after the gzip": (answer(200, gzip.compress(BODY) + b"x", GZIP), 2),
    "a damaged gzip": (answer(200, gzip.compress(BODY)[:12] + b"xx", GZIP), 2),
}
UNASKED = {
    "br": "br",
    "zstd": "zstd",
    "deflate": "deflate",
    "six codings": ", ".join(["gzip"] * 6),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("spoilt", "asked"), ENCODED.values(), ids=ENCODED)
async def test_f20_body_that_cannot_be_decoded_is_retried(scene, spoilt, asked):
    assert await healed(scene, spoilt, GOOD) == asked


@pytest.mark.asyncio
@pytest.mark.parametrize("coding", UNASKED.values(), ids=UNASKED)
async def test_f20_unrequested_content_coding_is_not_retried(scene, coding):
    packed = answer(200, zlib.compress(BODY), [("Content-Encoding", coding)])
    error, _ = await failing(scene, answering(packed), kind=ProtocolError)
    assert phases(error) == [Phase.AMBIGUOUS]


@pytest.mark.asyncio
async def test_f21_endless_body_is_refused_at_the_limit(scene):
    error, server = await failing(scene, endless_body, kind=ResponseTooLargeError)
    assert phases(error) == [Phase.ANSWERED]
    assert server.connections == 1


# ── F22 to F24: no answer of the service's ──────────────────────────────────────

HEADS = {
    "20,000 headers": b"X: a\r\n" * 20_000,
    "a header of a megabyte": b"X: " + b"a" * 1_000_000 + b"\r\n",
    "NUL in a header": b"X: a\0b\r\n",
    "a bare line feed": b"X: a\nY b\r\n",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("lines", HEADS.values(), ids=HEADS)
async def test_f22_oversized_head_is_an_error(scene, lines):
    behaviour = ending_with(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
    error, _ = await failing(scene, behaviour, kind=ProtocolError)
    assert phases(error) == [Phase.AMBIGUOUS]


@pytest.mark.asyncio
async def test_f23_first_of_two_responses_is_used(scene):
    async def twice(connection):
        await connection.request()
        await connection.send(GOOD + answer(500))

    server = RawServer(twice)
    async with server, scene.client_of(server) as client:
        assert (await calling(client, READ)).data.id == "inq_1"


@pytest.mark.asyncio
async def test_f23_informational_responses_are_ignored(scene):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100
    server = RawServer(answering(early + GOOD))
    async with server, scene.client_of(server) as client:
        assert (await calling(client, READ)).data.id == "inq_1"


@pytest.mark.asyncio
async def test_f23_endless_informational_responses_end_with_the_attempt(scene):
    async def flood(connection):
        await connection.request()
        while True:
            await connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    error, server = await failing(scene, flood, CHANGE, OutcomeUnknownError)
    assert phases(error) == [Phase.AMBIGUOUS]
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f23_response_before_the_end_of_the_upload_is_used(scene):
    async def hasty(connection):
        await connection.head()
        await connection.send(GOOD)

    server = RawServer(hasty)
    async with server, scene.client_of(server) as client:
        body = {"x": "y" * 2_000_000}
        document = await calling(client, CREATE, json=body)
    assert document.data.id == "inq_1"


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", [READ, CREATE], ids=["GET", "POST"])
async def test_f24_web_page_is_an_error_and_is_not_retried(scene, operation):
    page = answer(200, b"<html>Log in</html>", content_type="text/html")
    error, server = await failing(
        scene, answering(page), operation, UnexpectedContentTypeError
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
async def test_f25_slow_network_changes_no_result(scene, toxics):
    inquiry = scene.an_inquiry()
    wanted = (await scene.client.inquiries.retrieve(inquiry.id)).raw
    async with scene.a_client(timeout=Timeouts()) as client:
        for name, value in toxics.items():
            setattr(scene.proxy, name, value)
        found = await client.inquiries.retrieve(inquiry.id)
        assert found.raw == wanted
    assert scene.clock.slept == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "toxic", [{"timeout": 0.01}, {"reset_peer": 0.0}, {"limit_data": 99}], ids=str
)
async def test_f25_broken_network_raises_connection_lost(scene, toxic):
    inquiry = scene.an_inquiry()
    for name, value in toxic.items():
        setattr(scene.proxy, name, value)
    with pytest.raises(TransportError) as caught:
        await scene.client.inquiries.retrieve(inquiry.id)
    assert phases(caught.value) == LOST
    scene.proxy.clear()
    assert (await scene.client.inquiries.retrieve(inquiry.id)).id == inquiry.id


@pytest.mark.asyncio
async def test_f26_responses_are_matched_when_links_stop_and_resume_in_another_order(
    scene,
):
    inquiry = scene.an_inquiry()
    port = scene.proxy._upstream
    proxies = [Proxy(port) for _ in range(8)]
    for proxy in proxies:
        await proxy.up()
    clients = [scene.a_client(proxy.url) for proxy in proxies]
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
