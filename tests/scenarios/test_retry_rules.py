"""The retry rules as a user sees them: one deadline, one budget, one key."""

import asyncio
import time
import uuid

import anyio
import pytest

from persona_share import PersonaClient, Scope
from persona_share.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    PersonaError,
    RateLimitedError,
    ServerError,
)
from persona_share.model.policy import Pool, RateLimitPolicy, RetryPolicy, Timeouts
from tests.faults.environment import env, manual_env, new_environment
from tests.servers import RawServer, http_response, respond_with


__all__ = ["env", "manual_env", "new_environment"]
READ = "GET /inquiries/{inquiry-id}"
LOCAL = {"insecure_local": True}
BAD = http_response(503, b'{"errors":[]}')


# ── R1, R3: how often ───────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("retries", [0, 1, 2, 4])
async def test_retries_apply_at_every_level_where_they_are_set(env, retries):
    env.sandbox.faults.answer("*", 503, times=None)
    client = env.client
    async with env.new_client(retry=RetryPolicy(attempts=retries + 1)) as patient:
        for call in (
            client.inquiries.retrieve("inq_1", retries=retries),
            client.inquiries.list(retries=retries),
            client.request("GET", "/inquiries/inq_1", retries=retries),
            client.with_options(retries=retries).inquiries.retrieve("inq_1"),
            patient.inquiries.retrieve("inq_1"),
            patient.with_options(retries=9).inquiries.retrieve("i", retries=retries),
        ):
            with pytest.raises(ServerError) as caught:
                await call
            assert len(caught.value.attempts) == retries + 1


