"""A transport of httpx that a caller lends, and what the library itself leaves open."""

import ssl

import httpx
import pytest

from persona_share import PersonaClient
from persona_share._protocol.urls import address_of
from persona_share._transport.httpx import HttpxSender
from persona_share._transport.httpx_fault import Progress, fault_of
from persona_share.errors import (
    ConfigurationError,
    ConnectError,
    InsecureOriginError,
    Phase,
    TransportError,
)
from persona_share.testing import FakeClock
from tests.servers import RawServer, a_request, answer, answering, sender_to


DOCUMENT = b'{"data":{"type":"inquiry","id":"inq_1"}}'


@pytest.mark.asyncio
async def test_a_borrowed_transport_stays_open_and_is_used():
    transport = httpx.AsyncHTTPTransport()
    async with RawServer(answering(answer())) as server, transport:
        options = {"kind": HttpxSender, "transport": transport}
        for _ in range(2):
            async with sender_to(server.url, **options) as sender:
                assert (await sender.send(a_request())).status == 200
        assert server.connections == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("own", [True, False])
async def test_a_client_sends_over_httpx_when_it_is_told_to(own):
    async with RawServer(answering(answer(body=DOCUMENT))) as server:
        transport = httpx.AsyncHTTPTransport()
        http = "httpx" if own else transport
        async with (
            transport,
            PersonaClient(
                "key", base_url=server.api, insecure_local=True, http=http
            ) as client,
        ):
            assert (await client.inquiries.retrieve("inq_1")).id == "inq_1"
    assert b"User-Agent: persona_share/" in server.received
    assert b"Authorization: Bearer key" in server.received


@pytest.mark.asyncio
async def test_a_user_who_mocks_httpx_mocks_this_library_too():
    seen = []

    def respond(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": {"type": "inquiry", "id": "inq_1"}})

    async with PersonaClient("key", http=httpx.MockTransport(respond)) as client:
        assert (await client.inquiries.retrieve("inq_1")).id == "inq_1"
    assert seen == ["Bearer key"]


@pytest.mark.parametrize("http", ["aiohttp", httpx.AsyncClient(), object()])
def test_what_cannot_send_is_refused_at_once(http):
    with pytest.raises(ConfigurationError, match="httpx transport"):
        PersonaClient("key", http=http)


def test_t4_a_borrowed_transport_that_verifies_nothing_is_refused():
    lax = httpx.AsyncHTTPTransport(verify=ssl._create_unverified_context())  # noqa: S323 — that it is refused is the point
    with pytest.raises(InsecureOriginError):
        HttpxSender(address_of(), now=FakeClock().now, transport=lax)


def test_a_transport_of_ones_own_brings_its_own_proxy_and_authorities():
    with pytest.raises(ConfigurationError):
        HttpxSender(
            address_of(),
            now=FakeClock().now,
            transport=httpx.AsyncHTTPTransport(),
            proxy="http://127.0.0.1:1",
        )


@pytest.mark.asyncio
async def test_one_cookie_of_many_headers_is_kept_as_little_as_another():
    headers = [("Set-Cookie", "a=b"), ("X-A", "1"), ("X-A", "2")]
    async with (
        RawServer(answering(answer(headers=headers))) as server,
        sender_to(server.url, kind=HttpxSender) as sender,
    ):
        response = await sender.send(a_request())
    assert response.headers["x-a"] == "1, 2"
    assert "set-cookie" not in response.headers


# ── How far an attempt got ──────────────────────────────────────────────────────


async def progress_of(*events, proxied=False):
    progress = Progress(proxied=proxied)
    for event in events:
        await progress(event, {})
    return progress


@pytest.mark.asyncio
async def test_what_breaks_before_the_request_is_known_to_be_unsent():
    progress = await progress_of("connection.connect_tcp.started")
    fault = fault_of(httpx.WriteError("x"), progress)
    assert fault.phase is Phase.NOT_SENT
    assert fault.kind is ConnectError


@pytest.mark.asyncio
async def test_a_request_to_the_proxy_is_not_yet_the_request():
    tunnel = ["http11.send_request_headers.started", "connection.start_tls.complete"]
    before = await progress_of(*tunnel, proxied=True)
    assert fault_of(httpx.ReadError("x"), before).phase is Phase.NOT_SENT
    after = await progress_of(
        *tunnel,
        "proxy.start_tls.complete",
        "http11.send_request_headers.started",
        proxied=True,
    )
    assert fault_of(httpx.ReadError("x"), after).phase is Phase.AMBIGUOUS


def test_a_transport_that_tells_nothing_leaves_the_outcome_open():
    fault = fault_of(httpx.ReadError("x"), Progress())
    assert issubclass(fault.kind, TransportError)
    assert fault.phase is Phase.AMBIGUOUS


def test_an_error_nobody_knows_is_not_repeated():
    fault = fault_of(RuntimeError("x"), Progress())
    assert fault.phase is Phase.AMBIGUOUS
    assert not fault.retryable
