"""LimitTracker: what responses say is left, and how many calls may be in flight."""

import math

import pytest

from persona_share._policy.rate_limit import LimitTracker
from persona_share._protocol.http import Response
from persona_share.model.batch import RateLimitStatus
from persona_share.model.policy import RateLimitMode, RateLimitPolicy


class Harness:
    """A window, and a scripted service."""

    def __init__(self, mode=RateLimitMode.WINDOW):
        self.now = 1_000.0
        self.tracker = LimitTracker(RateLimitPolicy(mode=mode))

    def call(self, remaining=None, reset=60, limit=300, *, status=200, **more):
        """Make one call with an immediate response."""
        slot = self.tracker.entered()
        self.respond(slot, remaining, reset, limit, status=status, **more)

    def respond(
        self, slot, remaining, reset=60, limit=300, *, sent=None, status=200, **more
    ):
        headers = {"ratelimit-limit": limit, "ratelimit-reset": reset}
        headers |= {"ratelimit-remaining": remaining}
        headers = {k: str(v) for k, v in headers.items() if v is not None}
        sent_at = self.now if sent is None else sent
        response = Response(
            status=status, headers=headers, first_sent_at=sent_at, **more
        )
        self.tracker.responded(slot, response, self.now)

    def enter(self, calls):
        return [self.tracker.entered() for _ in range(calls)]

    @property
    def free(self):
        return self.tracker.allowed - self.tracker.in_flight


@pytest.fixture
def harness():
    return Harness()


def test_one_call_is_admitted_at_a_time_until_the_limit_is_known(harness):
    assert harness.tracker.has_capacity()
    harness.enter(1)
    assert not harness.tracker.has_capacity()
    assert not harness.tracker.has_capacity(priority=True)


def test_limit_is_infinite_when_responses_name_none(harness):
    harness.call(None, None, None)
    assert harness.free == math.inf


@pytest.mark.parametrize("sent", [True, False])
def test_others_are_admitted_when_the_first_call_was_sent_without_a_response(
    harness, sent
):
    (first,) = harness.enter(1)
    harness.tracker.left(first, harness.now, sent=sent)
    assert harness.tracker.probing is not sent
    assert (harness.free == math.inf) is sent


@pytest.mark.parametrize("limit", [2, 60, 300, 5_000])
def test_all_but_one_of_the_remaining_calls_are_allowed(harness, limit):
    harness.call(limit - 1, limit=limit)
    assert harness.free == limit - 2


def test_calls_in_flight_count_as_spent(harness):
    harness.call(100)
    harness.enter(30)
    assert harness.free == 69


def test_reordered_responses_never_raise_the_remaining_count(harness):
    harness.call(100)
    first, second = harness.enter(2)
    harness.respond(second, 98)
    harness.respond(first, 99)
    assert harness.free == 97


def test_lost_call_counts_as_spent_and_unsent_call_does_not(harness):
    harness.call(100)
    lost, unsent = harness.enter(2)
    harness.tracker.left(lost, harness.now)
    harness.tracker.left(unsent, harness.now, sent=False)
    assert harness.free == 98


def test_response_of_the_next_window_opens_it(harness):
    harness.call(1, reset=10)
    assert harness.tracker.spent
    assert harness.tracker.opens_at == harness.now + 10
    harness.now += 10
    harness.call(299, reset=60)
    assert harness.free == 298


def test_late_response_of_the_last_window_does_not_close_the_next(harness):
    harness.call(5, reset=10)
    (late,) = harness.enter(1)
    sent, harness.now = harness.now, harness.now + 11
    harness.call(299, reset=60)
    harness.respond(late, 1, reset=10, sent=sent)
    assert harness.free == 298


def test_calls_in_flight_across_a_reset_are_counted_once(harness):
    harness.call(50, reset=10)
    (slow,) = harness.enter(1)
    harness.now += 11
    harness.call(298)
    harness.respond(slow, 297, sent=harness.now - 11)
    assert harness.tracker.in_flight == 0


def test_nearer_of_two_limits_counts(harness):
    harness.call(20, limit=100)
    harness.call(10, limit=300)
    assert harness.free == 9
    harness.call(19, limit=100)
    assert harness.free == 9


def test_limit_that_is_named_no_more_is_forgotten_after_its_reset(harness):
    harness.call(3, limit=100, reset=10)
    harness.call(200, limit=300, reset=60)
    assert harness.free == 2
    harness.now += 10
    harness.call(199, limit=300, reset=50)
    assert harness.free == 198


def test_ever_new_limits_cost_no_memory(harness):
    for limit in range(1, 1_000):
        harness.call(limit, limit=limit)
    assert len(harness.tracker._windows) <= 8


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
def test_headers_that_make_no_sense_are_ignored(harness, remaining, reset, limit):
    harness.call(remaining, reset, limit)
    assert harness.free == math.inf


