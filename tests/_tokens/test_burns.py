"""Single lives in which a code was burnt, a rule broken or a caller misled once."""

import pytest

from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from tests._tokens.endpoint import Fault, Plan
from tests._tokens.world import WIDEST, A, B, C, TokenWorld


@pytest.fixture
def runtime():
    made = TokenWorld(RenewalPolicy())
    yield made
    made.check()
    made.close()


@pytest.fixture
def exact():
    made = TokenWorld(RenewalPolicy(exact_only=True))
    yield made
    made.check()
    made.close()


def sent(runtime):
    """Answer the codes that ever left."""
    return len(runtime.watch.ledger.keys)


def told(runtime, kind):
    return [event for event in runtime.watch.events if isinstance(event, kind)]


def test_f85_a_code_that_ended_while_the_machine_slept_is_not_sent_again(runtime):
    runtime.endpoint.weather = Plan(Fault.UNAVAILABLE)
    runtime.get(A, 1, 100.0)
    runtime.suspend(7200)
    runtime.endpoint.weather = Plan()
    runtime.wait(60)

    assert len(runtime.endpoint.tokens) == sent(runtime) - 1


def test_who_waits_for_one_part_is_not_given_the_token_of_another(runtime):
    """A token that was brought for B also covers C; its renewal need not."""
    runtime.partner.plans = [("wide", 0.0)]
    runtime.get(B, 1, 100.0)
    runtime.jump(3599 - 40)
    runtime.get(C, 3, 100.0)

    assert {token.scope for token in runtime.seen} == {WIDEST}


def test_who_waits_within_a_wider_question_takes_what_serves_him(runtime):
    """The question is WIDEST, for that is what served A before; a code for A comes."""
    runtime.get(WIDEST, 1, 100.0)
    runtime.invalidate(runtime.seen[0])
    runtime.partner.plans = [("code", 50.0)]
    runtime.get(A, 2, 30.0)
    runtime.offer(A, A, told=False)

    assert runtime.waiters[0].task.done()
    assert runtime.seen[-1].scope == A
    assert sent(runtime) == 2


def test_two_codes_offered_to_one_who_waits_cost_one(runtime):
    runtime.partner.plans = [("code", 50.0)]
    runtime.get(A, 1, 100.0)
    runtime.endpoint.plans.append(Plan(after=3.0))
    runtime.offer(A, A, told=False)
    runtime.offer(A, A, told=False)
    runtime.wait(60)

    assert sent(runtime) == 1


def test_nobody_asks_for_a_code_while_a_delivered_one_is_on_its_way(runtime):
    runtime.endpoint.plans.append(Plan(after=5.0))
    runtime.exchange(A, A)
    runtime.get(A, 3, 100.0)
    runtime.wait(10)

    assert sent(runtime) == len(runtime.seen) == 1
    assert told(runtime, events.CodeRequested) == []


def test_a_renewal_that_waits_for_its_code_ends_when_one_is_delivered(runtime):
    runtime.get(A, 1, 100.0)
    runtime.partner.plans = [("code", 50.0)]
    runtime.jump(3599 - 200)
    runtime.get(A, 1, 100.0)
    runtime.offer(A, A, told=False)
    runtime.wait(60)

    assert sent(runtime) == 2


def test_a_refused_renewal_is_content_with_a_token_that_came_meanwhile(runtime):
    runtime.get(A, 1, 100.0)
    runtime.jump(3599 - 200)
    runtime.endpoint.plans.append(Plan(Fault.REFUSED, after=5.0))
    runtime.get(A, 1, 100.0)
    runtime.exchange(A, A)
    runtime.wait(10)

    assert sent(runtime) == 3
    assert len(told(runtime, events.CodeRequested)) == 2


def test_a_code_in_hand_that_waits_for_its_turn_is_enough(runtime):
    runtime.endpoint.plans.append(Plan(Fault.LIMITED, reset=30))
    runtime.get(B, 1, 100.0)
    runtime.get(A, 1, 100.0)
    runtime.offer(A, A, told=False)
    runtime.wait(60)

    assert sent(runtime) == len(runtime.endpoint.tokens) == 2


def test_two_codes_at_their_last_moment_cost_one_where_one_is_enough(runtime):
    runtime.get(WIDEST, 1, 100.0)
    runtime.offer(WIDEST, WIDEST, told=False)
    runtime.offer(B, B, told=False)
    runtime.endpoint.weather = Plan(after=1.0)
    runtime.jump(540)
    runtime.wait(5)

    assert sent(runtime) == 2


