"""Every sender against servers that behave, and its settings."""

import asyncio
import gzip
import json

import pytest

from persona_share._protocol.urls import parse_base_url
from persona_share._transport.http import AiohttpSender
from persona_share.errors import (
    ClientClosedError,
    DeadlineExceededError,
    InsecureOriginError,
    NotOpenError,
    Phase,
    PoolTimeoutError,
    ResponseTooLargeError,
    TransportError,
    WrongEventLoopError,
)
from persona_share.model.policy import Pool
from persona_share.model.secret import MaskedText
from persona_share.testing import FakeClock
from tests.servers import (
    CODE,
    KEY,
    TOKEN,
    RawServer,
    decompression_bomb,
    endless_body,
    http_response,
    never_respond,
    new_request,
    respond_with,
)


@pytest.mark.asyncio
async def test_request_is_sent_with_unmasked_secrets(sender_to):
    async with (
        RawServer(respond_with(http_response())) as server,
        sender_to(server.url) as send,
    ):
        await send.send(new_request("POST", "/oauth/token?a=%2F", headers={"X-A": "b"}))
    head, _, body = server.received.decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST /api/v1/oauth/token?a=%2F HTTP/1.1"
    assert f"Authorization: Bearer {TOKEN}" in lines
    assert f"Idempotency-Key: {KEY}" in lines
    assert "Content-Type: application/x-www-form-urlencoded" in lines
    assert "X-A: b" in lines
    assert "Accept-Encoding: gzip" in lines
    assert any(line.startswith("User-Agent: persona_share/") for line in lines)
    assert body == f"code={CODE}"


@pytest.mark.asyncio
@pytest.mark.parametrize("own", [None, {"X-A": "own", "X-B": "b"}])
async def test_default_headers_are_sent_once_when_a_request_has_them_or_others(
    sender_to, own
):
    default = {"X-A": "default", "Accept": "application/json"}
    server = RawServer(respond_with(http_response()))
    async with server, sender_to(server.url, headers=default) as sender:
        await sender.send(new_request(headers=default if own is None else own))
    sent = server.received.decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
    expected = {**default, **(own or {})}
    found = [line for line in sent if line.startswith(("X-", "Accept:"))]
    assert sorted(found) == sorted(f"{a}: {b}" for a, b in expected.items())
    assert f"Authorization: Bearer {TOKEN}" in sent


@pytest.mark.asyncio
async def test_status_headers_and_body_are_returned(sender_to):
    headers = [("Request-Id", "req_1"), ("RateLimit-Remaining", "7")]
    server = RawServer(respond_with(http_response(404, b'{"errors":[]}', headers)))
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request())
    assert response.status == 404
    assert response.headers["request-id"] == "req_1"
    assert response.headers["ratelimit-remaining"] == "7"
    assert response.body == b'{"errors":[]}'
    assert response.first_sent_at == FakeClock().now()


@pytest.mark.asyncio
async def test_it_joins_repeated_headers(sender_to):
    headers = [("Retry-After", "5"), ("Retry-After", "9")]
    server = RawServer(respond_with(http_response(headers=headers)))
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request())
    assert response.headers["retry-after"] == "5, 9"


@pytest.mark.asyncio
async def test_it_decodes_gzip(sender_to):
    body = json.dumps({"data": "x" * 200_000}).encode()
    zipped = gzip.compress(body)
    server = RawServer(
        respond_with(http_response(200, zipped, [("Content-Encoding", "gzip")]))
    )
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request())
    assert response.body == body


@pytest.mark.asyncio
async def test_sender_keeps_no_cookies(sender_to):
    server = RawServer(respond_with(http_response(headers=[("Set-Cookie", "a=b")])))
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request())
        await sender.send(new_request())
    assert b"cookie" not in server.received.lower()
    assert "set-cookie" not in response.headers


