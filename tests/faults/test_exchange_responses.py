"""F24 to F39f at the token endpoint: the effect of each response on code and token."""

import asyncio

import pytest

from persona_share import Scope
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeRejectedError,
    DeadlineExceededError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeUnavailableError,
    PermissionDeniedError,
    PersonaError,
)


EXCHANGE = "POST /oauth/token"
PAGE = {"body": b"<html>Log in</html>", "headers": {"Content-Type": "text/html"}}
NO_HEADERS = dict.fromkeys(
    ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"), None
)


async def exchanged(env, status, kind, *, rest=0, **options):
    """Exchange a code with this response, and return the result of a later attempt."""
    scope = Scope.read(env.sandbox.add_inquiry().id)
    code = await env.new_code(scope)
    env.sandbox.faults.answer(EXCHANGE, status, **options)
    async with env.manager() as manager:
        with pytest.raises(kind) as caught:
            await env.advance_until_done(manager.exchange(code))
        assert type(caught.value) is kind
        env.sandbox.faults.clear()
        env.clock.advance(rest)
        try:
            return await env.advance_until_done(manager.exchange(code)) == scope
        except PersonaError as error:
            return type(error)


def keys(env):
    return {entry.idempotency_key for entry in env.entries(EXCHANGE)}


SPENT = {"f31": 400, "f35": 404, "f38": 422}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", SPENT.values(), ids=SPENT)
async def test_f31_f35_f38_code_that_was_refused_is_not_sent_again(manual_env, status):
    again = await exchanged(manual_env, status, CodeRejectedError)
    assert again is CodeAlreadyUsedError
    assert len(manual_env.entries(EXCHANGE)) == 1


KEPT = {
    "f30": (307, ExchangeProtocolError, 1),
    "f33": (401, ExchangeAuthenticationError, 1),
    "f34": (403, ExchangeForbiddenError, 1),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "kind", "times"), KEPT.values(), ids=KEPT)
async def test_f30_f33_f34_code_is_kept_after_responses_unrelated_to_it(
    manual_env, status, kind, times
):
    options = {"times": times, "rest": 310}
    assert await exchanged(manual_env, status, kind, **options) is True
    assert len(keys(manual_env)) == 1


IN_DOUBT = {
    "f24": (200, ExchangeProtocolError, PAGE),
    "f32": (400, ExchangeProtocolError, {"title": "Idempotency error"}),
    "f39f": (501, ExchangeUnavailableError, {}),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "kind", "options"), IN_DOUBT.values(), ids=IN_DOUBT)
async def test_f24_f32_f39f_code_with_unknown_outcome_never_gets_a_second_key(
    manual_env, status, kind, options
):
    await exchanged(manual_env, status, kind, rest=70, **options)
    assert len(keys(manual_env)) == 1
    assert len(manual_env.entries(EXCHANGE)) <= 2


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [408, 502, 503, 504])
async def test_f36_f39e_temporary_failure_is_retried_with_one_key(manual_env, status):
    kind = ExchangeUnavailableError
    assert await exchanged(manual_env, status, kind, times=None, rest=70) is True
    assert len(keys(manual_env)) == 1


LIMITED = {
    "f39a": ({"headers": {"Retry-After": "40"}}, 80),
    "f39b": ({"headers": NO_HEADERS}, 10),
    "f39c": ({"title": "Quota exceeded", "headers": {"Quota-Reset": "30"}}, 60),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("options", "seconds"), LIMITED.values(), ids=LIMITED)
async def test_f39a_f39b_f39c_code_is_kept_while_the_exchange_waits_for_a_limit(
    manual_env, options, seconds
):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    started = manual_env.clock.now()
    manual_env.sandbox.faults.answer(EXCHANGE, 429, times=2, **options)
    async with manual_env.manager() as manager:
        assert (
            await manual_env.advance_until_done(manager.exchange(code), step=1) == scope
        )
    assert manual_env.clock.now() - started >= seconds
    assert len(keys(manual_env)) == 1
    assert len(manual_env.entries(EXCHANGE)) == 3


@pytest.mark.asyncio
async def test_f39a_wait_for_a_limit_ends_before_code_and_deadline_expire(manual_env):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    later = {"headers": {"Retry-After": "400"}}
    manual_env.sandbox.faults.answer(EXCHANGE, 429, times=None, **later)
    manager = await manual_env.manager().__aenter__()
    with pytest.raises(DeadlineExceededError):
        await manual_env.advance_until_done(manager.exchange(code), step=10)
    for _ in range(100):  # the exchange continues for a later caller, and ends
        manual_env.clock.advance(10)
        await asyncio.sleep(0.005)  # noqa: TID251 — real sockets
        await manual_env.clock.settle()
    await manual_env.advance_until_done(manager.aclose())
    assert len(manual_env.entries(EXCHANGE)) == 2  # a third would come 800 s later
    assert len(keys(manual_env)) == 1


@pytest.mark.asyncio
async def test_f39d_500_is_retried_once_before_a_second_key_is_used(manual_env):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    manual_env.sandbox.faults.answer(EXCHANGE, 500, times=2)
    async with manual_env.manager() as manager:
        assert await manual_env.advance_until_done(manager.exchange(code)) == scope
    first, probe, second = [
        entry.idempotency_key for entry in manual_env.entries(EXCHANGE)
    ]
    assert first == probe != second


@pytest.mark.asyncio
async def test_f34_token_is_kept_when_the_service_forbids_one_call(manual_env):
    scope = Scope.read(manual_env.sandbox.add_inquiry().id)
    code = await manual_env.new_code(scope)
    async with manual_env.manager() as manager:
        await manual_env.advance_until_done(manager.exchange(code))
        before = manager.peek(scope)
        manual_env.sandbox.faults.answer("GET /inquiries/{inquiry-id}", 403)
        inquiries = manager.session(scope).inquiries
        with pytest.raises(PermissionDeniedError):
            await manual_env.advance_until_done(
                inquiries.retrieve(scope.object_ids()[0])
            )
        assert manager.peek(scope) == before
    assert len(manual_env.entries(EXCHANGE)) == 1
