"""The broker: a scope in, a token out, and one exchange for any number of callers.

Decisions and changes of state happen between two awaits, never across one, so no lock
is needed in the one event loop that a manager belongs to.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import attrs

from persona_share._policy.lifetime import (
    Standing,
    is_worthwhile,
    last_safe_moment,
)
from persona_share._tokens.bringing import Bringer
from persona_share._tokens.codes import Codes, TimeIsUpError, within
from persona_share._tokens.entries import Entry
from persona_share._tokens.fleet import Fleet, OnStoreFailure
from persona_share._tokens.flight import Flight, Left, Outcome
from persona_share._tokens.flights import Flights, Key
from persona_share._tokens.meter import MetricsRecorder
from persona_share._tokens.mint import Mint
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share._tokens.vault import Vault
from persona_share.errors import (
    CodeAlreadyUsedError,
    DeadlineExceededError,
    ManagerClosedError,
    PersonaError,
    Phase,
)
from persona_share.model import events
from persona_share.model.metrics import TokenMetrics
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.ports import ClientContext, CodeSource, TokenStore


class Broker:
    """Holds the tokens of one manager and brings new ones."""

    def __init__(
        self,
        context: ClientContext,
        source: CodeSource | None,
        policy: RenewalPolicy,
        emit: Callable[[events.Event], None],
        *,
        store: TokenStore | None = None,
        on_store_failure: OnStoreFailure = "local",
    ) -> None:
        runtime = context.runtime
        self.policy = policy
        self.clock = runtime.clock
        self._emit = MetricsRecorder(emit)
        self.vault = Vault(runtime, policy, self._emit)
        self.codes = Codes(runtime, source, policy, self._emit, context.origin)
        self._setbacks = self.vault.setbacks
        self._mint = Mint(context, policy, self._emit)
        self._random = runtime.random
        self._flights = Flights()
        self.fleet: Fleet | None = None
        if store is not None:
            self.fleet = Fleet(store, context, policy, on_store_failure, self._emit)
            self.fleet.held = lambda: self.vault.entries
            self.vault.told = self.fleet.revoked
        self._bringer = Bringer(
            self._emit,
            vault=self.vault,
            codes=self.codes,
            mint=self._mint,
            flights=self._flights,
            fleet=self.fleet,
        )
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed: it brings nothing and changes nothing any more."""
        return self._closed

    # ── What callers ask ────────────────────────────────────────────────────────

    async def obtain(self, scope: Scope, deadline: float) -> Entry:
        """Answer an entry with a usable token, waiting until the deadline at most.

        While the held token is valid nothing that happens to its renewal is seen by
        the caller. Raises a `TokenError` or `DeadlineExceededError`.
        """
        outcome: Outcome
        while True:
            self._require_open()
            now = self.clock.now()
            entry = self.vault.entries.serving(scope, now)
            if entry is None:
                outcome = Left.TIME_IS_UP
                if flight := self._bringing(scope, deadline):
                    outcome = await flight.wait(deadline, scope)
            else:
                entry.last_used = now
                standing = entry.standing(now, self.policy)
                if standing is Standing.FRESH:
                    return entry
                if standing is Standing.ADVISORY:
                    self.renew(entry)
                    return entry
                outcome = await self._renewed(scope, entry, deadline)
            now = self.clock.now()
            if isinstance(outcome, Entry) and self._serves(outcome, scope, now):
                outcome.last_used = now
                return outcome
            if self.vault.held(scope) is None:  # else somebody brought one just now
                too_late = "no token came before the caller's time was up"
                _raise_if_final(outcome, too_late)

    def _serves(self, entry: Entry, scope: Scope, now: float) -> bool:
        """Answer whether what a wait brought is still good when its caller wakes up."""
        if not entry.covers(scope, self.policy):
            return False
        return entry.standing(now, self.policy) is not Standing.EXPIRED

    def _bringing(self, scope: Scope, deadline: float) -> Flight | None:
        """Answer the exchange to wait for where no token is held."""
        asked = self.vault.asked_for(scope)
        flight = self._flights.get(asked)
        if flight is not None:
            return flight
        self._require_no_setback(asked)
        if self.clock.now() >= deadline:
            return None  # nobody would be there for what it brings
        return self._join(asked, None)

    async def _renewed(self, scope: Scope, entry: Entry, deadline: float) -> Outcome:
        """Wait for the renewal as long as the held token allows, then use that."""
        guard_at = entry.guard_at(self.policy)
        if not self._may_renew(entry):
            return entry
        flight = self._join(entry.asked, entry)
        if flight.asked_from_within:
            return entry  # its code source needs a token, and there is one
        outcome = await flight.wait(min(deadline, guard_at), scope)
        if isinstance(outcome, Entry) or outcome is Left.WITHDRAWN:
            return outcome
        held = self.vault.entries.exact(entry.token.scope) is entry
        if (
            not held
            or entry.standing(self.clock.now(), self.policy) is Standing.EXPIRED
        ):
            # It ended, was revoked or forgotten while we waited: look again.
            return Left.WITHDRAWN if self.clock.now() < deadline else outcome
        return entry

    def renew(self, entry: Entry) -> None:
        """Start the renewal of an entry in the background, unless there is a reason."""
        if self._closed or entry.asked in self._flights:
            return
        if self._may_renew(entry):
            self._join(entry.asked, entry, background=True)

    def _may_renew(self, entry: Entry) -> bool:
        """Answer whether a renewal can begin, and may have success."""
        asked = entry.asked
        if not asked or self._setbacks.of(asked) is not None:
            return False
        if self.fleet is not None or asked in self._flights:
            return True
        return self.codes.at_hand(asked)

    async def exchange(self, ticket: Ticket, deadline: float) -> Scope:
        """Exchange one delivered code now and answer what it granted.

        A code that was redeemed here before answers its scope as long as the token
        lives. Raises a `TokenError`.
        """
        while True:
            self._require_open()
            if ticket.state in {TicketState.REDEEMED, TicketState.REJECTED}:
                return self._granted_before(ticket)
            flight = self._at_work_on(ticket)
            if flight is None:
                self.codes.require_sendable(ticket, "this code", ticket.hint)
                flight = self._redeem(ticket)
            own = self._flights.get(ticket.id) is flight
            outcome = await flight.wait(deadline)
            if own and isinstance(outcome, Entry):
                return outcome.token.scope
            if own or outcome is Left.TIME_IS_UP:
                too_late = "the exchange took longer than the caller's time"
                _raise_if_final(outcome, too_late)

    def offer(self, ticket: Ticket) -> float | None:
        """Use a pushed code now if somebody needs it; else answer when to look again."""
        now = self.clock.now()
        if ticket.state is not TicketState.QUEUED:
            return None
        if ticket.hint is not None:
            self._setbacks.clear_within(ticket.hint)
            hindered = self._setbacks.of(ticket.hint) is not None
            if not hindered and self._is_wanted(ticket.hint, now):
                self._redeem(ticket, background=True)
                return None
            if self.fleet is not None:
                self.fleet.offer(ticket, ticket.hint)
        self._emit(events.CodeQueued(at=now, scope_size=len(ticket.hint or ())))
        return last_safe_moment(
            ticket.deadline, ticket.received_at, self._random(), self.policy
        )

    def use_or_lose(self, ticket: Ticket) -> None:
        """Exchange a code at its last safe moment, if that adds cover to what is used."""
        now = self.clock.now()
        handed_on = ticket.state is TicketState.HANDED_ON
        waits = handed_on or ticket.state is TicketState.QUEUED
        hint = ticket.hint
        if self._closed or hint is None or not waits or self._bringer.delivery(hint):
            return
        entry = self.vault.held(hint) or self.vault.entries.lapsed(hint)
        if entry is None or not self.vault.is_in_use(entry, now):
            return
        token = entry.token
        if not is_worthwhile(now, token.ends, token.lifetime, self.policy):
            return
        if handed_on:
            self._fly(
                ticket.id,
                lambda flight: self._bringer.draw(hint, flight),
                background=True,
            )
            self._flights.note(ticket.id, hint)
        else:
            self._redeem(ticket, background=True)

    async def forget(self, scope: Scope) -> None:
        """Drop what is held for a scope: its token, its waiting codes, its setbacks."""
        for entry in self.vault.entries.asking(scope):
            self.vault.entries.drop(entry.token.scope)
        self.vault.entries.drop(scope)
        self.codes.pool.forget(scope)
        self._setbacks.clear(scope)
        if self.fleet is not None:
            await self.fleet.forget(scope)

    def metrics(self) -> TokenMetrics:
        """Answer the counters, and what is held and waits at this moment."""
        self.codes.expire()
        return attrs.evolve(
            self.vault.metrics(),
            codes_waiting=len(self.codes.pool),
            exchange_level=self._mint.pacing.level,
            store_up=None if self.fleet is None else not self.fleet.down,
        )

    def after_fork(self) -> None:
        """Drop, in a forked child, what the parent still has: flights and codes."""
        self._closed = True
        self._flights.clear()
        self.codes.pool.clear()

    async def close(self) -> None:
        """Let what was sent come to its end, within bounds; drop the rest."""
        self._closed = True
        closed = ManagerClosedError("the manager was closed")
        flights = tuple(self._flights.values())
        for flight in flights:
            if not flight.sent:
                flight.abandon(closed)
        tasks = {flight.task for flight in flights}
        ended = asyncio.gather(*tasks, return_exceptions=True)
        try:
            if flights:
                with contextlib.suppress(TimeIsUpError):
                    await within(self.clock, self.policy.drain, asyncio.shield(ended))
        finally:
            # Also where the closing itself is cancelled: nothing stays behind.
            for flight in flights:
                flight.abandon(closed)
            if self.fleet is not None:
                await self.fleet.close()
        await ended

    # ── Flights ─────────────────────────────────────────────────────────────────

    def _is_wanted(self, hint: Scope, now: float) -> bool:
        """Answer whether somebody waits for it, or a token in use is due."""
        entry = self.vault.held(hint)
        if entry and entry.standing(now, self.policy) is Standing.FRESH:
            return False  # it would bring what is there, and renew no narrower token
        waiting = [
            not flight.landing and self._bringer.delivery(key) is None
            for key, flight in self._flights.touching(hint)
            if isinstance(key, Scope) and self._bringer.suits(hint, key)
        ]
        if waiting or self._bringer.delivery(hint) is not None:
            return any(waiting)
        entry = entry or self.vault.entries.lapsed(hint)
        return entry is not None and self.vault.is_in_use(entry, now)

    def _at_work_on(self, ticket: Ticket) -> Flight | None:
        """Answer the flight that has this code in hand, whatever it was begun for."""
        if ticket.state not in {TicketState.CLAIMED, TicketState.SENT}:
            return None
        flights = self._flights.values()
        return next((each for each in flights if each.ticket is ticket), None)

    def _redeem(self, ticket: Ticket, *, background: bool = False) -> Flight:
        """Exchange one delivered code."""
        flight = self._fly(
            ticket.id,
            lambda flight: self._bringer.redeem(ticket, flight),
            background=background,
        )
        self.codes.claim(ticket, flight)
        if ticket.hint is not None:
            self._flights.note(ticket.id, ticket.hint)
        return flight

    def _join(
        self, asked: Scope, entry: Entry | None, *, background: bool = False
    ) -> Flight:
        flight = self._flights.get(asked)
        if flight is not None:
            return flight
        if entry is not None:
            self._emit(
                events.RenewalStarted(
                    at=self.clock.now(), scope_size=len(asked), background=background
                )
            )
        return self._fly(
            asked,
            lambda flight: self._bringer.serve(asked, flight),
            background=background,
        )

    def _fly(
        self,
        key: Key,
        work: Callable[[Flight], Awaitable[Outcome]],
        *,
        background: bool = False,
    ) -> Flight:
        def landed(flight: Flight) -> None:
            self._flights.end(key)
            if flight.ticket is not None:
                flight.ticket.let_go()

        flight = Flight(work, clock=self.clock, background=background, landed=landed)
        self._flights.begin(key, flight)
        return flight

    def _granted_before(self, ticket: Ticket) -> Scope:
        scope = ticket.granted
        if scope is not None and self.vault.held(scope) is not None:
            return scope
        message = "this code was used before"
        raise CodeAlreadyUsedError(message)

    def _require_no_setback(self, scope: Scope) -> None:
        if (setback := self._setbacks.of(scope)) is not None:
            raise setback

    def _require_open(self) -> None:
        if self._closed:
            message = "the manager was closed"
            raise ManagerClosedError(message)


def _raise_if_final(outcome: Outcome, too_late: str) -> None:
    """Raise what a wait ended with, each caller an error of its own."""
    if outcome is Left.TIME_IS_UP:
        raise DeadlineExceededError(too_late, phase=Phase.NOT_SENT)
    if isinstance(outcome, PersonaError):
        raise outcome.fresh()
