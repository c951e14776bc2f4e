"""The invariants of the token manager hold whatever happens, in whatever order.

`watch.py` says which invariant is checked where. `make test` plays the same 200 lives of
50 steps each time, `make soak-properties` 5,000 new ones of 100 steps.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from hypothesis.stateful import run_state_machine_as_test

from persona_share import Scope
from persona_share._policy.lifetime import cooldown, source_backoff, windows
from persona_share._transport.runtime import seeded_random
from persona_share.model.policy import RenewalPolicy
from tests._tokens.life import TokenLife
from tests.simulation import plants


SOAKING = settings.get_current_profile_name() == "soak"


@pytest.mark.parametrize("batch", range(50 if SOAKING else 1))
def test_no_invariant_breaks_whatever_happens(batch):
    """A soak goes in batches, so that it can end when its minutes are used up."""
    run_state_machine_as_test(
        TokenLife,
        settings=settings(
            max_examples=100 if SOAKING else 200,
            stateful_step_count=100 if SOAKING else 50,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


class FreshKeyLife(TokenLife):
    """The same life with a planted mistake: a new key for every attempt."""

    plant = staticmethod(plants.fresh_keys)


def test_the_machine_finds_a_planted_mistake():
    with pytest.raises(AssertionError, match="invariant 2"):
        run_state_machine_as_test(
            FreshKeyLife,
            settings=settings(
                max_examples=200,
                stateful_step_count=20,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
            ),
        )


@pytest.mark.parametrize(("lifetime", "window"), [(3599, 900), (900, 300)])
@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_16_tokens_minted_together_are_not_renewed_together(lifetime, window, seed):
    count, random = 10_000, seeded_random(seed)
    seconds = Counter(
        int(lifetime - windows(lifetime, random(), RenewalPolicy()).refresh)
        for _ in range(count)
    )

    assert max(seconds.values()) <= 5 * count / (2 * window / 3) + 10


@given(
    failures=st.integers(1, 10**6),
    random=st.floats(0, 1, exclude_max=True),
    left=st.none() | st.floats(0, 3600),
)
def test_17_every_cool_down_is_above_0_and_60_seconds_at_the_most(
    failures, random, left
):
    pause = cooldown(failures, random, RenewalPolicy(), left)

    assert 0 < pause <= 60


@given(failures=st.integers(1, 10**6), random=st.floats(0, 1, exclude_max=True))
def test_17_a_code_source_rests_300_seconds_at_the_most(failures, random):
    assert 0 < source_backoff(failures, random, RenewalPolicy()) <= 300


atoms = st.sampled_from(
    [f"{kind}.read:{kind[:3]}_{n}" for kind in ("inquiry", "report") for n in range(4)]
)
texts = st.lists(atoms, max_size=8)


@given(texts, st.randoms(use_true_random=False))
def test_20_order_and_repetition_mean_nothing(words, dice):
    scope, shuffled = Scope.parse(" ".join(words)), words + words[:2]
    dice.shuffle(shuffled)

    assert Scope.parse("  ".join(shuffled)) == scope
    assert Scope.parse(str(scope)) == scope
    assert str(Scope.parse(str(scope))) == str(scope)


@given(texts, texts, texts)
def test_20_coverage_is_reflexive_and_transitive(one, other, third):
    small, middle = Scope(one), Scope(one) | Scope(other)
    large = middle | Scope(third)

    assert small <= Scope(reversed(small.atoms))
    assert small <= middle <= large
    assert small <= large
