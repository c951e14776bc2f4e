"""How a flight brings a token: codes, their exchange, and what comes of it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from persona_share._policy.exchange import Blocked, InDoubt, Minted, Rejected
from persona_share._policy.lifetime import Standing
from persona_share._tokens.codes import Codes
from persona_share._tokens.entries import Entry
from persona_share._tokens.fleet import Fleet
from persona_share._tokens.flight import Flight, Left, Outcome
from persona_share._tokens.flights import Flights
from persona_share._tokens.leads import Alone, LeadLostError
from persona_share._tokens.mint import Mint
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share._tokens.vault import Vault
from persona_share.errors import (
    CodeRejectedError,
    ScopeNotGrantedError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.scope import Scope


#: A renewal takes a stored token that lives longer by this part of its lifetime.
_BETTER: Final = 20
#: A store that takes the lead away so often forgets; then every manager is on its own.
_MOST_LOST: Final = 3


class Bringer:
    """Does the work of every flight of one manager."""

    def __init__(
        self,
        emit: Callable[[events.Event], None],
        *,
        vault: Vault,
        codes: Codes,
        mint: Mint,
        flights: Flights,
        fleet: Fleet | None,
    ) -> None:
        self._clock = vault.clock
        self._policy = vault.policy
        self._vault = vault
        self._codes = codes
        self._mint = mint
        self._flights = flights
        self._fleet = fleet
        self._emit = emit

    async def serve(self, asked: Scope, flight: Flight) -> Outcome:
        """Bring a token for a scope: codes until one is granted, or a reason."""
        lost = 0
        try:
            while True:
                try:
                    entry = await self._once(asked, flight, lost)
                except LeadLostError:
                    flight.give_up_code()
                    lost += 1
                    continue
                except CodeRejectedError as error:
                    flight.sent = flight.landing = False
                    if (fresh := self._fresh(asked)) is not None:
                        return fresh
                    if not self._goes_on(asked, flight):
                        raise error.fresh() from None
                    continue
                if asked <= entry.token.scope:
                    return entry
                flight.sent = flight.landing = False
        except TokenError as error:
            # A fleet's queue of codes is looked at as rarely as a code source.
            asked_source = flight.codes_asked > 0 or self._fleet is not None
            self._vault.failed(asked, error, asked_source=asked_source)
            raise

    async def _once(self, asked: Scope, flight: Flight, lost: int) -> Entry:
        """Bring what one code grants, or take what another manager brought."""
        turn = await self._turn(asked) if lost < _MOST_LOST else Alone()
        if isinstance(turn, Entry):
            self._share(turn)
            return turn
        async with turn as lead:
            await self._deliveries(asked)
            ticket = await self._codes.obtain(asked, flight, lead)
            if ticket.hint is not None:
                self._flights.note(asked, ticket.hint)
            await self._deliveries(asked)
            entry = await self._land(ticket, asked, flight, lead)
            if ticket.hint is not None and not asked <= entry.token.scope:
                raise _not_granted(asked, entry.token.scope)
            return entry

    async def _turn(self, asked: Scope) -> Entry | Alone:
        """Answer what the store holds for a scope, or our turn to exchange."""
        if self._fleet is None:
            return Alone()
        held, now = self._vault.held(asked), self._clock.now()
        at_least = 0.0
        if held is not None:
            # As good as the one that is to be renewed is not good enough.
            token = held.token
            at_least = token.ends - now + token.lifetime / _BETTER
        return await self._fleet.turn(
            self._fleet.records.name(asked),
            at_least,
            lambda shared: self._vault.adopt(shared, asked),
        )

    def _fresh(self, asked: Scope) -> Entry | None:
        """Answer what another flight brought meanwhile."""
        entry, now = self._vault.held(asked), self._clock.now()
        if entry is None or entry.standing(now, self._policy) is not Standing.FRESH:
            return None
        return entry

    def _goes_on(self, asked: Scope, flight: Flight) -> bool:
        """Answer whether a flight whose code was refused tries another one."""
        if self._vault.setbacks.broken or flight.unwanted:
            return False
        return self._codes.may_ask_again(asked, flight)

    async def _deliveries(self, asked: Scope) -> None:
        """Wait for the codes on their way that may do: two exchanges would burn one.

        The flight that waits here ends with the token, should one of them bring it.
        """
        while (delivery := self.delivery(asked)) is not None:
            await delivery.wait(float("inf"))

    async def redeem(self, ticket: Ticket, flight: Flight) -> Outcome:
        """Bring the token of one delivered code."""
        hint = ticket.hint
        try:
            entry = await self._redeemed(ticket, flight)
        except TokenError as error:
            self._vault.tell_failure(hint, error)
            raise
        if hint is not None and not hint <= entry.token.scope:
            raise _not_granted(hint, entry.token.scope)
        return entry

    async def draw(self, hint: Scope, flight: Flight) -> Outcome:
        """Bring the token of a code that was pushed for everybody, if one still waits."""
        ticket = None if self._fleet is None else await self._fleet.take(hint)
        if ticket is not None:
            self._codes.pool.keep(ticket)
        if ticket is None or not self._codes.pool.is_ready(ticket, self._clock.now()):
            return Left.WITHDRAWN
        self._codes.claim(ticket, flight)
        return await self.redeem(ticket, flight)

    async def _redeemed(self, ticket: Ticket, flight: Flight) -> Entry:
        """Exchange a delivered code, unless a manager of the fleet did so already."""
        for _ in range(0 if self._fleet is None else _MOST_LOST):
            turn = await self._turn_of_code(ticket)
            if isinstance(turn, Entry):
                ticket.become(TicketState.REDEEMED)
                ticket.granted = turn.token.scope
                self._share(turn)
                return turn
            with suppress(LeadLostError):
                async with turn as lead:
                    await lead.attach(ticket)
                    return await self._land(ticket, ticket.hint, flight, lead)
        return await self._land(ticket, ticket.hint, flight, Alone())

    async def _turn_of_code(self, ticket: Ticket) -> Entry | Alone:
        """Answer what a code brought another manager, or our turn to exchange it."""
        if self._fleet is None:
            return Alone()
        return await self._fleet.turn(
            self._fleet.records.name_of_code(ticket),
            0.0,
            lambda shared: self._vault.adopt(shared, None),
            of_code=True,
        )

    async def _land(
        self, ticket: Ticket, expected: Scope | None, flight: Flight, lead: Alone
    ) -> Entry:
        """Exchange one ticket and file its token, or raise what stands against it."""
        flight.landing = True
        verdict = await self._mint.redeem(ticket, expected, flight, lead)
        at, size = self._clock.now(), len(expected or ())
        if isinstance(verdict, Minted):
            pressed = self._mint.pacing.pressed
            entry = self._vault.entry_of(verdict, ticket, expected, pressed=pressed)
            newer = await lead.publish(entry)
            self._vault.publish(entry, verdict, expected, flight.followers)
            if newer is not None:
                entry = self._vault.adopt(newer, expected) or entry
            self._share(entry)
            return entry
        error = verdict.error
        match verdict:
            case Rejected():
                self._vault.setbacks.rejected(at)
                self._emit(
                    events.CodeRejected(at=at, scope_size=size, status=error.status)
                )
            case InDoubt(cooldown=pause):
                error.retry_after = pause
                self._emit(events.CodeInDoubt(at=at, scope_size=size))
            case Blocked(cooldown=pause):
                error.retry_after = pause or None
        raise error

    def _share(self, entry: Entry) -> None:
        """Give a new token to everybody whom it serves, whatever they wait for."""
        self._vault.evict(
            lambda each: each.pinned or each.asked in self._flights or each is entry
        )
        for key, flight in self._flights.touching(entry.token.scope):
            if isinstance(key, Scope):
                flight.satisfy(entry, key, self._policy)

    def suits(self, hint: Scope, asked: Scope) -> bool:
        """Answer whether a code with this hint may bring a token for a scope."""
        return asked == hint if self._policy.exact_only else asked <= hint

    def delivery(self, asked: Scope) -> Flight | None:
        """Answer the flight of a code on its way that may bring a token for a scope."""
        for key, flight in self._flights.holding(asked):
            on_its_way = flight.landing or not isinstance(key, Scope)
            hint = None if flight.ticket is None else flight.ticket.hint
            if on_its_way and hint is not None and self.suits(hint, asked):
                return flight
        return None


def _not_granted(asked: Scope, granted: Scope) -> ScopeNotGrantedError:
    missing = asked - granted
    message = f"{len(missing)} of {len(asked)} permissions were not granted"
    return ScopeNotGrantedError(message, scope=str(asked), missing=str(missing))
