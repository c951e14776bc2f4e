"""Calls, exchanges and renewals as spans."""

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from persona_share import Scope
from persona_share.errors import NotFoundError, TokenError
from persona_share.model import events


READ = "GET /inquiries/{inquiry-id}"


@pytest.mark.asyncio
async def test_call_is_one_client_span_below_the_callers_own(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        with recorder.tracer.start_as_current_span("theirs") as parent:
            await each.manager.session(Scope.read(inquiry.id)).inquiries.retrieve(
                inquiry.id
            )
    [span] = recorder.spans(READ)
    assert span.kind is SpanKind.CLIENT
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["url.template"] == "/inquiries/{inquiry-id}"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["persona.request_id"].startswith("req_")
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.asyncio
async def test_each_attempt_that_failed_is_an_event_at_its_own_time(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        session = each.manager.session(Scope.read(inquiry.id))
        await session.inquiries.retrieve(inquiry.id)
        harness.sandbox.faults.answer("GET /inquiries/{inquiry-id}", 503, times=2)
        await harness.advance_until_done(session.inquiries.retrieve(inquiry.id))
    _, span = recorder.spans(READ)
    first, second = span.events
    assert [each.attributes["http.response.status_code"] for each in span.events] == [
        503,
        503,
    ]
    assert first.attributes["attempt"] == 1
    assert span.start_time <= first.timestamp < second.timestamp <= span.end_time
    assert span.attributes["http.request.resend_count"] == 2


@pytest.mark.asyncio
async def test_concurrent_calls_have_separate_attempts(harness, recorder, instrumented):
    one, other = harness.sandbox.add_inquiry(), harness.sandbox.add_inquiry()
    async with instrumented() as each:
        session = each.manager.session(Scope.read(one.id, other.id))
        await session.inquiries.retrieve(one.id)
        harness.sandbox.faults.answer("GET /inquiries/{inquiry-id}", 503, times=1)
        both = [session.inquiries.retrieve(it.id) for it in (one, other)]
        await harness.advance_until_done(asyncio.gather(*both))
    assert sorted(len(span.events) for span in recorder.spans(READ)) == [0, 0, 1]


@pytest.mark.asyncio
async def test_error_response_is_a_span_error_with_its_status(
    harness, recorder, instrumented
):
    async with instrumented() as each:
        with pytest.raises(NotFoundError):
            await each.client.inquiries.retrieve("inq_unknown")
    [span] = recorder.spans(READ)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "404"


@pytest.mark.asyncio
async def test_call_without_a_response_is_an_error_with_its_type(
    harness, recorder, instrumented
):
    harness.sandbox.faults.cut("GET /inquiries/{inquiry-id}", times=9)
    async with instrumented() as each:
        with pytest.raises(Exception, match="connection"):
            await harness.advance_until_done(each.client.inquiries.retrieve("inq_1"))
    [span] = recorder.spans(READ)
    assert span.attributes["error.type"] == "ConnectionLostError"
    assert "http.response.status_code" not in span.attributes


@pytest.mark.asyncio
async def test_exchange_is_a_span_with_its_call_below_it(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    async with instrumented() as each:
        await each.manager.token(Scope.read(inquiry.id))
    [exchange] = recorder.spans("persona exchange")
    [call] = recorder.spans("POST /oauth/token")
    assert call.parent.span_id == exchange.context.span_id
    assert exchange.start_time <= call.start_time
    assert call.end_time <= exchange.end_time
    assert exchange.attributes["persona.scope.size"] == 1
    assert exchange.attributes["persona.token.lifetime"] == 3_599


@pytest.mark.asyncio
async def test_refresh_has_its_own_span_name(harness, recorder, instrumented):
    inquiry = harness.sandbox.add_inquiry()
    scope = Scope.read(inquiry.id)
    async with instrumented() as each:
        await each.manager.token(scope)
        harness.clock.advance(3_560)  # so near its end that callers wait
        await each.manager.token(scope)
    assert len(recorder.spans("persona exchange")) == 1
    assert len(recorder.spans("persona renewal")) == 1


@pytest.mark.asyncio
async def test_delivered_code_is_an_exchange_like_any_other(
    harness, recorder, instrumented
):
    inquiry = harness.sandbox.add_inquiry()
    async with (
        instrumented(codes=None) as each,
        harness.client(harness.sandbox.source) as source,
    ):
        code = await source.oauth.authorize(
            client_id=harness.sandbox.destination.id, scope=Scope.read(inquiry.id)
        )
        with recorder.tracer.start_as_current_span("theirs"):
            await each.manager.exchange(code)
            await each.client.rate_limits.list()
    [exchange] = recorder.spans("persona exchange")
    [call] = recorder.spans("POST /oauth/token")
    assert call.parent.span_id == exchange.context.span_id
    [theirs] = recorder.spans("theirs")
    [after] = recorder.spans("GET /rate-limits")
    assert after.parent.span_id == theirs.context.span_id


@pytest.mark.asyncio
async def test_failed_exchange_span_has_its_error(harness, recorder, instrumented):
    async with instrumented(codes=None) as each:
        with pytest.raises(TokenError):
            await each.manager.token("inquiry.read:inq_1")
    [exchange] = recorder.spans("persona exchange")
    assert exchange.status.status_code is StatusCode.ERROR
    assert exchange.attributes["error.type"] == "AuthorizationCodeRequiredError"


def test_event_outside_a_task_is_a_span(recorder):
    recorder.telemetry(
        events.CallEnded(at=9.0, operation=READ, seconds=2.0, attempts=1, status=200)
    )
    [span] = recorder.spans(READ)
    assert span.end_time - span.start_time == 2_000_000_000
