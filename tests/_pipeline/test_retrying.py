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


class Harness:
    """A Retrying with a scripted sender, clock and random numbers."""

    def __init__(self, *responses, policy=None, seconds=1000.0, **fields):
        self.clock = FakeClock()
        self.inner = ScriptedSender(responses)
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
async def test_success_passes_through_untouched():
    harness = Harness(OK)
    assert await harness.run() is OK
    assert harness.inner.requests == [harness.request]
    assert harness.events == []


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 409, 422, 501])
async def test_any_other_response_is_final(status):
    harness = Harness(refused(status))
    assert (await harness.run()).status == status


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("first", "phase"),
    [
        (lost, Phase.AMBIGUOUS),
        (lambda: refused(503), Phase.AMBIGUOUS),
        (lambda: refused(429, retry_after="1"), Phase.NOT_SENT),
        (unsent, Phase.NOT_SENT),
    ],
    ids=["lost", "failed", "limited", "unsent"],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_error_of_a_later_attempt_says_if_an_earlier_one_may_have_acted(
    first, phase, method
):
    harness = Harness(first(), unsent(), unsent(), method=method)
    with pytest.raises(ConnectError) as caught:
        await harness.run()
    assert caught.value.phase is phase


@pytest.mark.asyncio
async def test_f1_call_survives_two_refused_connections():
    harness = Harness(unsent(), unsent(), OK, method="PATCH")
    response = await harness.run()
    assert response.ok
    phases = [attempt.phase for attempt in response.attempts]
    assert phases == [Phase.NOT_SENT, Phase.NOT_SENT, Phase.ANSWERED]
    assert harness.waited <= 0.75 + 0.1


@pytest.mark.asyncio
async def test_f1_last_error_is_raised_and_holds_all_attempts():
    harness = Harness(unsent(), unsent(), last := unsent())
    with pytest.raises(ConnectError) as caught:
        await harness.run()
    assert caught.value is last
    assert len(caught.value.attempts) == 3
    assert caught.value.attempts[0].delay >= 0
    assert caught.value.__context__ is None


@pytest.mark.asyncio
async def test_f7_bad_certificate_is_not_tried_again():
    error = TLSVerificationError("no")
    harness = Harness(error)
    with pytest.raises(TLSVerificationError):
        await harness.run()


@pytest.mark.asyncio
async def test_f10_f11_lost_post_is_asked_again_under_its_key_with_its_bytes():
    harness = Harness(lost(), OK, method="POST", body=b"code=1")
    await harness.run()
    assert harness.keys == ["first-key", "first-key"]
    assert harness.inner.requests[0] is harness.inner.requests[1]


