"""Managers that share a store: what goes wrong at the worst moment."""

import asyncio
import json

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share._protocol.record import name_of
from persona_share._tokens.tickets import code_id
from persona_share.errors import (
    StoreRefusedError,
)
from persona_share.model.secret import Secret
from tests._tokens.sharing import SCOPE, record_of, value
from tests._tokens.test_offer import pushed


@pytest.mark.asyncio
async def test_a_code_that_two_were_given_waits_no_more_once_it_is_used(house, store):
    one = await house.manager(store=store, codes=None)
    two = await house.manager(store=store, codes=None)
    one.offer(pushed(), SCOPE)
    await house.settle()
    two.offer(pushed(), SCOPE)
    await house.settle()
    await value(two)

    assert record_of(house, store).queue == ()


@pytest.mark.asyncio
async def test_14_a_code_that_another_one_spent_makes_its_token_no_younger(
    house, store
):
    one = await house.manager(store=store, codes=None)
    two = await house.manager(store=store, codes=None)
    await one.exchange(pushed(), scope=SCOPE)
    ends = (await two.token(SCOPE)).ends
    await store.forget(code_name(house, pushed()))
    house.clock.advance(400)
    house.service.minted = 0
    replay = {"access-token": "token1", "token-type": "bearer", "expires-in": 3599}
    body = json.dumps({**replay, "scope": str(SCOPE)}).encode()
    house.service.script = [Response(status=201, body=body)]
    await two.exchange(pushed(), scope=SCOPE)

    assert (await two.token(SCOPE)).ends == ends


def code_name(house, code):
    digest = code_id(Secret(code)).hex()
    return name_of(b"names", house.context.origin, "code", digest)


@pytest.mark.asyncio
async def test_a_code_that_was_taken_is_not_lost_with_the_caller(house, store):
    one = await house.manager(store=store, codes=None)
    two = await house.manager(store=store, codes=None)
    one.offer(pushed(), SCOPE)
    await house.settle()
    real, gate = store.attach, asyncio.Event()

    async def slow(*arguments):
        await gate.wait()
        return await real(*arguments)

    store.attach = slow
    asking = asyncio.ensure_future(value(two))
    await house.settle()
    asking.cancel()
    gate.set()
    await house.settle()
    store.attach = real

    assert await value(two) == "token1"


@pytest.mark.asyncio
async def test_25_a_store_that_is_refused_after_the_exchange_costs_no_token(
    house, store
):
    async def refused(*arguments, **options):
        message = "others can read the file"
        raise StoreRefusedError(message)

    store.publish = refused
    manager = await house.manager(store=store)

    assert await value(manager) == "token1"
    assert await value(manager) == "token1"


@pytest.mark.asyncio
async def test_26_a_store_that_fails_while_it_is_closed_leaves_no_task(house, store):
    manager = await house.manager(store=store)
    token = await manager.token(SCOPE)
    real = store.invalidate

    async def late(*arguments):
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
        store.down = True
        return await real(*arguments)

    store.invalidate = late
    manager.invalidate(token)
    await manager.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}

    assert {task for task in left if not task.done()} == set()


@pytest.mark.asyncio
async def test_two_complaints_at_once_are_both_told(house, store):
    manager = await house.manager(store=store)
    first = await manager.token(SCOPE)
    second = await manager.token(Scope.read("inq_9"))
    said, real = [], store.invalidate

    async def noted(name, generation):
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
        said.append(name)
        await real(name, generation)

    store.invalidate = noted
    manager.invalidate(first)
    manager.invalidate(second)
    await house.settle()

    assert len(set(said)) == len(said) == 2


@pytest.mark.asyncio
async def test_a_first_code_that_grants_something_else_is_followed_by_the_next(
    house, store
):
    manager = await house.manager(store=store, codes=None)
    house.service.delay = 1.0
    manager.offer("first." + str(Scope.read("inq_9")).encode().hex())
    asking = asyncio.ensure_future(value(manager))
    await house.settle()
    manager.offer(pushed(), SCOPE)

    assert await house.soon(asking) == "token2"
