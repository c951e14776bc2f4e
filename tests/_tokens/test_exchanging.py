"""One exchange: what is sent, how often, under which key, and what becomes of it."""

import asyncio

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    ConnectError,
    ConnectionLostError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
)
from persona_share.model import events


SCOPE = Scope.read("inq_1", "ver_2")
LOST = ConnectionLostError("lost")


def limited(seconds):
    return Response(status=429, headers={"ratelimit-reset": str(seconds)})


async def in_doubt(house, manager):
    """Lose every answer of one exchange; its code is in doubt then."""
    house.service.script = [LOST] * 4
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE))


@pytest.mark.asyncio
async def test_a_second_stored_500_leads_to_the_second_key_once(house):
    house.service.script = [Response(status=500)] * 2
    manager = await house.manager()
    await house.soon(manager.token(SCOPE))
    keys = house.service.keys
    assert len(set(house.service.codes)) == 1
    assert keys[0] == keys[1] != keys[2]
    assert len(keys) == 3


@pytest.mark.asyncio
async def test_after_the_second_key_there_is_no_third(house):
    house.service.script = [Response(status=500)] * 20
    manager = await house.manager()
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE))
    await house.pass_time(61)
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE))
    assert len(set(house.service.codes)) == 1
    assert len(set(house.service.keys)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "answer",
    [[Response(status=401)], [Response(status=403)], [ConnectError("down")] * 4],
)
async def test_a_code_in_doubt_stays_in_doubt_whatever_else_stands_in_the_way(
    house, answer
):
    manager = await house.manager()
    first_sent = house.clock.now()
    await in_doubt(house, manager)
    house.service.script = list(answer)
    await house.pass_time(61)
    with pytest.raises(Exception):  # noqa: B017  # each has its own
        await house.soon(manager.token(SCOPE))
    await house.pass_time(301)
    token = await house.soon(manager.token(SCOPE))
    # The replay of the first exchange: its life began when the code first left.
    assert token.ends == first_sent + 3599
    assert len(set(house.service.keys)) == len(house.partner.asked) == 1
    (minted,) = house.told(events.TokenMinted)
    assert minted.replayed


@pytest.mark.asyncio
async def test_a_code_that_never_left_is_as_good_as_new(house):
    house.service.script = [ConnectError("down")] * 4
    manager = await house.manager()
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE))
    await house.pass_time(61)
    now = house.clock.now()
    assert (await manager.token(SCOPE)).ends == now + 3599
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "error", "pause"),
    [(401, ExchangeAuthenticationError, 60), (403, ExchangeForbiddenError, 300)],
)
async def test_a_refusal_before_the_code_is_looked_at_keeps_the_code(
    house, status, error, pause
):
    house.service.script = [Response(status=status)]
    manager = await house.manager()
    with pytest.raises(error):
        await manager.token(SCOPE)
    await house.pass_time(pause - 1)
    with pytest.raises(error):
        await manager.token(SCOPE)
    assert len(house.service.requests) == 1
    await house.pass_time(1)
    await manager.token(SCOPE)
    assert len(set(house.service.codes)) == len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_a_429_is_waited_for_with_the_code_in_hand(house):
    house.service.script = [limited(42)]
    manager = await house.manager()
    began = house.clock.now()
    token = await house.soon(manager.token(SCOPE))
    assert 42 <= house.clock.now() - began <= 44
    assert token.ends >= began + 3599
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_f85_a_429_beyond_the_codes_life_is_told_with_its_reset(house):
    house.service.script = [limited(700)]
    manager = await house.manager()
    with pytest.raises(ExchangeRateLimitedError) as caught:
        await manager.token(SCOPE)
    assert caught.value.retry_after == 700


@pytest.mark.asyncio
async def test_a_429_that_says_now_is_not_asked_in_a_hurry(house):
    house.service.script = [limited(0)] * 100
    manager = await house.manager()
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    await house.pass_time(20, step=0.1)
    assert len(house.service.requests) <= 21
    caller.cancel()


@pytest.mark.asyncio
async def test_f62_an_exchange_is_over_after_thirty_seconds(house):
    house.service.silent = True
    manager = await house.manager()
    began = house.clock.now()
    with pytest.raises(ExchangeUnavailableError):
        await house.soon(manager.token(SCOPE), step=0.1)
    assert house.clock.now() - began <= 30 + 0.2
    assert len(house.service.requests) == 3


@pytest.mark.asyncio
async def test_waiting_for_a_turn_takes_nothing_from_the_time_for_the_exchange(house):
    house.service.headers = {"ratelimit-limit": "5"}
    manager = await house.manager()
    await manager.token(Scope.read("inq_8"))
    house.service.script = [LOST]
    began = house.clock.now()
    await house.soon(manager.token(SCOPE, timeout=200), seconds=150)
    assert house.clock.now() - began >= 60
    assert len(house.service.requests) == 3


@pytest.mark.asyncio
async def test_a_code_that_waits_for_its_turn_is_free_again_when_nobody_wants_it(house):
    house.service.headers = {"ratelimit-limit": "5"}
    manager = await house.manager()
    await manager.token(Scope.read("inq_8"))
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.pass_time(5)
    caller.cancel()
    await house.settle()
    assert manager.metrics().codes_waiting == 1
    await house.soon(manager.token(SCOPE), seconds=120)
    assert len(house.partner.asked) == 2
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_that_is_no_token_is_never_asked_again(house, status):
    house.service.script = [Response(status=status, body=b"{}")]
    manager = await house.manager()
    with pytest.raises(ExchangeProtocolError):
        await manager.token(SCOPE)
    await house.pass_time(61)
    await manager.token(SCOPE)
    assert len(set(house.service.codes)) == len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_a_mismatch_of_the_key_is_in_doubt_for_good(house):
    body = b'{"errors": [{"title": "Idempotency error"}]}'
    house.service.script = [Response(status=400, body=body)]
    manager = await house.manager()
    with pytest.raises(ExchangeProtocolError):
        await manager.token(SCOPE)
    assert len(house.told(events.CodeInDoubt)) == 1
    await house.pass_time(61)
    await manager.token(SCOPE)
    assert len(set(house.service.codes)) == 2


@pytest.mark.asyncio
async def test_two_scopes_do_not_ask_with_the_same_code_in_doubt_at_once(house):
    manager = await house.manager()
    await in_doubt(house, manager)
    house.service.headers = {"ratelimit-limit": "5"}
    await house.pass_time(61)
    await manager.token(Scope.read("inq_8"))
    part = Scope.read("inq_1")
    both = asyncio.gather(manager.token(SCOPE), manager.token(part))
    await house.soon(both, seconds=300)
    doubtful = house.service.codes[0]
    assert house.service.codes.count(doubtful) == 5


@pytest.mark.asyncio
async def test_an_exchange_that_breaks_down_leaves_its_code_in_doubt(house):
    house.service.script = [RuntimeError("a mistake of ours")]
    manager = await house.manager()
    with pytest.raises(ExchangeUnavailableError):
        await manager.token(SCOPE)
    await manager.token(SCOPE)
    assert len(set(house.service.codes)) == 1
