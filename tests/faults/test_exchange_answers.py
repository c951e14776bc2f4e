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


async def exchanged(scene, status, kind, *, rest=0, **options):
    """Exchange a code with this response, and return the result of a later attempt."""
    scope = Scope.read(scene.box.add_inquiry().id)
    code = await scene.a_code(scope)
    scene.box.faults.answer(EXCHANGE, status, **options)
    async with scene.manager() as manager:
        with pytest.raises(kind) as caught:
            await scene.until(manager.exchange(code))
        assert type(caught.value) is kind
        scene.box.faults.clear()
        scene.clock.advance(rest)
        try:
            return await scene.until(manager.exchange(code)) == scope
        except PersonaError as error:
            return type(error)


def keys(scene):
    return {entry.idempotency_key for entry in scene.entries(EXCHANGE)}


SPENT = {"f31": 400, "f35": 404, "f38": 422}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", SPENT.values(), ids=SPENT)
async def test_f31_f35_f38_a_code_that_was_refused_is_not_sent_again(exchanges, status):
    again = await exchanged(exchanges, status, CodeRejectedError)
    assert again is CodeAlreadyUsedError
    assert len(exchanges.entries(EXCHANGE)) == 1


KEPT = {
    "f30": (307, ExchangeProtocolError, 1),
    "f33": (401, ExchangeAuthenticationError, 1),
    "f34": (403, ExchangeForbiddenError, 1),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "kind", "times"), KEPT.values(), ids=KEPT)
async def test_f30_f33_f34_code_is_kept_after_responses_unrelated_to_it(
    exchanges, status, kind, times
):
    options = {"times": times, "rest": 310}
    assert await exchanged(exchanges, status, kind, **options) is True
    assert len(keys(exchanges)) == 1


IN_DOUBT = {
    "f24": (200, ExchangeProtocolError, PAGE),
    "f32": (400, ExchangeProtocolError, {"title": "Idempotency error"}),
    "f39f": (501, ExchangeUnavailableError, {}),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "kind", "options"), IN_DOUBT.values(), ids=IN_DOUBT)
async def test_f24_f32_f39f_code_with_unknown_outcome_never_gets_a_second_key(
    exchanges, status, kind, options
):
    await exchanged(exchanges, status, kind, rest=70, **options)
    assert len(keys(exchanges)) == 1
    assert len(exchanges.entries(EXCHANGE)) <= 2


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [408, 502, 503, 504])
async def test_f36_f39e_temporary_failure_is_retried_with_one_key(exchanges, status):
    kind = ExchangeUnavailableError
    assert await exchanged(exchanges, status, kind, times=None, rest=70) is True
    assert len(keys(exchanges)) == 1


LIMITED = {
    "f39a": ({"headers": {"Retry-After": "40"}}, 80),
    "f39b": ({"headers": NO_HEADERS}, 10),
    "f39c": ({"title": "Quota exceeded", "headers": {"Quota-Reset": "30"}}, 60),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("options", "seconds"), LIMITED.values(), ids=LIMITED)
async def test_f39a_f39b_f39c_code_is_kept_while_the_exchange_waits_for_a_limit(
    exchanges, options, seconds
):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    started = exchanges.clock.now()
    exchanges.box.faults.answer(EXCHANGE, 429, times=2, **options)
    async with exchanges.manager() as manager:
        assert await exchanges.until(manager.exchange(code), step=1) == scope
    assert exchanges.clock.now() - started >= seconds
    assert len(keys(exchanges)) == 1
    assert len(exchanges.entries(EXCHANGE)) == 3


@pytest.mark.asyncio
async def test_f39a_wait_for_a_limit_ends_before_code_and_deadline_expire(exchanges):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    later = {"headers": {"Retry-After": "400"}}
    exchanges.box.faults.answer(EXCHANGE, 429, times=None, **later)
    manager = await exchanges.manager().__aenter__()
    with pytest.raises(DeadlineExceededError):
        await exchanges.until(manager.exchange(code), step=10)
    for _ in range(100):  # the flight goes on for a later caller, and ends
        exchanges.clock.advance(10)
        await asyncio.sleep(0.005)  # noqa: TID251 — real sockets
    await exchanges.until(manager.aclose())
    assert len(exchanges.entries(EXCHANGE)) == 2  # a third would come 800 s later
    assert len(keys(exchanges)) == 1


@pytest.mark.asyncio
async def test_f39d_500_is_retried_once_before_a_second_key_is_used(exchanges):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    exchanges.box.faults.answer(EXCHANGE, 500, times=2)
    async with exchanges.manager() as manager:
        assert await exchanges.until(manager.exchange(code)) == scope
    first, probe, second = [
        entry.idempotency_key for entry in exchanges.entries(EXCHANGE)
    ]
    assert first == probe != second


@pytest.mark.asyncio
async def test_f34_a_token_is_kept_when_the_service_forbids_one_call(exchanges):
    scope = Scope.read(exchanges.box.add_inquiry().id)
    code = await exchanges.a_code(scope)
    async with exchanges.manager() as manager:
        await exchanges.until(manager.exchange(code))
        before = manager.peek(scope)
        exchanges.box.faults.answer("GET /inquiries/{inquiry-id}", 403)
        inquiries = manager.session(scope).inquiries
        with pytest.raises(PermissionDeniedError):
            await exchanges.until(inquiries.retrieve(scope.object_ids()[0]))
        assert manager.peek(scope) == before
    assert len(exchanges.entries(EXCHANGE)) == 1
