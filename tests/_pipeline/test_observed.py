"""Observed: one record and one event a call."""

import asyncio
import logging
from contextlib import suppress

import attrs
import pytest

from persona_share._pipeline.observed import EventEmitter, Observed
from persona_share._protocol.http import Request, Response
from persona_share.errors import Attempt, ConnectError, Phase
from persona_share.model.events import CallEnded, HookEvent
from persona_share.model.secret import MaskedText, Secret
from persona_share.testing import FakeClock, ScriptedSender


REQUEST = Request(
    method="POST",
    route="/inquiries/{inquiry-id}",
    target="/inquiries/CANARY",
    deadline=0.0,
    headers={"X": "CANARY"},
    body=b"CANARY",
    idempotency_key=Secret("CANARY"),
    authorization=MaskedText("Bearer CANARY"),
)


def taking(clock, seconds, response):
    def made(_request):
        clock.advance(seconds)
        if isinstance(response, BaseException):
            raise response
        return response

    return ScriptedSender([made])


async def observed(response, *, emit=None, **options):
    events = []
    clock = FakeClock()
    emit = emit or EventEmitter([events.append])
    sender = Observed(taking(clock, 2.0, response), clock.now, emit, **options)
    with suppress(ConnectError, asyncio.CancelledError):
        await sender.send(REQUEST)
    return events


@pytest.mark.asyncio
async def test_response_is_emitted_with_its_facts():
    headers = {"request-id": "req_1\n", "x": "CANARY"}
    response = Response(status=404, headers=headers, body=b"CANARY")
    assert await observed(response) == [
        CallEnded(
            at=FakeClock().now() + 2,
            operation="POST /inquiries/{inquiry-id}",
            seconds=2.0,
            attempts=1,
            status=404,
            request_id=r"req_1\n",
        )
    ]


@pytest.mark.asyncio
async def test_error_is_emitted_by_its_type():
    attempts = [Attempt(Phase.NOT_SENT, "connect")] * 3
    [event] = await observed(ConnectError("CANARY", attempts=attempts))
    assert event.error == "ConnectError"
    assert event.attempts == 3
    assert event.status is None
    assert "CANARY" not in str(attrs.asdict(event))


@pytest.mark.asyncio
async def test_cancellation_is_emitted():
    [event] = await observed(asyncio.CancelledError())
    assert event.error == "CancelledError"


@pytest.mark.asyncio
async def test_there_is_one_debug_record_with_nothing_secret_in_it(caplog):
    caplog.set_level(logging.DEBUG)
    headers = {"request-id": "req_1", "set-cookie": "CANARY"}
    await observed(Response(status=200, headers=headers), credential="a1b2c3")
    [record] = caplog.records
    assert record.name == "persona_share"
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == (
        "POST /inquiries/{inquiry-id}: 200 in 2.000 s, attempts 1, request req_1, "
        "credential a1b2c3"
    )


@pytest.mark.asyncio
async def test_log_is_written_without_hooks_as_well(caplog):
    caplog.set_level(logging.DEBUG)
    await observed(Response(status=200), emit=EventEmitter())
    assert len(caplog.records) == 1


@pytest.mark.asyncio
async def test_without_hooks_and_log_nothing_is_measured():
    def never():
        raise AssertionError

    response = Response(status=200)
    sender = Observed(ScriptedSender([response]), never, EventEmitter())
    assert await sender.send(REQUEST) is response


# ── Hooks ───────────────────────────────────────────────────────────────────────


def test_hook_that_raises_is_logged_once(caplog):
    received = []

    def broken(_event):
        raise ValueError("CANARY")

    emit = EventEmitter([broken, received.append])
    for at in range(3):
        emit(HookEvent(at=at))
    assert len(received) == 3
    [record] = caplog.records
    assert "broken raised ValueError" in record.getMessage()
    assert record.exc_info is None
    assert "CANARY" not in record.getMessage()


def test_async_hook_is_reported_and_leaves_no_warning_behind(caplog):
    async def waiting(_event):
        raise AssertionError

    EventEmitter([waiting])(HookEvent(at=0))
    assert "waiting is async" in caplog.text


def test_hook_may_be_any_callable(caplog):
    class Hook:
        def __call__(self, _event):
            raise KeyError

    EventEmitter([Hook()])(HookEvent(at=0))
    assert "Hook raised KeyError" in caplog.text


def test_emitter_without_hooks_is_false():
    assert not EventEmitter()
    assert EventEmitter([print])
