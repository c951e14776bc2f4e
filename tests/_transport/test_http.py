"""AiohttpSender: borrowed sessions and protocol switches."""

import asyncio
import gc
import gzip
import json
from math import inf

import aiohttp
import pytest

from persona_share import PersonaClient
from persona_share._protocol.urls import parse_base_url
from persona_share._transport.http import AiohttpSender
from persona_share.errors import (
    ClientClosedError,
    ConnectError,
    PersonaError,
    Phase,
    PoolTimeoutError,
    WrongEventLoopError,
)
from persona_share.model.policy import Pool, Timeouts
from persona_share.testing import FakeClock
from tests.servers import (
    RawServer,
    http_response,
    never_respond,
    new_request,
    respond_with,
    sender_to,
)


class Discard:
    """A sink for a body that is not needed."""

    cap = 100

    async def begin(self, headers):
        """Start a body."""

    async def write(self, piece):
        """Receive a piece."""


@pytest.mark.asyncio
async def test_borrowed_session_only_provides_connections():
    traced = []
    trace = aiohttp.TraceConfig()

    async def on_start(*arguments):
        traced.append(arguments)

    trace.on_request_start.append(on_start)
    server = RawServer(
        respond_with(http_response(500, headers=[("Set-Cookie", "a=b")]))
    )
    async with server:
        session = aiohttp.ClientSession(
            "http://127.0.0.1:1",
            headers={"Authorization": "Bearer theirs", "X-Theirs": "1"},
            cookies={"theirs": "1"},
            raise_for_status=True,
            trace_configs=[trace],
        )
        async with session, sender_to(server.url, session=session) as sender:
            response = await sender.send(new_request())
            await sender.close()
            assert not session.closed
            assert len(session.cookie_jar) == 1
    assert response.status == 500
    assert b"theirs" not in server.received.lower()
    assert traced == []


@pytest.mark.asyncio
@pytest.mark.parametrize("limits", [{"limit": 1}, {"limit_per_host": 1}], ids=str)
async def test_f5_connections_are_limited_by_a_borrowed_sessions_limit(limits):
    connector = aiohttp.TCPConnector(**limits)
    async with aiohttp.ClientSession(connector=connector) as session:
        options = {"session": session, "pool": Pool(size=50, patience=0.02)}
        async with (
            RawServer(never_respond) as server,
            sender_to(server.url, **options) as s,
        ):
            first = asyncio.create_task(s.send(new_request()))
            await server.reached()
            with pytest.raises(PoolTimeoutError):
                await s.send(new_request())
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


@pytest.mark.asyncio
async def test_closed_borrowed_session_is_reported_at_once():
    session = aiohttp.ClientSession()
    await session.close()
    sender = AiohttpSender(parse_base_url(), now=FakeClock().now, session=session)
    with pytest.raises(ClientClosedError):
        await sender.open()


def test_borrowed_session_of_another_loop_is_refused():
    async def made():
        return aiohttp.ClientSession()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        session = first.run(made())
        sender = AiohttpSender(parse_base_url(), now=FakeClock().now, session=session)
        with pytest.raises(WrongEventLoopError):
            second.run(sender.open())
        first.run(session.close())


@pytest.mark.asyncio
async def test_switching_protocols_is_an_error_and_streams_nothing():
    class Sink:
        cap = 99

        async def begin(self, headers):
            raise AssertionError(headers)

    server = RawServer(respond_with(http_response(101, b"{}", [("Upgrade", "x")])))
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request(sink=Sink()))
    assert response.status == 101
    assert not response.ok


@pytest.mark.asyncio
@pytest.mark.parametrize("sink", [None, Discard()], ids=["body", "sink"])
@pytest.mark.parametrize("body", [None, b"{}"])
async def test_request_is_sent_when_no_time_limit_is_finite(sink, body):
    limitless = {
        "timeouts": Timeouts(connect=inf, read=inf, attempt=inf, call=inf),
        "pool": Pool(patience=inf, keepalive=inf, dns_ttl=inf),
    }
    request = new_request(seconds=inf, body=body, sink=sink)
    server = RawServer(respond_with(http_response()))
    async with server, sender_to(server.url, **limitless) as sender:
        assert (await sender.send(request)).status == 200
        assert (await sender.send(request)).status == 200
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f17_data_on_an_idle_connection_is_no_response():
    idle = asyncio.Event()

    async def serve(connection):
        await connection.request()
        await connection.send(http_response())
        if server.connections == 1:
            await idle.wait()
            await connection.send(http_response(409))
        await connection.request()
        await connection.send(http_response(201))

    async with (
        RawServer(serve) as server,
        aiohttp.ClientSession() as session,
        sender_to(server.url, session=session) as sender,
    ):
        assert (await sender.send(new_request())).status == 200
        idle.set()
        for _ in range(10):
            await asyncio.sleep(0)  # noqa: TID251 — until the data arrived
        with pytest.raises(ConnectError) as caught:
            await sender.send(new_request("POST"))
        assert caught.value.phase is Phase.NOT_SENT
        assert caught.value.retryable
        assert b"POST" not in server.received
        assert (await sender.send(new_request("POST"))).status == 200
        assert server.connections == 2


