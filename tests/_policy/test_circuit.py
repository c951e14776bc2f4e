"""When a store that failed is asked again."""

import pytest

from persona_share._policy.circuit import Circuit


def fail(circuit, times=1, *, now=0.0, random=0.5, at_once=False):
    for _ in range(times):
        circuit.failed(now, random, at_once=at_once)


def test_it_is_closed_at_first_and_through_two_failures():
    circuit = Circuit()
    fail(circuit, 2)
    assert circuit.closed_for(0.0) == 0


@pytest.mark.parametrize(("times", "at_once"), [(3, False), (1, True)])
def test_three_failures_or_one_timeout_open_it_for_five_seconds(times, at_once):
    circuit = Circuit()
    fail(circuit, times, at_once=at_once)
    assert circuit.closed_for(0.0) == 5
    assert circuit.closed_for(4.0) == 1
    assert circuit.closed_for(5.0) == 0


def test_a_success_between_counts_from_zero_again():
    circuit = Circuit()
    fail(circuit, 2)
    circuit.succeeded()
    fail(circuit, 2)
    assert circuit.closed_for(0.0) == 0


def test_one_tries_and_the_others_wait_for_what_it_finds():
    circuit = Circuit()
    fail(circuit, at_once=True)
    assert circuit.closed_for(5.0) == 0
    assert circuit.closed_for(5.0) > 0
    circuit.succeeded()
    assert circuit.closed_for(5.1) == 0


def test_a_trial_that_never_ends_does_not_keep_it_open():
    circuit = Circuit()
    fail(circuit, at_once=True)
    assert circuit.closed_for(5.0) == 0
    assert circuit.closed_for(7.0) == 0


@pytest.mark.parametrize(("random", "longest"), [(0.0, 5.0), (1.0, 30.0)])
def test_each_failed_trial_makes_the_pause_longer_up_to_half_a_minute(random, longest):
    circuit, now, pauses = Circuit(), 0.0, []
    fail(circuit, random=random, at_once=True)
    for _ in range(12):
        pauses.append(circuit.closed_for(now))
        now += pauses[-1]
        assert circuit.closed_for(now) == 0
        fail(circuit, now=now, random=random)
    assert pauses == sorted(pauses)
    assert pauses[0] == 5.0
    assert pauses[-1] == longest


def test_failures_that_were_under_way_when_it_opened_do_not_count_again():
    circuit = Circuit()
    fail(circuit, 40, random=1.0, at_once=True)
    assert circuit.closed_for(0.0) == 5.0
