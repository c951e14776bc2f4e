"""RateLimiter: which calls wait, how long, in which order, and which never do."""

import asyncio

import pytest

from persona_share._pipeline.authenticated import Authenticated
from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._protocol.http import Request, Response
from persona_share.errors import (
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    Phase,
    RateLimitedError,
)
from persona_share.model.events import CallDelayed, RateLimitReached
from persona_share.model.policy import RateLimitMode, RateLimitPolicy
from persona_share.model.secret import Secret
from persona_share.testing import FakeClock


class FakeCredential:
    """A credential source that counts its calls."""

    header = Secret("Bearer x")

    def __init__(self):
        self.has = True
        self.asked = 0
        self.brings = asyncio.Event()
        self.brings.set()

    def cached(self):
        return self if self.has else None

    def on_success(self, authorization, route):
        pass

    async def get(self, deadline):
        self.asked += 1
        await self.brings.wait()
        self.has = True
        return self


class Harness:
    """A limiter on a fake clock, and a service that responds on demand."""

    def __init__(self, mode=RateLimitMode.WINDOW, **policy):
        self.clock = FakeClock()
        policy = RateLimitPolicy(mode=mode, **policy)
        self.events = []
        self.limiter = RateLimiter(self.clock, policy, emit=self.events.append)
        self.source = FakeCredential()
        self.sender = Authenticated(self, self.source, self.limiter)
        self.exchanger = Authenticated(self, self.source, self.limiter, priority=True)
        self.reached = []
        self._responses = {}

    async def send(self, request):
        self.reached.append(request.target)
        response = self._responses[request.target] = asyncio.Future()
        started = self.clock.now()
        headers, status = await response
        return Response(status=status, headers=headers, first_sent_at=started)

    def begin(self, name, *, seconds=100.0, sender=None):
        request = Request(
            method="GET",
            route="/x",
            target=name,
            deadline=self.clock.now() + seconds,
        )
        return asyncio.create_task((sender or self.sender).send(request))

    async def respond(self, name, remaining=None, reset=60, *, status=200):
        headers = {}
        if remaining is not None:
            headers = {
                "ratelimit-limit": "300",
                "ratelimit-remaining": str(remaining),
                "ratelimit-reset": str(reset),
            }
        self._responses[name].set_result((headers, status))
        await self.settle()

    async def fail(self, name, error):
        self._responses[name].set_exception(error)
        await self.settle()

    async def know(self, remaining, reset=60):
        """Let one call learn this limit."""
        self.begin("first")
        await self.settle()
        await self.respond("first", remaining, reset)
        self.reached.clear()

    async def advance_clock(self, seconds):
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            await self.settle()

    @staticmethod
    async def settle():
        for _ in range(8):
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time


@pytest.mark.asyncio
async def test_one_call_is_sent_at_a_time_until_the_limit_is_known():
    harness = Harness()
    calls = [harness.begin(str(number)) for number in range(50)]
    calls.append(harness.begin("exchange", sender=harness.exchanger))
    await harness.settle()
    assert harness.reached == ["0"]
    await harness.respond("0", 30)
    assert harness.reached[1] == "exchange"
    assert len(harness.reached) == 1 + 1 + 28  # one of the 30 is held back
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await harness.limiter.close()


@pytest.mark.asyncio
async def test_all_calls_are_sent_when_the_first_response_has_no_limit():
    harness = Harness()
    calls = [harness.begin(str(number)) for number in range(500)]
    await harness.settle()
    await harness.respond("0")
    await harness.settle()
    await harness.settle()
    assert len(harness.reached) == 500
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_second_call_is_sent_after_a_second_when_the_first_has_no_response():
    harness = Harness()
    calls = [harness.begin(str(number)) for number in range(5)]
    await harness.settle()
    await harness.advance_clock(0.9)
    assert harness.reached == ["0"]
    await harness.advance_clock(0.2)
    assert harness.reached == ["0", "1"]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_below_the_limit_a_call_makes_no_task_and_does_not_wait():
    harness = Harness()
    await harness.know(200)
    before = asyncio.all_tasks()
    call = harness.sender.send(
        Request(method="GET", route="/", target="a", deadline=1e9)
    )
    call.send(None)  # runs until it is in the service, without a turn of the loop
    assert harness.reached == ["a"]
    assert asyncio.all_tasks() == before
    call.close()


