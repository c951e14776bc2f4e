"""The invariants of the token manager hold whatever happens, in whatever order.

`watch.py` says which invariant is checked where. `make test` plays the same 200 lives of
50 steps each time, `make soak-properties` 5,000 new ones of 100 steps.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from persona_share import Scope
from persona_share._net.world import seeded_roll
from persona_share._wire.lifetime import cooldown, source_backoff, windows
from persona_share.model.policy import RenewalPolicy
from tests._tokens.endpoint import Fault, Plan
from tests._tokens.world import SCOPES, TokenWorld
from tests.simulation import plants


SOAKING = settings.get_current_profile_name() == "soak"

scopes = st.sampled_from(SCOPES)
delays = st.sampled_from([0.0, 0.0, 0.5, 3.0, 20.0])
plans = st.builds(
    Plan,
    fault=st.sampled_from(list(Fault)),
    before=delays,
    after=delays,
    reset=st.sampled_from([1, 5, 70, 700]),
)
answers = st.tuples(
    st.sampled_from(
        ["code", "raise", "nothing", "used", "wide", "narrow", "unknown", "ended"]
    ),
    st.sampled_from([0.0, 0.0, 2.0, 30.0, 90.0]),
)
moments = st.sampled_from([0.05, 0.3, 1.0, 5.0, 31.0, 61.0])
stretches = st.sampled_from([31.0, 200.0, 540.0, 900.0, 2700.0, 3540.0, 7200.0])
timeouts = st.sampled_from([0.5, 5.0, 100.0])
services = st.fixed_dictionaries(
    {
        "lifetime": st.sampled_from([3599, 3599, 900, 120, 5]),
        "code_life": st.sampled_from([599.0, 599.0, 120.0]),
        "limit": st.sampled_from([None, None, 300, 15]),
        "kills_older": st.booleans(),
    }
)
mostly = st.sampled_from([True, True, False])
seldom = st.sampled_from([False, False, True])
seeds = st.integers(0, 1000)


class TokenLife(RuleBasedStateMachine):
    """One manager among callers, codes, faults, complaints and clocks."""

    @staticmethod
    def plant(account):
        """Plant nothing."""

    @initialize(service=services, codes=mostly, exact_only=seldom, seed=seeds)
    def open(self, service, codes, exact_only, seed):
        policy = RenewalPolicy(
            most_tokens=3, most_codes=5, most_codes_a_scope=2, exact_only=exact_only
        )
        self.world = TokenWorld(
            policy, seed=seed, codes=codes, plant=self.plant, **service
        )

    # ── What befalls requests ───────────────────────────────────────────────────

    @rule(some=st.lists(plans, min_size=1, max_size=4))
    def plan_the_next_exchanges(self, some):
        self.world.endpoint.plans.extend(some)

    @rule(plan=plans, fair=st.booleans())
    def the_weather_changes(self, plan, fair):
        self.world.endpoint.weather = Plan() if fair else plan

    @rule(some=st.lists(answers, min_size=1, max_size=3))
    def plan_the_next_codes(self, some):
        self.world.partner.plans.extend(some)

    @rule(some=st.integers(1, 3))
    def stray_refusals(self, some):
        self.world.api.stray += some

    # ── Callers ─────────────────────────────────────────────────────────────────

    @rule(scope=scopes, callers=st.integers(1, 3), timeout=timeouts)
    def get(self, scope, callers, timeout):
        self.world.get(scope, callers, timeout)

    @rule(scope=scopes, to=delays, fro=delays, callers=st.integers(1, 3))
    def call(self, scope, to, fro, callers):
        for _ in range(callers):
            self.world.call(scope, (to, fro))

    @rule(scope=scopes)
    def warm(self, scope):
        self.world.warm(scope)

    @precondition(lambda self: self.world.waiters)
    @rule(data=st.data())
    def cancel(self, data):
        chosen = data.draw(
            st.lists(st.sampled_from(self.world.waiters), min_size=1, unique_by=id)
        )
        self.world.cancel(chosen)

    @precondition(lambda self: self.world.waiters)
    @rule()
    def cancel_all(self):
        self.world.cancel(list(self.world.waiters))

    # ── Codes ───────────────────────────────────────────────────────────────────

    @rule(
        hint=st.none() | scopes, grants=scopes, honest=st.booleans(), told=st.booleans()
    )
    def offer(self, hint, grants, honest, told):
        grants = hint if honest and hint is not None else grants
        self.world.offer(hint, grants, told=told or self.world.endpoint.code_life < 599)

    @rule(hint=st.none() | scopes, grants=scopes)
    def exchange(self, hint, grants):
        self.world.exchange(grants, hint)

    @precondition(lambda self: self.world.remembered())
    @rule(data=st.data(), hint=st.none() | scopes, at_once=st.booleans())
    def deliver_again(self, data, hint, at_once):
        code = data.draw(st.sampled_from(self.world.remembered()))
        again = self.world.exchange_again if at_once else self.world.offer_again
        again(code, hint)

    # ── Time ────────────────────────────────────────────────────────────────────

    @rule(seconds=moments)
    def a_moment_passes(self, seconds):
        self.world.wait(seconds)

    @rule(seconds=stretches)
    def a_stretch_passes_at_one_stroke(self, seconds):
        self.world.jump(seconds)

    @rule(seconds=moments | stretches)
    def the_machine_sleeps(self, seconds):
        self.world.suspend(seconds)

    @rule(seconds=st.sampled_from([-86_400.0, -3600.0, 3600.0, 86_400.0]))
    def the_wall_clock_steps(self, seconds):
        self.world.step_wall(seconds)

    # ── Complaints and the end ──────────────────────────────────────────────────

    @precondition(lambda self: self.world.endpoint.tokens)
    @rule(data=st.data())
    def the_service_revokes(self, data):
        tokens = list(self.world.endpoint.tokens)
        self.world.endpoint.revoke(data.draw(st.sampled_from(tokens)))

    @precondition(lambda self: self.world.seen)
    @rule(data=st.data())
    def invalidate(self, data):
        self.world.invalidate(data.draw(st.sampled_from(self.world.seen)))

    @rule(scope=scopes)
    def forget(self, scope):
        self.world.forget(scope)

    @rule()
    def reopen(self):
        self.world.reopen()

    @invariant()
    def nothing_is_broken(self):
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()


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
@given(seed=seeds)
@settings(max_examples=10)
def test_16_tokens_minted_together_are_not_renewed_together(lifetime, window, seed):
    count, roll = 10_000, seeded_roll(seed)
    seconds = Counter(
        int(lifetime - windows(lifetime, roll(), RenewalPolicy()).refresh)
        for _ in range(count)
    )

    assert max(seconds.values()) <= 5 * count / (2 * window / 3) + 10


@given(
    failures=st.integers(1, 10**6),
    roll=st.floats(0, 1, exclude_max=True),
    left=st.none() | st.floats(0, 3600),
)
def test_17_every_cool_down_is_above_0_and_60_seconds_at_the_most(failures, roll, left):
    pause = cooldown(failures, roll, RenewalPolicy(), left)

    assert 0 < pause <= 60


@given(failures=st.integers(1, 10**6), roll=st.floats(0, 1, exclude_max=True))
def test_17_a_code_source_rests_300_seconds_at_the_most(failures, roll):
    assert 0 < source_backoff(failures, roll, RenewalPolicy()) <= 300


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
