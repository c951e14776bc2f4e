"""F1 to F13: connections that cannot be made, and connections that break."""

import asyncio
import socket
import ssl
from datetime import timedelta

import pytest

from persona_share import PersonaClient, Scope
from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    ExchangeUnavailableError,
    OutcomeUnknownError,
    Phase,
    PoolTimeoutError,
    ProxyError,
)
from persona_share.model.policy import Pool, Timeouts
from persona_share.model.secret import Secret
from tests.faults.environment import LONG_TIMEOUTS, SHORT_READ
from tests.servers import (
    RawServer,
    close_after_request,
    http_response,
    never_respond,
    reset_after_request,
    reset_on_connect,
    respond_with,
)


READ = ("GET", "/inquiries/{inquiry-id}")
CHANGE = ("PATCH", "/inquiries/{inquiry-id}")
CREATE = ("POST", "/connect/share-tokens")
REMOVE = ("DELETE", "/inquiries/{inquiry-id}")
EVERY = (READ, CHANGE, CREATE, REMOVE)


def calling(client, operation, **options):
    method, path = operation
    params = {"inquiry-id": "inq_1"} if "{" in path else None
    return client.request(method, path, path_params=params, **options)


def phases(error):
    return [attempt.phase for attempt in error.attempts]


NEVER_SENT = [Phase.NOT_SENT] * 3
LOST = [Phase.AMBIGUOUS] * 3


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", EVERY, ids=lambda each: each[0])
async def test_f01_refused_connection_is_tried_three_times(env, operation):
    await env.proxy.down()
    with pytest.raises(ConnectError) as caught:
        await calling(env.client, operation)
    assert phases(caught.value) == NEVER_SENT
    assert caught.value.phase is Phase.NOT_SENT
    assert sum(env.clock.slept) <= 0.25 + 0.5
    assert env.entries() == []


@pytest.mark.asyncio
async def test_f01_code_is_kept_after_a_refused_connection(manual_env):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    await manual_env.proxy.down()
    async with manual_env.manager() as manager:
        with pytest.raises(ExchangeUnavailableError) as caught:
            await manual_env.advance_until_done(manager.exchange(code))
        assert caught.value.phase is Phase.NOT_SENT
        await manual_env.proxy.up()
        assert await manual_env.advance_until_done(manager.exchange(code)) == scope


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", EVERY, ids=lambda each: each[0])
async def test_f02_attempt_times_out_when_packets_are_dropped(env, operation):
    async def never(_connection):
        await asyncio.Event().wait()

    # It takes the connection and never says a word: the TLS handshake times out.
    async with RawServer(never) as hole:
        url = f"https://127.0.0.1:{hole.port}/api/v1"
        short_connect = Timeouts(connect=0.05, call=100)
        async with env.new_client(url, timeout=short_connect) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, operation)
    assert phases(caught.value) == NEVER_SENT
    assert [each.reason for each in caught.value.attempts] == ["connect timeout"] * 3


async def _unresolved(env, failure):
    """Make a call whose server's name cannot be looked up."""

    async def look_up(*_arguments, **_options):
        raise failure

    loop = asyncio.get_running_loop()
    loop.getaddrinfo = look_up  # what the resolver asks; instances may be given it
    url = "https://api.unknown.invalid/api/v1"
    try:
        client = PersonaClient(
            "key",
            base_url=url,
            allowed_hosts=["api.unknown.invalid"],
            timeout=LONG_TIMEOUTS,
            _runtime=env.runtime,
        )
        async with client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, READ)
    finally:
        del loop.getaddrinfo
    return caught.value


@pytest.mark.asyncio
async def test_f03_name_that_does_not_exist_is_looked_up_once_more_only(env):
    unknown = socket.gaierror(socket.EAI_NONAME, "unknown")
    error = await _unresolved(env, unknown)
    assert [each.reason for each in error.attempts] == ["no such name"] * 2
    assert error.phase is Phase.NOT_SENT


@pytest.mark.asyncio
async def test_f03_failing_name_server_is_retried_like_a_dead_server(env):
    failing = socket.gaierror(socket.EAI_AGAIN, "try again")
    error = await _unresolved(env, failing)
    assert [each.reason for each in error.attempts] == ["dns"] * 3


@pytest.mark.asyncio
async def test_f04_dead_first_address_costs_less_than_half_a_second(env):
    inquiry = env.add_inquiry()
    loop = asyncio.get_running_loop()
    port = env.proxy.port

    async def look_up(*_arguments, **_options):
        # ::1 is dead: nothing listens there. The second address lives.
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", port)),
        ]

    loop.getaddrinfo = look_up
    try:
        url = f"http://localhost:{port}/api/v1"
        async with env.new_client(url) as client:
            started = loop.time()
            assert (await client.inquiries.retrieve(inquiry.id)).id == inquiry.id
            assert loop.time() - started <= 0.5
    finally:
        del loop.getaddrinfo
    assert env.clock.slept == []