@pytest.mark.asyncio
async def test_limiter_leaves_one_slot_and_waits_for_the_reset():
    harness = Harness()
    await harness.know(4, reset=30)
    calls = [harness.begin(str(number)) for number in range(6)]
    await harness.settle()
    assert harness.reached == ["0", "1", "2"]
    for number in range(3):
        await harness.respond(str(number), 3 - number, reset=30)
    await harness.advance_clock(29.5)
    assert harness.reached == ["0", "1", "2"]
    await harness.advance_clock(1)
    assert harness.reached == ["0", "1", "2", "3"]  # the probe goes alone
    await harness.respond("3", 299)
    assert harness.reached == ["0", "1", "2", "3", "4", "5"]
    for number in (4, 5):
        await harness.respond(str(number), 298 - number)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_only_calls_that_wait_emit_the_length_of_their_wait():
    harness = Harness()
    await harness.know(1, reset=30)
    call = harness.begin("late")
    await harness.advance_clock(31)
    await harness.respond("late", 299)
    await call
    [event] = [each for each in harness.events if isinstance(each, CallDelayed)]
    assert event.seconds == pytest.approx(30, abs=0.5)


@pytest.mark.asyncio
async def test_calls_are_sent_in_order_of_arrival():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(str(number)) for number in range(50)]
    await harness.advance_clock(6)
    await harness.respond("0", 299)
    late = harness.begin("late")
    await harness.settle()
    assert harness.reached == [*map(str, range(50)), "late"]
    for name in [*map(str, range(1, 50)), "late"]:
        await harness.respond(name)
    await asyncio.gather(*calls, late)


@pytest.mark.asyncio
async def test_new_call_does_not_overtake_waiting_calls():
    harness = Harness()
    await harness.know(2, reset=50)
    calls = [harness.begin(name) for name in "abc"]
    await harness.settle()
    await harness.respond("a", 100)
    calls.append(harness.begin("d"))
    await harness.settle()
    assert harness.reached == ["a", "b", "c", "d"]
    for name in "bcd":
        await harness.respond(name)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_call_cancelled_while_waiting_leaks_no_slot():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(str(number)) for number in range(10)]
    await harness.settle()
    for call in calls[:9]:
        call.cancel()
    await harness.advance_clock(6)
    assert harness.reached == ["9"]
    await harness.respond("9", 299)
    await calls[9]
    assert harness.limiter.waiting == harness.limiter.tracker.in_flight == 0


@pytest.mark.asyncio
async def test_call_cancelled_when_admitted_passes_its_slot_on():
    harness = Harness()
    await harness.know(2, reset=50)
    calls = [harness.begin(name) for name in "abc"]
    await harness.settle()
    harness._responses["a"].set_result(({}, 200))
    await asyncio.sleep(0)  # noqa: TID251 — "b" has its place and has not run yet
    calls[1].cancel()
    await harness.settle()
    assert harness.reached == ["a", "c"]
    await harness.respond("c")
    await asyncio.gather(*calls, return_exceptions=True)
    assert harness.limiter.tracker.in_flight == 0


@pytest.mark.asyncio
async def test_call_cancelled_before_it_is_sent_returns_its_slot():
    harness = Harness()
    await harness.know(3, reset=50)
    calls = [harness.begin(name) for name in "ab"]
    await harness.settle()
    calls[0].cancel()
    await harness.respond("b")
    await asyncio.gather(*calls, return_exceptions=True)
    assert harness.limiter.tracker.in_flight == 0


# ── Deadlines ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_wait_past_the_deadline_is_not_begun():
    harness = Harness()
    await harness.know(1, reset=40)
    call = harness.begin("a", seconds=30)
    with pytest.raises(RateLimitedError) as caught:
        await call
    error = caught.value
    assert error.phase is Phase.NOT_SENT
    assert error.retry_after == 40
    assert error.retryable
    assert error.operation == "GET /x"
    assert [attempt.phase for attempt in error.attempts] == [Phase.NOT_SENT]
    assert harness.reached == []