@pytest.mark.asyncio
async def test_post_that_stays_lost_names_its_key_and_how_to_find_out():
    harness = Harness(lost(), lost(), lost(), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await harness.run()
    error = caught.value
    assert error.idempotency_key == "first-key"
    assert error.reconcile == RECONCILE
    assert RECONCILE in str(error)
    assert error.phase is Phase.AMBIGUOUS
    assert len(error.attempts) == 3
    assert not error.retryable


@pytest.mark.asyncio
async def test_key_of_an_oauth_call_is_not_named():
    harness = Harness(lost(), method="POST", expects=Expects.OAUTH, policy=ONCE)
    with pytest.raises(OutcomeUnknownError) as caught:
        await harness.run()
    assert caught.value.idempotency_key is None
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    assert "first-key" not in "".join(shown.format())


ONCE = RetryPolicy(attempts=1)


@pytest.mark.asyncio
async def test_f10_lost_patch_is_not_repeated():
    harness = Harness(lost(), method="PATCH")
    with pytest.raises(OutcomeUnknownError):
        await harness.run()


@pytest.mark.asyncio
async def test_f39d_post_is_probed_once_and_then_admitted_to_be_unknown():
    harness = Harness(refused(500), refused(500), method="POST")
    with pytest.raises(OutcomeUnknownError) as caught:
        await harness.run()
    assert harness.keys == ["first-key", "first-key"]
    assert [attempt.status for attempt in caught.value.attempts] == [500, 500]


@pytest.mark.asyncio
async def test_f39d_repeatable_post_is_retried_with_a_new_key():
    harness = Harness(refused(500), refused(500), OK, method="POST", repeatable=True)
    assert (await harness.run()).ok
    assert harness.keys == ["first-key", "first-key", "key-0-000001"]


@pytest.mark.asyncio
async def test_f39d_last_response_is_returned_when_a_repeatable_post_keeps_failing():
    responses = [refused(500), refused(502), refused(503)]
    harness = Harness(*responses, method="POST", repeatable=True)
    response = await harness.run()
    assert response.status == 503
    assert [attempt.status for attempt in response.attempts] == [500, 502, 503]


@pytest.mark.asyncio
async def test_f39a_429_is_waited_for():
    harness = Harness(refused(429, ratelimit_reset="30"), OK)
    assert (await harness.run()).ok
    assert 30 <= harness.waited <= 33.1


@pytest.mark.asyncio
async def test_429_is_returned_when_its_wait_is_too_long():
    harness = Harness(refused(429, retry_after="3000"))
    assert (await harness.run()).status == 429
    assert harness.waited == 0


@pytest.mark.asyncio
async def test_wait_past_the_deadline_is_not_begun():
    harness = Harness(refused(429, ratelimit_reset="30"), seconds=20)
    assert (await harness.run()).status == 429
    assert harness.waited == 0


@pytest.mark.asyncio
async def test_deadline_ends_the_attempts():
    late = DeadlineExceededError("late", phase=Phase.AMBIGUOUS)
    late.retryable = False
    with pytest.raises(TimeoutError):
        await Harness(late).run()


@pytest.mark.asyncio
async def test_delete_succeeds_when_an_earlier_attempt_deleted_the_object():
    harness = Harness(lost(), refused(404), method="DELETE")
    response = await harness.run()
    assert response.status == 204
    assert [attempt.status for attempt in response.attempts] == [None, 404]


@pytest.mark.asyncio
async def test_delete_fails_when_the_object_never_existed():
    harness = Harness(refused(404), method="DELETE")
    assert (await harness.run()).status == 404
    harness = Harness(unsent(), refused(404), method="DELETE")
    assert (await harness.run()).status == 404


# ── The age of a response ────────────────────────────────────────────────────────


def stamped(harness):
    return lambda _request: Response(status=200, first_sent_at=harness.clock.now())


@pytest.mark.asyncio
async def test_f59_response_is_as_old_as_the_first_attempt_it_may_belong_to():
    harness = Harness(method="POST")
    harness.inner._steps = iter([lost(), stamped(harness)])
    assert (await harness.run()).first_sent_at == FakeClock().now()


@pytest.mark.asyncio
async def test_response_is_not_older_than_its_key():
    harness = Harness(method="POST", repeatable=True)
    harness.inner._steps = iter([refused(500), refused(500), stamped(harness)])
    assert (await harness.run()).first_sent_at == harness.clock.now()


@pytest.mark.asyncio
async def test_unsent_attempts_do_not_age_a_response():
    harness = Harness(method="POST")
    responses = [unsent(), refused(429, ratelimit_reset="9"), stamped(harness)]
    harness.inner._steps = iter(responses)
    assert (await harness.run()).first_sent_at == harness.clock.now()


# ── The budget ──────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_retries_use_the_budget_and_successes_restore_it():
    harness = Harness(unsent(), refused(429), OK)
    await harness.run()
    assert harness.budget.level == 500 - 14 - 5 + 5


@pytest.mark.asyncio
async def test_error_reports_that_the_budget_is_spent():
    harness = Harness(unsent(), policy=RetryPolicy(budget=13))
    with pytest.raises(ConnectError) as caught:
        await harness.run()
    assert caught.value.attempts[-1].reason == "connect, retry_quota_reached"


@pytest.mark.asyncio
async def test_dead_service_gets_hardly_more_than_one_attempt_a_call():
    harness = Harness(*(unsent() for _ in range(1036)))
    for _ in range(1000):
        with pytest.raises(ConnectError):
            await harness.run()
    assert len(harness.inner.requests) <= 1050


# ── Errors that are not about the network ───────────────────────────────────────


@pytest.mark.asyncio
async def test_missing_token_is_not_tried_again():
    harness = Harness(TokenError("none"))
    with pytest.raises(TokenError):
        await harness.run()


@pytest.mark.asyncio
async def test_missing_token_does_not_hide_that_an_earlier_attempt_may_have_acted():
    harness = Harness(lost(), TokenError("none"), method="POST")
    with pytest.raises(OutcomeUnknownError):
        await harness.run()


@pytest.mark.asyncio
async def test_oversized_body_is_not_retried():
    large = ResponseTooLargeError("large", attempts=[Attempt(Phase.ANSWERED, "large")])
    harness = Harness(lost(), large, method="POST")
    with pytest.raises(ResponseTooLargeError) as caught:
        await harness.run()
    assert len(caught.value.attempts) == 2


@pytest.mark.asyncio
async def test_cancellation_is_never_retried():
    harness = Harness(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await harness.run()
    assert len(harness.inner.requests) == 1


@pytest.mark.asyncio
async def test_wait_can_be_cancelled():
    harness = Harness(refused(429))
    task = asyncio.create_task(harness.sender.send(harness.request))
    await asyncio.sleep(0)  # noqa: TID251 — a turn, not a time
    assert harness.clock.sleepers == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert harness.clock.sleepers == 0


# ── R21 ─────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_each_retry_is_emitted_with_reason_and_delay():
    harness = Harness(refused(503, request_id="req_1"), lost(), OK)
    await harness.run()
    first, second = harness.events
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
