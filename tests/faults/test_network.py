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
from tests.faults.scene import HASTY, PATIENT
from tests.servers import (
    RawServer,
    answer,
    answering,
    close_after_request,
    reset_after_request,
    reset_at_once,
    silence,
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
async def test_f01_refused_connection_is_tried_three_times(scene, operation):
    await scene.proxy.down()
    with pytest.raises(ConnectError) as caught:
        await calling(scene.client, operation)
    assert phases(caught.value) == NEVER_SENT
    assert caught.value.phase is Phase.NOT_SENT
    assert sum(scene.clock.slept) <= 0.25 + 0.5
    assert scene.entries() == []


@pytest.mark.asyncio
async def test_f01_code_is_kept_after_a_refused_connection(exchanges):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    await exchanges.proxy.down()
    async with exchanges.manager() as manager:
        with pytest.raises(ExchangeUnavailableError) as caught:
            await exchanges.until(manager.exchange(code))
        assert caught.value.phase is Phase.NOT_SENT
        await exchanges.proxy.up()
        assert await exchanges.until(manager.exchange(code)) == scope


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", EVERY, ids=lambda each: each[0])
async def test_f02_attempt_times_out_when_packets_are_dropped(scene, operation):
    async def never(_connection):
        await asyncio.Event().wait()

    # It takes the connection and never says a word: the TLS handshake times out.
    async with RawServer(never) as hole:
        url = f"https://127.0.0.1:{hole.port}/api/v1"
        hasty = Timeouts(connect=0.05, call=100)
        async with scene.a_client(url, timeout=hasty) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, operation)
    assert phases(caught.value) == NEVER_SENT
    assert [each.reason for each in caught.value.attempts] == ["connect timeout"] * 3


async def _unresolved(scene, failure):
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
            timeout=PATIENT,
            _runtime=scene.runtime,
        )
        async with client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, READ)
    finally:
        del loop.getaddrinfo
    return caught.value


@pytest.mark.asyncio
async def test_f03_a_name_that_does_not_exist_is_looked_up_once_more_only(scene):
    unknown = socket.gaierror(socket.EAI_NONAME, "unknown")
    error = await _unresolved(scene, unknown)
    assert [each.reason for each in error.attempts] == ["no such name"] * 2
    assert error.phase is Phase.NOT_SENT


@pytest.mark.asyncio
async def test_f03_failing_name_server_is_retried_like_a_dead_server(scene):
    failing = socket.gaierror(socket.EAI_AGAIN, "try again")
    error = await _unresolved(scene, failing)
    assert [each.reason for each in error.attempts] == ["dns"] * 3


@pytest.mark.asyncio
async def test_f04_a_dead_first_address_costs_less_than_half_a_second(scene):
    inquiry = scene.an_inquiry()
    loop = asyncio.get_running_loop()
    port = scene.proxy.port

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
        async with scene.a_client(url) as client:
            started = loop.time()
            assert (await client.inquiries.retrieve(inquiry.id)).id == inquiry.id
            assert loop.time() - started <= 0.5
    finally:
        del loop.getaddrinfo
    assert scene.clock.slept == []


@pytest.mark.asyncio
async def test_f05_full_pool_and_slow_server_raise_different_errors(scene):
    scene.box.faults.hang("*", times=None)
    pool = Pool(size=1, patience=0.05)
    async with scene.a_client(timeout=Timeouts(), pool=pool) as client:
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
    scene, status, attempts
):
    refusal = answer(status, b"", content_type=None)
    async with RawServer(answering(refusal)) as proxy:
        client = PersonaClient(
            "key",
            proxy=Secret(f"http://user:CANARY-pass@127.0.0.1:{proxy.port}"),
            timeout=PATIENT,
            _runtime=scene.runtime,
        )
        async with client:
            with pytest.raises(ProxyError) as caught:
                await calling(client, CREATE)
    assert phases(caught.value) == [Phase.NOT_SENT] * attempts
    assert "CANARY" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.asyncio
async def test_f08_interrupted_handshake_is_retried(scene):
    async with RawServer(reset_at_once) as server:
        url = f"https://127.0.0.1:{server.port}/api/v1"
        async with scene.a_client(url) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, CREATE)
    assert phases(caught.value) == NEVER_SENT


@pytest.mark.asyncio
async def test_f08_server_with_an_old_protocol_is_not_retried(scene):
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    async def alert(connection):
        await connection.send(b"\x15\x03\x01\x00\x02\x02\x46")  # protocol version

    async with RawServer(alert) as server:
        url = f"https://127.0.0.1:{server.port}/api/v1"
        async with scene.a_client(url, ssl_context=context) as client:
            with pytest.raises(ConnectError) as caught:
                await calling(client, READ)
    assert phases(caught.value) == [Phase.NOT_SENT]


