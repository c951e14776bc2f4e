"""Events and counters: they tell what happened, and a hook can do no harm."""

import asyncio
import logging

import attrs
import pytest

from persona_share import Scope, ScopedTokenManager
from persona_share._protocol.http import Response
from persona_share.errors import ConnectionLostError
from persona_share.model import events


SCOPE = Scope.read("inq_1", "ver_2")
PART = Scope.read("inq_1")


def delivered(scope=SCOPE, number=1):
    return f"delivered{number}.{str(scope).encode().hex()}"


@pytest.mark.asyncio
async def test_a_new_manager_has_counted_nothing(house):
    metrics = (await house.manager()).metrics()
    assert metrics.minted == metrics.codes_claimed == metrics.codes_waiting == 0
    assert metrics.codes_per_token is None
    assert metrics.nearest_end is None
    assert metrics.exchange_level is None


@pytest.mark.asyncio
async def test_an_exchange_is_told_from_its_code_to_its_token(house):
    house.service.delay = 1
    manager = await house.manager()
    callers = [asyncio.ensure_future(manager.token(SCOPE)) for _ in range(5)]
    await house.soon(asyncio.gather(*callers))
    assert [type(event) for event in house.events] == [
        events.CodeRequested,
        events.CodeClaimed,
        events.CodeSent,
        events.TokenMinted,
    ]
    minted = house.events[-1]
    assert (minted.generation, minted.followers, minted.renewal) == (1, 5, False)
    metrics = manager.metrics()
    assert (metrics.minted, metrics.followers, metrics.renewals) == (1, 5, 0)
    assert metrics.tokens == {"fresh": 1}
    assert metrics.nearest_end == 3598
    assert metrics.codes_per_token == 1.0


@pytest.mark.asyncio
async def test_a_renewal_is_told_as_one(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.clock.advance(3599 - 200)
    await manager.token(SCOPE)
    await house.settle()
    (started,) = house.told(events.RenewalStarted)
    assert started.background
    assert [event.renewal for event in house.told(events.TokenMinted)] == [False, True]
    assert manager.metrics().renewals == 1


@pytest.mark.asyncio
async def test_every_code_that_is_used_counts_however_it_came(house):
    manager = await house.manager()
    await manager.exchange(delivered(number=1), scope=SCOPE)
    manager.offer(delivered(PART, number=2), PART)
    await manager.token(Scope.read("act_3"))
    assert manager.metrics().codes_claimed == manager.metrics().minted == 2
    assert [event.pushed for event in house.told(events.CodeClaimed)] == [True, False]
    assert [event.scope_size for event in house.told(events.CodeQueued)] == [1]
    assert [event.epoch for event in house.told(events.CodeSent)] == [0, 0]


@pytest.mark.asyncio
async def test_a_refused_code_shows_in_codes_per_token(house):
    house.service.script = [Response(status=404)]
    manager = await house.manager()
    await manager.token(SCOPE)
    metrics = manager.metrics()
    assert metrics.codes_rejected == 1
    assert metrics.codes_per_token == 2.0
    assert [event.status for event in house.told(events.CodeRejected)] == [404]


@pytest.mark.asyncio
async def test_a_code_that_is_asked_again_is_still_one_code(house):
    house.service.script = [ConnectionLostError("lost")] * 4
    manager = await house.manager()
    with pytest.raises(Exception, match="no usable answer"):
        await house.soon(manager.token(SCOPE))
    await house.pass_time(61)
    await manager.token(SCOPE)
    metrics = manager.metrics()
    assert (metrics.codes_claimed, metrics.codes_in_doubt) == (1, 1)
    assert metrics.failures == {"ExchangeUnavailableError": 1}
    assert metrics.codes_per_token == 1.0


@pytest.mark.asyncio
async def test_a_failure_tells_its_pause_and_whether_the_old_token_serves_on(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.partner.script = [ValueError("down")] * 2
    house.clock.advance(3599 - 200)
    await manager.token(SCOPE)
    await house.settle()
    (failed,) = house.told(events.ExchangeFailed)
    assert failed.served_stale
    assert failed.error == "CodeSourceError"
    assert 1 <= failed.cooldown <= 2
    house.clock.suspend(3600)
    with pytest.raises(Exception, match="ValueError"):
        await manager.token(SCOPE)
    assert not house.told(events.ExchangeFailed)[-1].served_stale


@pytest.mark.asyncio
async def test_the_share_of_the_limit_that_is_left_is_a_gauge(house):
    house.service.headers = {"ratelimit-limit": "300"}
    manager = await house.manager()
    await manager.token(SCOPE)
    assert manager.metrics().exchange_level == 59


@pytest.mark.asyncio
async def test_tokens_are_counted_by_their_standing(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.partner.script = [ValueError("down")] * 1000
    house.clock.advance(3599 - 250)
    assert manager.metrics().tokens == {"advisory": 1}
    house.clock.advance(200)
    assert manager.metrics().tokens == {"mandatory": 1}
    house.clock.advance(45)
    assert manager.metrics().tokens == {"expired": 1}
    assert manager.metrics().nearest_end is None


@pytest.mark.asyncio
async def test_no_event_names_an_object_or_a_secret(house):
    house.service.script = [Response(status=404)]
    manager = await house.manager()
    token = await manager.token(SCOPE)
    manager.invalidate(token)
    await manager.token(SCOPE)
    told = repr(house.events) + repr(manager.metrics())
    words = ["inq_1", "ver_2", *house.service.codes, *house.service.keys]
    assert [word for word in [*words, token.reveal()] if word in told] == []


@pytest.mark.asyncio
async def test_events_are_frozen(house):
    await (await house.manager()).token(SCOPE)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        house.events[0].at = 0


@pytest.mark.asyncio
async def test_a_hook_that_raises_is_reported_once_and_harms_nothing(house, caplog):
    caplog.set_level(logging.WARNING, "persona_share")
    heard = []

    def broken(event):
        raise ValueError(str(event))

    manager = ScopedTokenManager(
        house.context, codes=house.partner, hooks=[broken, heard.append]
    )
    house.managers.append(manager)
    await manager.__aenter__()
    for _ in range(3):
        manager.invalidate(await manager.token(SCOPE))
    assert len(heard) > 6
    assert [record.getMessage() for record in caplog.records] == [
        f"the hook {broken.__qualname__} raised ValueError"
    ]


@pytest.mark.asyncio
async def test_a_hook_may_ask_the_manager(house):
    seen = []

    def curious(_event):
        seen.append((len(manager.tokens()), manager.peek(SCOPE), manager.metrics()))

    manager = ScopedTokenManager(house.context, codes=house.partner, hooks=[curious])
    house.managers.append(manager)
    await manager.__aenter__()
    await manager.token(SCOPE)
    assert len(seen) == 4  # a code is asked for, claimed and sent; a token comes
