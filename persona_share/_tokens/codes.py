"""Where codes come from: the pool of pushed ones first, then the code source."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from persona_share._tokens.assertions import LONGEST_LIFE, ClientCredentials
from persona_share._tokens.flight import Flight
from persona_share._tokens.tickets import Pool, Ticket, TicketState, code_id
from persona_share._wire.grants import checked_code
from persona_share._wire.lifetime import code_deadline
from persona_share._wire.routes import TOKEN
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeAlreadyUsedError,
    CodeExpiredError,
    CodeRejectedError,
    CodeSourceError,
    InvalidArgumentError,
    InvalidScopeError,
    PersonaError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.model.token import AuthorizationCode
from persona_share.ports import Clock, CodeSource, World


T = TypeVar("T")


class Codes:
    """Supplies tickets: codes that are ready to be exchanged."""

    def __init__(
        self,
        world: World,
        source: CodeSource | None,
        policy: RenewalPolicy,
        tell: Callable[[events.Event], None],
        origin: str,
    ) -> None:
        self.skew = 0.0
        self._origin = origin
        self.pool = Pool(policy)
        self._world = world
        self._source = source
        self._policy = policy
        self._tell = tell

    def ticket(
        self,
        code: object,
        hint: Scope | None,
        expires_at: datetime | None = None,
    ) -> Ticket:
        """Answer the ticket of a code: the known one, or a new one in the pool.

        Raises `InvalidArgumentError` for what cannot be a code.
        """
        secret = checked_code(code)
        if (known := self.pool.known(secret)) is not None:
            return known
        ticket = self._new_ticket(secret, hint, expires_at)
        self.pool.add(ticket)
        return ticket

    async def obtain(self, asked: Scope, flight: Flight) -> Ticket:
        """Answer a claimed ticket for this scope.

        Raises `AuthorizationCodeRequiredError`, `CodeSourceError` or
        `CodeAlreadyUsedError`.
        """
        now = self._world.clock.now()
        for ended in self.pool.expire(now):
            size = len(ended.hint or ())
            self._tell(events.CodeExpiredUnused(at=now, scope_size=size))
        pushed = self.pool.take(asked, now)
        if pushed is None and self._source is None:
            pushed = self.pool.unhinted(now)
        ticket = pushed or await self._fresh(asked, flight)
        self._tell(
            events.CodeClaimed(at=now, scope_size=len(asked), pushed=pushed is not None)
        )
        return ticket

    def may_ask_again(self, asked: Scope, flight: Flight) -> bool:
        """Answer whether there may be another code after one was refused."""
        now = self._world.clock.now()
        if any(
            each.may_be_sent
            and each.hint is not None
            and asked <= each.hint
            and self.pool.sendable(each, now)
            for each in self.pool
        ):
            return True
        return self._source is not None and (
            flight.codes_asked < self._policy.fresh_codes
        )

    async def _fresh(self, asked: Scope, flight: Flight) -> Ticket:
        if self._source is None:
            message = "there is no code for this scope, and no code source"
            raise AuthorizationCodeRequiredError(message, scope=str(asked))
        flight.codes_asked += 1
        now = self._world.clock.now()
        if isinstance(self._source, ClientCredentials):
            return self._assertion(self._source, asked)
        self._tell(events.CodeRequested(at=now, scope_size=len(asked)))
        code = await self._asked_source(self._source, asked)
        ticket = self._ticket_of(code, asked)
        if ticket.state is not TicketState.QUEUED and not ticket.may_be_sent:
            what = "the code source answered a code that was used before"
            raise CodeAlreadyUsedError(what, scope=str(asked))
        if not self.pool.sendable(ticket, self._world.clock.now()):
            what = "the code source answered a code that ends too soon"
            raise CodeExpiredError(what, scope=str(asked))
        self.pool.claim(ticket)
        return ticket

    def _assertion(self, source: ClientCredentials, asked: Scope) -> Ticket:
        """Answer a claimed ticket around a new assertion."""
        if any(object_id is not None for _, object_id in asked.pairs()):
            what = "client credentials bring bare permissions, such as 'inquiry.read'"
            raise InvalidScopeError(what)
        audience = f"{self._origin}{TOKEN.template}"
        secret = source.assertion(audience, self._world, self.skew)
        now = self._world.clock.now()
        ticket = Ticket(
            secret=secret,
            id=code_id(secret),
            received_at=now,
            deadline=code_deadline(now, LONGEST_LIFE, self._policy),
            hint=asked,
            machine=True,
        )
        ticket.become(TicketState.CLAIMED)
        return ticket

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
        def keep(late: object) -> None:
            # It came while nobody waited any more: the next caller may use it.
            if isinstance(late, str | Secret):
                self._ticket_of(late, asked)

        timeout = self._policy.source_timeout
        try:
            return await within(self._world.clock, timeout, source(asked), keep)
        except TimeoutError:
            what = f"the code source did not answer within {timeout:.0f} s"
            reason = "TimeoutError"
        except PersonaError as error:
            if isinstance(error, CodeRejectedError | AuthorizationCodeRequiredError):
                raise
            what = f"the code source failed: {error}"
            reason = type(error).__name__
        except Exception as error:  # noqa: BLE001  # the caller's code may raise anything
            reason = type(error).__name__
            what = f"the code source raised {reason}{_where(error)}"
        raise CodeSourceError(what, reason=reason, scope=str(asked)) from None

    def _new_ticket(
        self, secret: Secret, hint: Scope | None, expires_at: datetime | None
    ) -> Ticket:
        clock = self._world.clock
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


async def within(
    clock: Clock,
    seconds: float,
    work: Awaitable[T],
    keep: Callable[[T], None] = lambda _: None,
) -> T:
    """Await for so many seconds of this clock, or raise `TimeoutError`.

    What comes at the very moment of a cancellation goes to ``keep``.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise TimeoutError
    finally:
        waiting.cancel()
        if not working.done():
            working.cancel()
        elif not working.cancelled() and working.exception() is None:
            keep(working.result())


def _where(error: BaseException) -> str:
    """Say where an error was raised, without a value of it."""
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        name = code.co_filename.rpartition("/")[2]
        frames.append(f" ({name}:{traceback.tb_lineno} in {code.co_name})")
        traceback = traceback.tb_next
    return frames[-1] if frames else ""
