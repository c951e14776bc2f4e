"""Every cell of the retry decision."""

import attrs
import pytest
from hypothesis import given, strategies as st

from persona_share._policy.retry import (
    NO_SUCH_NAME,
    Failed,
    GiveUp,
    Kind,
    Past,
    RetryAfter,
    decide,
    is_unknown,
    kind_of,
)
from persona_share._protocol.http import Request, Response
from persona_share.errors import Phase
from persona_share.model.policy import RetryPolicy
from persona_share.model.secret import Secret


POLICY = RetryPolicy()
UNSENT = Failed(Phase.NOT_SENT, "connect", retryable=True)
LOST = Failed(Phase.AMBIGUOUS, "reset", retryable=True)
CERTIFICATE = Failed(Phase.NOT_SENT, "certificate", retryable=False)
GARBLED = Failed(Phase.AMBIGUOUS, "not http", retryable=False)
QUOTA = b'{"errors":[{"title":"Quota exceeded"}]}'


def a_request(method="GET", *, key=None, repeatable=False):
    return Request(
        method=method,
        route="/x",
        target="/x",
        deadline=100.0,
        idempotency_key=Secret("k") if key or method == "POST" else None,
        repeatable=repeatable,
    )


GET = a_request()
POST = a_request("POST")
AUTHORIZE = a_request("POST", repeatable=True)
DELETE = a_request("DELETE")
PATCH = a_request("PATCH")
BARE = attrs.evolve(POST, idempotency_key=None)


def response(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=named)


def after(*outcomes):
    past = Past()
    for outcome in outcomes:
        past = past.after(outcome)
    return past


def decided(request, *outcomes, policy=POLICY, random=0.5, left=1000.0):
    return decide(
        request, outcomes[-1], after(*outcomes), policy=policy, random=random, left=left
    )


def verdict(request, *outcomes):
    """Return in one word what is decided after these outcomes, one after the other."""
    decision = decided(request, *outcomes)
    if isinstance(decision, GiveUp):
        return "no"
    return "new key" if decision.new_key else "yes"


def test_retry_safety_depends_on_method_and_key():
    assert kind_of(GET) is kind_of(a_request("HEAD")) is Kind.READ
    assert kind_of(POST) is Kind.KEYED
    assert kind_of(DELETE) is Kind.DELETE
    assert kind_of(PATCH) is kind_of(a_request("PATCH", key=True)) is Kind.OTHER
    assert kind_of(BARE) is Kind.OTHER


# ── R4, cell by cell ────────────────────────────────────────────────────────────

COLUMNS = [GET, POST, DELETE, PATCH, BARE]
NEVER = [200, 201, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409]
NEVER += [
    410,
    418,
    422,
    425,
    451,
    501,
    505,
    507,
    511,
    525,
    526,
    527,
    529,
    531,
    599,
    999,
]
R4 = [
    (UNSENT, ["yes", "yes", "yes", "yes", "yes"]),
    (CERTIFICATE, ["no", "no", "no", "no", "no"]),
    (LOST, ["yes", "yes", "yes", "no", "no"]),
    (GARBLED, ["no", "no", "no", "no", "no"]),
    (response(408), ["yes", "yes", "yes", "no", "no"]),
    (response(429), ["yes", "yes", "yes", "yes", "yes"]),
    (response(500), ["yes", "yes", "no", "no", "no"]),
    (response(502), ["yes", "yes", "yes", "no", "no"]),
    (response(503), ["yes", "yes", "yes", "no", "no"]),
    *[
        (response(status), ["yes", "yes", "yes", "no", "no"])
        for status in (520, 521, 522, 523, 524, 530)
    ],
    (response(504), ["yes", "yes", "yes", "no", "no"]),
    *((response(status), ["no", "no", "no", "no", "no"]) for status in NEVER),
]
CELLS = [
    pytest.param(
        request, outcome, cell,
        id=f"{name} {getattr(outcome, 'status', None) or outcome.reason}",
    )
    for outcome, row in R4
    for name, request, cell in zip(
        ["GET", "POST", "DELETE", "PATCH", "POST without key"], COLUMNS, row,
        strict=True,
    )
]  # fmt: skip


@pytest.mark.parametrize(("request_", "outcome", "cell"), CELLS)
def test_after_a_first_attempt(request_, outcome, cell):
    assert verdict(request_, outcome) == cell


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_repeated_5xx_needs_a_new_key_if_that_does_no_harm(status):
    failed = response(status)
    assert verdict(POST, failed) == "yes"
    assert verdict(POST, failed, response(502)) == "no"
    assert verdict(AUTHORIZE, failed) == "yes"
    assert verdict(AUTHORIZE, failed, response(502)) == "new key"


