"""The watch sees what it is there for: each planted mistake breaks its invariant."""

import pytest

from persona_share.model.policy import RenewalPolicy
from persona_share.testing import FakeClock
from tests._tokens.endpoint import Endpoint, Fault, Plan
from tests._tokens.world import WIDEST, A, B, TokenWorld
from tests.simulation import plants


def lose_an_answer(world):
    world.endpoint.plans.append(Plan(Fault.LOST_AFTER))
    world.get(A, 1, 100.0)
    world.wait(5)


def get(world):
    world.endpoint.plans.append(Plan(after=1.0))
    world.get(A, 1, 100.0)
    world.wait(1)


def sleep_and_get(world):
    world.get(A, 1, 100.0)
    world.suspend(7200)
    world.get(A, 1, 100.0)


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
    world = TokenWorld(RenewalPolicy(), plant=plant)
    play(world)

    with pytest.raises(AssertionError, match=f"invariant {number}"):
        world.check()
    with pytest.raises(AssertionError):
        world.close()


def test_a_code_that_nobody_gave_has_a_name_of_its_own():
    """Two codes of one name would be one code to the manager, and look like a fault."""
    endpoint = Endpoint(FakeClock())
    unknown = endpoint.issue(A)
    del endpoint.codes[unknown]

    assert endpoint.issue(B) != unknown


def test_5_a_renewal_goes_on_whose_token_is_revoked_meanwhile():
    """The code is paid for; that a wider token could serve comes to light too late."""
    world = TokenWorld(RenewalPolicy())
    world.get(A, 1, 100.0)
    world.jump(3599 - 400)
    world.exchange(WIDEST, WIDEST)
    world.partner.plans.append(("code", 50.0))
    world.get(A, 1, 100.0)
    world.invalidate(world.seen[0])
    world.wait(60)

    assert len(world.watch.ledger.keys) == 3
    world.check()
    assert not world.watch.sendings._is_due(A)
    world.close()


@pytest.mark.parametrize("play", [lose_an_answer, get, sleep_and_get])
def test_without_a_mistake_nothing_breaks(play):
    world = TokenWorld(RenewalPolicy())
    play(world)

    world.check()
    world.close()
