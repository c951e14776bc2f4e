"""Managers that share a store: who exchanges, who waits, and what outlives them."""

import asyncio

import pytest

from persona_share._protocol.http import Response
from persona_share.errors import (
    CodeSourceError,
    ConnectionLostError,
    ExchangeAuthenticationError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
)
from persona_share.model import events
from tests._tokens.sharing import PART, SCOPE, record_of, value


# ── One exchange for all ────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_what_one_brought_the_other_takes(house, store):
    one, two = await house.manager(store=store), await house.manager(store=store)

    tokens = [await value(one), await value(two)]

    assert tokens == ["token1", "token1"]
    assert len(house.partner.asked) == 1
    assert (two.metrics().minted, two.metrics().adopted) == (0, 1)
    assert [event.remaining for event in house.told(events.TokenAdopted)] == [3599]


@pytest.mark.asyncio
async def test_of_many_who_ask_at_once_one_exchanges(house, store):
    house.service.delay = 2.0
    managers = [await house.manager(store=store) for _ in range(8)]

    asking = asyncio.gather(*(value(each) for each in managers * 5))
    tokens = await house.soon(asking)

    assert set(tokens) == {"token1"}
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_a_fresh_token_costs_no_question_to_the_store(house, store):
    manager = await house.manager(store=store)
    await value(manager)
    before = store.asked
    for _ in range(10):
        await value(manager)

    assert store.asked == before


@pytest.mark.asyncio
async def test_a_token_outlives_the_manager_that_brought_it(house, store):
    first = await house.manager(store=store)
    await value(first)
    await house.soon(first.aclose())
    house.clock.advance(600)
    second = await house.manager(store=store)

    token = await second.token(SCOPE)

    assert token.reveal() == "token1"
    assert token.ends - house.clock.now() <= 3599 - 600
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_one_renews_for_all(house, store):
    managers = [await house.manager(store=store) for _ in range(4)]
    for manager in managers:
        await manager.warm(SCOPE)
    await house.pass_time(3600, step=5)

    tokens = {await value(each) for each in managers}

    assert tokens == {"token2"}
    assert house.service.minted == 2
    assert sum(each.metrics().minted for each in managers) == 2


@pytest.mark.asyncio
async def test_another_api_key_shares_nothing(house, store):
    one = await house.manager(store=store)
    await value(one)
    house.context.naming_secret = b"other names"
    two = await house.manager(store=store)

    assert await value(two) == "token2"


@pytest.mark.asyncio
async def test_a_wider_grant_is_kept_for_what_it_was_asked_for(house, store):
    house.service.grants = SCOPE
    one, two = await house.manager(store=store), await house.manager(store=store)

    assert [await value(one, PART), await value(two, PART)] == ["token1", "token1"]
    assert (await two.token(PART)).scope == SCOPE


@pytest.mark.asyncio
async def test_a_narrower_grant_is_not_kept_for_what_was_asked(house, store):
    house.service.grants = PART
    one, two = await house.manager(store=store), await house.manager(store=store)
    with pytest.raises(ScopeNotGrantedError):
        await one.token(SCOPE)

    assert record_of(house, store).token is None
    assert await value(two, PART) == "token1"


# ── Failures ────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_refused_key_stops_all_for_a_while(house, store):
    house.service.script = [Response(status=401)]
    one, two = await house.manager(store=store), await house.manager(store=store)
    with pytest.raises(ExchangeAuthenticationError):
        await one.token(SCOPE)

    with pytest.raises(ExchangeAuthenticationError) as caught:
        await two.token(SCOPE)

    assert len(house.service.requests) == 1
    assert 0 < caught.value.retry_after <= 60


@pytest.mark.asyncio
async def test_one_managers_broken_code_source_stops_no_other(house, store):
    async def broken(scope):
        raise OSError

    one = await house.manager(store=store, codes=broken)
    two = await house.manager(store=store)
    with pytest.raises(CodeSourceError):
        await one.token(SCOPE)

    assert await value(two) == "token1"


@pytest.mark.asyncio
async def test_who_has_no_codes_waits_for_who_has(house, store):
    house.service.delay = 2.0
    without = await house.manager(store=store, codes=None)
    with_codes = await house.manager(store=store)
    bringing = asyncio.ensure_future(value(with_codes))
    await house.settle()

    tokens = await house.soon(asyncio.gather(value(without), bringing))

    assert tokens == ["token1", "token1"]


@pytest.mark.asyncio
async def test_a_refused_code_is_replaced_and_kept_nowhere(house, store):
    house.service.script = [Response(status=400, body=b"{}")]
    manager = await house.manager(store=store)

    assert await house.soon(value(manager)) == "token2"
    assert len(set(house.service.codes)) == 2
    assert record_of(house, store).ticket is None


@pytest.mark.asyncio
async def test_a_leader_that_is_cancelled_before_it_sent_leaves_its_code(house, store):
    house.service.delay = 0.0
    one, two = await house.manager(store=store), await house.manager(store=store)
    house.partner.delay = 1.0
    asking = asyncio.ensure_future(value(one))
    await house.settle()
    asking.cancel()
    await house.settle()

    assert await house.soon(value(two)) in {"token1", "token2"}
    assert house.service.minted == 1


@pytest.mark.asyncio
async def test_a_code_in_doubt_is_carried_on_by_the_next_under_the_same_key(
    house, store
):
    lost = [ConnectionLostError("lost") for _ in range(20)]
    house.service.script = lost
    one = await house.manager(store=store)
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(value(one), seconds=200.0)
    await house.soon(one.aclose())
    house.service.script = []
    two = await house.manager(store=store)
    await house.pass_time(70)

    token = await house.soon(value(two))

    assert token == f"token{len(house.service.requests)}"
    assert len(set(house.service.keys)) == 1
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_14_a_carried_code_counts_from_its_first_send(house, store):
    sent_at = house.clock.now()
    house.service.script = [ConnectionLostError("lost") for _ in range(20)]
    one = await house.manager(store=store)
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(value(one), seconds=200.0)
    house.service.script = []
    two = await house.manager(store=store)
    await house.pass_time(70)
    token = await house.soon(two.token(SCOPE))

    assert token.ends <= sent_at + 3599


# ── A token that is refused ─────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_13_what_one_complained_of_no_other_takes(house, store):
    one = await house.manager(store=store)
    one.invalidate(await one.token(SCOPE))
    await house.settle()
    two = await house.manager(store=store)

    assert [await value(two), await value(one)] == ["token2", "token2"]


@pytest.mark.asyncio
async def test_what_was_forgotten_is_gone_from_the_store_as_well(house, store):
    manager = await house.manager(store=store)
    await value(manager)
    await manager.forget(SCOPE)

    assert await value(manager) == "token2"


@pytest.mark.asyncio
async def test_f129_managers_of_one_process_are_not_taken_for_each_other(house, store):
    """A process id may come again; who leads is told by a random name."""
    house.service.delay = 5.0
    one, two = await house.manager(store=store), await house.manager(store=store)
    asking = asyncio.ensure_future(value(one))
    await house.settle()
    leader = record_of(house, store).leader.owner
    following = asyncio.ensure_future(value(two))
    await house.settle()

    assert record_of(house, store).leader.owner == leader
    assert one._broker.fleet.owner != two._broker.fleet.owner
    assert await house.soon(asyncio.gather(asking, following)) == ["token1"] * 2