# ── Broken after the first byte ─────────────────────────────────────────────────

BREAKS = {
    "f09 reset while it is sent": reset_at_once,
    "f10 reset before any answer": reset_after_request,
    "f12 half-closed": close_after_request,
}


async def _broken(scene, behaviour, operation):
    server = RawServer(behaviour)
    async with server, scene.client_of(server) as client:
        with pytest.raises((ConnectionLostError, OutcomeUnknownError)) as caught:
            await calling(client, operation)
        keys = {
            line.partition(b": ")[2]
            for line in server.received.split(b"\r\n")
            if line.startswith(b"Idempotency-Key")
        }
        return caught.value, keys


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", BREAKS.values(), ids=BREAKS)
async def test_f09_f10_f12_read_is_retried(scene, behaviour):
    error, keys = await _broken(scene, behaviour, READ)
    assert type(error) is ConnectionLostError
    assert phases(error) == LOST
    assert keys == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", list(BREAKS.values())[1:], ids=list(BREAKS)[1:])
async def test_f10_f12_post_is_retried_with_its_key(scene, behaviour):
    error, keys = await _broken(scene, behaviour, CREATE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == LOST
    assert keys == {error.idempotency_key.encode()}


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", BREAKS.values(), ids=BREAKS)
async def test_f10_change_without_a_key_is_never_retried(scene, behaviour):
    error, keys = await _broken(scene, behaviour, CHANGE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == [Phase.AMBIGUOUS]
    assert keys == set()


@pytest.mark.asyncio
async def test_f09_reset_during_a_post_leaves_the_outcome_unknown(scene):
    error, _ = await _broken(scene, reset_at_once, CREATE)
    assert type(error) is OutcomeUnknownError
    assert phases(error) == LOST


@pytest.mark.asyncio
@pytest.mark.parametrize("lost", [1, 2])
async def test_f11_post_is_retried_when_its_response_is_lost(scene, lost):
    inquiry = scene.an_inquiry()
    scene.proxy.lose_answers = lost
    code = await scene.client.oauth.authorize(
        client_id=scene.box.source.id, scope=Scope.read(inquiry.id)
    )
    keys = {entry.idempotency_key for entry in scene.entries()}
    assert code.reveal()
    assert scene.box.log.codes_issued == 1
    assert len(scene.entries()) == lost + 1
    assert len(keys) == 1


@pytest.mark.asyncio
async def test_f11_retried_exchange_returns_the_same_token(exchanges):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    first_sent = exchanges.clock.wall()
    exchanges.proxy.lose_answers = 1
    async with exchanges.manager() as manager:
        await exchanges.until(manager.exchange(code))
        asked = exchanges.entries("POST /oauth/token")
        assert len(asked) == 2
        assert len({entry.idempotency_key for entry in asked}) == 1
        assert exchanges.box.log.tokens_issued == 1
        # Its end counts from the first time that it was asked for.
        ends = manager.peek(scope).expires_at
        assert ends <= first_sent + timedelta(seconds=3599.5)


@pytest.mark.asyncio
async def test_f13_a_read_survives_a_connection_that_was_closed_meanwhile(scene):
    inquiry = scene.an_inquiry()
    await scene.client.inquiries.retrieve(inquiry.id)
    await scene.proxy.down()
    await scene.proxy.up()
    await scene.client.inquiries.retrieve(inquiry.id)
    # aiohttp repeats it once by itself; else ours is the one repetition.
    assert len(scene.entries()) == 2
    assert len(scene.clock.slept) <= 1


@pytest.mark.asyncio
async def test_f13_a_post_on_a_connection_closed_meanwhile_keeps_its_key(scene):
    inquiry = scene.an_inquiry()
    options = {"client_id": scene.box.source.id, "scope": Scope.read(inquiry.id)}
    await scene.client.inquiries.retrieve(inquiry.id)
    await scene.proxy.down()
    await scene.proxy.up()
    await scene.client.oauth.authorize(**options)
    assert scene.box.log.codes_issued == 1


@pytest.mark.asyncio
async def test_silent_server_holds_no_connection(scene):
    server = RawServer(silence)
    async with server, scene.client_of(server, timeout=HASTY) as client:
        with pytest.raises(ConnectionLostError):
            await calling(client, READ)
        assert server.connections == 3
