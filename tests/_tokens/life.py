"""The life of one manager as a machine of rules, for hypothesis to play."""

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from persona_share.model.policy import RenewalPolicy
from tests._tokens.endpoint import Fault, Plan
from tests._tokens.world import SCOPES, TokenWorld


scopes = st.sampled_from(SCOPES)
delays = st.sampled_from([0.0, 0.0, 0.5, 3.0, 20.0])
plans = st.builds(
    Plan,
    fault=st.sampled_from(list(Fault)),
    before=delays,
    after=delays,
    reset=st.sampled_from([1, 5, 70, 700]),
)
fates = st.lists(plans, max_size=3)
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
mostly = st.sampled_from([True, True, True, True, False])
seldom = st.sampled_from([False, False, True])
seeds = st.integers(0, 1000)


class TokenLife(RuleBasedStateMachine):
    """One manager among callers, codes, faults, complaints and clocks."""

    @staticmethod
    def plant(context):
        """Plant nothing."""

    @initialize(service=services, codes=mostly, exact_only=seldom, seed=seeds)
    def open(self, service, codes, exact_only, seed):
        policy = RenewalPolicy(
            most_tokens=3, most_codes=5, most_codes_a_scope=2, exact_only=exact_only
        )
        self.runtime = TokenWorld(
            policy, seed=seed, codes=codes, plant=self.plant, **service
        )

    # ── What befalls requests ───────────────────────────────────────────────────

    @rule(some=st.lists(plans, min_size=1, max_size=4))
    def plan_the_next_exchanges(self, some):
        self.runtime.endpoint.plans.extend(some)

    @rule(plan=plans, fair=st.booleans())
    def the_weather_changes(self, plan, fair):
        self.runtime.endpoint.weather = Plan() if fair else plan

    @rule(some=st.lists(answers, min_size=1, max_size=3))
    def plan_the_next_codes(self, some):
        self.runtime.partner.plans.extend(some)

    @rule(some=st.integers(1, 3))
    def stray_refusals(self, some):
        self.runtime.api.stray += some

    # ── Callers ─────────────────────────────────────────────────────────────────

    @rule(scope=scopes, callers=st.integers(1, 3), timeout=timeouts)
    def get(self, scope, callers, timeout):
        self.runtime.get(scope, callers, timeout)

    @rule(scope=scopes, some=fates, seconds=st.sampled_from([0.0, 4.0, 31.0]))
    def get_through(self, scope, some, seconds):
        """Ask for a token when something befalls its exchange, and wait a while."""
        self.runtime.endpoint.plans.extendleft(reversed(some))
        self.runtime.get(scope, 2, 100.0)
        self.runtime.wait(seconds)

    @precondition(lambda self: self.runtime.watch.held)
    @rule(
        data=st.data(),
        before=st.sampled_from([1400.0, 850.0, 400.0, 100.0, 50.0, 12.0, 5.0]),
        some=fates,
    )
    def use_near_the_end(self, data, before, some):
        """Ask again some time before a token ends; its renewal may go wrong."""
        token = data.draw(st.sampled_from(tuple(self.runtime.watch.held)))
        left = token.ends - self.runtime.clock.now()
        self.runtime.endpoint.plans.extendleft(reversed(some))
        self.runtime.jump(max(left - before * min(1.0, token.lifetime / 3599), 0.0))
        self.runtime.get(token.scope, 2, 5.0)
        self.runtime.wait(1.0)

    @precondition(lambda self: self.runtime.watch.held)
    @rule(data=st.data(), calls=st.integers(1, 4))
    def use_what_is_revoked(self, data, calls):
        """Call with a token that the service honours no more."""
        token = data.draw(st.sampled_from(tuple(self.runtime.watch.held)))
        self.runtime.wait(min(5.0, token.lifetime / 10))
        self.runtime.endpoint.revoke(token.value)
        for _ in range(calls):
            self.runtime.call(token.scope, (0.0, 0.0))
        self.runtime.wait(2.0)

    @rule(scope=scopes, to=delays, fro=delays, callers=st.integers(1, 3))
    def call(self, scope, to, fro, callers):
        for _ in range(callers):
            self.runtime.call(scope, (to, fro))

    @rule(scope=scopes)
    def warm(self, scope):
        self.runtime.warm(scope)

    @precondition(lambda self: self.runtime.waiters)
    @rule(data=st.data())
    def cancel(self, data):
        chosen = data.draw(
            st.lists(st.sampled_from(self.runtime.waiters), min_size=1, unique_by=id)
        )
        self.runtime.cancel(chosen)

    @precondition(lambda self: self.runtime.waiters)
    @rule()
    def cancel_all(self):
        self.runtime.cancel(list(self.runtime.waiters))

    # ── Codes ───────────────────────────────────────────────────────────────────

    @rule(
        hint=st.none() | scopes, grants=scopes, honest=st.booleans(), told=st.booleans()
    )
    def offer(self, hint, grants, honest, told):
        grants = hint if honest and hint is not None else grants
        self.runtime.offer(
            hint, grants, told=told or self.runtime.endpoint.code_life < 599
        )

    @rule(hint=st.none() | scopes, grants=scopes)
    def exchange(self, hint, grants):
        self.runtime.exchange(grants, hint)

    @precondition(lambda self: self.runtime.remembered())
    @rule(data=st.data(), hint=st.none() | scopes, at_once=st.booleans())
    def deliver_again(self, data, hint, at_once):
        code = data.draw(st.sampled_from(self.runtime.remembered()))
        again = self.runtime.exchange_again if at_once else self.runtime.offer_again
        again(code, hint)

    # ── Time ────────────────────────────────────────────────────────────────────

    @rule(seconds=moments)
    def a_moment_passes(self, seconds):
        self.runtime.wait(seconds)

    @rule(seconds=stretches)
    def a_stretch_passes_at_one_stroke(self, seconds):
        self.runtime.jump(seconds)

    @rule(seconds=moments | stretches)
    def the_machine_sleeps(self, seconds):
        self.runtime.suspend(seconds)

    @rule(seconds=st.sampled_from([-86_400.0, -3600.0, 3600.0, 86_400.0]))
    def the_wall_clock_steps(self, seconds):
        self.runtime.step_wall(seconds)

    # ── Complaints and the end ──────────────────────────────────────────────────

    @precondition(lambda self: self.runtime.endpoint.tokens)
    @rule(data=st.data())
    def the_service_revokes(self, data):
        tokens = list(self.runtime.endpoint.tokens)
        self.runtime.endpoint.revoke(data.draw(st.sampled_from(tokens)))

    @precondition(lambda self: self.runtime.seen)
    @rule(data=st.data())
    def invalidate(self, data):
        self.runtime.invalidate(data.draw(st.sampled_from(self.runtime.seen)))

    @rule(scope=scopes)
    def forget(self, scope):
        self.runtime.forget(scope)

    @rule()
    def reopen(self):
        self.runtime.reopen()

    @invariant()
    def nothing_is_broken(self):
        if hasattr(self, "runtime"):
            self.runtime.check()

    def teardown(self):
        if hasattr(self, "runtime"):
            self.runtime.close()
