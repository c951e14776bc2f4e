"""LimitTracker: what responses say is left, and how many calls may be in flight."""

import math

import pytest

from persona_share._policy.rate_limit import LimitTracker
from persona_share._protocol.http import Response
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import RateLimitMode, RateLimitPolicy


class Stage:
    """A window, and a scripted service."""

    def __init__(self, mode=RateLimitMode.WINDOW):
        self.now = 1_000.0
        self.tracker = LimitTracker(RateLimitPolicy(mode=mode))

    def call(self, remaining=None, reset=60, limit=300, *, status=200, **more):
        """Make one call with an immediate response."""
        slot = self.tracker.entered()
        self.answer(slot, remaining, reset, limit, status=status, **more)

    def answer(
        self, slot, remaining, reset=60, limit=300, *, sent=None, status=200, **more
    ):
        headers = {"ratelimit-limit": limit, "ratelimit-reset": reset}
        headers |= {"ratelimit-remaining": remaining}
        headers = {k: str(v) for k, v in headers.items() if v is not None}
        sent_at = self.now if sent is None else sent
        response = Response(
            status=status, headers=headers, first_sent_at=sent_at, **more
        )
        self.tracker.answered(slot, response, self.now)

    def enter(self, calls):
        return [self.tracker.entered() for _ in range(calls)]

    @property
    def free(self):
        return self.tracker.allowed - self.tracker.in_flight


@pytest.fixture
def stage():
    return Stage()


def test_one_call_is_admitted_at_a_time_until_the_limit_is_known(stage):
    assert stage.tracker.has_room()
    stage.enter(1)
    assert not stage.tracker.has_room()
    assert not stage.tracker.has_room(priority=True)


def test_answers_that_name_no_limit_mean_that_there_is_none(stage):
    stage.call(None, None, None)
    assert stage.free == math.inf


@pytest.mark.parametrize("sent", [True, False])
def test_a_first_call_that_got_no_answer_lets_the_others_go_if_it_was_sent(stage, sent):
    (first,) = stage.enter(1)
    stage.tracker.left(first, stage.now, sent=sent)
    assert stage.tracker.probing is not sent
    assert (stage.free == math.inf) is sent


@pytest.mark.parametrize("limit", [2, 60, 300, 5_000])
def test_it_allows_what_is_left_but_one_whatever_the_limit(stage, limit):
    stage.call(limit - 1, limit=limit)
    assert stage.free == limit - 2


def test_calls_in_flight_count_as_spent(stage):
    stage.call(100)
    stage.enter(30)
    assert stage.free == 69


def test_answers_that_overtake_each_other_never_raise_what_is_left(stage):
    stage.call(100)
    first, second = stage.enter(2)
    stage.answer(second, 98)
    stage.answer(first, 99)
    assert stage.free == 97


def test_a_call_that_was_lost_is_taken_for_spent_and_one_never_sent_is_not(stage):
    stage.call(100)
    lost, unsent = stage.enter(2)
    stage.tracker.left(lost, stage.now)
    stage.tracker.left(unsent, stage.now, sent=False)
    assert stage.free == 98


def test_an_answer_of_the_next_window_opens_it(stage):
    stage.call(1, reset=10)
    assert stage.tracker.spent
    assert stage.tracker.opens_at == stage.now + 10
    stage.now += 10
    stage.call(299, reset=60)
    assert stage.free == 298


def test_a_late_answer_of_the_last_window_does_not_close_the_next(stage):
    stage.call(5, reset=10)
    (late,) = stage.enter(1)
    sent, stage.now = stage.now, stage.now + 11
    stage.call(299, reset=60)
    stage.answer(late, 1, reset=10, sent=sent)
    assert stage.free == 298


def test_calls_under_way_across_a_reset_are_counted_once(stage):
    stage.call(50, reset=10)
    (slow,) = stage.enter(1)
    stage.now += 11
    stage.call(298)
    stage.answer(slow, 297, sent=stage.now - 11)
    assert stage.tracker.in_flight == 0


def test_the_nearer_of_two_limits_counts(stage):
    stage.call(20, limit=100)
    stage.call(10, limit=300)
    assert stage.free == 9
    stage.call(19, limit=100)
    assert stage.free == 9


def test_a_limit_that_is_named_no_more_is_forgotten_after_its_reset(stage):
    stage.call(3, limit=100, reset=10)
    stage.call(200, limit=300, reset=60)
    assert stage.free == 2
    stage.now += 10
    stage.call(199, limit=300, reset=50)
    assert stage.free == 198


def test_ever_new_limits_cost_no_memory(stage):
    for limit in range(1, 1_000):
        stage.call(limit, limit=limit)
    assert len(stage.tracker._windows) <= 8


@pytest.mark.parametrize(
    ("remaining", "reset", "limit"),
    [
        ("x", 60, 300),
        (-1, 60, 300),
        (0, 4_000, 300),
        (0, None, 300),
        (0, "1e9", 300),
        (0, "NaN", 300),
        (0, "9" * 400, 300),
        ("\u0663", 60, 300),
    ],
)
def test_headers_that_make_no_sense_are_ignored(stage, remaining, reset, limit):
    stage.call(remaining, reset, limit)
    assert stage.free == math.inf