@pytest.mark.asyncio
async def test_f17_read_is_repeated_when_its_connection_has_unrequested_data():
    idle = asyncio.Event()

    async def serve(connection):
        await connection.request()
        await connection.send(http_response())
        await idle.wait()
        await connection.send(http_response(409))
        await connection.end()

    async with RawServer(serve) as server, sender_to(server.url) as sender:
        await sender.send(new_request())
        idle.set()
        for _ in range(10):
            await asyncio.sleep(0)  # noqa: TID251 — until the data arrived
        assert (await sender.send(new_request())).status == 200


async def retrieve_and_read(client, shown):
    found = await client.inquiries.retrieve("inq_1")
    shown.append(found.response_info)
    return found.created_at


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "header"),
    [
        (200, "Content-Type: {}"),
        (200, "Request-Id: {}"),
        (302, "Location: https://{}.example/"),
        (404, "Persona-Environment-Id: {}"),
        (404, "Persona-Organization-Id: {}"),
        (404, "Request-Id: {}"),
        (200, "Content-Encoding: gzip\r\nRequest-Id: {}"),
    ],
)
@pytest.mark.parametrize("echo", ["CANARYkey", "\x1bCANARYkey", "\x9b"])
async def test_headers_of_a_response_show_no_secret_and_no_control_character(
    status, header, echo
):
    text = header.format(echo)
    broken = {"type": "inquiry", "id": "inq_1", "attributes": {"created-at": "x"}}
    body = json.dumps({"data": broken}).encode()
    if "gzip" in header:
        body = gzip.compress(bytes(17 * 1024 * 1024))
    head = f"HTTP/1.1 {status} X\r\n{text}\r\nContent-Length: {len(body)}\r\n"
    kind = "" if "Content-Type" in header else "Content-Type: application/json\r\n"
    response = f"{head}{kind}\r\n".encode("latin-1") + body
    shown = []
    async with (
        RawServer(respond_with(response)) as server,
        PersonaClient(
            "CANARYkey", base_url=server.api, insecure_local=True, hooks=[shown.append]
        ) as client,
    ):
        with pytest.raises(PersonaError) as caught:
            await retrieve_and_read(client, shown)
    shown += [caught.value, vars(caught.value)]
    assert not [each for each in shown if "CANARYkey" in f"{each} {each!r}"]
    assert str(caught.value).isprintable()


@pytest.mark.asyncio
async def test_lost_idle_connection_is_not_reported_to_the_event_loop():
    reported, idle = [], asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))

    async def serve(connection):
        for _ in range(2):
            await connection.request()
            await connection.send(http_response())
        await idle.wait()
        connection.reset()

    async with RawServer(serve) as server, sender_to(server.url) as sender:
        for _ in range(2):
            await sender.send(new_request())
        idle.set()
        for _ in range(10):
            await asyncio.sleep(0)  # noqa: TID251 — until it was reset
        await sender.send(new_request())
        assert server.connections == 2
    gc.collect()
    assert reported == []


@pytest.mark.asyncio
@pytest.mark.parametrize("after", ["response", "refused"])
async def test_f13_lost_delete_of_a_reused_connection_is_not_forgotten(after):
    async def serve(connection):
        await connection.request()
        if server.connections == 1:
            await connection.send(http_response(body=b'{"data": []}'))
            await connection.request()  # it takes effect, and the response is lost
            if after == "refused":
                server._server.close()
        else:
            await connection.send(http_response(404))

    async with (
        RawServer(serve) as server,
        PersonaClient("key", base_url=server.api, insecure_local=True) as client,
    ):
        await client.inquiries.list()
        if after == "response":
            assert await client.inquiries.redact("inq_1") is None
            return
        with pytest.raises(ConnectError, match="The request was sent") as caught:
            await client.inquiries.redact("inq_1")
    phases = [each.phase for each in caught.value.attempts]
    assert phases == [Phase.AMBIGUOUS, Phase.NOT_SENT, Phase.NOT_SENT]
