"""Single lives in which a code was burnt, a rule broken or a caller misled once."""

import pytest

from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from tests._tokens.endpoint import Fault, Plan
from tests._tokens.world import WIDEST, A, B, C, TokenWorld


@pytest.fixture
def world():
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


def sent(world):
    """Answer the codes that ever left."""
    return len(world.watch.ledger.keys)


def told(world, kind):
    return [event for event in world.watch.events if isinstance(event, kind)]


def test_f85_a_code_that_ended_while_the_machine_slept_is_not_sent_again(world):
    world.endpoint.weather = Plan(Fault.UNAVAILABLE)
    world.get(A, 1, 100.0)
    world.suspend(7200)
    world.endpoint.weather = Plan()
    world.wait(60)

    assert len(world.endpoint.tokens) == sent(world) - 1


def test_who_waits_for_one_part_is_not_given_the_token_of_another(world):
    """A token that was brought for B also covers C; its renewal need not."""
    world.partner.plans = [("wide", 0.0)]
    world.get(B, 1, 100.0)
    world.jump(3599 - 40)
    world.get(C, 3, 100.0)

    assert {token.scope for token in world.seen} == {WIDEST}


def test_who_waits_within_a_wider_question_takes_what_serves_him(world):
    """The question is WIDEST, for that is what served A before; a code for A comes."""
    world.get(WIDEST, 1, 100.0)
    world.invalidate(world.seen[0])
    world.partner.plans = [("code", 50.0)]
    world.get(A, 2, 30.0)
    world.offer(A, A, told=False)

    assert world.waiters[0].task.done()
    assert world.seen[-1].scope == A
    assert sent(world) == 2


def test_two_codes_offered_to_one_who_waits_cost_one(world):
    world.partner.plans = [("code", 50.0)]
    world.get(A, 1, 100.0)
    world.endpoint.plans.append(Plan(after=3.0))
    world.offer(A, A, told=False)
    world.offer(A, A, told=False)
    world.wait(60)

    assert sent(world) == 1


def test_nobody_asks_for_a_code_while_a_delivered_one_is_on_its_way(world):
    world.endpoint.plans.append(Plan(after=5.0))
    world.exchange(A, A)
    world.get(A, 3, 100.0)
    world.wait(10)

    assert sent(world) == len(world.seen) == 1
    assert told(world, events.CodeRequested) == []


def test_a_renewal_that_waits_for_its_code_ends_when_one_is_delivered(world):
    world.get(A, 1, 100.0)
    world.partner.plans = [("code", 50.0)]
    world.jump(3599 - 200)
    world.get(A, 1, 100.0)
    world.offer(A, A, told=False)
    world.wait(60)

    assert sent(world) == 2


def test_a_refused_renewal_is_content_with_a_token_that_came_meanwhile(world):
    world.get(A, 1, 100.0)
    world.jump(3599 - 200)
    world.endpoint.plans.append(Plan(Fault.REFUSED, after=5.0))
    world.get(A, 1, 100.0)
    world.exchange(A, A)
    world.wait(10)

    assert sent(world) == 3
    assert len(told(world, events.CodeRequested)) == 2


def test_a_code_in_hand_that_waits_for_its_turn_is_enough(world):
    world.endpoint.plans.append(Plan(Fault.LIMITED, reset=30))
    world.get(B, 1, 100.0)
    world.get(A, 1, 100.0)
    world.offer(A, A, told=False)
    world.wait(60)

    assert sent(world) == len(world.endpoint.tokens) == 2


def test_two_codes_at_their_last_moment_cost_one_where_one_is_enough(world):
    world.get(WIDEST, 1, 100.0)
    world.offer(WIDEST, WIDEST, told=False)
    world.offer(B, B, told=False)
    world.endpoint.weather = Plan(after=1.0)
    world.jump(540)
    world.wait(5)

    assert sent(world) == 2


def test_a_failure_is_not_told_when_a_token_came_at_the_same_moment(world):
    """The third caller hears of the failure after the second one's token is there."""
    world.partner.plans = [("narrow", 0.0)]
    world.endpoint.plans.append(Plan(after=5.0))
    world.offer(B, WIDEST, told=False)
    for scope in (A | B, B, A | B):
        world.get(scope, 1, 100.0)
    world.wait(6)

    assert [token.scope for token in world.seen] == [WIDEST]


def test_who_has_no_time_costs_no_code(world):
    world.get(A, 1, 0.0)

    assert told(world, events.CodeRequested) == []


def test_a_refused_code_is_not_followed_by_another_when_everybody_left(world):
    world.endpoint.plans.append(Plan(Fault.REFUSED, after=5.0))
    world.get(A, 2, 100.0)
    world.cancel(list(world.waiters))
    world.wait(10)

    assert sent(world) == 1
    assert len(told(world, events.CodeRequested)) == 1


def test_a_code_in_hand_waits_again_when_its_callers_leave(world):
    world.endpoint.plans.append(Plan(Fault.LIMITED, reset=30))
    world.get(A, 1, 100.0)
    world.get(B, 1, 100.0)
    world.cancel([world.waiters[-1]])
    world.wait(31)
    world.get(B, 1, 100.0)
    world.wait(5)

    assert sent(world) == len(told(world, events.CodeRequested)) == 2


def test_a_complaint_made_twice_is_told_once(world):
    world.get(A, 1, 100.0)
    world.invalidate(world.seen[0])
    world.invalidate(world.seen[0])

    assert len(told(world, events.TokenRevoked)) == 1


def test_a_short_wait_that_begins_after_a_sleep_is_short(world):
    """The watch over a longer wait sleeps by timers that did not count the sleep."""
    world.partner.plans = [("code", 59.0)]
    world.get(A, 1, 100.0)
    world.suspend(540)
    world.get(A, 1, 5.0)
    world.wait(6)

    assert world.waiters[1].task.done()


def test_a_second_key_needs_the_same_500_twice(world):
    """One from before the idempotency layer says nothing about what a key holds."""
    world.endpoint.plans.extend(
        [Plan(Fault.FAILED_BEFORE_LAYER), Plan(Fault.FAILED_STORED)]
    )
    world.get(A, 1, 100.0)
    world.wait(10)
    (keys,) = world.watch.ledger.keys.values()

    assert len(keys) == 2
    assert len(world.watch.sendings.failures) == 1
    assert [len(each) for each in world.watch.sendings.failures.values()] == [3]


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
    world = TokenWorld(RenewalPolicy(), codes=False)
    world.exchange(A, A)
    for left in (200, 100, 40):
        world.jump(3599 - left - (world.clock.now() - 1000))
        world.get(A, 5, 100.0)
    begun = told(world, events.RenewalStarted), told(world, events.ExchangeFailed)
    world.offer(A, A, told=False)
    world.get(A, 1, 100.0)
    minted = told(world, events.TokenMinted)
    world.check()
    world.close()

    assert begun == ([], [])
    assert [event.renewal for event in minted] == [False, True]


def test_a_code_that_brings_only_what_is_held_is_kept_while_a_part_is_renewed(world):
    world.get(A, 1, 100.0)
    world.jump(3599 - 400)
    world.exchange(WIDEST, WIDEST)
    world.partner.plans.append(("code", 50.0))
    world.get(A, 1, 100.0)
    world.offer(WIDEST, WIDEST, told=False)
    world.wait(60)

    assert sent(world) == 3
    assert world.manager.metrics().codes_waiting == 1
