"""Retrying, on a fake clock."""

import asyncio
import traceback

import attrs
import pytest

from persona_share._pipeline.retrying import Retrying
from persona_share._policy.retry import Budget
from persona_share._protocol.http import Expects, Request, Response
from persona_share.errors import (
    Attempt,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    OutcomeUnknownError,
    Phase,
    ResponseTooLargeError,
    TLSVerificationError,
    TokenError,
)
from persona_share.model.policy import RetryPolicy
from persona_share.model.secret import Secret
from persona_share.testing import FakeClock, ScriptedSender, fake_runtime


OK = Response(status=200, body=b"{}")
RECONCILE = "share_tokens.retrieve()"


def unsent():
    attempt = Attempt(Phase.NOT_SENT, "connect")
    return ConnectError("no", operation="x", attempts=[attempt])


def lost():
    attempt = Attempt(Phase.AMBIGUOUS, "reset")
    return ConnectionLostError("lost", operation="x", attempts=[attempt])


def refused(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=named)


class Stage:
    """A Retrying with a scripted sender, clock and random numbers."""

    def __init__(self, *answers, policy=None, seconds=1000.0, **fields):
        self.clock = FakeClock()
        self.inner = ScriptedSender(answers)
        self.events = []
        self.budget = Budget(policy or RetryPolicy())
        self.sender = Retrying(
            self.inner,
            fake_runtime(self.clock),
            policy,
            budget=self.budget,
            emit=self.events.append,
        )
        fields = {"method": "GET", "route": "/x", "target": "/x"} | fields
        if fields["method"] == "POST":
            fields |= {"idempotency_key": Secret("first-key"), "reconcile": RECONCILE}
        self.request = Request(deadline=self.clock.now() + seconds, **fields)

    async def run(self):
        """Send, and advance the clock whenever a task sleeps."""
        task = asyncio.create_task(self.sender.send(self.request))
        while not task.done():
            await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
            if self.clock.sleepers:
                self.clock.advance(0.05)
        return await task

    @property
    def keys(self):
        return [request.idempotency_key.reveal() for request in self.inner.requests]

    @property
    def waited(self):
        return self.clock.now() - FakeClock().now()


@pytest.mark.asyncio
async def test_a_success_passes_through_untouched():
    stage = Stage(OK)
    assert await stage.run() is OK
    assert stage.inner.requests == [stage.request]
    assert stage.events == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 409, 422, 501])
async def test_r4_any_other_answer_is_final(status):
    stage = Stage(refused(status))
    assert (await stage.run()).status == status


@pytest.mark.asyncio
async def test_f1_a_call_survives_two_refused_connections():
    stage = Stage(unsent(), unsent(), OK, method="PATCH")
    response = await stage.run()
    assert response.ok
    phases = [attempt.phase for attempt in response.attempts]
    assert phases == [Phase.NOT_SENT, Phase.NOT_SENT, Phase.ANSWERED]
    assert stage.waited <= 0.75 + 0.1


@pytest.mark.asyncio
async def test_f1_the_last_error_is_raised_and_holds_all_attempts():
    stage = Stage(unsent(), unsent(), last := unsent())
    with pytest.raises(ConnectError) as caught:
        await stage.run()
    assert caught.value is last
    assert len(caught.value.attempts) == 3
    assert caught.value.attempts[0].delay >= 0
    assert caught.value.__context__ is None


@pytest.mark.asyncio
async def test_f7_a_bad_certificate_is_not_tried_again():
    error = TLSVerificationError("no")
    stage = Stage(error)
    with pytest.raises(TLSVerificationError):
        await stage.run()


@pytest.mark.asyncio
async def test_f10_f11_a_lost_post_is_asked_again_under_its_key_with_its_bytes():
    stage = Stage(lost(), OK, method="POST", body=b"code=1")
    await stage.run()
    assert stage.keys == ["first-key", "first-key"]
    assert stage.inner.requests[0] is stage.inner.requests[1]


