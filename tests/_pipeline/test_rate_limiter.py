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


class Source:
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


class Stage:
    """A limiter on a fake clock, and a service that responds on demand."""

    def __init__(self, mode=RateLimitMode.WINDOW, **policy):
        self.clock = FakeClock()
        policy = RateLimitPolicy(mode=mode, **policy)
        self.events = []
        self.limiter = RateLimiter(self.clock, policy, emit=self.events.append)
        self.source = Source()
        self.sender = Authenticated(self, self.source, self.limiter)
        self.exchanger = Authenticated(self, self.source, self.limiter, priority=True)
        self.reached = []
        self._answers = {}

    async def send(self, request):
        self.reached.append(request.target)
        answer = self._answers[request.target] = asyncio.Future()
        started = self.clock.now()
        headers, status = await answer
        return Response(status=status, headers=headers, first_sent_at=started)

    def begin(self, name, *, seconds=100.0, sender=None):
        request = Request(
            method="GET",
            route="/x",
            target=name,
            deadline=self.clock.now() + seconds,
        )
        return asyncio.create_task((sender or self.sender).send(request))

    async def answer(self, name, remaining=None, reset=60, *, status=200):
        headers = {}
        if remaining is not None:
            headers = {
                "ratelimit-limit": "300",
                "ratelimit-remaining": str(remaining),
                "ratelimit-reset": str(reset),
            }
        self._answers[name].set_result((headers, status))
        await self.settle()

    async def fail(self, name, error):
        self._answers[name].set_exception(error)
        await self.settle()

    async def know(self, remaining, reset=60):
        """Let one call learn this limit."""
        self.begin("first")
        await self.settle()
        await self.answer("first", remaining, reset)
        self.reached.clear()

    async def pass_time(self, seconds):
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            await self.settle()

    @staticmethod
    async def settle():
        for _ in range(8):
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time


@pytest.mark.asyncio
async def test_one_call_goes_first_until_a_limit_is_known():
    stage = Stage()
    calls = [stage.begin(str(number)) for number in range(50)]
    calls.append(stage.begin("exchange", sender=stage.exchanger))
    await stage.settle()
    assert stage.reached == ["0"]
    await stage.answer("0", 30)
    assert stage.reached[1] == "exchange"
    assert len(stage.reached) == 1 + 1 + 28  # one of the 30 is held back
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await stage.limiter.close()


@pytest.mark.asyncio
async def test_all_calls_go_when_the_first_answer_names_no_limit():
    stage = Stage()
    calls = [stage.begin(str(number)) for number in range(500)]
    await stage.settle()
    await stage.answer("0")
    await stage.settle()
    await stage.settle()
    assert len(stage.reached) == 500
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_first_call_without_an_answer_is_followed_by_another_a_second_later():
    stage = Stage()
    calls = [stage.begin(str(number)) for number in range(5)]
    await stage.settle()
    await stage.pass_time(0.9)
    assert stage.reached == ["0"]
    await stage.pass_time(0.2)
    assert stage.reached == ["0", "1"]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_below_the_limit_a_call_makes_no_task_and_does_not_wait():
    stage = Stage()
    await stage.know(200)
    before = asyncio.all_tasks()
    call = stage.sender.send(Request(method="GET", route="/", target="a", deadline=1e9))
    call.send(None)  # runs until it is in the service, without a turn of the loop
    assert stage.reached == ["a"]
    assert asyncio.all_tasks() == before
    call.close()


