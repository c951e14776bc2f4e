"""The queue of exchanges, and how an exchange leaves its code for others."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import ExchangeForbiddenError
from persona_share.stores import MemoryStore


A, B = Scope.read("inq_1"), Scope.read("ver_2")


@pytest.mark.asyncio
async def test_no_code_ages_while_exchanges_wait_for_the_rate_limit(harness):
    harness.service.headers = {"ratelimit-limit": "10"}  # two exchanges a minute
    manager = await harness.manager()
    await manager.token(A)
    scopes = [Scope.read(f"rep_{number}") for number in range(12)]
    waiting = asyncio.gather(
        *(manager.token(scope, timeout=600) for scope in scopes),
    )
    for _ in range(90):
        await harness.advance_clock(5)
        in_hand = len(harness.partner.requested_scopes) - len(harness.service.requests)
        assert in_hand <= 2
    await waiting
    assert len(harness.partner.requested_scopes) == 13


@pytest.mark.asyncio
async def test_rate_limit_of_one_exchange_holds_for_all(harness):
    limited = Response(status=429, headers={"retry-after": "30"})
    harness.service.script = [limited]
    manager = await harness.manager()
    callers = [asyncio.ensure_future(manager.token(scope)) for scope in (A, B)]
    await harness.settle()
    await harness.advance_clock(29, step=1)
    assert len(harness.service.requests) == 1
    await harness.advance_until_done(asyncio.gather(*callers), seconds=5)
    assert len(harness.service.requests) == 3


@pytest.mark.asyncio
async def test_code_that_one_manager_may_not_exchange_is_there_for_another_at_once(
    harness,
):
    store = MemoryStore(runtime=harness.context.runtime)
    first, second = [await harness.manager(store=store, codes=None) for _ in range(2)]
    await first.offer(harness.partner.code(A), A)
    harness.service.script = [Response(status=403)]
    with pytest.raises(ExchangeForbiddenError):
        await harness.advance_until_done(first.token(A))
    assert await harness.advance_until_done(second.token(A), seconds=1)