@pytest.mark.asyncio
async def test_g25_a_post_that_stays_lost_names_its_key_and_how_to_find_out():
    stage = Stage(lost(), lost(), lost(), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await stage.run()
    error = caught.value
    assert error.idempotency_key == "first-key"
    assert error.reconcile == RECONCILE
    assert RECONCILE in str(error)
    assert error.phase is Phase.AMBIGUOUS
    assert len(error.attempts) == 3
    assert not error.retryable


@pytest.mark.asyncio
async def test_r16_the_key_of_an_oauth_call_is_not_named():
    stage = Stage(lost(), method="POST", expects=Expects.OAUTH, policy=ONCE)
    with pytest.raises(OutcomeUnknownError) as caught:
        await stage.run()
    assert caught.value.idempotency_key is None
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    assert "first-key" not in "".join(shown.format())


ONCE = RetryPolicy(attempts=1)


@pytest.mark.asyncio
async def test_f10_a_lost_patch_is_not_repeated():
    stage = Stage(lost(), method="PATCH")
    with pytest.raises(OutcomeUnknownError):
        await stage.run()


@pytest.mark.asyncio
async def test_f39d_a_post_is_probed_once_and_then_admitted_to_be_unknown():
    stage = Stage(refused(500), refused(500), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await stage.run()
    assert stage.keys == ["first-key", "first-key"]
    assert [attempt.status for attempt in caught.value.attempts] == [500, 500]


@pytest.mark.asyncio
async def test_f39d_a_harmless_post_goes_on_under_a_new_key():
    stage = Stage(refused(500), refused(500), OK, method="POST", repeatable=True)
    assert (await stage.run()).ok
    assert stage.keys == ["first-key", "first-key", "key-0-000001"]


@pytest.mark.asyncio
async def test_f39d_a_harmless_post_that_keeps_failing_is_its_last_answer():
    answers = [refused(500), refused(502), refused(503)]
    stage = Stage(*answers, method="POST", repeatable=True)
    response = await stage.run()
    assert response.status == 503
    assert [attempt.status for attempt in response.attempts] == [500, 502, 503]


@pytest.mark.asyncio
async def test_f39a_a_429_is_waited_for():
    stage = Stage(refused(429, ratelimit_reset="30"), OK)
    assert (await stage.run()).ok
    assert 30 <= stage.waited <= 33.1


@pytest.mark.asyncio
async def test_r7_a_429_with_too_long_a_wait_is_the_answer():
    stage = Stage(refused(429, retry_after="3000"))
    assert (await stage.run()).status == 429
    assert stage.waited == 0


@pytest.mark.asyncio
async def test_r3_a_wait_past_the_deadline_is_not_begun():
    stage = Stage(refused(429, ratelimit_reset="30"), seconds=20)
    assert (await stage.run()).status == 429
    assert stage.waited == 0


@pytest.mark.asyncio
async def test_r3_the_deadline_ends_the_attempts():
    late = DeadlineExceededError("late", phase=Phase.AMBIGUOUS)
    late.retryable = False
    with pytest.raises(TimeoutError):
        await Stage(late).run()


@pytest.mark.asyncio
async def test_r4_deleting_what_an_earlier_attempt_deleted_is_a_success():
    stage = Stage(lost(), refused(404), method="DELETE")
    response = await stage.run()
    assert response.status == 204
    assert [attempt.status for attempt in response.attempts] == [None, 404]


@pytest.mark.asyncio
async def test_r4_deleting_what_never_was_is_not():
    stage = Stage(refused(404), method="DELETE")
    assert (await stage.run()).status == 404
    stage = Stage(unsent(), refused(404), method="DELETE")
    assert (await stage.run()).status == 404


# ── The age of an answer ────────────────────────────────────────────────────────


def stamped(stage):
    return lambda _request: Response(status=200, first_sent_at=stage.clock.now())


@pytest.mark.asyncio
async def test_f59_an_answer_is_as_old_as_the_first_attempt_that_it_may_answer():
    stage = Stage(method="POST")
    stage.inner._answers = iter([lost(), stamped(stage)])
    assert (await stage.run()).first_sent_at == FakeClock().now()


@pytest.mark.asyncio
async def test_an_answer_is_not_older_than_its_key():
    stage = Stage(method="POST", repeatable=True)
    stage.inner._answers = iter([refused(500), refused(500), stamped(stage)])
    assert (await stage.run()).first_sent_at == stage.clock.now()


@pytest.mark.asyncio
async def test_an_answer_is_not_older_for_attempts_that_never_arrived():
    stage = Stage(method="POST")
    answers = [unsent(), refused(429, ratelimit_reset="9"), stamped(stage)]
    stage.inner._answers = iter(answers)
    assert (await stage.run()).first_sent_at == stage.clock.now()


# ── The budget ──────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_r11_retries_use_the_budget_and_successes_restore_it():
    stage = Stage(unsent(), refused(429), OK)
    await stage.run()
    assert stage.budget.level == 500 - 14 - 5 + 5


@pytest.mark.asyncio
async def test_r11_without_a_budget_nothing_is_repeated_and_the_error_says_so():
    stage = Stage(unsent(), policy=RetryPolicy(budget=13))
    with pytest.raises(ConnectError) as caught:
        await stage.run()
    assert caught.value.attempts[-1].reason == "connect, retry_quota_reached"


@pytest.mark.asyncio
async def test_g18_a_dead_service_gets_hardly_more_than_one_attempt_a_call():
    stage = Stage(*(unsent() for _ in range(1036)))
    for _ in range(1000):
        with pytest.raises(ConnectError):
            await stage.run()
    assert len(stage.inner.requests) <= 1050


# ── Errors that are not about the network ───────────────────────────────────────


@pytest.mark.asyncio
async def test_a_missing_token_is_not_tried_again():
    stage = Stage(TokenError("none"))
    with pytest.raises(TokenError):
        await stage.run()


@pytest.mark.asyncio
async def test_a_missing_token_does_not_hide_that_an_earlier_attempt_may_have_acted():
    stage = Stage(lost(), TokenError("none"), method="POST")
    with pytest.raises(OutcomeUnknownError):
        await stage.run()


@pytest.mark.asyncio
async def test_oversized_body_is_not_retried():
    large = ResponseTooLargeError("large", attempts=[Attempt(Phase.ANSWERED, "large")])
    stage = Stage(lost(), large, method="POST")
    with pytest.raises(ResponseTooLargeError) as caught:
        await stage.run()
    assert len(caught.value.attempts) == 2


@pytest.mark.asyncio
async def test_r3_a_cancellation_is_never_retried():
    stage = Stage(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await stage.run()
    assert len(stage.inner.requests) == 1


@pytest.mark.asyncio
async def test_r3_a_wait_can_be_cancelled():
    stage = Stage(refused(429))
    task = asyncio.create_task(stage.sender.send(stage.request))
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    assert stage.clock.sleepers == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.clock.sleepers == 0


# ── R21 ─────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_r21_each_retry_is_emitted_with_reason_and_delay():
    stage = Stage(refused(503, request_id="req_1"), lost(), OK)
    await stage.run()
    first, second = stage.events
    assert attrs.asdict(first) | {"at": 0, "delay": 0} == {
        "at": 0,
        "operation": "GET /x",
        "attempt": 1,
        "phase": Phase.ANSWERED,
        "reason": "503",
        "delay": 0,
        "status": 503,
        "request_id": "req_1",
        "budget": 486,
    }
    assert (second.attempt, second.phase, second.reason) == (
        2,
        Phase.AMBIGUOUS,
        "reset",
    )
    assert second.budget == 472
