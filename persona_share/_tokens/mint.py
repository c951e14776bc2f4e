"""Conducts one exchange: sends the code, judges each outcome, repeats what it may."""

from collections.abc import Callable
from typing import Final

from persona_share._policy.exchange import (
    Again,
    Blocked,
    Dice,
    Ending,
    InDoubt,
    Minted,
    Outcome,
    Rejected,
    Tries,
    judge,
)
from persona_share._policy.lifetime import code_is_sendable
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.oauth import assertion_form, code_form, exchange_key
from persona_share._protocol.routes import TOKEN
from persona_share._tokens.flight import Flight
from persona_share._tokens.leads import Alone
from persona_share._tokens.pacing import ExchangePacing
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share.errors import (
    CodeExpiredError,
    ConnectionLostError,
    ExchangeRateLimitedError,
    Phase,
    RateLimitedError,
    ResponseTooLargeError,
    TransportError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret
from persona_share.ports import ClientContext


FORM: Final = "application/x-www-form-urlencoded"


class Mint:
    """Turns one ticket into a verdict."""

    def __init__(
        self,
        context: ClientContext,
        policy: RenewalPolicy,
        emit: Callable[[events.Event], None],
    ) -> None:
        self._context = context
        self._policy = policy
        self._emit = emit
        self._runtime = context.runtime
        self.pacing = ExchangePacing(context.runtime.clock, policy)

    async def redeem(
        self, ticket: Ticket, expected: Scope | None, flight: Flight, lead: Alone
    ) -> Ending:
        """Exchange the code; from the first send on nothing but the end stops it.

        Raises `LeadLostError` where another manager has taken it over.
        """
        clock, tries = self._runtime.clock, self._first(ticket)
        while True:
            asked_at = clock.now()
            if not await self.pacing.turn(lambda: flight.hurried, tries.last_moment):
                what = "too many exchanges: no turn came while the code was good"
                error = ExchangeRateLimitedError(what, attempts=tries.attempts)
                return Blocked(error, 0.0)
            if self._has_ended(ticket, tries):
                late = "the code ended before it could be exchanged"
                return Blocked(CodeExpiredError(late, attempts=tries.attempts), 0.0)
            tries = tries.put_off(clock.now() - asked_at)
            if ticket.first_sent_at is None or tries.epoch != ticket.epoch:
                before = await lead.first_sent(tries.epoch)
                flight.sent = True
                ticket.mark_sent(clock.now() - before, tries.epoch)
                size, now = len(expected or ()), clock.now()
                self._emit(events.CodeSent(at=now, scope_size=size, epoch=tries.epoch))
            else:
                flight.sent = True
                ticket.mark_sent(clock.now(), tries.epoch)
            outcome = await self._attempt(ticket, tries)
            dice = Dice(clock.now(), self._runtime.random())
            verdict = judge(outcome, tries, dice, self._policy, expected)
            if isinstance(outcome, Response):
                self.pacing.learn(outcome)
            if not isinstance(verdict, Again):
                self._record(ticket, verdict)
                return verdict
            tries = verdict.tries
            if verdict.closed_for:
                self.pacing.close(verdict.closed_for)
            await clock.sleep(verdict.delay)

    def _has_ended(self, ticket: Ticket, tries: Tries) -> bool:
        """Answer whether it is too late, as it may be after a machine's sleep."""
        now = self._runtime.clock.now()
        if tries.attempts:
            return now >= tries.last_moment
        received, policy = ticket.received_at, self._policy
        return not code_is_sendable(now, ticket.deadline, received, policy)

    def _first(self, ticket: Ticket) -> Tries:
        now = self._runtime.clock.now()
        end = min(now + self._policy.exchange_budget, ticket.deadline)
        return Tries(
            deadline=end,
            last_moment=ticket.deadline,
            epoch=ticket.epoch,
            single_key=ticket.machine,
            in_doubt=ticket.first_sent_at is not None,
        )

    async def _attempt(self, ticket: Ticket, tries: Tries) -> Outcome:
        secret = ticket.secret
        if secret is None:
            message = "a code that was spent cannot be sent"
            raise RuntimeError(message)
        request = self._request(ticket, secret, tries)
        try:
            return await self._context.exchanger.send(request)
        except (TransportError, RateLimitedError) as error:
            # The latter is the client's own gate, before anything was sent.
            return error.with_traceback(None)
        except ResponseTooLargeError as error:
            # An answer that is none: the code's fate is not known.
            return ConnectionLostError(error.what, phase=Phase.AMBIGUOUS)

    def _form(self, ticket: Ticket, secret: Secret) -> bytes:
        if ticket.machine:
            return assertion_form(secret, ticket.hint or Scope())
        return code_form(secret)

    def _request(self, ticket: Ticket, code: Secret, tries: Tries) -> Request:
        now = self._runtime.clock.now()
        return Request(
            method=TOKEN.method,
            route=TOKEN.template,
            target=TOKEN.template,
            deadline=min(now + self._policy.attempt_timeout, tries.deadline),
            headers=self._context.headers,
            body=self._form(ticket, code),
            content_type=FORM,
            idempotency_key=exchange_key(self._context.origin, code, tries.epoch),
            expects=Expects.OAUTH,
        )

    def _record(self, ticket: Ticket, verdict: Ending) -> None:
        match verdict:
            case Minted():
                ticket.become(TicketState.REDEEMED)
            case Rejected():
                ticket.become(TicketState.REJECTED)
            case InDoubt(replayable=replayable):
                ticket.become(TicketState.IN_DOUBT)
                ticket.replayable = replayable
            case Blocked():
                # 401, 403, 429 and unreachable: the code was not consumed.
                ticket.unsent()