def test_a_failure_is_not_told_when_a_token_came_at_the_same_moment(runtime):
    """The third caller hears of the failure after the second one's token is there."""
    runtime.partner.plans = [("narrow", 0.0)]
    runtime.endpoint.plans.append(Plan(after=5.0))
    runtime.offer(B, WIDEST, told=False)
    for scope in (A | B, B, A | B):
        runtime.get(scope, 1, 100.0)
    runtime.wait(6)

    assert [token.scope for token in runtime.seen] == [WIDEST]


def test_who_has_no_time_costs_no_code(runtime):
    runtime.get(A, 1, 0.0)

    assert told(runtime, events.CodeRequested) == []


def test_a_refused_code_is_not_followed_by_another_when_everybody_left(runtime):
    runtime.endpoint.plans.append(Plan(Fault.REFUSED, after=5.0))
    runtime.get(A, 2, 100.0)
    runtime.cancel(list(runtime.waiters))
    runtime.wait(10)

    assert sent(runtime) == 1
    assert len(told(runtime, events.CodeRequested)) == 1


def test_a_code_in_hand_waits_again_when_its_callers_leave(runtime):
    runtime.endpoint.plans.append(Plan(Fault.LIMITED, reset=30))
    runtime.get(A, 1, 100.0)
    runtime.get(B, 1, 100.0)
    runtime.cancel([runtime.waiters[-1]])
    runtime.wait(31)
    runtime.get(B, 1, 100.0)
    runtime.wait(5)

    assert sent(runtime) == len(told(runtime, events.CodeRequested)) == 2


def test_a_complaint_made_twice_is_told_once(runtime):
    runtime.get(A, 1, 100.0)
    runtime.invalidate(runtime.seen[0])
    runtime.invalidate(runtime.seen[0])

    assert len(told(runtime, events.TokenRevoked)) == 1


def test_a_short_wait_that_begins_after_a_sleep_is_short(runtime):
    """The watch over a longer wait sleeps by timers that did not count the sleep."""
    runtime.partner.plans = [("code", 59.0)]
    runtime.get(A, 1, 100.0)
    runtime.suspend(540)
    runtime.get(A, 1, 5.0)
    runtime.wait(6)

    assert runtime.waiters[1].task.done()


def test_a_second_key_needs_the_same_500_twice(runtime):
    """One from before the idempotency layer says nothing about what a key holds."""
    runtime.endpoint.plans.extend(
        [Plan(Fault.FAILED_BEFORE_LAYER), Plan(Fault.FAILED_STORED)]
    )
    runtime.get(A, 1, 100.0)
    runtime.wait(10)
    (keys,) = runtime.watch.ledger.keys.values()

    assert len(keys) == 2
    assert len(runtime.watch.sendings.failures) == 1
    assert [len(each) for each in runtime.watch.sendings.failures.values()] == [3]


def test_to_be_exact_nobody_is_given_a_wider_token_of_somebody_else(exact):
    exact.endpoint.plans.append(Plan(after=5.0))
    exact.get(A, 1, 100.0)
    exact.get(WIDEST, 1, 100.0)
    exact.wait(10)

    assert {token.scope for token in exact.seen} == {A, WIDEST}


def test_to_be_exact_a_failure_drops_no_token_that_lives(exact):
    exact.exchange(WIDEST, A | B)
    exact.partner.plans = [("nothing", 0.0)]
    exact.get(A, 1, 100.0)

    assert {token.scope for token in exact.manager.tokens()} == {WIDEST}


def test_without_a_code_at_hand_no_renewal_begins():
    """Each caller in a renewal window would begin one that can only fail."""
    runtime = TokenWorld(RenewalPolicy(), codes=False)
    runtime.exchange(A, A)
    for left in (200, 100, 40):
        runtime.jump(3599 - left - (runtime.clock.now() - 1000))
        runtime.get(A, 5, 100.0)
    begun = told(runtime, events.RenewalStarted), told(runtime, events.ExchangeFailed)
    runtime.offer(A, A, told=False)
    runtime.get(A, 1, 100.0)
    minted = told(runtime, events.TokenMinted)
    runtime.check()
    runtime.close()

    assert begun == ([], [])
    assert [event.renewal for event in minted] == [False, True]


def test_a_code_that_brings_only_what_is_held_is_kept_while_a_part_is_renewed(runtime):
    runtime.get(A, 1, 100.0)
    runtime.jump(3599 - 400)
    runtime.exchange(WIDEST, WIDEST)
    runtime.partner.plans.append(("code", 50.0))
    runtime.get(A, 1, 100.0)
    runtime.offer(WIDEST, WIDEST, told=False)
    runtime.wait(60)

    assert sent(runtime) == 3
    assert runtime.manager.metrics().codes_waiting == 1
