"""Managers that share a store: codes that are pushed, and a store that fails."""

import asyncio

import pytest

from persona_share._protocol.http import Response
from persona_share._protocol.record import name_of
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeRejectedError,
    ConfigurationError,
    StoreUnavailableError,
)
from persona_share.model import events
from tests._tokens.sharing import PART, SCOPE, Unreliable, record_of, value
from tests._tokens.test_offer import pushed


# ── Pushed codes ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_code_that_was_pushed_to_one_serves_the_other(house, store):
    one = await house.manager(store=store, codes=None)
    two = await house.manager(store=store, codes=None)
    one.offer(pushed(), SCOPE)
    await house.settle()

    assert await value(two) == "token1"
    assert house.service.codes == [pushed()]
    assert one.metrics().codes_waiting == 0


@pytest.mark.asyncio
async def test_a_pushed_code_is_used_up_at_its_last_safe_moment(house, store):
    one = await house.manager(store=store, codes=None)
    house.service.lifetime = 600
    one.offer(pushed(number=1), SCOPE)
    await house.settle()
    await value(one)
    one.offer(pushed(number=2), SCOPE)
    await house.settle()
    for _ in range(120):
        await value(one)
        await house.pass_time(5)

    assert house.service.codes == [pushed(number=1), pushed(number=2)]
    assert await value(one) == "token2"


@pytest.mark.asyncio
async def test_a_code_that_both_exchange_brings_one_token(house, store):
    house.service.delay = 1.0
    one, two = await house.manager(store=store), await house.manager(store=store)

    both = asyncio.gather(one.exchange(pushed()), two.exchange(pushed()))
    granted = await house.soon(both)

    assert granted == [SCOPE, SCOPE]
    assert len(house.service.requests) == 1
    assert [await value(one), await value(two)] == ["token1", "token1"]


@pytest.mark.asyncio
async def test_an_exchanged_code_serves_those_who_ask_for_its_scope(house, store):
    one = await house.manager(store=store, codes=None)
    two = await house.manager(store=store, codes=None)
    await one.exchange(pushed(), scope=SCOPE)

    assert await value(two) == "token1"


@pytest.mark.asyncio
async def test_a_code_that_was_handed_on_can_still_be_exchanged_at_once(house, store):
    manager = await house.manager(store=store, codes=None)
    manager.offer(pushed(), SCOPE)
    await house.settle()

    assert await manager.exchange(pushed()) == SCOPE
    assert await value(manager) == "token1"


@pytest.mark.asyncio
async def test_without_any_code_the_store_is_not_asked_at_each_call(house, store):
    manager = await house.manager(store=store, codes=None)
    for _ in range(5):
        with pytest.raises(AuthorizationCodeRequiredError):
            await manager.token(SCOPE)

    assert store.asked <= 4


@pytest.mark.asyncio
async def test_a_rejected_exchange_is_the_callers_own(house, store):
    house.service.script = [Response(status=400, body=b"{}")]
    one, two = await house.manager(store=store), await house.manager(store=store)
    with pytest.raises(CodeRejectedError):
        await one.exchange(pushed())

    assert await value(two) == "token2"


# ── A store that is down ────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_when_the_store_is_down_each_goes_on_alone(house, store):
    one, two = await house.manager(store=store), await house.manager(store=store)
    store.down = True

    assert [await value(one), await value(two)] == ["token1", "token2"]
    assert one.metrics().store_up is False
    assert len(house.told(events.StoreDown)) == 2


@pytest.mark.asyncio
async def test_what_was_brought_meanwhile_is_stored_when_it_is_back(house, store):
    one = await house.manager(store=store)
    store.down = True
    await value(one)
    store.down = False
    await house.pass_time(31)
    two = await house.manager(store=store)

    assert await value(two) == "token1"
    assert len(house.told(events.StoreUp)) == 1
    assert one.metrics().store_up is True


@pytest.mark.asyncio
async def test_a_complaint_that_could_not_be_told_is_told_later(house, store):
    one = await house.manager(store=store)
    token = await one.token(SCOPE)
    store.down = True
    one.invalidate(token)
    await house.settle()
    store.down = False
    await house.pass_time(31)
    two = await house.manager(store=store)

    assert await value(two) == "token2"


@pytest.mark.asyncio
async def test_25_a_store_that_fails_at_any_step_loses_no_token(house):
    for step in range(1, 12):
        store = Unreliable()
        manager = await house.manager(store=store)
        real, count = store.change, iter(range(1, 1_000))

        async def failing(key, change, *, step=step, real=real, count=count, **options):
            if next(count) >= step:
                message = "down from here on"
                raise StoreUnavailableError(message)
            return await real(key, change, **options)

        store.change = failing
        before = house.service.minted
        token = await house.soon(value(manager))
        again = await value(manager)
        assert token == again
        assert house.service.minted == before + 1


@pytest.mark.asyncio
async def test_r20_where_codes_are_scarce_nothing_is_sent_without_the_store(
    house, store
):
    manager = await house.manager(store=store, on_store_failure="fail")
    held = await value(manager, PART)
    store.down = True

    with pytest.raises(StoreUnavailableError):
        await manager.token(SCOPE)

    assert len(house.service.requests) == 1
    assert await value(manager, PART) == held


@pytest.mark.asyncio
async def test_f111_a_store_that_forgets_at_every_step_does_not_stop_us(house):
    class Forgetful(Unreliable):
        async def change(self, key, change, *, announce=False):
            answer = await super().change(key, change, announce=announce)
            self.forget_everything()
            return answer

    manager = await house.manager(store=Forgetful())

    assert await house.soon(value(manager)) == "token1"


@pytest.mark.asyncio
async def test_f116_something_foreign_under_a_name_is_not_used(house, store):
    first = await house.manager(store=store)
    await value(first)
    record = record_of(house, store)
    name = name_of(b"names", house.context.origin, "scope", str(SCOPE))
    await store.forget(name)
    await store.adopt(name, remaining=3_000.0, blob=b"rubbish")
    second = await house.manager(store=store)

    assert await value(second) == "token2"
    assert record_of(house, store).token.generation > record.token.generation


@pytest.mark.asyncio
async def test_an_unknown_policy_is_refused(house, store):
    with pytest.raises(ConfigurationError, match="on_store_failure"):
        await house.manager(store=store, on_store_failure="panic")


# ── Leaders that lose their place ───────────────────────────────────────────────


@pytest.mark.asyncio
async def test_f83_f115_a_leader_that_slept_takes_what_its_successor_brought(
    house, store
):
    one, two = await house.manager(store=store), await house.manager(store=store)
    one._broker.fleet.sleep = asyncio.Event().wait  # it says no more that it lives
    house.service.delay = 25.0
    first = asyncio.ensure_future(value(one))
    await house.pass_time(16, step=1)
    house.service.delay = 0.0
    second = await house.soon(value(two))
    await house.soon(first)

    assert len(set(house.service.keys)) == 1
    assert len(house.partner.asked) == 1
    assert [await value(one), await value(two)] == [second, second]
