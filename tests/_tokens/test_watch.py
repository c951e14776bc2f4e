"""The watch sees what it is there for: each planted mistake breaks its invariant."""

import pytest

from persona_share.model.policy import RenewalPolicy
from persona_share.testing import FakeClock
from tests._tokens.endpoint import Endpoint, Fault, Plan
from tests._tokens.world import WIDEST, A, B, TokenWorld
from tests.simulation import plants


def lose_an_answer(runtime):
    runtime.endpoint.plans.append(Plan(Fault.LOST_AFTER))
    runtime.get(A, 1, 100.0)
    runtime.wait(5)


def get(runtime):
    runtime.endpoint.plans.append(Plan(after=1.0))
    runtime.get(A, 1, 100.0)
    runtime.wait(1)


def sleep_and_get(runtime):
    runtime.get(A, 1, 100.0)
    runtime.suspend(7200)
    runtime.get(A, 1, 100.0)


@pytest.mark.parametrize(
    ("plant", "number", "play"),
    [
        (plants.fresh_keys, 2, lose_an_answer),
        (plants.twice, 1, get),
        (plants.stretched, 14, get),
        (plants.sleepy, 8, sleep_and_get),
        (plants.indiscreet, 22, get),
    ],
)
def test_a_planted_mistake_breaks_its_invariant(plant, number, play):
    runtime = TokenWorld(RenewalPolicy(), plant=plant)
    play(runtime)

    with pytest.raises(AssertionError, match=f"invariant {number}"):
        runtime.check()
    with pytest.raises(AssertionError):
        runtime.close()


def test_a_code_that_nobody_gave_has_a_name_of_its_own():
    """Two codes of one name would be one code to the manager, and look like a fault."""
    endpoint = Endpoint(FakeClock())
    unknown = endpoint.issue(A)
    del endpoint.codes[unknown]

    assert endpoint.issue(B) != unknown


def test_5_a_renewal_goes_on_whose_token_is_revoked_meanwhile():
    """The code is paid for; that a wider token could serve comes to light too late."""
    runtime = TokenWorld(RenewalPolicy())
    runtime.get(A, 1, 100.0)
    runtime.jump(3599 - 400)
    runtime.exchange(WIDEST, WIDEST)
    runtime.partner.plans.append(("code", 50.0))
    runtime.get(A, 1, 100.0)
    runtime.invalidate(runtime.seen[0])
    runtime.wait(60)

    assert len(runtime.watch.ledger.keys) == 3
    runtime.check()
    assert not runtime.watch.sendings._is_due(A)
    runtime.close()


@pytest.mark.parametrize("play", [lose_an_answer, get, sleep_and_get])
def test_without_a_mistake_nothing_breaks(play):
    runtime = TokenWorld(RenewalPolicy())
    play(runtime)

    runtime.check()
    runtime.close()