@pytest.mark.asyncio
async def test_limiter_leaves_one_slot_and_waits_for_the_reset():
    stage = Stage()
    await stage.know(4, reset=30)
    calls = [stage.begin(str(number)) for number in range(6)]
    await stage.settle()
    assert stage.reached == ["0", "1", "2"]
    for number in range(3):
        await stage.answer(str(number), 3 - number, reset=30)
    await stage.pass_time(29.5)
    assert stage.reached == ["0", "1", "2"]
    await stage.pass_time(1)
    assert stage.reached == ["0", "1", "2", "3"]  # the probe goes alone
    await stage.answer("3", 299)
    assert stage.reached == ["0", "1", "2", "3", "4", "5"]
    for number in (4, 5):
        await stage.answer(str(number), 298 - number)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_only_calls_that_wait_emit_the_length_of_their_wait():
    stage = Stage()
    await stage.know(1, reset=30)
    call = stage.begin("late")
    await stage.pass_time(31)
    await stage.answer("late", 299)
    await call
    [told] = [each for each in stage.events if isinstance(each, CallDelayed)]
    assert told.seconds == pytest.approx(30, abs=0.5)


@pytest.mark.asyncio
async def test_callers_go_in_the_order_in_which_they_came():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(str(number)) for number in range(50)]
    await stage.pass_time(6)
    await stage.answer("0", 299)
    late = stage.begin("late")
    await stage.settle()
    assert stage.reached == [*map(str, range(50)), "late"]
    for name in [*map(str, range(1, 50)), "late"]:
        await stage.answer(name)
    await asyncio.gather(*calls, late)


@pytest.mark.asyncio
async def test_new_call_does_not_overtake_waiting_calls():
    stage = Stage()
    await stage.know(2, reset=50)
    calls = [stage.begin(name) for name in "abc"]
    await stage.settle()
    await stage.answer("a", 100)
    calls.append(stage.begin("d"))
    await stage.settle()
    assert stage.reached == ["a", "b", "c", "d"]
    for name in "bcd":
        await stage.answer(name)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_call_cancelled_while_waiting_leaks_no_slot():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(str(number)) for number in range(10)]
    await stage.settle()
    for call in calls[:9]:
        call.cancel()
    await stage.pass_time(6)
    assert stage.reached == ["9"]
    await stage.answer("9", 299)
    await calls[9]
    assert stage.limiter.waiting == stage.limiter.tracker.in_flight == 0


@pytest.mark.asyncio
async def test_call_cancelled_when_admitted_passes_its_slot_on():
    stage = Stage()
    await stage.know(2, reset=50)
    calls = [stage.begin(name) for name in "abc"]
    await stage.settle()
    stage._answers["a"].set_result(({}, 200))
    await asyncio.sleep(0)  # noqa: TID251 — "b" has its place and has not run yet
    calls[1].cancel()
    await stage.settle()
    assert stage.reached == ["a", "c"]
    await stage.answer("c")
    await asyncio.gather(*calls, return_exceptions=True)
    assert stage.limiter.tracker.in_flight == 0


@pytest.mark.asyncio
async def test_call_cancelled_before_it_is_sent_returns_its_slot():
    stage = Stage()
    await stage.know(3, reset=50)
    calls = [stage.begin(name) for name in "ab"]
    await stage.settle()
    calls[0].cancel()
    await stage.answer("b")
    await asyncio.gather(*calls, return_exceptions=True)
    assert stage.limiter.tracker.in_flight == 0


# ── Deadlines ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_wait_past_the_deadline_is_not_begun():
    stage = Stage()
    await stage.know(1, reset=40)
    call = stage.begin("a", seconds=30)
    with pytest.raises(RateLimitedError) as caught:
        await call
    error = caught.value
    assert error.phase is Phase.NOT_SENT
    assert error.retry_after == 40
    assert error.retryable
    assert error.operation == "GET /x"
    assert [attempt.phase for attempt in error.attempts] == [Phase.NOT_SENT]
    assert stage.reached == []


@pytest.mark.asyncio
async def test_i3_a_wait_ends_at_the_deadline():
    stage = Stage()
    await stage.know(2, reset=40)
    first = stage.begin("a")
    second = stage.begin("b", seconds=10)
    await stage.pass_time(9.8)
    assert not second.done()
    await stage.pass_time(0.4)
    with pytest.raises(RateLimitedError):
        await second
    await stage.answer("a")
    await first


