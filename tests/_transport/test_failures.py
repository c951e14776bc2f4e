"""Every sender against servers that fail: which error, which phase, and no secret."""

import asyncio
import gc
import pickle
import traceback

import pytest

from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    Phase,
    ProtocolError,
)
from persona_share.model.policy import Timeouts
from tests.servers import (
    CANARIES,
    RawServer,
    close_after_request,
    drip_bytes,
    http_response,
    never_respond,
    new_request,
    reset_after_request,
    reset_in_body,
    reset_on_connect,
    respond_with,
    send_and_close,
    stall_in_body,
)


SHORT_READ = Timeouts(read=0.1, attempt=0.2)
GZIP = [("Content-Encoding", "gzip")]
BIG_HEADER = b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"
MANY_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

FAULTS = {
    "F9 reset at once": (reset_on_connect, ConnectionLostError, True),
    "F10 reset after the request": (reset_after_request, ConnectionLostError, True),
    "F12 closed without an answer": (close_after_request, ConnectionLostError, True),
    "F9 reset in the body": (reset_in_body, ProtocolError, True),
    "F14 silence": (never_respond, ConnectionLostError, True),
    "F14 a body that stalls": (stall_in_body, ConnectionLostError, True),
    "F15 a byte now and then": (drip_bytes(0.02), ConnectionLostError, True),
    "F16 a body cut short": (
        send_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
        ProtocolError,
        True,
    ),
    "F18 a bad chunk size": (
        send_and_close(CHUNKED + b"zz\r\n{}"),
        ProtocolError,
        True,
    ),
    "F18 no final chunk": (
        send_and_close(CHUNKED + b"2\r\n{}\r\n"),
        ProtocolError,
        True,
    ),
    "F20 no gzip though it says so": (
        respond_with(http_response(200, b"{}", GZIP)),
        ProtocolError,
        True,
    ),
    "F20 a coding nobody asked for": (
        respond_with(http_response(200, b"{}", [("Content-Encoding", "br")])),
        ProtocolError,
        False,
    ),
    "F20 six codings": (
        respond_with(
            http_response(200, b"{}", [("Content-Encoding", "gzip, " * 5 + "gzip")])
        ),
        ProtocolError,
        False,
    ),
    "F22 a header of a megabyte": (send_and_close(BIG_HEADER), ProtocolError, False),
    "F22 20,000 headers": (send_and_close(MANY_HEADERS), ProtocolError, False),
    "F22 NUL in a header": (
        send_and_close(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n"),
        ProtocolError,
        False,
    ),
    "not HTTP at all": (
        send_and_close(b"220 mail ready\r\n\r\n"),
        ProtocolError,
        False,
    ),
}


def patience(fault):
    """Return short timeouts for responses that never come, and long ones otherwise."""
    return SHORT_READ if fault.startswith(("F14", "F15")) else Timeouts()


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_after_the_first_byte_is_ambiguous(sender_to, fault, method):
    handler, expected, again = FAULTS[fault]
    server = RawServer(handler)
    async with server, sender_to(server.url, timeouts=patience(fault)) as sender:
        with pytest.raises(expected) as caught:
            await sender.send(new_request(method))
    error = caught.value
    assert type(error) is expected
    assert error.phase is Phase.AMBIGUOUS
    assert error.retryable is again
    assert [attempt.phase for attempt in error.attempts] == [Phase.AMBIGUOUS]
    assert error.operation == f"{method} /inquiries/{{inquiry-id}}"


@pytest.mark.asyncio
async def test_f1_refused_connection_means_that_nothing_was_sent(sender_to):
    async with RawServer(never_respond) as server:
        url = server.url
    async with sender_to(url) as sender:
        with pytest.raises(ConnectError) as caught:
            await sender.send(new_request("POST"))
    assert caught.value.phase is Phase.NOT_SENT
    assert caught.value.retryable
    assert caught.value.attempts[0].reason == "connect ECONNREFUSED"


@pytest.mark.asyncio
async def test_refused_connection_names_its_host_and_port(sender_to):
    async with RawServer(never_respond) as server:
        url, port = server.url, server.port
    async with sender_to(url) as sender:
        with pytest.raises(ConnectError, match=rf"refused by 127\.0\.0\.1:{port}\."):
            await sender.send(new_request())
    async with sender_to("https://127.0.0.1:1", proxy=url) as sender:
        with pytest.raises(ConnectError, match=rf"by the proxy 127\.0\.0\.1:{port}\."):
            await sender.send(new_request())


@pytest.mark.asyncio
async def test_attempt_fails_after_100_informational_responses(sender_to):
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    good = RawServer(respond_with(early * 100 + http_response(200, b"{}")))
    async with good, sender_to(good.url) as sender:
        assert (await sender.send(new_request())).body == b"{}"
        assert (await sender.send(new_request())).body == b"{}"
    endless = RawServer(respond_with(early * 101 + http_response(200, b"{}")))
    async with endless, sender_to(endless.url) as sender:
        with pytest.raises(ProtocolError, match="informational") as caught:
            await sender.send(new_request())
    assert caught.value.phase is Phase.AMBIGUOUS
    assert not caught.value.retryable


@pytest.mark.asyncio
async def test_f17_garbage_after_a_response_does_not_reach_the_next_one(sender_to):
    twice = (
        http_response(200, b'{"a":1}')
        + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX"
    )
    server = RawServer(respond_with(twice))
    async with server, sender_to(server.url) as sender:
        for _ in range(3):
            assert (await sender.send(new_request())).body == b'{"a":1}'


@pytest.mark.asyncio
async def test_deadline_in_the_past_sends_nothing(sender_to):
    async with RawServer(never_respond) as server, sender_to(server.url) as sender:
        with pytest.raises(DeadlineExceededError) as caught:
            await sender.send(new_request(seconds=0))
    assert caught.value.phase is Phase.NOT_SENT
    assert server.connections == 0


@pytest.mark.asyncio
async def test_deadline_during_the_response_is_a_timeout_with_unknown_outcome(
    sender_to,
):
    async with RawServer(never_respond) as server, sender_to(server.url) as sender:
        with pytest.raises(TimeoutError) as caught:
            await sender.send(new_request(seconds=0.05))
    assert isinstance(caught.value, DeadlineExceededError)
    assert caught.value.phase is Phase.AMBIGUOUS


@pytest.mark.asyncio
async def test_deadline_during_the_handshake_is_known_to_be_unsent(sender_to):
    async def never(_connection):
        await asyncio.Event().wait()

    async with RawServer(never) as server:
        url = server.url.replace("http:", "https:")
        async with sender_to(url) as sender:
            with pytest.raises(DeadlineExceededError) as caught:
                await sender.send(new_request(seconds=0.5))
    assert caught.value.phase is Phase.NOT_SENT


@pytest.mark.asyncio
async def test_f2_connection_that_takes_too_long_may_be_tried_again(sender_to):
    async def never(_connection):
        await asyncio.Event().wait()

    async with RawServer(never) as server:
        url = server.url.replace("http:", "https:")
        async with sender_to(url, timeouts=Timeouts(connect=0.05)) as sender:
            with pytest.raises(ConnectError) as caught:
                await sender.send(new_request())
    assert caught.value.retryable
    assert caught.value.attempts[0].reason == "connect timeout"


@pytest.mark.asyncio
async def test_f8_handshake_cut_off_may_be_tried_again(sender_to):
    async with RawServer(reset_on_connect) as server:
        url = server.url.replace("http:", "https:")
        async with sender_to(url) as sender:
            with pytest.raises(ConnectError) as caught:
                await sender.send(new_request())
    assert caught.value.phase is Phase.NOT_SENT
    assert caught.value.retryable


@pytest.mark.asyncio
async def test_f75_handshake_that_is_cancelled_leaves_no_connection(sender_to):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def never(connection):
        await connection.read_byte()
        begun.set()
        await connection.end()
        ended.set()

    async with RawServer(never) as server:
        url = server.url.replace("http:", "https:")
        async with sender_to(url) as sender:
            task = asyncio.create_task(sender.send(new_request()))
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(5):
                await ended.wait()


# ── No secret in whatever comes out ─────────────────────────────────────────────


def chain_of(error):
    """Yield an exception and all exceptions that it refers to."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def surfaces_of(error):
    """Print an exception in every way that crash reports do."""
    for each in chain_of(error):
        yield str(each)
        yield repr(each)
        yield str(vars(each))
        shown = traceback.TracebackException.from_exception(each, capture_locals=True)
        yield "".join(shown.format())
    yield repr(pickle.dumps(error))


def assert_clean(error):
    for surface in surfaces_of(error):
        for canary in CANARIES:
            assert canary not in surface


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_secret_and_no_foreign_exception_leaves_with_a_fault(sender_to, fault):
    server = RawServer(FAULTS[fault][0])
    async with server, sender_to(server.url, timeouts=patience(fault)) as sender:
        with pytest.raises(Exception) as caught:
            await sender.send(new_request("POST"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert_clean(caught.value)


@pytest.mark.asyncio
async def test_no_secret_leaves_with_a_cancellation(sender_to):
    async with RawServer(never_respond) as server, sender_to(server.url) as sender:
        task = asyncio.create_task(sender.send(new_request("POST")))
        await server.reached()
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert caught.value.args == ("enough",)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "_attempt" not in names
    assert "_request" not in names
    assert_clean(caught.value)


@pytest.mark.asyncio
async def test_timeout_around_a_call_still_works_as_asyncio_means_it(sender_to):
    async with RawServer(never_respond) as server, sender_to(server.url) as sender:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await sender.send(new_request("POST"))
    assert_clean(caught.value)


@pytest.mark.asyncio
async def test_nothing_keeps_a_foreign_exception_alive(sender_to):
    async with RawServer(reset_after_request) as server, sender_to(server.url) as send:
        with pytest.raises(ConnectionLostError):
            await send.send(new_request("POST"))
    gc.collect()
    alive = [
        each
        for each in gc.get_objects()
        if isinstance(each, BaseException)
        and type(each).__module__.startswith(("aiohttp", "httpcore", "httpx"))
        and each.__traceback__ is not None
    ]
    assert alive == []
