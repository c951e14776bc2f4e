"""Where codes come from: the pool of pushed ones first, then the code source."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from persona_share._policy.lifetime import code_deadline
from persona_share._protocol.oauth import checked_code
from persona_share._protocol.routes import TOKEN
from persona_share._tokens.assertions import LONGEST_LIFE, ClientCredentials
from persona_share._tokens.flight import Flight, where
from persona_share._tokens.leads import Alone
from persona_share._tokens.tickets import Pool, Ticket, TicketState, code_id
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeAlreadyUsedError,
    CodeExpiredError,
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    InvalidArgumentError,
    InvalidScopeError,
    PersonaError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode
from persona_share.ports import Clock, CodeSource, Runtime


T = TypeVar("T")
#: Errors of a code source that reach the caller as they are.
_PASSED_ON = (AuthorizationCodeRequiredError, CodeRefusedError, CodeRejectedError)


class Codes:
    """Supplies tickets: codes that are ready to be exchanged."""

    def __init__(
        self,
        runtime: Runtime,
        source: CodeSource | None,
        policy: RenewalPolicy,
        emit: Callable[[events.Event], None],
        origin: str,
    ) -> None:
        self._origin = origin
        self.pool = Pool(policy)
        self._runtime = runtime
        self._source = source
        self._policy = policy
        self._emit = emit

    @property
    def sourceless(self) -> bool:
        """Whether nobody is asked for codes: there are only those that are pushed."""
        return self._source is None

    def ticket(
        self,
        code: object,
        hint: Scope | None,
        expires_at: datetime | None = None,
        *,
        at_once: bool = False,
    ) -> Ticket:
        """Answer the ticket of a code: the known one, or a new one in the pool.

        One that was handed on to a store is somebody else's, unless it is wanted
        ``at_once``. Raises `InvalidArgumentError` for what cannot be a code.
        """
        secret = checked_code(code)
        self.expire()
        known = self.pool.known(secret)
        handed_on = known is not None and known.state is TicketState.HANDED_ON
        if known is not None and not (handed_on and at_once):
            known.hint = known.hint or hint
            return known
        ticket = self._new_ticket(secret, hint, expires_at)
        self.pool.add(ticket)
        return ticket

    def expire(self) -> None:
        """Let go of the codes that have ended, and tell of those that ended unused."""
        now = self._runtime.clock.now()
        for ended in self.pool.expire(now):
            size = len(ended.hint or ())
            self._emit(events.CodeExpiredUnused(at=now, scope_size=size))

    def claim(self, ticket: Ticket, flight: Flight, *, pushed: bool = True) -> None:
        """Give a flight a code to exchange; nobody else may take it meanwhile."""
        again = ticket.first_sent_at is not None
        ticket.become(TicketState.CLAIMED)
        flight.ticket = ticket
        if not again:
            now, size = self._runtime.clock.now(), len(ticket.hint or ())
            self._emit(events.CodeClaimed(at=now, scope_size=size, pushed=pushed))

    async def obtain(self, asked: Scope, flight: Flight, lead: Alone) -> Ticket:
        """Answer a ticket for this scope, claimed for this flight.

        The code that a leader before us had in hand comes first, then ours, then those
        that were pushed for everybody, then the code source.

        Raises `AuthorizationCodeRequiredError`, `CodeSourceError` or
        `CodeAlreadyUsedError`.
        """
        self.expire()
        now = self._runtime.clock.now()
        pushed = await lead.begun()
        if pushed is not None and not self.pool.is_ready(pushed, now):
            lead.drop_begun()
        pushed = pushed or self.pool.fitting(asked, now)
        if pushed is None and self._source is None:
            pushed = self.pool.unhinted(now)
        while pushed is None and (taken := await lead.take()) is not None:
            pushed = taken if self.pool.is_ready(taken, now) else None
            self.pool.keep(taken)
        ticket = pushed or await self._fresh(asked, flight)
        self.claim(ticket, flight, pushed=pushed is not None)
        used = await lead.attach(ticket)
        if used is not ticket:
            ticket.let_go()
            self.claim(used, flight)
        return used

    def at_hand(self, asked: Scope) -> bool:
        """Answer whether a code for this scope waits, or somebody can be asked."""
        if self._source is not None:
            return True
        now = self._runtime.clock.now()
        waiting = self.pool.fitting(asked, now) or self.pool.unhinted(now)
        return waiting is not None

    def may_ask_again(self, asked: Scope, flight: Flight) -> bool:
        """Answer whether there may be another code after one was refused."""
        if self.pool.fitting(asked, self._runtime.clock.now()) is not None:
            return True
        return self._source is not None and (
            flight.codes_asked < self._policy.fresh_codes
        )

    async def _fresh(self, asked: Scope, flight: Flight) -> Ticket:
        if self._source is None:
            message = "there is no code for this scope, and no code source"
            raise AuthorizationCodeRequiredError(message, scope=str(asked))
        flight.codes_asked += 1
        now = self._runtime.clock.now()
        if isinstance(self._source, ClientCredentials):
            return self._assertion(self._source, asked)
        self._emit(events.CodeRequested(at=now, scope_size=len(asked)))
        code = await self._asked_source(self._source, asked)
        ticket = self._ticket_of(code, asked)
        self.require_sendable(ticket, "the code source's code", asked)
        return ticket

    def require_sendable(self, ticket: Ticket, what: str, asked: Scope | None) -> None:
        """Raise `CodeExpiredError` or `CodeAlreadyUsedError` for a code that is over."""
        scope = None if asked is None else str(asked)
        if not ticket.may_be_sent and ticket.state is not TicketState.EXPIRED_UNUSED:
            message = f"{what} was used before"
            raise CodeAlreadyUsedError(message, scope=scope)
        if not self.pool.is_ready(ticket, self._runtime.clock.now()):
            message = f"{what} has ended, or would before it could be exchanged"
            raise CodeExpiredError(message, scope=scope)

    def _assertion(self, source: ClientCredentials, asked: Scope) -> Ticket:
        """Answer a claimed ticket around a new assertion."""
        if any(object_id is not None for _, object_id in asked.pairs()):
            what = "client credentials bring bare permissions, such as 'inquiry.read'"
            raise InvalidScopeError(what)
        audience = f"{self._origin}{TOKEN.template}"
        secret = source.assertion(audience, self._runtime)
        now = self._runtime.clock.now()
        return Ticket(
            secret=secret,
            id=code_id(secret),
            received_at=now,
            deadline=code_deadline(now, LONGEST_LIFE, self._policy),
            hint=asked,
            machine=True,
        )

    def _ticket_of(self, code: object, asked: Scope) -> Ticket:
        if code is None:
            what = "the code source has no code for this scope"
            raise AuthorizationCodeRequiredError(what, scope=str(asked))
        expires_at = code.expires_at if isinstance(code, AuthorizationCode) else None
        try:
            return self.ticket(code, asked, expires_at)
        except InvalidArgumentError as error:
            what = f"the code source answered no code: {error.what}"
            reason = type(code).__name__
            raise CodeSourceError(what, reason=reason, scope=str(asked)) from None

    async def _asked_source(self, source: CodeSource, asked: Scope) -> object:
        def keep(late: asyncio.Future[object]) -> None:
            if late.cancelled() or late.exception() is not None:
                return
            # It came when nobody waited any more: the next caller may use it.
            with contextlib.suppress(TokenError):
                self._ticket_of(late.result(), asked)

        timeout = self._policy.source_timeout
        try:
            return await within(self._runtime.clock, timeout, source(asked), keep)
        except TimeIsUpError:
            what = f"the code source did not answer within {timeout:.0f} s"
            reason = "TimeoutError"
        except CancelledItselfError:
            what = "the code source was cancelled from within"
            reason = "CancelledError"
        except PersonaError as error:
            if isinstance(error, _PASSED_ON):
                raise
            what = f"the code source failed: {error}"
            reason = type(error).__name__
        except Exception as error:  # noqa: BLE001  # the caller's code may raise anything
            reason = type(error).__name__
            what = f"the code source raised {reason}{where(error)}"
        raise CodeSourceError(what, reason=reason, scope=str(asked)) from None

    def _new_ticket(
        self, secret: Secret, hint: Scope | None, expires_at: datetime | None
    ) -> Ticket:
        clock = self._runtime.clock
        now = clock.now()
        lifetime = None
        if expires_at is not None:
            if expires_at.tzinfo is None:
                message = "expires_at needs a time zone"
                raise InvalidArgumentError(message)
            lifetime = (expires_at - clock.wall()).total_seconds()
        return Ticket(
            secret=secret,
            id=code_id(secret),
            received_at=now,
            deadline=code_deadline(now, lifetime, self._policy),
            hint=hint,
        )


class TimeIsUpError(Exception):
    """The work took longer than it was given."""


class CancelledItselfError(Exception):
    """The work was cancelled, and not by whoever waits for it."""


async def within(
    clock: Clock,
    seconds: float,
    work: Awaitable[T],
    late: Callable[[asyncio.Future[T]], object] = lambda _: None,
) -> T:
    """Await for so many seconds of this clock, or raise `TimeIsUpError`.

    Work that is left behind is cancelled; ``late`` gets what becomes of it all the same.
    Raises `CancelledItselfError` where it was not we who cancelled the work.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    both = {working, waiting}
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        working.add_done_callback(late)
        raise
    finally:
        waiting.cancel()
        working.cancel()
    if working not in done:
        working.add_done_callback(late)
        raise TimeIsUpError
    if working.cancelled():
        raise CancelledItselfError
    return working.result()