def test_new_key_is_tried_once():
    patient = RetryPolicy(attempts=9)
    past = after(response(500), response(500)).under_new_key().after(response(500))
    facts = {"policy": patient, "random": 0.5, "left": 1000.0}
    assert decide(AUTHORIZE, response(500), past, **facts) == GiveUp("not repeatable")
    assert isinstance(decide(AUTHORIZE, LOST, past, **facts), RetryAfter)


def test_lost_response_between_two_5xx_changes_nothing():
    patient = RetryPolicy(attempts=9)
    trail = [response(500), LOST]
    assert isinstance(decided(POST, *trail, policy=patient), RetryAfter)
    assert isinstance(decided(POST, *trail, response(500), policy=patient), GiveUp)


def test_f3_name_that_does_not_exist_is_looked_up_twice():
    missing = Failed(Phase.NOT_SENT, NO_SUCH_NAME, retryable=True)
    assert verdict(GET, missing) == "yes"
    assert verdict(GET, missing, missing) == "no"


@pytest.mark.parametrize("outcome", [UNSENT, LOST, response(429), response(503)])
def test_three_attempts_are_the_most(outcome):
    assert verdict(GET, outcome, outcome) == "yes"
    assert decided(GET, outcome, outcome, outcome) == GiveUp("all attempts were used")


@pytest.mark.parametrize(
    ("retries", "attempts", "again"),
    [(0, 1, False), (1, 1, True), (1, 2, False), (4, 4, True), (4, 5, False)],
)
def test_retries_of_one_call_win_over_the_policy(retries, attempts, again):
    request = attrs.evolve(GET, retries=retries)
    past = after(*[UNSENT] * attempts)
    step = decide(request, UNSENT, past, policy=POLICY, random=0.5, left=99.0)
    assert isinstance(step, RetryAfter if again else GiveUp)


def test_wait_has_no_jitter_when_the_limiter_knows_the_reset():
    limited = response(429, ratelimit_reset="30", ratelimit_remaining="0")
    step = decide(
        GET,
        limited,
        after(limited),
        policy=POLICY,
        random=0.9,
        left=99.0,
        rate_limited=True,
    )
    assert step == RetryAfter(30.0, POLICY.throttle_cost)


def test_wait_for_a_quota_has_jitter_because_no_limiter_tracks_it():
    limited = attrs.evolve(
        response(429, quota_reset="30", content_type="application/json"), body=QUOTA
    )
    delays = [
        decide(
            POST,
            limited,
            after(limited),
            policy=POLICY,
            random=random,
            left=99.0,
            rate_limited=True,
        ).delay
        for random in (0.0, 0.5)
    ]
    assert delays == [30.0, 31.5]


def test_one_attempt_means_no_retries_at_all():
    for outcome in (UNSENT, LOST, response(429), response(500)):
        assert isinstance(decided(GET, outcome, policy=RetryPolicy(attempts=1)), GiveUp)


# ── R6: our own delays ──────────────────────────────────────────────────────────


def delays(request, *outcomes, **facts):
    return [
        decided(request, *outcomes, random=random, **facts).delay for random in (0, 1)
    ]


def test_network_fault_waits_up_to_a_quarter_and_half_a_second():
    for outcome in (UNSENT, LOST, response(408), response(500)):
        assert delays(GET, outcome) == [0, 0.25]
        assert delays(GET, outcome, outcome) == [0, 0.5]


def test_network_fault_never_waits_longer_than_eight_seconds():
    patient = RetryPolicy(attempts=99)
    assert delays(GET, *[LOST] * 6, policy=patient) == [0, 8]
    assert delays(GET, *[LOST] * 90, policy=patient) == [0, 8]


def test_probe_waits_half_to_a_whole_second():
    assert delays(POST, response(500)) == [0.5, 1]


def test_new_key_waits_five_seconds_and_up_to_a_quarter_more():
    assert delays(AUTHORIZE, response(500), response(500)) == [5, 6.25]


def test_f39b_429_without_a_header_waits_five_then_ten_seconds():
    limited = response(429)
    assert delays(GET, limited) == [5, 6.25]
    assert delays(GET, limited, limited) == [10, 12.5]
    patient = RetryPolicy(attempts=9)
    assert delays(GET, *[limited] * 3, policy=patient) == [20, 25]
    assert delays(GET, *[limited] * 4, policy=patient) == [40, 50]
    assert delays(GET, *[limited] * 5, policy=patient) == [40, 50]


# ── R7: what the service wishes ─────────────────────────────────────────────────


def test_f39a_429_waits_for_the_reset_and_up_to_a_tenth_more():
    assert delays(GET, response(429, ratelimit_reset="30")) == [30, 33]
    assert delays(GET, response(429, ratelimit_reset="3")) == [3, 4]
    assert delays(GET, response(429, ratelimit_reset="0")) == [0, 1]


