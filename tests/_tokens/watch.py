"""Watches one manager from outside and notes every invariant that breaks.

The numbers are those of the 26 invariants of the token manager. Where each is checked:

     1  `Sendings.leaving`, `.asking`: one exchange, one question for a scope at a time
     2  `Sendings.leaving`: one key for a code, another after two identical 500s only
     3  `Sendings.leaving`: not after the code's end, not begun with too little life
     4  `Watch._check_new`: one token for a code
     5  `Sendings.leaving`, `.asking`: each code replaces nothing, or a token that is due
        or revoked; `Watch._requested`: somebody wants it
     6  `TokenWorld.cancel`: the others wait on, and nothing is sent because of it
     7  `Sendings.are_filed`, `Watch.at_rest`: what came is filed, and stays
     8  `Watch._require_good`, `.calling`: nothing past its guard, by any door
     9  `Watch.failed`: no error while a usable token is held
    10  `TokenWorld.get`: a token that is not yet mandatory comes without an await
    11  `Watch._check_new`: generations rise; where stores are concerned, see there
    12  `Watch._struck`, `._revoked`: about the current token, and the second one decides
    13  `Watch._check_new`, `._require_good`, `.calling`: a revoked token never comes back
    14  `Watch._check_new`: the published end is not after the true one
    15  `TokenWorld.step_wall`: nothing changes; a suspension is 8's business
    16  test_invariants.py: renewals of many tokens are spread
    17  `Watch._exchange_failed`; test_invariants.py for a million failures
    18  `Sendings.asking`: nobody is asked while a cool-down stands
    19  `Watch._check_new`, `._require_good`, `.calling`: scope and API key fit
    20  test_invariants.py: the algebra of scopes
    21  `Watch._check_bounds`, `._evicted`
    22  `Watch.hook`, `.unhappy`, `.at_rest`: no secret comes out
    23  `TokenWorld.check`: no waiter outlives its time; threads are tested elsewhere
    24  forks are tested elsewhere, with real processes
    25  stores are tested elsewhere
    26  `TokenWorld.close_manager`: nothing is left behind, no ticket stays sent
"""

from collections import Counter

from persona_share import Scope
from persona_share._tokens.tickets import TicketState
from persona_share.errors import (
    DeadlineExceededError,
    ManagerClosedError,
    TokenError,
)
from persona_share.model import events
from tests._tokens.endpoint import CANARY
from tests._tokens.held import HAIR, Held, Published
from tests._tokens.masks import shown_by, told_by
from tests._tokens.sendings import Ledger, Sendings


#: The longest pause that the service may ask for, in seconds.
LONGEST_WISH = 3600.0


