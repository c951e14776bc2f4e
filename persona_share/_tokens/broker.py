"""The broker: a scope in, a token out, and one exchange for any number of callers.

Decisions and changes of state happen between two awaits, never across one, so no lock
is needed in the one event loop that a manager belongs to.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import attrs

from persona_share._tokens.codes import Codes, within
from persona_share._tokens.entries import Entry
from persona_share._tokens.flight import Flight, Left, Outcome
from persona_share._tokens.meter import Meter
from persona_share._tokens.mint import Mint
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share._tokens.vault import Vault
from persona_share._wire.exchange import Blocked, InDoubt, Minted, Rejected
from persona_share._wire.lifetime import (
    Standing,
    is_worthwhile,
    last_safe_moment,
)
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeExpiredError,
    CodeRejectedError,
    DeadlineExceededError,
    ManagerClosedError,
    PersonaError,
    Phase,
    ScopeNotGrantedError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.metrics import TokenMetrics
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.ports import Account, CodeSource


class Broker:
    """Holds the tokens of one manager and brings new ones."""

    def __init__(
        self,
        account: Account,
        source: CodeSource | None,
        policy: RenewalPolicy,
        tell: Callable[[events.Event], None],
    ) -> None:
        world = account.world
        self.policy = policy
        self.clock = world.clock
        self._tell = Meter(tell)
        self.vault = Vault(world, policy, self._tell)
        self.codes = Codes(world, source, policy, self._tell, account.origin)
        self._setbacks = self.vault.setbacks
        self._mint = Mint(account, policy)
        self._roll = world.roll
        self._flights: dict[Scope | bytes, Flight] = {}
        self._closed = False

    # ── What callers ask ────────────────────────────────────────────────────────

    async def obtain(self, scope: Scope, deadline: float) -> Entry:
        """Answer an entry with a usable token, waiting until the deadline at most.

        While the held token is valid nothing that happens to its renewal is seen by
        the caller. Raises a `TokenError` or `DeadlineExceededError`.
        """
        while True:
            self._require_open()
            now = self.clock.now()
            entry = self.vault.entries.serving(scope, now)
            if entry is None:
                outcome = await self._brought(scope, deadline)
            else:
                entry.last_used = now
                standing = entry.standing(now, self.policy)
                if standing is Standing.FRESH:
                    return entry
                if standing is Standing.ADVISORY:
                    self.renew(entry)
                    return entry
                outcome = await self._renewed(entry, deadline)
            if isinstance(outcome, Entry):
                outcome.last_used = self.clock.now()
                return outcome
            _raise_if_final(outcome, "no token came before the caller's time was up")

    async def _brought(self, scope: Scope, deadline: float) -> Outcome:
        """Wait for an exchange where no token is held."""
        asked = self.vault.asked_for(scope)
        if asked not in self._flights:
            self._require_no_setback(asked)
        return await self._join(asked, None).wait(deadline)

    async def _renewed(self, entry: Entry, deadline: float) -> Outcome:
        """Wait for the renewal as long as the held token allows, then use that."""
        guard_at = entry.guard_at(self.policy)
        if self._setbacks.of(entry.asked) is not None:
            return entry
        flight = self._join(entry.asked, entry)
        outcome = await flight.wait(min(deadline, guard_at))
        if isinstance(outcome, Entry) or outcome is Left.WITHDRAWN:
            return outcome
        if entry.standing(self.clock.now(), self.policy) is Standing.EXPIRED:
            # It ended, or was revoked, while we waited: look again.
            return Left.WITHDRAWN if self.clock.now() < deadline else outcome
        return entry

    def renew(self, entry: Entry) -> None:
        """Start the renewal of an entry in the background, unless there is a reason."""
        if self._closed or entry.asked in self._flights:
            return
        if self._setbacks.of(entry.asked) is None:
            self._join(entry.asked, entry, background=True)

    async def exchange(self, ticket: Ticket, deadline: float) -> Scope:
        """Exchange one delivered code now and answer what it granted.

        A code that was redeemed here before answers its scope as long as the token
        lives. Raises a `TokenError`.
        """
        while True:
            self._require_open()
            if ticket.state in {TicketState.REDEEMED, TicketState.REJECTED}:
                return self._granted_before(ticket)
            flight = self._flights.get(ticket.id)
            if flight is None:
                self._require_sendable(ticket)
                self.codes.pool.claim(ticket)
                flight = self._fly(
                    ticket.id, lambda flight: self._redeemed(ticket, flight)
                )
            outcome = await flight.wait(deadline)
            if isinstance(outcome, Entry):
                return outcome.token.scope
            _raise_if_final(outcome, "the exchange took longer than the caller's time")

    def offer(self, ticket: Ticket) -> float | None:
        """Use a pushed code now if somebody needs it; else answer when to look again."""
        now = self.clock.now()
        if ticket.state is not TicketState.QUEUED:
            return None
        if ticket.hint is not None:
            self._setbacks.clear(ticket.hint)
            if self._is_wanted(ticket.hint, now):
                self._redeem_soon(ticket)
                return None
        return last_safe_moment(
            ticket.deadline, ticket.received_at, self._roll(), self.policy
        )

    def use_or_lose(self, ticket: Ticket) -> None:
        """Exchange a code at its last safe moment, if that adds cover to what is used."""
        now = self.clock.now()
        if self._closed or ticket.state is not TicketState.QUEUED:
            return
        if ticket.hint is None or not self.codes.pool.sendable(ticket, now):
            return
        entry = self.vault.entries.lapsed(ticket.hint)
        if entry is None or not self.vault.is_in_use(entry, now):
            return
        token = entry.token
        if is_worthwhile(now, token.ends, token.lifetime, self.policy):
            self._redeem_soon(ticket)

    def forget(self, scope: Scope) -> None:
        """Drop what is held for a scope: its token, its waiting codes, its setbacks."""
        self.vault.entries.drop(scope)
        self.codes.pool.forget(scope)
        self._setbacks.clear(scope)

    def metrics(self) -> TokenMetrics:
        """Answer the counters, and what is held and waits at this moment."""
        return attrs.evolve(
            self.vault.metrics(),
            codes_waiting=len(self.codes.pool),
            exchange_level=self._mint.pacing.level,
        )

    def after_fork(self) -> None:
        """Drop, in a forked child, what the parent still has: flights and codes."""
        self._closed = True
        self._flights.clear()
        self.codes.pool.clear()

    async def close(self) -> None:
        """Let what was sent come to its end, within bounds; drop the rest."""
        self._closed = True
        message = "the manager was closed"
        flights = tuple(self._flights.values())
        for flight in flights:
            if not flight.sent:
                flight.abandon(ManagerClosedError(message))
        tasks = {flight.task for flight in flights}
        if not tasks:
            return
        ended = asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await within(self.clock, self.policy.drain, asyncio.shield(ended))
        for flight in flights:
            flight.abandon(ManagerClosedError(message))
        await ended
        for ticket in self.codes.pool:
            if ticket.state is TicketState.SENT:
                ticket.become(TicketState.IN_DOUBT)
                ticket.replayable = True

    # ── Flights ─────────────────────────────────────────────────────────────────

    def _is_wanted(self, hint: Scope, now: float) -> bool:
        """Answer whether somebody waits for it, or a token in use is due."""
        for key, flight in self._flights.items():
            if isinstance(key, Scope) and key <= hint and not flight.sent:
                return True
        entry = self.vault.entries.lapsed(hint)
        if entry is None or not self.vault.is_in_use(entry, now):
            return False
        return entry.standing(now, self.policy) is not Standing.FRESH

    def _redeem_soon(self, ticket: Ticket) -> None:
        if ticket.id in self._flights:
            return
        self.codes.pool.claim(ticket)
        self._fly(
            ticket.id, lambda flight: self._redeemed(ticket, flight), background=True
        )

    def _join(
        self, asked: Scope, entry: Entry | None, *, background: bool = False
    ) -> Flight:
        flight = self._flights.get(asked)
        if flight is not None:
            return flight
        if entry is not None:
            self._tell(
                events.RenewalStarted(
                    at=self.clock.now(), scope_size=len(asked), background=background
                )
            )
        return self._fly(
            asked, lambda flight: self._served(asked, flight), background=background
        )

    def _fly(
        self,
        key: Scope | bytes,
        work: Callable[[Flight], Awaitable[Outcome]],
        *,
        background: bool = False,
    ) -> Flight:
        flight = Flight(
            work,
            clock=self.clock,
            background=background,
            landed=lambda _: self._flights.pop(key),
        )
        self._flights[key] = flight
        return flight

    async def _served(self, asked: Scope, flight: Flight) -> Outcome:
        """Bring a token for a scope: codes until one is granted, or a reason."""
        try:
            while True:
                try:
                    ticket = await self.codes.obtain(asked, flight)
                    entry = await self._land(ticket, asked, flight)
                except CodeRejectedError as error:
                    another = self.codes.may_ask_again(asked, flight)
                    if self._setbacks.broken or not another:
                        raise error.fresh() from None
                    continue
                if asked <= entry.token.scope:
                    return entry
                if ticket.hint is not None:
                    raise _not_granted(asked, entry.token.scope)
        except TokenError as error:
            self.vault.failed(asked, error)
            raise

    async def _redeemed(self, ticket: Ticket, flight: Flight) -> Outcome:
        """Bring the token of one delivered code."""
        hint = ticket.hint
        try:
            entry = await self._land(ticket, hint, flight)
        except TokenError as error:
            self.vault.tell_failure(hint, error)
            raise
        if hint is not None and not hint <= entry.token.scope:
            raise _not_granted(hint, entry.token.scope)
        return entry

    async def _land(
        self, ticket: Ticket, expected: Scope | None, flight: Flight
    ) -> Entry:
        """Exchange one ticket and file its token, or raise what stands against it."""
        verdict = await self._mint.redeem(ticket, expected, flight)
        at, size = self.clock.now(), len(expected or ())
        if isinstance(verdict, Minted):
            entry = self.vault.publish(
                verdict,
                ticket,
                expected,
                followers=flight.followers,
                pressed=self._mint.pacing.pressed,
            )
            self._share(entry)
            return entry
        error = verdict.error
        match verdict:
            case Rejected():
                self._setbacks.rejected(at)
                self._tell(
                    events.CodeRejected(at=at, scope_size=size, status=error.status)
                )
            case InDoubt(cooldown=pause):
                error.retry_after = pause
                self._tell(events.CodeInDoubt(at=at, scope_size=size))
            case Blocked(cooldown=pause):
                error.retry_after = pause or None
        raise error

    def _share(self, entry: Entry) -> None:
        """Give a new token to everybody whom it serves, whatever they wait for."""
        self.vault.evict(
            lambda each: each.pinned or each.asked in self._flights or each is entry
        )
        for key, flight in tuple(self._flights.items()):
            if isinstance(key, Scope) and key <= entry.token.scope:
                flight.satisfy(entry)

    def _granted_before(self, ticket: Ticket) -> Scope:
        scope = ticket.granted
        if scope is not None and self.vault.held(scope) is not None:
            return scope
        message = "this code was used before"
        raise CodeAlreadyUsedError(message)

    def _require_sendable(self, ticket: Ticket) -> None:
        if not ticket.may_be_sent:
            message = "this code was used before, and its outcome is not known"
            raise CodeAlreadyUsedError(message)
        if not self.codes.pool.sendable(ticket, self.clock.now()):
            message = "the code ends too soon to be exchanged"
            raise CodeExpiredError(message)

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


def _not_granted(asked: Scope, granted: Scope) -> ScopeNotGrantedError:
    missing = asked - granted
    message = f"{len(missing)} of {len(asked)} permissions were not granted"
    return ScopeNotGrantedError(message, scope=str(asked), missing=str(missing))