def test_window_of_a_minute_always_fits():
    assert delays(GET, response(429, ratelimit_reset="60")) == [60, 65]
    assert delays(GET, response(429, ratelimit_reset="65")) == [65, 65]


def test_longer_requested_wait_is_not_slept():
    longer = GiveUp("the service asks for a longer wait")
    assert decided(GET, response(429, ratelimit_reset="66")) == longer
    assert decided(GET, response(503, retry_after="3000")) == longer


def test_503_waits_for_retry_after_or_the_backoff_if_longer():
    assert delays(GET, response(503, retry_after="10")) == [10, 11]
    assert delays(GET, response(503, retry_after="0")) == [0, 1.25]
    assert delays(POST, response(503, retry_after="0")) == [0.5, 2]


def test_429_while_something_remains_waits_by_our_own_rule():
    other = response(429, ratelimit_reset="2", ratelimit_remaining="9")
    assert delays(GET, other) == [5, 6.25]


def test_f39c_429_about_a_quota_waits_for_the_quota():
    headers = {"content-type": "application/json", "quota-reset": "20"}
    quota = Response(status=429, headers=headers, body=QUOTA)
    assert delays(POST, quota) == [20, 22]


def test_no_wait_crosses_the_deadline():
    limited = response(429, ratelimit_reset="30")
    assert decided(GET, limited, random=0, left=30.0) == GiveUp("deadline")
    assert isinstance(decided(GET, limited, random=0, left=30.1), RetryAfter)


# ── R11: what it costs ──────────────────────────────────────────────────────────


def test_throttle_costs_less_than_a_fault():
    assert decided(GET, response(429)).cost == 5
    for outcome in (UNSENT, LOST, response(408), response(503)):
        assert decided(GET, outcome).cost == 14


# ── Whether anybody knows what happened ─────────────────────────────────────────


@pytest.mark.parametrize(
    ("outcomes", "unknown"),
    [
        ([LOST], True),
        ([GARBLED], True),
        ([UNSENT], False),
        ([CERTIFICATE], False),
        ([LOST, UNSENT], True),  # the first may have acted; the second does not show it
        ([LOST, response(429)], True),
        ([LOST, response(401)], True),
        ([LOST, response(503)], True),
        ([response(500)], False),  # the error of this response names the next step
        ([response(500), response(500)], True),
        ([response(500), UNSENT], True),
        ([LOST, response(201)], False),
        ([LOST, response(404)], False),
        ([LOST, response(409)], False),
        ([response(429), response(429)], False),
        ([UNSENT, response(429)], False),
    ],
)
@pytest.mark.parametrize("request_", [POST, PATCH], ids=["POST", "PATCH"])
def test_doubt_is_admitted(request_, outcomes, unknown):
    assert is_unknown(request_, outcomes[-1], after(*outcomes)) is unknown


@pytest.mark.parametrize("request_", [GET, DELETE, AUTHORIZE])
def test_outcome_of_a_repeatable_request_is_never_unknown(request_):
    for outcomes in ([LOST], [response(500), response(500)], [LOST, response(429)]):
        assert not is_unknown(request_, outcomes[-1], after(*outcomes))


# ── Properties ──────────────────────────────────────────────────────────────────

requests = st.sampled_from([GET, POST, AUTHORIZE, DELETE, PATCH, BARE])
outcomes = st.one_of(
    st.sampled_from([UNSENT, LOST, CERTIFICATE, GARBLED]),
    st.builds(
        response,
        st.sampled_from([408, 429, 500, 502, 503, 504, 200, 404]),
        retry_after=st.sampled_from(["", "0", "1", "64", "65", "66", "9999", "-1"]),
        ratelimit_reset=st.sampled_from(["", "0", "30", "60", "1767225600"]),
    ),
)


@given(
    requests,
    st.lists(outcomes, min_size=1, max_size=5),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 200),
    st.integers(1, 6),
)
def test_no_decision_breaks_the_rules(request_, trail, random, left, attempts):
    policy = RetryPolicy(attempts=attempts)
    decision = decided(request_, *trail, policy=policy, random=random, left=left)
    if isinstance(decision, GiveUp):
        return
    assert len(trail) < attempts
    assert 0 <= decision.delay < left
    assert decision.delay <= policy.max_wait
    if trail[-1] is LOST:
        assert kind_of(request_) is not Kind.OTHER
    if isinstance(trail[-1], Response) and trail[-1].status == 429:
        wish = trail[-1].headers["retry-after"] or trail[-1].headers["ratelimit-reset"]
        if wish.isdigit() and int(wish) <= 60:
            assert decision.delay >= int(wish)
    if decision.new_key:
        assert request_ is AUTHORIZE