class Watch:
    """Hears and sees what one manager does."""

    def __init__(self, endpoint, policy, api_key, ledger=None):
        self.endpoint = endpoint
        self.clock = endpoint.clock
        self.policy = policy
        self.api_key = api_key
        self.ledger = ledger or Ledger()
        self.breaks = []
        self.events = []
        self.dead = set()
        self.logged = []
        self.complaining = False
        self.manager = self.broker = None

    def attach(self, manager):
        """Watch this manager from now on; what died before stays dead."""
        self.manager = manager
        self.broker = manager._broker
        self.held = Held(self.clock, self.policy)
        self.sendings = Sendings(self, self.ledger)
        self.generation = 0
        self.pinned = set()
        self.published = set()
        self.struck = {}

    def require(self, number, holds, what):
        """Note a break of an invariant."""
        if not holds:
            self.breaks.append(f"invariant {number}: {what}")

    # ── What the manager tells ──────────────────────────────────────────────────

    def hook(self, event):
        """Hear an event at the moment when it is told."""
        self.events.append(event)
        text = repr(event)
        secret = CANARY in text or any(word in text for word in ("inq_", "ver_"))
        self.require(22, not secret, f"an event tells a secret: {type(event).__name__}")
        match event:
            case events.CodeRequested():
                self._requested(event)
            case events.TokenMinted():
                self._minted(event)
            case events.TokenStruck():
                self._struck(event)
            case events.TokenRevoked():
                self._revoked(event)
            case events.TokensEvicted():
                self._evicted(event)
            case events.ExchangeFailed():
                self._exchange_failed(event)
            case _:
                pass

    def _requested(self, event):
        wanted = any(
            flight.background or not flight.idle
            for key, flight in self.broker._flights.items()
            if isinstance(key, Scope) and len(key) == event.scope_size
        )
        self.require(5, wanted, "a code is asked for that nobody waits for")

    def _minted(self, event):
        entry = next(
            each
            for each in self.broker.vault.entries
            if each.token.generation == event.generation
        )
        token, value = entry.token, entry.token.reveal()
        truth = self.endpoint.tokens.get(value)
        if truth is None:
            self.require(4, holds=False, what="a token that the service never made")
            return
        self._check_new(token, truth)
        self.generation = token.generation
        self.published.add(value)
        self.sendings.cooling.pop(entry.asked, None)
        self.held.publish(
            Published(
                token.generation,
                value,
                token.scope,
                entry.asked,
                entry.asked,
                token.ends,
                token.lifetime,
            )
        )

    def _check_new(self, token, truth):
        value = truth.value
        self.require(11, token.generation > self.generation, "a generation falls back")
        self.require(13, value not in self.dead, "a revoked token comes back")
        # Without a store no manager knows when another one sent a code first.
        late = token.ends > truth.ends + HAIR and truth.code not in self.ledger.shared
        self.require(14, not late, "the published end is after the true one")
        fits = truth.scope == token.scope and truth.api_key == self.api_key
        self.require(19, fits, "a token is filed under what it does not grant")
        values = self.ledger.values[truth.code]
        values.add(value)
        self.require(4, len(values) == 1, "one code brought two tokens")

    def _struck(self, event):
        token = self.held.generation(event.generation)
        if token is None:
            self.require(12, holds=False, what="a 401 on an old token was counted")
            return
        grace = min(self.policy.replication_grace, token.lifetime / 10)
        young = event.at - (token.ends - token.lifetime) < grace - HAIR
        self.require(12, not young, "a 401 on a newborn token was counted")
        self.struck.setdefault(token.generation, event.at)

    def _revoked(self, event):
        token = self.held.generation(event.generation)
        if token is None:
            self.require(12, holds=False, what="an old token was revoked")
            return
        gap = min(self.policy.strike_gap, token.lifetime / 10)
        first = self.struck.get(token.generation)
        twice = first is not None and event.at - first >= gap - HAIR
        self.require(12, self.complaining or twice, "revoked without a second strike")
        self.dead.add(token.value)
        self.held.drop(token)
        self.sendings.revoked(token.asked)

    def _evicted(self, event):
        left = {each.token.generation for each in self.broker.vault.entries}
        gone = [each for each in self.held if each.generation not in left]
        usable = [each for each in gone if self.held.usable(each)]
        self.require(21, len(usable) <= event.count, "more was evicted than is told")
        busy = any(token.asked in self.broker._flights for token in usable)
        self.require(21, not busy, "an entry with a flight was evicted")
        for token in gone:
            self.held.drop(token)

    def _exchange_failed(self, event):
        most = max(self.policy.cooldown_of_403, self.policy.source_backoff_cap)
        if event.error == "ExchangeRateLimitedError":
            most = LONGEST_WISH
        self.require(17, 0 <= event.cooldown <= most, f"cool-down {event.cooldown}")
        now = self.clock.now()
        for scope, setback in self.broker.vault.setbacks._by_scope.items():
            if setback.until > now:
                self.sendings.cooling[scope] = setback.until

    # ── What callers get, and what they do with it ──────────────────────────────

    def got(self, scope, token):
        """Check a token that a caller got."""
        self._require_good(scope, token, "token()")

    def failed(self, scope, error, deadline):
        """Check an error that a caller got."""
        name = type(error).__name__
        closed = isinstance(error, ManagerClosedError)
        served = closed or not self.held.candidates(scope)
        self.require(9, served, f"{name} while a usable token was held")
        self.unhappy(error, deadline)

    def unhappy(self, error, deadline):
        """Check an error that anybody got."""
        name = type(error).__name__
        known = isinstance(error, TokenError | DeadlineExceededError)
        known = known or isinstance(error, ManagerClosedError)
        self.require(9, known, f"a caller got {name}: {error}")
        self.require(9, "broke down" not in str(error), f"a mistake inside: {error}")
        if isinstance(error, DeadlineExceededError):
            early = self.clock.now() < deadline - HAIR
            self.require(23, not early, "a caller's time was not up")
        masked = CANARY not in told_by(error)
        self.require(22, masked, f"{name} tells a secret")

    def calling(self, value, request):
        """Check a call to the API at the moment when it leaves."""
        token, held = self.endpoint.tokens[value], self.held.given(value)
        self.require(13, value not in self.dead, "a call carries a revoked token")
        fits = Scope.parse(request.target) <= token.scope
        self.require(19, fits, "a call carries a token that does not cover it")
        self.require(19, token.api_key == self.api_key, "a call with another's token")
        usable = held is not None and self.held.usable(held)
        self.require(8, usable, "a call carries a token past its guard")

    def forgotten(self, scope):
        """Note that the manager was told to forget a scope."""
        for token in self.held:
            if scope in {token.scope, token.asked}:
                self.held.drop(token)
        self.sendings.cooling.pop(scope, None)

    # ── What is held ────────────────────────────────────────────────────────────

    def at_rest(self, scopes, bearers):
        """Check the state of the manager when nothing moves."""
        manager = self.manager
        held = {token.generation for token in manager.tokens()}
        expected = {p.generation for p in self.held if self.held.usable(p)}
        self.require(7, held == expected, f"holds {held}, should hold {expected}")
        self.sendings.are_filed(self.published | self.dead)
        for scope in scopes:
            token = manager.peek(scope)
            if token is not None:
                self._require_good(scope, token, "peek()")
        for scope, bearer in bearers.items():
            token = bearer.cached()
            if token is not None:
                self._require_good(scope, token, "held()")
        self._check_bounds()
        masked = CANARY not in shown_by(manager) + "".join(self.logged)
        self.require(22, masked, "a secret is shown")
        self.logged.clear()

    def _require_good(self, scope, token, door):
        value, now = token.reveal(), self.clock.now()
        truth = self.endpoint.tokens[value]
        known = self.held.given if door == "token()" else self.held.value
        held = known(value)
        guard = min(self.policy.guard, token.lifetime / 20)
        self.require(8, now < token.ends - guard, f"{door}: a token past its guard")
        ended = now >= truth.ends and truth.code not in self.ledger.shared
        self.require(8, not ended, f"{door}: a token past its true end")
        self.require(13, value not in self.dead, f"{door}: a revoked token")
        fits = held is not None and (
            self.held.covers(held, scope) or scope == held.brought_for
        )
        self.require(19, fits, f"{door}: a token for another scope")
        self.require(19, truth.api_key == self.api_key, f"{door}: another key's token")

    def _check_bounds(self):
        policy, broker = self.policy, self.broker
        flights, tickets = len(broker._flights), list(broker.codes.pool)
        most = policy.most_tokens + flights + len(self.pinned) + 1
        held = len(broker.vault.entries)
        self.require(21, held <= most, "too many tokens are held")
        states = Counter(ticket.state for ticket in tickets)
        # A code in hand waits again when its exchange came to nothing.
        demanded = sum(
            each.demanded or each.pulled for each in self.sendings.codes.values()
        )
        waiting, most = states[TicketState.QUEUED], policy.most_codes + demanded
        self.require(21, waiting <= most, "too many codes wait")
        most = 4 * policy.most_codes + flights
        self.require(21, len(tickets) <= most, f"{len(tickets)} codes are remembered")
        claimed = states[TicketState.CLAIMED] + states[TicketState.SENT]
        self.require(7, claimed <= flights, "a code is claimed and on no flight")