@pytest.mark.asyncio
async def test_wait_ends_at_the_deadline():
    harness = Harness()
    await harness.know(2, reset=40)
    first = harness.begin("a")
    second = harness.begin("b", seconds=10)
    await harness.advance_clock(9.8)
    assert not second.done()
    await harness.advance_clock(0.4)
    with pytest.raises(RateLimitedError):
        await second
    await harness.respond("a")
    await first


# ── 429 ─────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [RateLimitMode.WINDOW, RateLimitMode.AFTER_429])
async def test_no_call_is_sent_before_the_allowed_time_after_a_429(mode):
    harness = Harness(mode)
    first = harness.begin("first")
    await harness.settle()
    await harness.respond("first", 0, reset=20, status=429)
    calls = [harness.begin(str(number)) for number in range(50)]
    await harness.advance_clock(19.5)
    assert harness.reached == ["first"]
    await harness.advance_clock(1)
    assert harness.reached == ["first", "0"]
    await harness.respond("0", 299)
    assert len(harness.reached) == 51
    for number in range(1, 50):
        await harness.respond(str(number))
    await asyncio.gather(first, *calls)


@pytest.mark.asyncio
async def test_another_probe_is_sent_when_a_probe_has_no_response():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(str(number)) for number in range(3)]
    await harness.advance_clock(5.5)
    assert harness.reached == ["0"]
    await harness.advance_clock(1.1)
    assert harness.reached == ["0", "1"]
    await harness.respond("1", 299)
    assert harness.reached == ["0", "1", "2"]
    for name in "02":
        await harness.respond(name)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_calls_are_sent_again_after_the_service_fails_while_they_wait():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(str(number)) for number in range(20)]
    await harness.advance_clock(5.5)
    await harness.fail("0", ConnectError("no"))
    await harness.advance_clock(1.1)
    await harness.fail("1", ConnectionLostError("no"))
    assert len(harness.reached) == 20
    for number in range(2, 20):
        await harness.fail(str(number), ConnectError("no"))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, ConnectError | ConnectionLostError) for each in results)


# ── Tokens ──────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_no_slot_is_held_while_a_token_is_acquired():
    harness = Harness()
    harness.source.has = False
    harness.source.brings.clear()
    call = harness.begin("a")
    await harness.settle()
    assert harness.source.asked == 1
    assert harness.limiter.tracker.in_flight == 0
    harness.source.brings.set()
    await harness.settle()
    await harness.respond("a")
    assert (await call).ok


@pytest.mark.asyncio
async def test_token_that_expires_during_the_wait_is_refreshed_without_a_slot():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(name) for name in "ab"]
    await harness.settle()
    harness.source.has = False
    harness.source.brings.clear()
    await harness.advance_clock(6)
    assert harness.reached == []
    assert harness.limiter.tracker.in_flight == 0
    harness.source.brings.set()
    await harness.advance_clock(1.5)
    assert harness.reached[0] == "a"
    await harness.respond("a", 299)
    await harness.respond("b")
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_exchange_is_sent_before_the_calls_that_need_its_token():
    harness = Harness()
    await harness.know(1, reset=5)
    calls = [harness.begin(name) for name in "ab"]
    await harness.settle()
    calls.append(harness.begin("exchange", sender=harness.exchanger))
    await harness.settle()
    assert harness.reached == ["exchange"]  # it may take the one that is held back
    await harness.respond("exchange", 0, reset=5)
    await harness.advance_clock(6)
    await harness.respond("a", 299)
    await harness.respond("b")
    assert harness.reached == ["exchange", "a", "b"]
    await asyncio.gather(*calls)


