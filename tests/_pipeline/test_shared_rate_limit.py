"""A window that several processes spend: what this process does with its part."""

import asyncio

import pytest

from persona_share._pipeline.rate_limited import Gate
from persona_share._pipeline.shared_rate_limit import JointWindow
from persona_share._protocol.http import Request, Response
from persona_share.errors import RateLimitedError, StoreUnavailableError
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Share
from persona_share.testing import FakeClock


CALL = Request(method="GET", route="/x", target="/x", deadline=10_000.0)


class Scripted:
    """What is shared, as a list of what it answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def take(self, name, wanted, seen):
        self.asked.append((wanted, seen))
        answer = self.answers.pop(0) if self.answers else Share(0, 60.0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def gate_on(clock, *answers):
    shared = Scripted(*answers)
    window = JointWindow(RateLimitPolicy(), shared, "name", clock)
    return Gate(clock, RateLimitPolicy(), window), shared


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time


@pytest.mark.asyncio
async def test_what_was_taken_lets_calls_in_at_once():
    gate, shared = gate_on(FakeClock(), Share(3, 60.0))
    await gate.turn(CALL)
    places = [gate.enter() for _ in range(4)]
    await gate.close()

    assert [place is not None for place in places] == [True, True, False, False]
    assert shared.asked == [(1, None)]


@pytest.mark.asyncio
async def test_calls_of_a_window_that_ended_are_not_spent_in_the_next():
    clock = FakeClock()
    gate, _ = gate_on(clock, Share(64, 60.0))
    await gate.turn(CALL)
    clock.advance(100)
    places = [gate.enter() for _ in range(10)]
    await gate.close()

    assert sum(place is not None for place in places) <= 1


@pytest.mark.asyncio
async def test_without_what_is_shared_it_goes_by_its_own_answers():
    gate, _ = gate_on(FakeClock(), StoreUnavailableError("away"))
    await gate.turn(CALL)
    places = [gate.enter() for _ in range(10)]
    await gate.close()

    assert None not in places


@pytest.mark.asyncio
async def test_an_answer_after_the_end_asks_nothing_more():
    gate, shared = gate_on(FakeClock(), Share(3, 60.0))
    place = await gate.turn(CALL)
    await gate.close()
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "60"}
    gate.answered(place, Response(status=200, headers=headers, body=b""))
    await turns()

    assert len(shared.asked) == 1


@pytest.mark.asyncio
async def test_whoever_cannot_be_served_in_time_is_told_and_others_wait():
    clock = FakeClock()
    gate, _ = gate_on(clock, Share(0, 60.0))
    hurried = Request(method="GET", route="/x", target="/x", deadline=clock.now() + 5)
    waiting = asyncio.ensure_future(gate.turn(hurried))
    await turns()
    for _ in range(8):
        clock.advance(1)
        await turns()
    with pytest.raises(RateLimitedError):
        await waiting
    await gate.close()


@pytest.mark.asyncio
async def test_a_cancellation_is_seen_although_the_gate_sent_the_call_away():
    clock = FakeClock()
    gate, _ = gate_on(clock, Share(0, 60.0))
    waiting = asyncio.ensure_future(gate.turn(CALL))
    await turns()
    closing = asyncio.ensure_future(gate.close())
    await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
    waiting.cancel()
    await asyncio.gather(closing, waiting, return_exceptions=True)

    assert waiting.cancelled()
