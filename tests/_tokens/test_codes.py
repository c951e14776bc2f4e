"""Codes in conflict, codes in doubt, codes that are too many, and tokens without use."""

import asyncio
import traceback
from contextlib import suppress
from types import SimpleNamespace

import pytest

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeRejectedError,
    CodeSourceError,
    DeadlineExceededError,
    ExchangeUnavailableError,
    InvalidArgumentError,
    ResponseTooLargeError,
)
from persona_share.model import events
from persona_share.stores import MemoryStore
from tests._tokens.conftest import CountedStore, code_of


A = Scope.read("inq_1")


def named_code(name):
    return f"{name}.{A.text.encode().hex()}"


def respond(harness, responses):
    """Respond to codes by their prefix, and issue tokens for all others."""
    send = harness.service.send

    async def respond_to(request):
        name = code_of(request).partition(".")[0]
        if name not in responses:
            return await send(request)
        harness.service.requests.append(request)
        return responses[name]

    harness.context.exchanger = SimpleNamespace(send=respond_to)


@pytest.mark.asyncio
async def test_ninth_code_of_a_scope_is_refused_until_others_have_expired(harness):
    manager = await harness.manager(codes=None)
    for number in range(8):
        await manager.offer(named_code(f"code{number}"), A)
    with pytest.raises(InvalidArgumentError, match="8 codes"):
        await manager.offer(named_code("ninth"), A)
    assert manager.metrics().codes_waiting == 8
    await harness.advance_clock(600)
    await manager.offer(named_code("ninth"), A)
    assert manager.metrics().codes_waiting == 1


@pytest.mark.asyncio
async def test_offered_code_is_exchanged_at_once_when_the_token_in_use_is_due(harness):
    manager = await harness.manager(codes=None)
    await manager.exchange(named_code("first"), scope=A)
    await harness.advance_clock(3_500, step=500)
    await manager.token(A)
    await manager.offer(named_code("second"), A)
    await harness.settle()
    assert harness.service.codes == [named_code("first"), named_code("second")]
    assert manager.metrics().codes_waiting == 0


@pytest.mark.asyncio
async def test_offered_codes_of_a_scope_that_is_forgotten_wait_no_more(harness):
    manager = await harness.manager(codes=None)
    await manager.offer(named_code("first"), A)
    await manager.forget(A)
    assert manager.metrics().codes_waiting == 0
    await harness.advance_clock(600)
    assert harness.recorded(events.CodeExpiredUnused) == []


@pytest.mark.asyncio
async def test_code_that_comes_after_the_time_out_serves_the_next_caller(harness):
    async def stubborn(scope):
        harness.partner.requested_scopes.append(scope)
        with suppress(asyncio.CancelledError):
            await harness.clock.sleep(70)
        await harness.clock.sleep(2)
        return named_code("late")

    manager = await harness.manager(codes=stubborn)
    with pytest.raises(CodeSourceError, match="60 s"):
        await harness.advance_until_done(manager.token(A), seconds=61)
    await harness.advance_clock(10)
    assert await harness.advance_until_done(manager.token(A), seconds=1)
    assert harness.partner.requested_scopes == [A]


@pytest.mark.asyncio
async def test_source_that_cancels_itself_is_an_error_of_its_callers(harness):
    harness.partner.script = [asyncio.CancelledError()]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError) as caught:
        await harness.advance_until_done(manager.token(A))
    assert caught.value.reason == "CancelledError"


class RequestError(Exception):
    """An error of an HTTP client, which refers to the request and so to secrets."""

    request = "canary"


@pytest.mark.asyncio
async def test_cause_of_an_error_of_the_source_shows_no_request(harness):
    error = OSError("down")
    error.__cause__ = RequestError("canary")  # it was never raised
    harness.partner.script = [error]
    manager = await harness.manager()
    with pytest.raises(CodeSourceError) as caught:
        await manager.token(A)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.asyncio
async def test_code_in_conflict_does_not_block_those_behind_it(harness):
    respond(harness, {"first": Response(status=409)})
    manager = await harness.manager(codes=None)
    for name in ("first", "second"):
        await manager.offer(named_code(name), A)
        await harness.advance_clock(1)
    assert await harness.advance_until_done(manager.token(A))
    assert harness.service.codes[-1] == named_code("second")
    assert set(harness.service.codes[:-1]) == {named_code("first")}


@pytest.mark.asyncio
async def test_two_codes_in_conflict_back_the_scope_off_and_are_tried_again(harness):
    responses = {name: Response(status=409) for name in ("code1", "code2")}
    respond(harness, responses)
    manager = await harness.manager()
    with pytest.raises(CodeRejectedError, match="another request"):
        await harness.advance_until_done(manager.token(A))
    sent = len(harness.service.requests)
    with pytest.raises(CodeRejectedError) as caught:
        await manager.token(A)
    assert caught.value.retry_after > 0
    assert len(harness.service.requests) == sent
    responses.clear()
    await harness.advance_clock(caught.value.retry_after + 1)
    assert await harness.advance_until_done(manager.token(A))
    assert len(harness.partner.requested_scopes) == 2


@pytest.mark.asyncio
async def test_code_in_conflict_is_reported_when_no_other_can_come(harness):
    respond(harness, {"only": Response(status=409)})
    manager = await harness.manager(codes=None)
    await manager.offer(named_code("only"), A)
    with pytest.raises(CodeRejectedError, match="another request"):
        await harness.advance_until_done(manager.token(A))


