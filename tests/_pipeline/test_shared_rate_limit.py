"""SharedLimitTracker: what this process does with its slots of a shared window."""

import asyncio

import pytest

from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._pipeline.shared_rate_limit import SharedLimitTracker
from persona_share._protocol.http import Request, Response
from persona_share._protocol.limits import LimitState
from persona_share.errors import RateLimitedError, StoreUnavailableError
from persona_share.model.policy import RateLimitPolicy
from persona_share.ports import Share
from persona_share.testing import FakeClock


CALL = Request(method="GET", route="/x", target="/x", deadline=10_000.0)


class Scripted:
    """A shared limit with scripted results."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.asked = []

    async def take(self, name, wanted, seen, *, first=False):
        self.asked.append((wanted, seen))
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
        share = self.responses.pop(0) if self.responses else Share(0, 60.0)
        if isinstance(share, Exception):
            raise share
        return share


def limiter_on(clock, *responses):
    shared = Scripted(*responses)
    window = SharedLimitTracker(RateLimitPolicy(), shared, "name", clock)
    return RateLimiter(clock, RateLimitPolicy(), window), shared


async def run_iterations():
    for _ in range(20):
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time


@pytest.mark.asyncio
async def test_claimed_slots_admit_calls_at_once():
    limiter, shared = limiter_on(FakeClock(), Share(3, 60.0))
    await limiter.acquire(CALL)
    slots = [limiter.try_acquire() for _ in range(4)]
    await limiter.close()

    assert [slot is not None for slot in slots] == [True, True, False, False]
    assert shared.asked == [(4, None)]  # some more than the one that waits


@pytest.mark.asyncio
async def test_calls_of_a_window_that_ended_are_not_spent_in_the_next():
    clock = FakeClock()
    limiter, _ = limiter_on(clock, Share(64, 60.0))
    await limiter.acquire(CALL)
    clock.advance(100)
    slots = [limiter.try_acquire() for _ in range(10)]
    await limiter.close()

    assert sum(slot is not None for slot in slots) <= 1


@pytest.mark.asyncio
async def test_tracker_uses_its_own_responses_without_the_shared_limit():
    limiter, _ = limiter_on(FakeClock(), StoreUnavailableError("away"))
    slot = await limiter.acquire(CALL)
    assert limiter.try_acquire() is None  # there is no response yet
    limiter.responded(slot, Response(status=200))
    slots = [limiter.try_acquire() for _ in range(10)]
    await limiter.close()

    assert None not in slots


@pytest.mark.asyncio
async def test_response_after_close_reads_nothing_from_the_store():
    limiter, shared = limiter_on(FakeClock(), Share(3, 60.0))
    slot = await limiter.acquire(CALL)
    await limiter.close()
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "60"}
    limiter.responded(slot, Response(status=200, headers=headers, body=b""))
    await run_iterations()

    assert len(shared.asked) == 1


def saying(remaining, reset):
    """Return a response with these rate limit headers."""
    headers = {"ratelimit-remaining": str(remaining), "ratelimit-reset": str(reset)}
    return Response(status=200, headers=headers)


@pytest.mark.asyncio
async def test_response_of_a_past_window_does_not_open_the_next():
    clock = FakeClock()
    limiter, shared = limiter_on(clock, Share(1, 60.0), Share(1, 60.0))
    limiter.responded(await limiter.acquire(CALL), saying(7, 61))
    clock.advance(60.5)
    await limiter.acquire(CALL)
    await limiter.close()

    assert [seen for _, seen in shared.asked] == [None, None]


@pytest.mark.asyncio
async def test_probe_result_is_reported_before_the_limiter_closes():
    limiter, shared = limiter_on(FakeClock(), Share(1, 1.0, probing=True))
    limiter.responded(await limiter.acquire(CALL), saying(299, 60))
    await limiter.close()

    assert shared.asked[1:] == [(0, LimitState(299, 60.0))]


@pytest.mark.asyncio
async def test_probe_result_is_reported_while_another_reservation_is_in_progress():
    clock = FakeClock()
    limiter, shared = limiter_on(clock, Share(1, 1.0, probing=True))
    slot = await limiter.acquire(CALL)
    waiting = asyncio.ensure_future(limiter.acquire(CALL))
    for _ in range(2):
        await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
    assert len(shared.asked) == 2
    limiter.responded(slot, saying(299, 60))
    await run_iterations()
    waiting.cancel()
    await limiter.close()

    assert shared.asked[1:] == [(3, None), (0, LimitState(299, 60.0))]


@pytest.mark.asyncio
async def test_call_that_cannot_be_served_in_time_fails_and_others_wait():
    clock = FakeClock()
    limiter, _ = limiter_on(clock, Share(0, 60.0))
    hurried = Request(method="GET", route="/x", target="/x", deadline=clock.now() + 5)
    waiting = asyncio.ensure_future(limiter.acquire(hurried))
    await run_iterations()
    for _ in range(8):
        clock.advance(1)
        await run_iterations()
    with pytest.raises(RateLimitedError):
        await waiting
    await limiter.close()


@pytest.mark.asyncio
async def test_cancellation_is_seen_although_the_limiter_sent_the_call_away():
    clock = FakeClock()
    limiter, _ = limiter_on(clock, Share(0, 60.0))
    waiting = asyncio.ensure_future(limiter.acquire(CALL))
    await run_iterations()
    closing = asyncio.ensure_future(limiter.close())
    await asyncio.sleep(0)  # noqa: TID251  # a turn of the loop, no time
    waiting.cancel()
    await asyncio.gather(closing, waiting, return_exceptions=True)

    assert waiting.cancelled()