def test_a_picture_that_proves_wrong_is_corrected(stage):
    stage.call(0, reset=3_600)
    stage.now += 2
    stage.call(250, reset=50)
    assert stage.free == 249


# ── Others who spend of the same limit ──────────────────────────────────────────


def test_slots_spent_by_others_are_subtracted_before_sharing(stage):
    stage.call(200)
    calls = stage.enter(20)
    for number, call in enumerate(calls, 1):
        stage.answer(call, 200 - 2 * number)
    # 40 of 200 are gone, 20 of them by others, all within one round trip.
    assert stage.tracker.allowed == (160 - 1 - 20) // 2


def test_one_call_may_always_go_while_one_is_left(stage):
    stage.call(100)
    stage.call(3)
    assert stage.tracker.allowed == 1


# ── 429 ─────────────────────────────────────────────────────────────────────────

QUOTA = {
    "body": b'{"errors":[{"title":"Quota exceeded"}]}',
    "headers": {"content-type": "application/json"},
}


def test_a_429_closes_it_until_the_reset(stage):
    stage.call(200)
    stage.now += 23
    stage.call(0, reset=37, status=429)
    assert stage.tracker.spent
    assert stage.tracker.opens_at == stage.now + 37


def test_retry_after_counts_before_the_reset(stage):
    headers = {"retry-after": "90", "ratelimit-reset": "37"}
    response = Response(status=429, headers=headers)
    stage.tracker.answered(stage.tracker.entered(), response, stage.now)
    assert stage.tracker.opens_at == stage.now + 90


def test_a_429_that_says_nothing_closes_it_for_as_long_as_persona_advises(stage):
    stage.call(None, None, None, status=429)
    assert stage.tracker.opens_at == stage.now + 5


def test_endless_retry_after_is_limited_to_an_hour(stage):
    response = Response(status=429, headers={"retry-after": "999999"})
    stage.tracker.answered(stage.tracker.entered(), response, stage.now)
    assert stage.tracker.opens_at == stage.now + 3_600


def test_a_429_for_a_quota_closes_nothing(stage):
    stage.call(200)
    slot = stage.tracker.entered()
    stage.tracker.answered(slot, Response(status=429, **QUOTA), stage.now)
    assert stage.free == 199


def test_a_429_is_not_undone_by_an_answer_that_was_on_its_way(stage):
    (earlier,) = stage.enter(1)
    stage.call(0, reset=37, status=429)
    stage.answer(earlier, 1, reset=37)
    assert stage.tracker.spent


# ── Probes ──────────────────────────────────────────────────────────────────────


def test_after_a_probe_the_next_one_has_to_wait(stage):
    stage.call(1, reset=10)
    stage.now += 10
    stage.tracker.probes(stage.now)
    assert stage.tracker.opens_at == stage.now + 1


def test_a_reset_that_is_rounded_down_is_learned(stage):
    stage.call(1, reset=10)
    stage.now += 10
    stage.call(0, reset=0)  # the window still runs, less than a second
    assert stage.tracker.opens_at == stage.now + 1
    stage.now += 1
    stage.call(1, reset=59)
    assert stage.tracker.opens_at == stage.now + 60


def test_a_probe_that_is_never_answered_lets_go_of_what_is_too_old(stage):
    stage.call(1, reset=10)
    stage.now += 10
    (first,) = stage.enter(1)
    stage.tracker.left(first, stage.now)
    assert stage.tracker.spent
    stage.now += 1
    (second,) = stage.enter(1)
    stage.tracker.left(second, stage.now)
    assert stage.free == math.inf


# ── Only after a 429 ────────────────────────────────────────────────────────────


def test_after_429_mode_delays_nothing_before_one(stage):
    stage = Stage(RateLimitMode.AFTER_429)
    stage.call(0)
    assert stage.free == math.inf


def test_after_429_mode_stops_everybody_until_a_success(stage):
    stage = Stage(RateLimitMode.AFTER_429)
    stage.call(0, reset=20, status=429)
    assert stage.tracker.spent
    stage.now += 20
    stage.call(0)
    assert stage.free == math.inf


# ── How it stands ───────────────────────────────────────────────────────────────


def test_before_the_first_header_nothing_stands(stage):
    assert stage.tracker.status(stage.now) is None


def test_limit_follows_the_last_response(stage):
    stage.call(250, reset=40)
    stage.now += 10

    assert stage.tracker.status(stage.now) == RateLimitStatus(
        limit=300, remaining=250, resets_in=30
    )


def test_after_its_reset_a_limit_stands_whole_again(stage):
    stage.call(0, reset=40)
    stage.now += 40

    assert stage.tracker.status(stage.now) == RateLimitStatus(
        limit=300, remaining=300, resets_in=60
    )


def test_of_several_limits_the_lowest_stands(stage):
    stage.call(900, reset=40, limit=1_000)
    stage.call(90, reset=40, limit=100)

    assert stage.tracker.status(stage.now).limit == 100
