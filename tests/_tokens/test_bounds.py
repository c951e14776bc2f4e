"""Bounds of the tokens that are held, of reads of a store, and of waits."""

import asyncio
import gc

import pytest

from persona_share import AccessToken, RenewalPolicy, Scope
from persona_share._tokens.record import ScopeRecord
from persona_share.errors import (
    CodeRefusedError,
    DeadlineExceededError,
    ManagerClosedError,
)
from persona_share.model import events
from tests._tokens.conftest import CountedStore


A = Scope.read("inq_1")


def scope(number):
    return Scope.read(f"inq_{number}")


@pytest.mark.asyncio
async def test_tokens_above_the_maximum_are_dropped_from_the_longest_idle_on(harness):
    manager = await harness.manager(renewal=RenewalPolicy(max_tokens=3))
    await manager.warm(scope(0))
    for number in (1, 2):
        await harness.advance_clock(1)
        await manager.token(scope(number))
    await harness.advance_clock(1)
    await manager.token(scope(1))
    await manager.token(scope(3))
    held = {number for number in range(4) if manager.peek(scope(number)) is not None}
    assert held == {0, 1, 3}
    [event] = harness.recorded(events.TokensEvicted)
    assert event.count == manager.metrics().evicted == 1
    assert manager.metrics().tokens == {"fresh": 3}


@pytest.mark.asyncio
async def test_expired_token_is_dropped_before_an_idle_one(harness):
    manager = await harness.manager(renewal=RenewalPolicy(max_tokens=2))
    await manager.token(scope(0))
    await harness.advance_clock(1)
    harness.service.lifetime = 60
    await manager.token(scope(1))
    harness.service.lifetime = 3_599
    await harness.advance_clock(100)
    await manager.token(scope(2))
    assert manager.peek(scope(0)) is not None


@pytest.mark.asyncio
async def test_generation_does_not_start_again_when_it_was_forgotten(harness):
    manager = await harness.manager(renewal=RenewalPolicy(max_tokens=1))
    manager.invalidate(await manager.token(A))
    assert (await harness.advance_until_done(manager.token(A))).generation == 2
    for number in range(2, 6):
        await manager.token(scope(number))
    assert (await manager.token(A)).generation > 2


@pytest.mark.asyncio
async def test_tokens_that_are_gone_do_not_stay_in_memory(harness):
    manager = await harness.manager()
    for number in range(200):
        await manager.token(scope(number))
        await manager.forget(scope(number))
    await harness.advance_clock(15)
    gc.collect()
    held = [each for each in gc.get_objects() if isinstance(each, AccessToken)]
    assert len([each for each in held if "inq_" in each.scope.text]) < 100


@pytest.mark.asyncio
async def test_back_offs_that_are_over_do_not_stay_in_memory(harness):
    manager = await harness.manager()
    for number in range(800):
        if number == 400:
            await harness.advance_clock(3_600)
        harness.partner.script = [CodeRefusedError("no")]
        with pytest.raises(CodeRefusedError):
            await manager.token(scope(number))
    gc.collect()
    held = [each for each in gc.get_objects() if isinstance(each, ScopeRecord)]
    assert len(held) < 500


@pytest.mark.asyncio
async def test_all_that_wait_share_fifty_reads_of_the_store_a_second(harness):
    store = CountedStore(runtime=harness.context.runtime)
    harness.partner.delay = 30
    first, second = [await harness.manager(store=store) for _ in range(2)]
    scopes = [scope(number) for number in range(100)]
    leading = asyncio.gather(*map(first.token, scopes))
    await harness.advance_clock(1, step=0.5)
    waiting = asyncio.gather(*map(second.token, scopes))
    await harness.advance_clock(5, step=0.2)  # the first manager extends its leases
    store.reads = 0
    await harness.advance_clock(3.8, step=0.2)
    assert 0 < store.reads <= 4 * 50
    for each in leading, waiting:
        each.cancel()


@pytest.mark.asyncio
async def test_tasks_end_with_the_operation_that_started_them(harness):
    harness.partner.delay = 2
    manager = await harness.manager()
    await harness.settle()
    tasks = len(asyncio.all_tasks())
    token = await harness.advance_until_done(manager.token(A), seconds=3)
    code = f"code.{A.text.encode().hex()}"
    await harness.advance_until_done(manager.exchange(code), seconds=3)
    manager.invalidate(token)
    await harness.settle()
    assert len(asyncio.all_tasks()) == tasks


@pytest.mark.asyncio
async def test_caller_without_time_gets_an_error(harness):
    manager = await harness.manager()
    with pytest.raises(DeadlineExceededError):
        await manager.token(A, timeout=0)
    await harness.settle()
    assert harness.partner.requested_scopes == []


@pytest.mark.asyncio
async def test_callers_end_when_the_manager_closes(harness):
    harness.partner.delay = 30
    manager = await harness.manager()
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    await harness.advance_until_done(manager.aclose())
    with pytest.raises(ManagerClosedError):
        await caller


@pytest.mark.asyncio
async def test_operation_that_refuses_new_tokens_costs_no_more_codes(harness):
    manager = await harness.manager()
    credential = manager.credential(A)
    token = await credential.get()
    await harness.advance_clock(60)
    for _ in range(20):
        for refusals in (1, 2):
            repeated = credential.on_unauthorized(token, refusals, route="/print")
            token = await harness.advance_until_done(repeated, step=0.1) or token
        await harness.advance_clock(1)
    assert len(harness.service.requests) == 2


@pytest.mark.asyncio
async def test_request_is_not_repeated_when_its_time_is_up(harness):
    manager = await harness.manager()
    token = await manager.token(A)
    credential = manager.credential(A)
    deadline = harness.clock.now() + 0.1
    assert await credential.on_unauthorized(token, 1, deadline) is None


@pytest.mark.asyncio
async def test_request_is_not_repeated_a_third_time(harness):
    manager = await harness.manager()
    token = await manager.token(A)
    assert await manager.credential(A).on_unauthorized(token, 3) is None


@pytest.mark.asyncio
async def test_held_token_is_not_withheld_while_its_refresh_takes_long(harness):
    manager = await harness.manager()
    token = await manager.token(A)
    await harness.advance_clock(3_550)
    harness.partner.delay = 45  # longer than the token is used
    hurried = manager.token(A, timeout=5)
    assert await harness.advance_until_done(hurried, seconds=6) == token
    await harness.advance_clock(10)
    patient = manager.token(A, timeout=60)
    assert await harness.advance_until_done(patient) != token