@pytest.mark.asyncio
async def test_codes_in_doubt_past_their_end_do_not_block_their_scope(harness):
    respond(harness, {name: Response(status=503) for name in ("code1", "code2")})
    manager = await harness.manager()
    for asked in (1, 2):
        with pytest.raises(ExchangeUnavailableError):
            await harness.advance_until_done(manager.token(A))
        assert len(harness.partner.requested_scopes) == asked
        await harness.advance_clock(700)
    assert await harness.advance_until_done(manager.token(A))
    assert len(harness.partner.requested_scopes) == 3


@pytest.mark.asyncio
async def test_late_response_makes_no_token_that_outlives_its_end(harness):
    harness.service.lifetime = 300
    harness.service.silent = True
    manager = await harness.manager(codes=None)
    with pytest.raises((DeadlineExceededError, ExchangeUnavailableError)):
        await harness.advance_until_done(manager.exchange(named_code("first")))
    harness.service.silent = False
    await harness.advance_clock(300)
    with pytest.raises(CodeAlreadyUsedError, match="its token has expired"):
        await harness.advance_until_done(manager.exchange(named_code("first")))
    assert manager.tokens() == ()


@pytest.mark.asyncio
async def test_response_that_is_too_large_is_asked_for_again_under_the_same_key(
    harness,
):
    harness.service.script = [ResponseTooLargeError("the body is too large")]
    manager = await harness.manager(codes=None)
    exchanged = manager.exchange(named_code("first"))
    assert await harness.advance_until_done(exchanged) == A
    assert len(harness.service.requests) == 2
    assert len(set(harness.service.keys)) == 1


@pytest.mark.asyncio
async def test_rejected_token_is_not_used_when_the_service_issues_it_again(harness):
    manager = await harness.manager()
    rejected = await manager.token(A)
    manager.invalidate(rejected)
    again = Response(
        status=201,
        body=b'{"access-token": "%b", "token-type": "bearer", "expires-in": 3599,'
        b' "scope": "%b"}' % (rejected.reveal().encode(), A.text.encode()),
    )
    harness.service.script = [again] * 3
    with pytest.raises(CodeAlreadyUsedError, match="already rejected"):
        await harness.advance_until_done(manager.token(A))
    with pytest.raises(CodeAlreadyUsedError, match="already rejected"):
        await harness.advance_until_done(manager.exchange(named_code("last"), scope=A))
    assert len(harness.service.requests) == 4
    assert manager.tokens() == ()


@pytest.mark.asyncio
async def test_mistake_in_an_exchange_fails_its_callers_at_once(harness):
    harness.service.script = [KeyError("token")]
    manager = await harness.manager()
    with pytest.raises(ExchangeUnavailableError, match="KeyError"):
        await harness.advance_until_done(manager.token(A), seconds=1)


@pytest.mark.asyncio
async def test_lifetime_that_no_token_has_is_clamped_and_reported(harness):
    harness.service.lifetime = 10**9
    manager = await harness.manager()
    token = await manager.token(A)
    assert token.lifetime <= 24 * 3600
    [event] = harness.recorded(events.NumberClamped)
    assert event.name == "expires-in of a token"


@pytest.mark.asyncio
async def test_code_that_granted_less_before_makes_no_token_of_a_wider_scope(harness):
    code = named_code("first")

    async def same_code(_scope):
        return code

    manager = await harness.manager(codes=same_code)
    assert await manager.exchange(code) == A
    wider = A | Scope.read("ver_2")
    with pytest.raises(CodeAlreadyUsedError):
        await harness.advance_until_done(manager.token(wider))
    assert manager.peek(wider) is None


@pytest.mark.asyncio
async def test_delivered_code_without_a_response_serves_the_next_caller(harness):
    responses = {"first": Response(status=503)}
    respond(harness, responses)
    manager = await harness.manager(codes=None)
    exchanged = manager.exchange(named_code("first"), scope=A)
    with pytest.raises(ExchangeUnavailableError):
        await harness.advance_until_done(exchanged)
    assert manager.metrics().codes_in_doubt == 1
    responses.clear()
    assert await harness.advance_until_done(manager.token(A))


@pytest.mark.asyncio
async def test_refused_code_that_was_offered_leaves_the_request_for_one_alone(harness):
    respond(harness, {"offered": Response(status=422)})
    harness.partner.delay = 10
    store = CountedStore(runtime=harness.context.runtime)
    manager = await harness.manager(store=store)
    caller = asyncio.ensure_future(manager.token(A))
    await harness.settle()
    await manager.offer(named_code("offered"), A)
    assert await harness.advance_until_done(caller, seconds=12)
    assert store.reads < 30
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_source_is_asked_once_when_its_first_caller_leaves(harness):
    store = MemoryStore(runtime=harness.context.runtime)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    harness.partner.delay = 12
    caller = asyncio.ensure_future(first.token(A))
    await harness.settle()
    caller.cancel()
    await harness.settle()
    assert await harness.advance_until_done(second.token(A), seconds=20)
    assert len(harness.partner.requested_scopes) == 1


@pytest.mark.asyncio
async def test_source_is_not_asked_for_an_offered_code_that_is_gone(harness):
    store = MemoryStore(runtime=harness.context.runtime)
    first, second = [await harness.manager(store=store) for _ in range(2)]
    await first.token(A)
    await first.offer(named_code("offered"), A)
    await second.forget(A)
    await harness.advance_clock(599, step=10)
    assert len(harness.partner.requested_scopes) == 1