# ── 429 ─────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [RateLimitMode.WINDOW, RateLimitMode.AFTER_429])
async def test_g19_no_call_is_sent_before_the_allowed_time_after_a_429(mode):
    stage = Stage(mode)
    first = stage.begin("first")
    await stage.settle()
    await stage.answer("first", 0, reset=20, status=429)
    calls = [stage.begin(str(number)) for number in range(50)]
    await stage.pass_time(19.5)
    assert stage.reached == ["first"]
    await stage.pass_time(1)
    assert stage.reached == ["first", "0"]
    await stage.answer("0", 299)
    assert len(stage.reached) == 51
    for number in range(1, 50):
        await stage.answer(str(number))
    await asyncio.gather(first, *calls)


@pytest.mark.asyncio
async def test_a_probe_without_an_answer_is_followed_by_another():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(str(number)) for number in range(3)]
    await stage.pass_time(5.5)
    assert stage.reached == ["0"]
    await stage.pass_time(1.1)
    assert stage.reached == ["0", "1"]
    await stage.answer("1", 299)
    assert stage.reached == ["0", "1", "2"]
    for name in "02":
        await stage.answer(name)
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_a_service_that_died_meanwhile_does_not_keep_the_gate_shut():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(str(number)) for number in range(20)]
    await stage.pass_time(5.5)
    await stage.fail("0", ConnectError("no"))
    await stage.pass_time(1.1)
    await stage.fail("1", ConnectionLostError("no"))
    assert len(stage.reached) == 20
    for number in range(2, 20):
        await stage.fail(str(number), ConnectError("no"))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, ConnectError | ConnectionLostError) for each in results)


# ── Tokens ──────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_no_place_is_held_while_a_token_is_fetched():
    stage = Stage()
    stage.source.has = False
    stage.source.brings.clear()
    call = stage.begin("a")
    await stage.settle()
    assert stage.source.asked == 1
    assert stage.limiter.tracker.in_flight == 0
    stage.source.brings.set()
    await stage.settle()
    await stage.answer("a")
    assert (await call).ok


@pytest.mark.asyncio
async def test_a_token_that_ended_during_the_wait_is_renewed_without_a_place():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(name) for name in "ab"]
    await stage.settle()
    stage.source.has = False
    stage.source.brings.clear()
    await stage.pass_time(6)
    assert stage.reached == []
    assert stage.limiter.tracker.in_flight == 0
    stage.source.brings.set()
    await stage.pass_time(1.5)
    assert stage.reached[0] == "a"
    await stage.answer("a", 299)
    await stage.answer("b")
    await asyncio.gather(*calls)


@pytest.mark.asyncio
async def test_an_exchange_goes_ahead_of_the_calls_that_need_its_token():
    stage = Stage()
    await stage.know(1, reset=5)
    calls = [stage.begin(name) for name in "ab"]
    await stage.settle()
    calls.append(stage.begin("exchange", sender=stage.exchanger))
    await stage.settle()
    assert stage.reached == ["exchange"]  # it may take the one that is held back
    await stage.answer("exchange", 0, reset=5)
    await stage.pass_time(6)
    await stage.answer("a", 299)
    await stage.answer("b")
    assert stage.reached == ["exchange", "a", "b"]
    await asyncio.gather(*calls)


# ── The end ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_close_fails_waiting_calls_and_leaves_no_task():
    stage = Stage()
    await stage.know(1, reset=50)
    calls = [stage.begin(str(number)) for number in range(5)]
    await stage.settle()
    await stage.limiter.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in results] == [ClientClosedError] * 5
    with pytest.raises(ClientClosedError):
        await stage.begin("late")
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_timer_task_ends_with_the_last_waiting_call():
    stage = Stage()
    await stage.know(1, reset=50)
    call = stage.begin("a")
    await stage.settle()
    call.cancel()
    await stage.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ── Waits are visible and bounded ───────────────────────────────────────────────


