"""Delivered codes that wait: used at once where they are wanted, else late or never."""

import asyncio
from datetime import timedelta

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeAlreadyUsedError,
    CodeExpiredError,
    CodeRejectedError,
    ExchangeAuthenticationError,
    InvalidArgumentError,
)
from persona_share.model import events
from persona_share.model.token import AuthorizationCode


SCOPE = Scope.read("inq_1", "ver_2")
PART = Scope.read("inq_1")


def pushed(scope=SCOPE, number=1):
    """A delivered code that the stand-in for the service can read."""
    return f"pushed{number}.{str(scope).encode().hex()}"


@pytest.mark.asyncio
async def test_a_code_that_nobody_wants_waits(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    await house.settle()
    assert house.service.requests == []
    assert manager.metrics().codes_waiting == 1


@pytest.mark.asyncio
async def test_a_waiting_code_is_taken_before_the_source_is_asked(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    assert (await manager.token(PART)).scope == SCOPE
    assert house.partner.asked == []
    assert manager.metrics().codes_waiting == 0


@pytest.mark.asyncio
async def test_of_two_waiting_codes_the_first_to_end_is_taken(house):
    manager = await house.manager()
    soon = house.clock.wall() + timedelta(seconds=200)
    manager.offer(pushed(number=1), SCOPE)
    manager.offer(pushed(number=2), SCOPE, expires_at=soon)
    await manager.token(SCOPE)
    assert house.service.codes == [pushed(number=2)]


@pytest.mark.asyncio
async def test_a_code_is_used_at_once_where_somebody_waits(house):
    house.partner.delay = 30
    manager = await house.manager()
    waiting = asyncio.ensure_future(manager.token(PART))
    await house.settle()
    manager.offer(pushed(), SCOPE)
    assert (await waiting).scope == SCOPE
    await house.pass_time(60)
    assert house.service.codes == [pushed()]


@pytest.mark.asyncio
async def test_a_code_is_used_at_once_where_a_token_in_use_is_due(house):
    manager = await house.manager(codes=None)
    await manager.exchange(pushed(number=1), scope=SCOPE)
    await house.pass_time(3599 - 250)
    first = await manager.token(SCOPE)
    manager.offer(pushed(number=2), SCOPE)
    await house.settle()
    assert await manager.token(SCOPE) is not first
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_a_code_that_comes_during_a_renewal_takes_its_place(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    house.partner.delay = 20
    house.clock.advance(3599 - 250)
    await manager.token(SCOPE)  # starts the renewal, which waits for the source
    await house.settle()
    manager.offer(pushed(), SCOPE)
    await house.pass_time(60, step=1)
    assert house.service.codes[1:] == [pushed()]


@pytest.mark.asyncio
async def test_a_waiting_code_is_used_at_its_last_safe_moment(house):
    manager = await house.manager()
    await manager.token(SCOPE)
    await house.pass_time(600)
    manager.offer(pushed(), SCOPE)
    received = house.clock.now()
    while len(house.service.requests) == 1:
        await house.pass_time(1)
        await manager.token(SCOPE)
    # Its deadline is 594 s after its receipt; it is used 60 to 90 s before that.
    assert 594 - 90 <= house.clock.now() - received <= 594 - 60 + 1
    assert (await manager.token(SCOPE)).reveal() == "token2"


@pytest.mark.asyncio
async def test_a_waiting_code_that_adds_too_little_cover_is_let_go(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    await house.pass_time(300)
    # A token that is newer than the code: 200 s later an exchange adds 200 s.
    await manager.exchange(pushed(number=2), scope=SCOPE)
    await house.pass_time(600, step=10)
    assert house.service.codes == [pushed(number=2)]
    assert len(house.told(events.CodeExpiredUnused)) == 1


@pytest.mark.asyncio
async def test_a_code_for_a_scope_that_nobody_uses_ends_unused(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    await house.pass_time(700, step=10)
    assert house.service.requests == []
    assert len(house.told(events.CodeExpiredUnused)) == 1
    assert manager.metrics().codes_waiting == 0
    assert manager.metrics().codes_expired_unused == 1


@pytest.mark.asyncio
async def test_f85_a_code_that_ended_in_the_pool_is_never_sent(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    await house.pass_time(594 - 39, step=5)
    await manager.token(SCOPE)
    assert len(house.partner.asked) == 1
    assert pushed() not in house.service.codes


@pytest.mark.asyncio
async def test_the_same_code_offered_twice_is_one_code(house):
    manager = await house.manager()
    for _ in range(20):
        manager.offer(pushed(), SCOPE)
    assert manager.metrics().codes_waiting == 1
    await manager.token(SCOPE)
    manager.offer(pushed(), SCOPE)
    await house.pass_time(3700, step=50)
    assert house.service.codes == [pushed()]


@pytest.mark.asyncio
async def test_a_later_hint_is_taken_on_by_a_code_that_had_none(house):
    manager = await house.manager()
    manager.offer(pushed())
    manager.offer(pushed(), SCOPE)
    await manager.token(SCOPE)
    assert house.service.codes == [pushed()]


@pytest.mark.asyncio
async def test_eight_codes_a_scope_may_wait(house):
    manager = await house.manager()
    for number in range(8):
        manager.offer(pushed(number=number), SCOPE)
    with pytest.raises(InvalidArgumentError, match="too many"):
        manager.offer(pushed(number=8), SCOPE)
    manager.offer(pushed(PART), PART)


@pytest.mark.asyncio
async def test_1024_codes_may_wait_in_all(house):
    manager = await house.manager()
    for number in range(1024):
        manager.offer(pushed(number=number))
    with pytest.raises(InvalidArgumentError, match="too many"):
        manager.offer(pushed(number=1024))
    assert manager.metrics().codes_waiting == 1024


@pytest.mark.asyncio
async def test_codes_that_have_ended_make_room(house):
    manager = await house.manager()
    for number in range(8):
        manager.offer(pushed(number=number), SCOPE)
    house.clock.advance(600)
    manager.offer(pushed(number=8), SCOPE)
    assert manager.metrics().codes_waiting == 1


@pytest.mark.asyncio
async def test_without_a_source_a_code_without_a_hint_serves_whoever_asks(house):
    manager = await house.manager(codes=None)
    manager.offer(pushed(PART, number=1))
    manager.offer(pushed(SCOPE, number=2))
    token = await manager.token(SCOPE)
    assert token.scope == SCOPE
    # The first code brought something else; it is kept for what it is.
    assert (await manager.token(PART)).scope == PART
    assert len(house.service.requests) == 2


@pytest.mark.asyncio
async def test_with_a_source_a_code_without_a_hint_is_left_alone(house):
    manager = await house.manager()
    manager.offer(pushed(SCOPE))
    await manager.token(SCOPE)
    assert pushed(SCOPE) not in house.service.codes


@pytest.mark.asyncio
async def test_an_authorization_code_brings_its_own_hint_and_end(house):
    manager = await house.manager(codes=None)
    ends = house.clock.wall() + timedelta(seconds=100)
    manager.offer(AuthorizationCode(pushed(), scope=SCOPE, expires_at=ends))
    await house.pass_time(90)
    with pytest.raises(AuthorizationCodeRequiredError):
        await manager.token(SCOPE)
    assert house.service.requests == []


@pytest.mark.asyncio
async def test_a_new_code_ends_the_rest_of_the_source(house):
    house.partner.script = [ValueError("down")] * 10
    manager = await house.manager()
    with pytest.raises(Exception, match="ValueError"):
        await manager.token(PART)
    manager.offer(pushed(SCOPE), SCOPE)
    assert (await manager.token(PART)).scope == SCOPE
    assert len(house.partner.asked) == 1


@pytest.mark.asyncio
async def test_while_the_api_key_is_refused_no_code_is_spent_in_the_background(house):
    house.partner.delay = 30
    house.service.script = [Response(status=401)]
    manager = await house.manager()
    with pytest.raises(ExchangeAuthenticationError):
        await house.soon(manager.token(Scope.read("act_9")))
    await manager.exchange(pushed(number=1), scope=SCOPE)
    await house.pass_time(3599 - 250)
    house.service.script = [Response(status=401)]
    with pytest.raises(ExchangeAuthenticationError):
        await house.soon(manager.token(Scope.read("act_9")))
    sent = len(house.service.requests)
    await manager.token(SCOPE)
    manager.offer(pushed(number=2), SCOPE)
    await house.settle()
    assert len(house.service.requests) == sent
    assert manager.metrics().codes_waiting >= 1


@pytest.mark.asyncio
async def test_an_ended_code_is_refused_as_ended_and_not_as_used(house):
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    await house.pass_time(700, step=20)
    with pytest.raises(CodeExpiredError):
        await manager.exchange(pushed())
    assert house.service.requests == []


@pytest.mark.asyncio
async def test_a_used_code_is_refused_without_a_request(house):
    manager = await house.manager(codes=None)
    house.service.script = [Response(status=404)]
    with pytest.raises(CodeRejectedError):
        await manager.exchange(pushed())
    with pytest.raises(CodeAlreadyUsedError):
        await manager.exchange(pushed())
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
async def test_a_code_at_work_for_a_scope_is_waited_for_and_not_refused(house):
    house.service.delay = 2
    manager = await house.manager()
    manager.offer(pushed(), SCOPE)
    caller = asyncio.ensure_future(manager.token(SCOPE))
    await house.settle()
    assert await house.soon(manager.exchange(pushed())) == SCOPE
    assert (await caller).scope == SCOPE
    assert len(house.service.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("code", ["", "a b", "ü", None, 7, b"bytes"])
async def test_what_cannot_be_a_code_is_refused(house, code):
    manager = await house.manager()
    with pytest.raises(InvalidArgumentError):
        manager.offer(code)


@pytest.mark.asyncio
async def test_an_end_without_a_time_zone_is_refused(house):
    manager = await house.manager()
    ends = house.clock.wall().replace(tzinfo=None)
    with pytest.raises(InvalidArgumentError, match="time zone"):
        manager.offer(pushed(), SCOPE, expires_at=ends)


@pytest.mark.asyncio
async def test_forgetting_a_scope_drops_its_waiting_codes(house):
    manager = await house.manager(codes=None)
    manager.offer(pushed(), SCOPE)
    await manager.forget(SCOPE)
    assert manager.metrics().codes_waiting == 0
    with pytest.raises(AuthorizationCodeRequiredError):
        await manager.token(SCOPE)


# ── Peeking ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_peeking_brings_nothing(house):
    manager = await house.manager()
    assert manager.peek(SCOPE) is None
    await house.settle()
    assert house.partner.asked == []


@pytest.mark.asyncio
async def test_peeking_answers_the_usable_token_of_a_scope_and_its_parts(house):
    manager = await house.manager()
    token = await manager.token(SCOPE)
    assert manager.peek(SCOPE) is manager.peek(str(PART)) is token
    assert manager.peek(Scope.read("inq_9")) is None
    house.clock.advance(3599 - 11)
    assert manager.peek(SCOPE) is token
    house.clock.advance(2)
    assert manager.peek(SCOPE) is None


@pytest.mark.asyncio
async def test_peeking_never_answers_a_revoked_token(house):
    manager = await house.manager()
    manager.invalidate(await manager.token(SCOPE))
    assert manager.peek(SCOPE) is None
