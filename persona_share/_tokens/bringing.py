"""How a flight brings a token: codes, their exchange, and what comes of it."""

from collections.abc import Callable

from persona_share._tokens.codes import Codes
from persona_share._tokens.entries import Entry
from persona_share._tokens.flight import Flight, Outcome
from persona_share._tokens.flights import Flights
from persona_share._tokens.mint import Mint
from persona_share._tokens.tickets import Ticket
from persona_share._tokens.vault import Vault
from persona_share._wire.exchange import Blocked, InDoubt, Minted, Rejected
from persona_share._wire.lifetime import Standing
from persona_share.errors import (
    CodeRejectedError,
    ScopeNotGrantedError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.scope import Scope


class Bringer:
    """Does the work of every flight of one manager."""

    def __init__(
        self,
        tell: Callable[[events.Event], None],
        *,
        vault: Vault,
        codes: Codes,
        mint: Mint,
        flights: Flights,
    ) -> None:
        self._clock = vault.clock
        self._policy = vault.policy
        self._vault = vault
        self._codes = codes
        self._mint = mint
        self._flights = flights
        self._tell = tell

    async def serve(self, asked: Scope, flight: Flight) -> Outcome:
        """Bring a token for a scope: codes until one is granted, or a reason."""
        try:
            while True:
                try:
                    ticket = await self._ticket(asked, flight)
                    entry = await self._land(ticket, asked, flight)
                except CodeRejectedError as error:
                    flight.sent = flight.landing = False
                    if (fresh := self._fresh(asked)) is not None:
                        return fresh
                    if not self._goes_on(asked, flight):
                        raise error.fresh() from None
                    continue
                if asked <= entry.token.scope:
                    return entry
                if ticket.hint is not None:
                    raise _not_granted(asked, entry.token.scope)
        except TokenError as error:
            self._vault.failed(asked, error, asked_source=flight.codes_asked > 0)
            raise

    async def _ticket(self, asked: Scope, flight: Flight) -> Ticket:
        """Answer a code for this scope, once no other is on its way that may do."""
        await self._deliveries(asked)
        ticket = await self._codes.obtain(asked, flight)
        if ticket.hint is not None:
            self._flights.note(asked, ticket.hint)
        await self._deliveries(asked)
        return ticket

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
            entry = await self._land(ticket, hint, flight)
        except TokenError as error:
            self._vault.tell_failure(hint, error)
            raise
        if hint is not None and not hint <= entry.token.scope:
            raise _not_granted(hint, entry.token.scope)
        return entry

    async def _land(
        self, ticket: Ticket, expected: Scope | None, flight: Flight
    ) -> Entry:
        """Exchange one ticket and file its token, or raise what stands against it."""
        flight.landing = True
        verdict = await self._mint.redeem(ticket, expected, flight)
        at, size = self._clock.now(), len(expected or ())
        if isinstance(verdict, Minted):
            entry = self._vault.publish(
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
                self._vault.setbacks.rejected(at)
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
