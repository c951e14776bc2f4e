"""Follows every code: who gave it, under which key it left, and what came back."""

import json
from collections import Counter, defaultdict

import attrs

from persona_share import Scope
from tests._tokens.endpoint import code_of
from tests._tokens.held import HAIR


@attrs.define
class Given:
    """One code as the manager got it."""

    hint: Scope | None
    pulled: bool
    demanded: bool
    received_at: float
    deadline: float
    outstanding: int = 0
    first_sent: float | None = None
    purpose: Scope | None = None


@attrs.define
class Ledger:
    """What all watches of one service share: keys and tokens by code."""

    keys: dict = attrs.field(factory=lambda: defaultdict(set))
    values: dict = attrs.field(factory=lambda: defaultdict(set))
    #: Codes that more than one manager was given.
    shared: set = attrs.field(factory=set)


class Sendings:
    """The codes of one manager, and the invariants 1, 2, 3, 5 and 18."""

    def __init__(self, watch, ledger):
        self._watch = watch
        self._require = watch.require
        self._clock = watch.clock
        self._policy = watch.policy
        self._ledger = ledger
        self.codes = {}
        self.keys = defaultdict(list)
        self.failures = defaultdict(list)
        self.asking_now = Counter()
        self.cooling = {}
        self.landed = []
        self.bereaved = {}

    def received(self, code, hint, life, *, pulled=False, demanded=False):
        """Note that the manager gets a code, and what it is told about it."""
        if hint is not None:
            # A new code may do what an old one could not: no pause stands any more.
            self.cooling = {s: at for s, at in self.cooling.items() if not s <= hint}
        if code in self.codes:
            self.codes[code].demanded |= demanded
            return
        now, policy = self._clock.now(), self._policy
        known = policy.assumed_code_lifetime if life is None else life
        deadline = now + known - min(policy.code_margin, known / 20)
        self.codes[code] = Given(hint, pulled, demanded, now, deadline)

    def revoked(self, asked):
        """Note that a token is revoked, and the renewal of it that is under way."""
        self.bereaved[asked] = self._watch.broker._flights.get(asked)

    def _is_due(self, scope, *, pulled=True):
        """Answer whether there is a need for a code of this scope.

        A renewal whose token is revoked meanwhile goes on, also where a wider token
        serves: each tombstone may cost an exchange.
        """
        renewal = self.bereaved.get(scope)
        ongoing = renewal is not None and renewal is self._watch.broker._flights.get(
            scope
        )
        return ongoing or self._watch.held.is_due(scope, pulled=pulled)

    def asking(self, scope):
        """Check that the code source has to be asked for this scope now."""
        now, due = self._clock.now(), self._is_due(scope)
        self._require(1, not self.asking_now[scope], "asked twice at once for a scope")
        self._require(5, due, "a code is asked for without a need")
        until = self.cooling.get(scope, 0.0)
        self._require(18, now >= until - HAIR, "asked while a cool-down stands")

    def leaving(self, request):
        """Check a request to the token endpoint at the moment when it leaves."""
        code, now = code_of(request), self._clock.now()
        given = self.codes.get(code)
        if given is None:
            self._require(2, holds=False, what="a code is sent that nobody gave")
            return
        self._check_key(code, request.idempotency_key.reveal())
        self._require(3, now <= given.deadline + HAIR, "a code is sent after its end")
        self._require(1, not given.outstanding, "a code is sent twice at once")
        given.purpose = self._purpose(code, given)
        if given.first_sent is None:
            self._check_first(given, now)
            given.first_sent = now
        given.outstanding += 1

    def _check_key(self, code, key):
        self._ledger.keys[code].add(key)
        self._require(2, len(self._ledger.keys[code]) <= 2, "a code has many keys")
        keys = self.keys[code]
        if key not in keys:
            keys.append(key)
        if len(keys) > 1:
            alike = self.failures[code, keys[0]]
            twice = len(alike) > 1 and alike[-1] == alike[-2]
            self._require(2, twice, "a second key without two identical 500s")
            self._require(2, key != keys[0], "a code goes back to its first key")

    def _purpose(self, code, given):
        """Answer the scope that an exchange is for: its flight's, or its code's."""
        for key, flight in self._watch.broker._flights.items():
            ticket = flight.ticket
            secret = None if ticket is None else ticket.secret
            if secret is not None and secret.reveal() == code:
                return key if isinstance(key, Scope) else given.hint
        return given.hint

    def _check_first(self, given, now):
        life = given.deadline - given.received_at
        needed = min(self._policy.code_minimum_life, life / 10)
        late = now + needed > given.deadline + HAIR
        self._require(3, not late, "a code is sent with too little life left")
        if given.demanded or given.purpose is None:
            return
        # What is demanded goes, whatever else is about to.
        others = [
            each.purpose
            for each in self.codes.values()
            if each.outstanding
            and not (each.demanded and each.received_at >= given.received_at)
        ]
        alone = given.purpose not in others
        self._require(1, alone, "two exchanges for one scope at once")
        due = self._is_due(given.purpose, pulled=given.pulled)
        self._require(5, due, "a code is sent without a need")

    def answered(self, request, response):
        """Note what came back, or that nothing did."""
        code, key = code_of(request), request.idempotency_key.reveal()
        given = self.codes.get(code)
        if given is not None:
            given.outstanding -= 1
        if response is None:
            return
        if response.status == 500:
            self.failures[code, key].append(response.body)
        mismatch = response.status == 400 and b"Idempotency" in response.body
        self._require(2, not mismatch, "one key went with two forms")
        if response.status == 201 and response.body.endswith(b"}"):
            value = json.loads(response.body)["access-token"]
            self.landed.append((value, self._clock.now()))

    def are_filed(self, filed):
        """Check that each answer that came has been filed (7)."""
        for value, at in self.landed:
            truth = self._watch.endpoint.tokens[value]
            lifetime = truth.lifetime
            guard = min(self._policy.guard, lifetime / 20)
            given = self.codes.get(truth.code)
            # The replay of an answer whose token has ended is of no use (F59).
            old = given is None or at >= given.first_sent + lifetime - guard - HAIR
            self._require(7, value in filed or old, "an answer came and was not filed")
        self.landed.clear()