@pytest.mark.asyncio
async def test_f05_full_pool_and_slow_server_raise_different_errors(env):
    env.sandbox.faults.hang("*", times=None)
    pool = Pool(size=1, patience=0.05)
    async with env.new_client(timeout=Timeouts(), pool=pool) as client:
        first = asyncio.create_task(calling(client, READ))
        await asyncio.sleep(0)  # noqa: TID251 — a turn: it has the only place
        with pytest.raises(PoolTimeoutError) as caught:
            await calling(client, CREATE)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert phases(caught.value) == NEVER_SENT


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (503, 3)])
async def test_f06_error_names_a_refusing_proxy_without_its_password(
    env, status, attempts
):
    refusal = http_response(status, b"", content_type=None)
    async with RawServer(respond_with(refusal)) as proxy:
        client = PersonaClient(
            "key",
            proxy=Secret(f"http://user:CANARY-pass@127.0.0.1:{proxy.port}"),
            timeout=LONG_TIMEOUTS,
            _runtime=env.runtime,
        )
        async with client:
            with pytest.raises(ProxyError) as caught:
                await calling(client, CREATE)
    assert phases(caught.value) == [Phase.NOT_SENT] * attempts
    assert "CANARY" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.asyncio
async def test_f08_interrupted_handshake_is_retried(env):
    async with RawServer(reset_on_connect) as server:
        url = f"https://127.0.0.1:{server.port}/api/v1"
        async with env.new_client(url) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, CREATE)
    assert phases(caught.value) == NEVER_SENT


@pytest.mark.asyncio
async def test_f08_server_with_an_old_protocol_is_not_retried(env):
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    async def alert(connection):
        await connection.send(b"\x15\x03\x01\x00\x02\x02\x46")  # protocol version

    async with RawServer(alert) as server:
        url = f"https://127.0.0.1:{server.port}/api/v1"
        async with env.new_client(url, ssl_context=context) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, READ)
    assert phases(caught.value) == [Phase.NOT_SENT]


# ── Broken after the first byte ─────────────────────────────────────────────────

BREAKS = {
    "f09 reset while it is sent": reset_on_connect,
    "f10 reset before any answer": reset_after_request,
    "f12 half-closed": close_after_request,
}


async def _broken(env, handler, operation):
    server = RawServer(handler)
    async with server, env.client_of(server) as client:
        with pytest.raises((ConnectionLostError, OutcomeUnknownError)) as caught:
            await calling(client, operation)
        keys = {
            line.partition(b": ")[2]
            for line in server.received.split(b"\r\n")
            if line.startswith(b"Idempotency-Key")
        }
        return caught.value, keys


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", BREAKS.values(), ids=BREAKS)
async def test_f09_f10_f12_read_is_retried(env, handler):
    error, keys = await _broken(env, handler, READ)
    assert type(error) is ConnectionLostError
    assert phases(error) == LOST
    assert keys == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", list(BREAKS.values())[1:], ids=list(BREAKS)[1:])
async def test_f10_f12_post_is_retried_with_its_key(env, handler):
    error, keys = await _broken(env, handler, CREATE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == LOST
    assert keys == {error.idempotency_key.encode()}


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", BREAKS.values(), ids=BREAKS)
async def test_f10_change_without_a_key_is_never_retried(env, handler):
    error, keys = await _broken(env, handler, CHANGE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == [Phase.AMBIGUOUS]
    assert keys == set()


@pytest.mark.asyncio
async def test_f09_reset_during_a_post_leaves_the_outcome_unknown(env):
    error, _ = await _broken(env, reset_on_connect, CREATE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == LOST


@pytest.mark.asyncio
@pytest.mark.parametrize("lost", [1, 2])
async def test_f11_post_is_retried_when_its_response_is_lost(env, lost):
    inquiry = env.add_inquiry()
    env.proxy.lose_responses = lost
    code = await env.client.oauth.authorize(
        client_id=env.sandbox.source.id, scope=Scope.read(inquiry.id)
    )
    keys = {entry.idempotency_key for entry in env.entries()}
    assert code.reveal()
    assert env.sandbox.log.codes_issued == 1
    assert len(env.entries()) == lost + 1
    assert len(keys) == 1


@pytest.mark.asyncio
async def test_f11_retried_exchange_returns_the_same_token(manual_env):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    first_sent = manual_env.clock.wall()
    manual_env.proxy.lose_responses = 1
    async with manual_env.manager() as manager:
        await manual_env.advance_until_done(manager.exchange(code))
        exchanges = manual_env.entries("POST /oauth/token")
        assert len(exchanges) == 2
        assert len({entry.idempotency_key for entry in exchanges}) == 1
        assert manual_env.sandbox.log.tokens_issued == 1
        # Its end counts from the first time that it was asked for.
        ends = manager.peek(scope).expires_at
        assert ends <= first_sent + timedelta(seconds=3599.5)


@pytest.mark.asyncio
async def test_f13_read_succeeds_when_an_idle_connection_was_closed(env):
    inquiry = env.add_inquiry()
    await env.client.inquiries.retrieve(inquiry.id)
    await env.proxy.down()
    await env.proxy.up()
    await env.client.inquiries.retrieve(inquiry.id)
    # aiohttp repeats it once by itself; else ours is the one repetition.
    assert len(env.entries()) == 2
    assert len(env.clock.slept) <= 1


@pytest.mark.asyncio
async def test_f13_post_keeps_its_key_when_an_idle_connection_was_closed(env):
    inquiry = env.add_inquiry()
    options = {"client_id": env.sandbox.source.id, "scope": Scope.read(inquiry.id)}
    await env.client.inquiries.retrieve(inquiry.id)
    await env.proxy.down()
    await env.proxy.up()
    await env.client.oauth.authorize(**options)
    assert env.sandbox.log.codes_issued == 1


@pytest.mark.asyncio
async def test_silent_server_holds_no_connection(env):
    server = RawServer(never_respond)
    async with server, env.client_of(server, timeout=SHORT_READ) as client:
        with pytest.raises(ConnectionLostError):
            await calling(client, READ)
        assert server.connections == 3