@pytest.mark.asyncio
async def test_the_longest_wait_of_the_policy_holds():
    stage = Stage(max_wait=2)
    await stage.know(2, reset=40)
    first, second = stage.begin("a"), stage.begin("b")
    await stage.pass_time(1.9)
    assert not second.done()
    await stage.pass_time(0.2)
    with pytest.raises(
        RateLimitedError, match=r"waited 2\.\d s .* longest wait"
    ) as caught:
        await second
    assert caught.value.phase is Phase.NOT_SENT
    await stage.answer("a", 0, 40)
    with pytest.raises(RateLimitedError, match=r"waited 0\.0 s .* in 38 s"):
        await stage.begin("c")
    await first


@pytest.mark.asyncio
async def test_waiting_is_logged_and_announced_once_per_window(caplog):
    caplog.set_level("INFO", logger="persona_share")
    stage = Stage()
    for _ in range(2):
        await stage.know(1, reset=30)
        calls = [stage.begin(str(number)) for number in range(40)]
        await stage.pass_time(3)
        assert stage.limiter.status().waiting == 40
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        stage.clock.advance(60)
    reached = [each for each in stage.events if isinstance(each, RateLimitReached)]
    assert [(each.waiting, round(each.opens_in), each.limit) for each in reached] == [
        (1, 30, 300),
        (1, 30, 300),
    ]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "the window opens in 30 s" in lines[0]


# ── Tokens in every state of their life ─────────────────────────────────────────


class RefreshDue(Source):
    """Holds a token that is usable and due for a refresh: ``get`` returns it at once."""

    def cached(self):
        return None if self.has else self

    async def get(self, deadline):
        self.asked += 1
        return self


@pytest.mark.asyncio
async def test_a_token_that_is_due_for_a_refresh_does_not_stop_the_event_loop():
    stage = Stage()
    stage.source = RefreshDue()
    stage.sender = Authenticated(stage, stage.source, stage.limiter)
    await stage.know(1, reset=5)
    calls = [stage.begin(str(number)) for number in range(20)]
    await stage.pass_time(6)
    assert stage.reached == ["0"]
    await stage.answer("0", 299)
    assert len(stage.reached) == 20
    assert stage.source.asked <= 2 + 2 * len(calls)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.asyncio
async def test_no_slot_is_held_while_a_refused_token_is_replaced():
    stage = Stage()
    replaced = asyncio.Event()

    async def on_unauthorized(authorization, refusals, deadline, route):
        await replaced.wait()
        return stage.source

    stage.source.on_unauthorized = on_unauthorized
    await stage.know(50)
    call = stage.begin("a")
    await stage.settle()
    assert stage.limiter.tracker.in_flight == 1
    await stage.answer("a", 49, status=401)
    assert stage.limiter.tracker.in_flight == 0
    replaced.set()
    await stage.settle()
    assert stage.limiter.tracker.in_flight == 1
    await stage.answer("a", 48)
    assert (await call).ok


# ── Calls that come at the worst moment ─────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(8))
async def test_a_call_that_comes_while_another_wakes_up_does_not_hang(turns):
    stage = Stage()
    await stage.know(0, reset=10)
    first = stage.begin("a", seconds=50)
    await stage.settle()
    stage.clock.advance(11)
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251 - a turn, not a time
    second = stage.begin("b", seconds=50)
    await stage.settle()
    await stage.answer("a", 0, reset=20, status=429)
    await stage.pass_time(60)
    if "b" in stage.reached:
        await stage.answer("b")
    assert second.done()
    third = stage.begin("c", seconds=50)
    await stage.pass_time(60)
    if "c" in stage.reached:
        await stage.answer("c")
    assert third.done()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert stage.limiter.waiting == 0