def test_picture_that_proves_wrong_is_corrected(harness):
    harness.call(0, reset=3_600)
    harness.now += 2
    harness.call(250, reset=50)
    assert harness.free == 249


# ── Others who spend of the same limit ──────────────────────────────────────────


def test_slots_spent_by_others_are_subtracted_before_sharing(harness):
    harness.call(200)
    calls = harness.enter(20)
    for number, call in enumerate(calls, 1):
        harness.respond(call, 200 - 2 * number)
    # 40 of 200 are gone, 20 of them by others, all within one round trip.
    assert harness.tracker.allowed == (160 - 1 - 20) // 2


def test_one_call_is_admitted_while_one_remains(harness):
    harness.call(100)
    harness.call(3)
    assert harness.tracker.allowed == 1


# ── 429 ─────────────────────────────────────────────────────────────────────────

QUOTA = {
    "body": b'{"errors":[{"title":"Quota exceeded"}]}',
    "headers": {"content-type": "application/json"},
}


def test_429_closes_it_until_the_reset(harness):
    harness.call(200)
    harness.now += 23
    harness.call(0, reset=37, status=429)
    assert harness.tracker.spent
    assert harness.tracker.opens_at == harness.now + 37


def test_retry_after_counts_before_the_reset(harness):
    headers = {"retry-after": "90", "ratelimit-reset": "37"}
    response = Response(status=429, headers=headers)
    harness.tracker.responded(harness.tracker.entered(), response, harness.now)
    assert harness.tracker.opens_at == harness.now + 90


def test_429_without_headers_closes_the_window_for_the_advised_time(harness):
    harness.call(None, None, None, status=429)
    assert harness.tracker.opens_at == harness.now + 5


def test_endless_retry_after_is_limited_to_an_hour(harness):
    response = Response(status=429, headers={"retry-after": "999999"})
    harness.tracker.responded(harness.tracker.entered(), response, harness.now)
    assert harness.tracker.opens_at == harness.now + 3_600


def test_429_for_a_quota_closes_nothing(harness):
    harness.call(200)
    slot = harness.tracker.entered()
    harness.tracker.responded(slot, Response(status=429, **QUOTA), harness.now)
    assert harness.free == 199


def test_429_is_not_undone_by_an_earlier_response(harness):
    (earlier,) = harness.enter(1)
    harness.call(0, reset=37, status=429)
    harness.respond(earlier, 1, reset=37)
    assert harness.tracker.spent


# ── Probes ──────────────────────────────────────────────────────────────────────


def test_after_a_probe_the_next_one_has_to_wait(harness):
    harness.call(1, reset=10)
    harness.now += 10
    harness.tracker.probes(harness.now)
    assert harness.tracker.opens_at == harness.now + 1


def test_reset_that_is_rounded_down_is_learned(harness):
    harness.call(1, reset=10)
    harness.now += 10
    harness.call(0, reset=0)  # the window still runs, less than a second
    assert harness.tracker.opens_at == harness.now + 1
    harness.now += 1
    harness.call(1, reset=59)
    assert harness.tracker.opens_at == harness.now + 60


def test_old_limit_is_dropped_when_probes_get_no_response(harness):
    harness.call(1, reset=10)
    harness.now += 10
    (first,) = harness.enter(1)
    harness.tracker.left(first, harness.now)
    assert harness.tracker.spent
    harness.now += 1
    (second,) = harness.enter(1)
    harness.tracker.left(second, harness.now)
    assert harness.free == math.inf


# ── Only after a 429 ────────────────────────────────────────────────────────────


def test_after_429_mode_delays_nothing_before_one(harness):
    harness = Harness(RateLimitMode.AFTER_429)
    harness.call(0)
    assert harness.free == math.inf


def test_after_429_mode_stops_all_calls_until_a_success(harness):
    harness = Harness(RateLimitMode.AFTER_429)
    harness.call(0, reset=20, status=429)
    assert harness.tracker.spent
    harness.now += 20
    harness.call(0)
    assert harness.free == math.inf


# ── How it stands ───────────────────────────────────────────────────────────────


def test_no_limit_is_reported_before_the_first_header(harness):
    assert harness.tracker.status(harness.now) is None


def test_limit_follows_the_last_response(harness):
    harness.call(250, reset=40)
    harness.now += 10

    assert harness.tracker.status(harness.now) == RateLimitStatus(
        limit=300, remaining=250, resets_in=30
    )


def test_full_limit_is_reported_after_its_reset(harness):
    harness.call(0, reset=40)
    harness.now += 40

    assert harness.tracker.status(harness.now) == RateLimitStatus(
        limit=300, remaining=300, resets_in=60
    )


def test_lowest_of_several_limits_is_reported(harness):
    harness.call(900, reset=40, limit=1_000)
    harness.call(90, reset=40, limit=100)

    assert harness.tracker.status(harness.now).limit == 100