# ── R3: how long ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_deadline_covers_the_wait_for_a_connection(env):
    env.sandbox.faults.hang("*", times=None)
    async with env.new_client(timeout=Timeouts(), pool=Pool(size=1)) as client:
        first = asyncio.create_task(client.inquiries.retrieve("inq_1"))
        await asyncio.sleep(0)  # noqa: TID251 — a turn: it has the only place
        with pytest.raises(DeadlineExceededError):
            await client.inquiries.retrieve("inq_1", timeout=0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


@pytest.mark.asyncio
async def test_deadline_covers_the_wait_for_the_rate_limit(manual_env):
    limited = {"RateLimit-Limit": "300", "RateLimit-Remaining": "0"}
    limited["RateLimit-Reset"] = "40"
    inquiries = manual_env.client.inquiries
    manual_env.sandbox.faults.answer(READ, 404, headers=limited)
    with pytest.raises(PersonaError):
        await inquiries.retrieve("inq_1")
    with pytest.raises(RateLimitedError) as caught:
        await manual_env.advance_until_done(inquiries.retrieve("inq_1", timeout=30))
    assert 30 < caught.value.retry_after <= 41
    assert len(manual_env.entries(READ)) == 1


@pytest.mark.asyncio
async def test_deadline_covers_the_wait_for_a_token(manual_env):
    async def slow_partner(_scope):
        await asyncio.Event().wait()

    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    manager = await manual_env.manager(codes=slow_partner).__aenter__()
    started = manual_env.clock.now()
    call = manager.session(scope).inquiries.retrieve(scope.object_ids()[0], timeout=20)
    with pytest.raises(TimeoutError):
        await manual_env.advance_until_done(call)
    assert manual_env.clock.now() - started == pytest.approx(20, abs=1)
    await manual_env.advance_until_done(manager.aclose())


@pytest.mark.asyncio
@pytest.mark.parametrize(("seconds", "attempts"), [(4, 1), (12, 2), (100, 3)])
async def test_no_wait_between_attempts_crosses_the_deadline(env, seconds, attempts):
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    limited = dict.fromkeys(names)
    env.sandbox.faults.answer("*", 429, headers=limited, times=None)
    started = env.clock.now()
    async with env.new_client(rate_limit=RateLimitPolicy(mode="off")) as client:
        with pytest.raises(RateLimitedError) as caught:
            await client.inquiries.retrieve("inq_1", timeout=seconds)
    assert len(caught.value.attempts) == attempts
    assert env.clock.now() - started <= seconds


async def _hanging(env, client):
    env.sandbox.faults.hang("*")
    await client.inquiries.retrieve("inq_1")


async def _backing_off(env, client):
    env.sandbox.faults.answer("*", 429, headers={"Retry-After": "60"})
    await client.inquiries.retrieve("inq_1")


async def _paced(env, client):
    empty = {"RateLimit-Limit": "9", "RateLimit-Remaining": "0", "RateLimit-Reset": "9"}
    env.sandbox.faults.answer("*", 404, headers=empty)
    await asyncio.gather(client.inquiries.retrieve("i"), return_exceptions=True)
    await client.inquiries.retrieve("inq_1")


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", [_hanging, _backing_off, _paced])
@pytest.mark.parametrize("scope", [asyncio.timeout, anyio.fail_after])
async def test_outer_timeout_always_applies(manual_env, wait, scope):
    # This clock stands still: whatever waits would wait for half a minute or for ever.
    async with manual_env.new_client(timeout=Timeouts()) as client:
        started = time.perf_counter()
        with pytest.raises(TimeoutError) as caught:
            await _within(scope, wait(manual_env, client))
        assert time.perf_counter() - started < 10
    assert not isinstance(caught.value, PersonaError)


async def _within(scope, work):
    if scope is anyio.fail_after:
        with scope(0.1):
            await work
    else:
        async with scope(0.1):
            await work


# ── R11: the budget ─────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_retry_budget_belongs_to_one_client(env):
    poor = RetryPolicy(budget=2 * 14)
    server = RawServer(respond_with(BAD))
    async with (
        server,
        env.client_of(server, retry=poor) as client,
        env.client_of(server, retry=poor) as neighbour,
    ):
        tries = []
        twin = client.with_options(timeout=50)
        for each in (client, twin, client, neighbour):
            with pytest.raises(ServerError) as caught:
                await each.inquiries.retrieve("inq_1")
            tries.append([attempt.reason for attempt in caught.value.attempts])
    broke = ["503, retry_quota_reached"]
    assert tries == [["503"] * 3, broke, broke, ["503"] * 3]


# ── R12, R14: keys ──────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_every_post_has_a_key_of_its_own_and_nothing_else_has():
    server = RawServer(respond_with(http_response(200, b'{"data":null}')))
    async with server, PersonaClient("k", base_url=server.api, **LOCAL) as client:
        for method in ("POST", "POST", "GET", "PATCH", "DELETE"):
            await client.request(method, "/inquiries/inq_1")
    heads = server.received.split(b" HTTP/1.1\r\n")
    keys = [
        line.partition(b": ")[2].decode()
        for line in server.received.split(b"\r\n")
        if line.startswith(b"Idempotency-Key")
    ]
    assert len(heads) == 6
    assert [uuid.UUID(key).version for key in keys] == [4, 4]
    assert len(set(keys)) == 2


@pytest.mark.asyncio
async def test_retried_request_is_identical(env):
    whole = []

    async def lose(connection):
        server.received = b""
        await connection.request()
        whole.append(server.received)
        connection.reset()

    server = RawServer(lose)
    async with server, env.client_of(server) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.request(
                "POST", "/inquiries", json={"b": 1, "a": [2]}, idempotency_key="mine-1"
            )
    assert len(whole) == 3
    assert len(set(whole)) == 1
    assert b"Idempotency-Key: mine-1\r\n" in whole[0]
    assert caught.value.idempotency_key == "mine-1"


@pytest.mark.asyncio
async def test_unknown_outcome_names_its_key_and_the_reconciling_call(env):
    env.sandbox.faults.lose_answer("*", times=None)
    for call, reconciliation in (
        (
            env.client.share_tokens.create(connection_id="con_1", source_id="inq_1"),
            "share_tokens.list",
        ),
        (env.client.inquiries.update("inq_1", note="n"), "inquiries.retrieve"),
        (env.client.accounts.create(), "accounts.list"),
    ):
        with pytest.raises(OutcomeUnknownError) as caught:
            await call
        error = caught.value
        assert reconciliation in error.reconcile
        assert error.reconcile in str(error)
        keys = {entry.idempotency_key for entry in env.entries(error.operation)}
        sent = error.idempotency_key
        assert keys == {sent and env.sandbox.log.digest(sent)}
