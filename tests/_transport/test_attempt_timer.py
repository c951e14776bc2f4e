"""AttemptTimer: limits silence and duration, and cancels only its own attempt."""

import asyncio
import math
import time

import attrs
import pytest

from persona_share._transport.attempt_timer import AttemptTimer
from persona_share.errors import ConnectionLostError
from persona_share.model.policy import Timeouts
from tests.servers import (
    RawServer,
    drip_bytes,
    http_response,
    never_respond,
    new_request,
    sender_to,
    stall_in_body,
)


WATCHFUL = Timeouts(connect=0.19, read=0.2, attempt=0.5)
TURN = WATCHFUL.read / 20


async def reason_of(handler, request=None):
    now = asyncio.get_running_loop().time
    server = RawServer(handler)
    async with server, sender_to(server.url, timeouts=WATCHFUL) as sender:
        started = now()
        with pytest.raises(ConnectionLostError) as caught:
            await sender.send(request or new_request())
        took = now() - started
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    return caught.value.attempts[0].reason, took


@pytest.mark.asyncio
@pytest.mark.parametrize("handler", [never_respond, stall_in_body])
async def test_f14_attempt_ends_after_silence_and_leaves_no_pending_cancellation(
    handler,
):
    reason, took = await reason_of(handler)
    assert reason == "read timeout"
    assert took >= WATCHFUL.read


@pytest.mark.asyncio
async def test_f15_attempt_ends_after_its_time_limit_while_data_arrives():
    reason, took = await reason_of(drip_bytes(0.02))
    assert reason == "timeout"
    assert took >= WATCHFUL.attempt


@pytest.mark.asyncio
async def test_f14_request_with_a_body_is_ended_all_the_same():
    request = attrs.evolve(new_request("POST"), body=b"{}")
    assert (await reason_of(never_respond, request))[0] == "read timeout"


@pytest.mark.asyncio
async def test_external_cancellation_is_propagated():
    server = RawServer(never_respond)
    async with server, sender_to(server.url, timeouts=WATCHFUL) as sender:
        call = asyncio.create_task(sender.send(new_request()))
        await asyncio.wait([call], timeout=0.03)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.asyncio
async def test_cancel_from_outside_wins_over_one_of_the_watch():
    server = RawServer(never_respond)
    async with server, sender_to(server.url, timeouts=WATCHFUL) as sender:
        call = asyncio.create_task(sender.send(new_request()))
        while not call.cancelling():  # noqa: ASYNC110 — the timer emits nothing to wait for
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.asyncio
async def test_blocked_event_loop_does_not_count_as_server_silence():
    async def slow(connection):
        await connection.request()
        time.sleep(0.3)  # noqa: ASYNC251 — the loop of the client stands still, too
        await connection.send(http_response(200, b"{}"))

    server = RawServer(slow)
    async with server, sender_to(server.url, timeouts=WATCHFUL) as sender:
        assert (await sender.send(new_request())).body == b"{}"


@pytest.mark.asyncio
async def test_nothing_is_looked_at_when_nothing_is_watched():
    timer = AttemptTimer(WATCHFUL)
    timer.start(new_request(), 100).finish()
    await asyncio.sleep(4 * TURN)  # noqa: TID251 — the loop's timers are its own
    assert timer.ticks == 1


@pytest.mark.parametrize(
    ("timeouts", "left", "watched"),
    [
        (Timeouts(), 100, True),
        (Timeouts(), 62, False),  # it may end two turns late
        (Timeouts(connect=5, read=5), 100, False),
        (Timeouts(connect=5, attempt=5), 100, False),
        (Timeouts(connect=math.inf), math.inf, False),
        (Timeouts(read=math.inf), 100, True),
        (Timeouts(attempt=math.inf), 100, False),
        (Timeouts(attempt=math.inf), math.inf, True),
        (Timeouts(connect=5, read=5e-324), 100, False),
    ],
)
@pytest.mark.asyncio
async def test_only_an_attempt_that_has_time_is_watched(timeouts, left, watched):
    timer = AttemptTimer(timeouts)
    assert timer.start(new_request(), left).watched is watched
    timer.close()