# ── The end ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_close_fails_waiting_calls_and_leaves_no_task():
    harness = Harness()
    await harness.know(1, reset=50)
    calls = [harness.begin(str(number)) for number in range(5)]
    await harness.settle()
    await harness.limiter.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in results] == [ClientClosedError] * 5
    with pytest.raises(ClientClosedError):
        await harness.begin("late")
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_timer_task_ends_with_the_last_waiting_call():
    harness = Harness()
    await harness.know(1, reset=50)
    call = harness.begin("a")
    await harness.settle()
    call.cancel()
    await harness.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ── Waits are visible and bounded ───────────────────────────────────────────────


@pytest.mark.asyncio
async def test_longest_wait_of_the_policy_holds():
    harness = Harness(max_wait=2)
    await harness.know(2, reset=40)
    first, second = harness.begin("a"), harness.begin("b")
    await harness.advance_clock(1.9)
    assert not second.done()
    await harness.advance_clock(0.2)
    with pytest.raises(
        RateLimitedError, match=r"waited 2\.\d s .* longest wait"
    ) as caught:
        await second
    assert caught.value.phase is Phase.NOT_SENT
    await harness.respond("a", 0, 40)
    with pytest.raises(RateLimitedError, match=r"waited 0\.0 s .* in 38 s"):
        await harness.begin("c")
    await first


@pytest.mark.asyncio
async def test_waiting_is_logged_and_announced_once_per_window(caplog):
    caplog.set_level("INFO", logger="persona_share")
    harness = Harness()
    for _ in range(2):
        await harness.know(1, reset=30)
        calls = [harness.begin(str(number)) for number in range(40)]
        await harness.advance_clock(3)
        assert harness.limiter.status().waiting == 40
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        harness.clock.advance(60)
    reached = [each for each in harness.events if isinstance(each, RateLimitReached)]
    assert [(each.waiting, round(each.opens_in), each.limit) for each in reached] == [
        (1, 30, 300),
        (1, 30, 300),
    ]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "the window opens in 30 s" in lines[0]


# ── Tokens in every state of their life ─────────────────────────────────────────


class RefreshDue(FakeCredential):
    """Holds a token that is usable and due for a refresh: ``get`` returns it at once."""

    def cached(self):
        return None if self.has else self

    async def get(self, deadline):
        self.asked += 1
        return self


@pytest.mark.asyncio
async def test_token_that_is_due_for_a_refresh_does_not_stop_the_event_loop():
    harness = Harness()
    harness.source = RefreshDue()
    harness.sender = Authenticated(harness, harness.source, harness.limiter)
    await harness.know(1, reset=5)
    calls = [harness.begin(str(number)) for number in range(20)]
    await harness.advance_clock(6)
    assert harness.reached == ["0"]
    await harness.respond("0", 299)
    assert len(harness.reached) == 20
    assert harness.source.asked <= 2 + 2 * len(calls)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_no_slot_is_held_while_a_refused_token_is_replaced():
    harness = Harness()
    replaced = asyncio.Event()

    async def on_unauthorized(authorization, refusals, deadline, route):
        await replaced.wait()
        return harness.source

    harness.source.on_unauthorized = on_unauthorized
    await harness.know(50)
    call = harness.begin("a")
    await harness.settle()
    assert harness.limiter.tracker.in_flight == 1
    await harness.respond("a", 49, status=401)
    assert harness.limiter.tracker.in_flight == 0
    replaced.set()
    await harness.settle()
    assert harness.limiter.tracker.in_flight == 1
    await harness.respond("a", 48)
    assert (await call).ok


# ── Calls that come at the worst moment ─────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("iterations", range(8))
async def test_call_does_not_hang_when_it_arrives_while_another_wakes_up(iterations):
    harness = Harness()
    await harness.know(0, reset=10)
    first = harness.begin("a", seconds=50)
    await harness.settle()
    harness.clock.advance(11)
    for _ in range(iterations):
        await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
    second = harness.begin("b", seconds=50)
    await harness.settle()
    await harness.respond("a", 0, reset=20, status=429)
    await harness.advance_clock(60)
    if "b" in harness.reached:
        await harness.respond("b")
    assert second.done()
    third = harness.begin("c", seconds=50)
    await harness.advance_clock(60)
    if "c" in harness.reached:
        await harness.respond("c")
    assert third.done()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert harness.limiter.waiting == 0
