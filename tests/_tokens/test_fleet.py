"""Managers that share a store: who exchanges, who waits, and what outlives them."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._wire.messages import Response
from persona_share._wire.record import name_of
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeRejectedError,
    CodeSourceError,
    ConfigurationError,
    ConnectionLostError,
    ExchangeAuthenticationError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
    StoreUnavailableError,
)
from persona_share.model import events
from persona_share.stores import MemoryStore
from tests._tokens.test_offer import pushed


SCOPE = Scope.read("inq_1", "ver_2")
PART = Scope.read("inq_1")


class Unreliable(MemoryStore):
    """A store that is down, or does something first, when a test says so."""

    down = False
    asked = 0

    async def change(self, key, change, *, announce=False):
        self.asked += 1
        if self.down:
            message = "the store is down"
            raise StoreUnavailableError(message)
        return await super().change(key, change, announce=announce)

    def forget_everything(self):
        self._records.clear()


@pytest.fixture
def store():
    return Unreliable()


async def value(manager, scope=SCOPE):
    return (await manager.token(scope)).reveal()


def record_of(house, store, scope=SCOPE):
    name = name_of(b"names", house.account.origin, "scope", str(scope))
    return store._records[name][0]


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
    house.account.naming_secret = b"other names"
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
    name = name_of(b"names", house.account.origin, "scope", str(SCOPE))
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
