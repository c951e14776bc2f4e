"""Several processes spend one window and never more than it has."""

import math

import attrs
import pytest
from hypothesis import given, strategies as st

from persona_share._policy.shared_limit import (
    MAX_WINDOW,
    PROBE,
    Share,
    SharedLimit,
    from_bytes,
    take,
    to_bytes,
    ttl,
)
from persona_share._protocol.limits import LimitState


NOW = 1_000_000.0
THE_PROBE = Share(1, PROBE, probing=True)


def taken(limit, wanted=1, *, now=NOW, seen=None, reservation="r", **more):
    return take(
        limit, now=now, wanted=wanted, seen=seen, reservation=reservation, **more
    )


def window(left, *, seconds=60.0):
    """Return a running window with all its slots."""
    return SharedLimit(ends=NOW + seconds, left=left, size=left)


def test_one_process_probes_when_nothing_is_known():
    limit, first = taken(SharedLimit())
    _, second = taken(limit, reservation="other")

    assert first == THE_PROBE
    assert second.calls == 0
    assert 0 < second.seconds <= PROBE


def test_another_process_probes_when_the_first_does_not_report():
    limit, _ = taken(SharedLimit())
    _, share = taken(limit, now=NOW + PROBE, reservation="other")

    assert share.calls == 1