@pytest.mark.asyncio
async def test_environment_is_ignored_by_default(sender_to, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = RawServer(respond_with(http_response()))
    async with server, sender_to(server.url) as sender:
        await sender.send(new_request(authorization=None))
    assert b"authorization" not in server.received.lower()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("header", ["Location", "URI"])
async def test_redirect_is_returned_and_never_followed(sender_to, status, header):
    async with RawServer(respond_with(http_response())) as trap:
        targets = [f"{trap.url}/x", "/api/v1/elsewhere", f"//127.0.0.1:{trap.port}/"]
        for target in targets:
            moved = http_response(status, b"moved", [(header, target)])
            server = RawServer(respond_with(moved))
            async with server, sender_to(server.url) as sender:
                response = await sender.send(new_request("POST"))
            assert response.status == status
            assert response.body == b""
            assert server.received.count(b"POST ") == 1
    assert trap.received == b""
    assert trap.connections == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", [decompression_bomb(512), endless_body])
async def test_f19_f21_body_without_end_is_refused_at_its_cap(sender_to, handler):
    async with RawServer(handler) as server, sender_to(server.url) as sender:
        with pytest.raises(ResponseTooLargeError) as caught:
            await sender.send(new_request())
    assert caught.value.status == 200
    assert caught.value.phase is Phase.ANSWERED
    assert not caught.value.retryable
    assert len(caught.value.attempts) == 1


@pytest.mark.asyncio
async def test_large_error_response_is_still_an_error(sender_to):
    server = RawServer(respond_with(http_response(500, b"x" * 1_000_000)))
    async with server, sender_to(server.url) as sender:
        response = await sender.send(new_request())
        again = await sender.send(new_request())
    assert response.status == again.status == 500
    assert len(response.body) == 64 * 1024
    assert server.connections == 2  # the rest was not drained


@pytest.mark.asyncio
async def test_connections_are_kept_and_used_again(sender_to):
    server = RawServer(respond_with(http_response()))
    async with server, sender_to(server.url) as sender:
        for _ in range(5):
            await sender.send(new_request())
    assert server.connections == 1


@pytest.mark.asyncio
async def test_f5_full_pool_is_waited_for_and_then_reported(sender_to):
    pool = Pool(size=1, patience=0.02)
    async with (
        RawServer(never_respond) as server,
        sender_to(server.url, pool=pool) as sender,
    ):
        first = asyncio.create_task(sender.send(new_request()))
        await server.reached()
        with pytest.raises(PoolTimeoutError) as caught:
            await sender.send(new_request())
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert caught.value.phase is Phase.NOT_SENT
    assert caught.value.retryable


@pytest.mark.asyncio
async def test_deadline_ends_the_wait_for_a_connection(sender_to):
    pool = Pool(size=1)
    async with (
        RawServer(never_respond) as server,
        sender_to(server.url, pool=pool) as sender,
    ):
        first = asyncio.create_task(sender.send(new_request()))
        await server.reached()
        with pytest.raises(DeadlineExceededError) as caught:
            await sender.send(new_request(seconds=0.02))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert caught.value.phase is Phase.NOT_SENT


@pytest.mark.asyncio
async def test_close_distinguishes_sent_and_waiting_calls(sender_to):
    pool = Pool(size=1)
    async with (
        RawServer(never_respond) as server,
        sender_to(server.url, pool=pool) as sender,
    ):
        first = asyncio.create_task(sender.send(new_request("POST")))
        await server.reached()
        second = asyncio.create_task(sender.send(new_request("POST")))
        await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        await sender.close()
        lost, refused = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(lost, TransportError)
    assert lost.phase is Phase.AMBIGUOUS
    assert isinstance(refused, ClientClosedError)


@pytest.mark.asyncio
async def test_failed_call_returns_its_connection(sender_to):
    async with sender_to("http://127.0.0.1:1", pool=Pool(size=1)) as sender:
        for _ in range(3):
            with pytest.raises(Exception, match=r"refused by 127\.0\.0\.1:1"):
                await sender.send(new_request())


@pytest.mark.asyncio
async def test_sender_raises_before_open_and_after_close():
    sender = AiohttpSender(parse_base_url(), now=FakeClock().now)
    with pytest.raises(NotOpenError):
        await sender.send(new_request())
    await sender.close()
    await sender.open()
    await sender.close()
    with pytest.raises(ClientClosedError):
        await sender.send(new_request())


def test_f69_it_refuses_another_event_loop():
    sender = AiohttpSender(parse_base_url(), now=FakeClock().now)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(sender.open())
        with pytest.raises(WrongEventLoopError):
            second.run(sender.send(new_request()))
        first.run(sender.close())


@pytest.mark.asyncio
async def test_sandbox_credential_does_not_leave_this_machine():
    sender = AiohttpSender(parse_base_url(), now=FakeClock().now)
    await sender.open()
    with pytest.raises(InsecureOriginError):
        await sender.send(new_request(authorization=MaskedText("Bearer localbox_1")))
    await sender.close()
