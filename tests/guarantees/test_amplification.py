"""G18: how many more requests retries cause."""

import asyncio
import itertools
import random  # noqa: TID251 — seeded by the goal itself

import pytest

from persona_share import PersonaClient
from persona_share._pipeline.retrying import Retrying
from persona_share._protocol.http import Request, Response
from persona_share.errors import ConnectError, PersonaError, ServerError
from persona_share.testing import ScriptedSender, fake_runtime
from tests.faults.environment import AutojumpClock
from tests.servers import RawServer, http_response, respond_with


GOOD = http_response(200, b'{"data":{"type":"inquiry","id":"inq_1","attributes":{}}}')
BAD = http_response(503, b'{"errors":[]}')


def new_client(url):
    return PersonaClient(
        "key", base_url=url, insecure_local=True, _runtime=fake_runtime(AutojumpClock())
    )


async def tried(call):
    """Return whether a call succeeded, and how many attempts it took."""
    try:
        await call
    except PersonaError as error:
        return False, len(error.attempts)
    return True, None


@pytest.mark.asyncio
@pytest.mark.parametrize("at_once", [1, 50])
async def test_dead_server_gets_little_more_than_one_request_per_call(at_once):
    async with RawServer(respond_with(GOOD)) as server:
        url = server.api
    attempts = 0
    async with new_client(url) as client:
        for _ in range(1_000 // at_once):
            calls = [client.inquiries.retrieve("inq_1") for _ in range(at_once)]
            for ended in await asyncio.gather(*calls, return_exceptions=True):
                assert type(ended) is ConnectError
                attempts += len(ended.attempts)
    assert 1_000 < attempts <= 1_050


@pytest.mark.asyncio
async def test_failing_server_gets_little_more_than_one_request_per_call():
    server = RawServer(respond_with(BAD))
    async with server, new_client(server.api) as client:
        for _ in range(1_000):
            with pytest.raises(ServerError):
                await client.inquiries.retrieve("inq_1")
    assert 1_000 < server.received.count(b"GET ") <= 1_050


@pytest.mark.asyncio
async def test_one_in_a_thousand_calls_fails_with_ten_percent_failures():
    # Each triple of tenths once: what chance comes to, without its chances.
    fates = list(itertools.product(range(10), repeat=3))
    random.Random(18).shuffle(fates)  # noqa: S311 — the same run every time
    responses = []
    for fate in fates:
        for tenth in fate:
            responses.append(GOOD if tenth else BAD)
            if tenth:
                break
    server = RawServer(respond_with(*responses))
    async with server, new_client(server.api) as client:
        ended = [await tried(client.inquiries.retrieve("inq_1")) for _ in fates]
    assert sum(good for good, _ in ended) >= 0.999 * len(fates)
    assert server.received.count(b"GET ") <= 1.13 * len(fates)


@pytest.mark.asyncio
async def test_budget_prevents_a_retry_storm_with_thirty_percent_failures():
    rng = random.Random(30)  # noqa: S311 — the same run every time
    clock, calls = AutojumpClock(), 10_000
    inner = ScriptedSender(
        Response(status=503 if rng.random() < 0.3 else 200) for _ in range(3 * calls)
    )
    sender = Retrying(inner, fake_runtime(clock))
    for _ in range(calls):
        deadline = clock.now() + 100
        await sender.send(
            Request(method="GET", route="/", target="/", deadline=deadline)
        )
    assert len(inner.requests) <= 1.2 * calls