def test_probe_response_opens_the_window_for_all():
    limit, _ = taken(SharedLimit())
    limit, _ = taken(limit, 0, seen=LimitState(299, 60.0), reservation="report")
    limit, share = taken(limit, 100, reservation="other")

    assert share == Share(298 // 8, 60.0)
    assert limit.left == 298 - 298 // 8


def test_block_is_at_most_an_eighth_of_the_remaining_calls():
    _, share = taken(window(80), wanted=64)

    assert share.calls == 10


def test_block_is_no_longer_than_the_queue():
    _, share = taken(window(80), wanted=3)

    assert share.calls == 3


def test_last_slots_are_taken_by_few():
    limit, share = taken(window(6), wanted=64)
    _, nothing = taken(window(0), wanted=64)

    assert (share.calls, limit.left) == (4, 2)
    assert nothing == Share(0, 60.0)


def test_first_block_is_divided_among_the_processes_of_the_last_window():
    limit = attrs.evolve(window(298), takers_before=50)
    blocks = []
    for number in range(51):
        limit, share = taken(limit, 64, reservation=str(number), first=True)
        blocks.append(share.calls)

    assert blocks == [6] * 49 + [4, 0]


def test_first_blocks_shrink_when_more_processes_join_than_in_the_last_window():
    limit = attrs.evolve(window(100), takers_before=1, takers=3)

    assert taken(limit, 64, first=True)[1].calls == 25


def test_takers_of_a_window_are_known_in_the_next():
    limit = attrs.evolve(window(298), takers_before=2)
    for number in range(5):
        limit, _ = taken(limit, 4, reservation=str(number), first=True)
    limit, _ = taken(
        limit, 0, now=NOW + 61, seen=LimitState(299, 60.0), reservation="new"
    )

    assert (limit.takers_before, limit.takers, limit.size) == (5, 0, 298)


def test_waiting_processes_try_again_at_different_times():
    limit = attrs.evolve(window(0), takers_before=50)
    waits = [taken(limit, random=each)[1].seconds for each in (0.0, 0.5, 1.0)]

    assert waits == [60.0, 60.25, 60.5]


def test_reset_that_was_rounded_down_to_nothing_is_a_second():
    limit, _ = taken(window(0), 0, now=NOW + 60, seen=LimitState(0, 0.0))

    assert limit.ends == NOW + 61


def test_same_reservation_gets_the_same_slots_again():
    limit, first = taken(window(80), 5)
    again, second = taken(limit, 5)

    assert again == limit
    assert second == first


def test_report_without_news_changes_nothing():
    limit = window(100)
    after, _ = taken(limit, 0, seen=LimitState(150, 60.0))

    assert after == limit


def test_report_lowers_the_remaining_count_when_others_spent_calls():
    limit, _ = taken(window(100), 0, seen=LimitState(11, 60.0))

    assert limit.left == 10


def test_report_of_an_older_window_is_ignored():
    limit, _ = taken(window(100), 0, seen=LimitState(0, 2.0))

    assert limit.left == 100


def test_spent_window_is_probed_when_it_is_over():
    limit, closed = taken(window(0))
    _, share = taken(limit, now=NOW + 60.0, reservation="other")

    assert closed.calls == 0
    assert share == THE_PROBE


def test_invalid_reset_closes_the_window_for_a_bounded_time():
    limit, share = taken(SharedLimit(), seen=LimitState(0, 999_999_999.0))

    assert share.seconds <= MAX_WINDOW
    assert ttl(limit, NOW) <= MAX_WINDOW + 60


@pytest.mark.parametrize(
    "poisoned",
    [
        SharedLimit(ends=NOW + 31 * 365 * 86_400, left=0),
        SharedLimit(ends=NOW + 60, left=-5),
        SharedLimit(ends=NOW + 60, left=10**9, size=10**9),
        SharedLimit(ends=NOW + 60, left=9, size=8),
        SharedLimit(ends=NOW + 60, takers=-1),
        SharedLimit(ends=NOW + 60, takers_before=10**9),
        SharedLimit(probe_until=NOW + 3_600),
        SharedLimit(ends=NOW + 60, reservations=(("r", 1),) * 1_000),
    ],
)
def test_record_that_makes_no_sense_counts_as_unknown(poisoned):
    limit, share = taken(poisoned, reservation="new")

    assert share == THE_PROBE
    assert limit.ends == 0


@pytest.mark.parametrize(
    "data",
    [
        *(None, b"", b"{}", b"[1,2,3]", b"\xff", b"null", b"[1,2,3,[]]"),
        *(b'["a",1,2,3,4,5,[]]', b"[1,2,3,4,5,6,[[4]]]"),
    ],
)
def test_record_that_cannot_be_read_counts_as_unknown(data):
    assert from_bytes(data) == SharedLimit()


def test_record_survives_writing_and_reading():
    limit, _ = taken(window(80), 5)

    assert from_bytes(to_bytes(limit)) == limit


steps = st.lists(
    st.tuples(
        st.integers(0, 64),  # wanted
        st.floats(0, 3),  # time that passes
        st.one_of(st.none(), st.integers(0, 5)),  # reported after so many of its calls
        st.integers(0, 2),  # how often the write is repeated
        st.booleans(),  # whether the process took none before
    ),
    max_size=60,
)


@given(steps)
def test_processes_never_spend_more_than_the_service_allows(schedule):
    limit, now, spent, ends = SharedLimit(), NOW, 0, -math.inf
    for number, (wanted, passes, reports, repeats, first) in enumerate(schedule):
        now += passes
        if now >= ends:
            spent, ends = 0, now + 60
        for _ in range(repeats + 1):
            limit, share = taken(
                limit, wanted, now=now, reservation=str(number), first=first
            )
        spent += share.calls
        assert spent <= 300
        if share.calls and reports is not None:
            seen = LimitState(300 - spent, ends - now)
            limit, _ = taken(limit, 0, now=now, seen=seen, reservation=f"{number}r")


numbers = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.none(), st.text())


@given(
    st.lists(numbers, min_size=7, max_size=7),
    st.integers(-5, 10**7),
    st.one_of(
        st.none(), st.builds(LimitState, st.integers(-5, 10**9), st.floats(0, 1e12))
    ),
)
def test_no_number_from_outside_closes_a_window_for_long(fields, wanted, seen):
    data = (
        repr(fields).replace("'", '"').replace("None", "null").encode(errors="replace")
    )
    limit, share = taken(from_bytes(data), wanted, seen=seen)

    assert share.calls >= 0
    assert 0 <= share.seconds <= MAX_WINDOW
    assert 0 < ttl(limit, NOW) <= MAX_WINDOW + 60
    assert from_bytes(to_bytes(limit)) == limit
