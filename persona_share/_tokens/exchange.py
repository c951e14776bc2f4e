"""Exchanges one code for a token: sends it, judges each response, repeats what it may.

The code's record is the arbiter: only the owner that it names sends the code, and only
the record knows when the code was sent for the first time under each key.
"""

import asyncio
import itertools
from typing import Final, NamedTuple

import attrs

from persona_share._policy.exchange import (
    Again,
    InDoubt,
    Issued,
    Limited,
    Outcome,
    Refused,
    SetAside,
    Tries,
    judge,
)
from persona_share._policy.token_lifetime import guard_window, refresh_window
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.limits import count_of
from persona_share._protocol.oauth import assertion_form, code_form, exchange_key
from persona_share._protocol.routes import OAuthRoutes
from persona_share._tokens import record as records
from persona_share._tokens.coordinator import (
    Changed,
    Coordinator,
    HeldLease,
    remember,
)
from persona_share._tokens.inflight import Operation, Tasks
from persona_share._tokens.record import (
    LEASE,
    TOKEN_LIFE,
    CodeRecord,
    CodeState,
    StoredCode,
    StoredToken,
    fingerprint,
)
from persona_share.errors import (
    CodeAlreadyUsedError,
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
from persona_share.ports import ClientContext, Clock


_FORM: Final = "application/x-www-form-urlencoded"
_WINDOW: Final = 60.0
#: Exchanges in the background leave this share of the budget to waiting callers.
_RESERVE: Final = 0.3
#: A source is asked for a code only while the queue of exchanges is shorter than this.
_MAX_BACKLOG: Final = 60.0
_LOOK: Final = 1.0
_OTHER_SENDER: Final = "another process's exchange"
#: What an outage's assumption about a code's age rests on: its lifetime less a margin.
_ASSUMED_CODE_LIFE: Final = 594.0


@attrs.frozen
class Minted:
    """A token came; ``replayed``: it may have been issued earlier, to another manager."""

    token: StoredToken
    granted: Scope
    issued: Issued
    replayed: bool


#: A `CodeRecord` says that the code was redeemed or spent before, or has expired.
Result = Minted | CodeRecord | Refused | SetAside | Limited | InDoubt


class _Waiter(NamedTuple):
    """An exchange that waits for its slot; those whose code ends first come first."""

    until: float
    number: int
    operation: Operation
    turn: asyncio.Future[bool]


class ExchangeQueue:
    """The share of the rate limit that exchanges may use, and who waits for it.

    Without a limit until one is seen. Waiters are served by the end of their codes;
    those that no caller waits for leave a reserve.
    """

    def __init__(self, clock: Clock, share: float, tasks: Tasks) -> None:
        self.requests: int = 0  # at code sources: they will need a slot
        self._clock = clock
        self._share = share
        self._tasks = tasks
        self._capacity: float | None = None
        self._level = 0.0
        self._filled_at = clock.now()
        self._closed_until = 0.0
        self._order = itertools.count()
        self._waiters: list[_Waiter] = []
        self._server: asyncio.Task[None] | None = None

    @property
    def level(self) -> float | None:
        """How many exchanges may start now, or None while no limit is known."""
        if self._capacity is None:
            return None
        now = self._clock.now()
        gained = (now - self._filled_at) * self._capacity / _WINDOW
        self._level = min(self._capacity, self._level + gained)
        self._filled_at = now
        return self._level

    @property
    def busy(self) -> bool:
        """Whether so little is left that renewals should spread further."""
        level = self.level
        return level is not None and level < _RESERVE * (self._capacity or 0.0)

    def backlog(self) -> float:
        """Return how long the queue takes as it stands, in seconds."""
        closed = max(0.0, self._closed_until - self._clock.now())
        if self._capacity is None:
            return closed
        behind = len(self._waiters) + self.requests + 1 - (self.level or 0.0)
        return closed + max(0.0, behind) * _WINDOW / self._capacity

    async def slot(self, until: float, operation: Operation) -> bool:
        """Wait for a slot and take it; False when it would come too late."""
        wait = self._wait(background=not operation.hurried)
        if not self._waiters and wait <= 0:
            self._level -= 1.0
            return True
        if self._clock.now() + wait >= until:
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(until, next(self._order), operation, turn)
        self._waiters.append(waiter)
        if self._server is None or self._server.done():
            self._server = self._tasks.start(self._serve(), endless=True)
        try:
            return await turn
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def learn(self, response: Response) -> None:
        """Take the limit from a response; it may change from one to the next."""
        limit = count_of(response.headers, "ratelimit-limit")
        if limit is None:
            return
        # What was gained so far was gained at the old rate.
        level, self._capacity = self.level, max(1.0, limit * self._share)
        self._level = self._capacity - 1.0 if level is None else level
        self._filled_at = self._clock.now()

    def close(self, seconds: float) -> None:
        """Start nothing for so long: the service said when its window resets."""
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    def _wait(self, *, background: bool) -> float:
        closed, level = self._closed_until - self._clock.now(), self.level
        if closed > 0 or level is None or self._capacity is None:
            return closed
        needed = 1.0 + (_RESERVE * self._capacity if background else 0.0)
        lacking = min(needed, self._capacity) - level
        # A hair more than computed, or rounding asks for the same instant again.
        return lacking * _WINDOW / self._capacity + 1e-6 if lacking > 0 else 0.0

    async def _serve(self) -> None:
        while self._waiters:
            wait = self._serve_ready()
            if self._waiters:
                await self._clock.sleep(max(0.001, min(wait, _LOOK)))

    def _serve_ready(self) -> float:
        """Serve those that may start now, and return when to look again."""
        while self._waiters:
            wait = self._wait(background=False)
            start = self._clock.now() + max(0.0, wait)
            for late in [each for each in self._waiters if start >= each.until]:
                self._end(late, served=False)
            if wait > 0:
                return wait
            reserved = self._wait(background=True) > 0
            ready = [
                each for each in self._waiters if not reserved or each.operation.hurried
            ]
            if not ready:
                return _LOOK
            self._end(min(ready), served=True)
            self._level -= 1.0
        return 0.0

    def _end(self, waiter: _Waiter, *, served: bool) -> None:
        self._waiters.remove(waiter)
        if not waiter.turn.done():
            waiter.turn.set_result(served)


class TokenExchanger:
    """Turns one code into a result."""

    def __init__(
        self, context: ClientContext, policy: RenewalPolicy, coordinator: Coordinator
    ) -> None:
        self._clock = context.runtime.clock
        self._random = context.runtime.random
        self.queue: ExchangeQueue = ExchangeQueue(
            self._clock, policy.exchange_share, coordinator.tasks
        )
        self._context = context
        self._policy = policy
        self._coordinator = coordinator
        self._tasks = coordinator.tasks
        self._emit = coordinator.emit

    async def turn(self, operation: Operation) -> None:
        """Wait until the queue is short enough for a new code not to age in it."""
        if self.queue.backlog() < _MAX_BACKLOG:
            return
        with operation.waiting("the rate limit of exchanges"):
            while self.queue.backlog() >= _MAX_BACKLOG:
                await self._clock.sleep(_LOOK * (0.5 + self._random() / 2))

    async def exchange(
        self,
        code: StoredCode,
        expected: Scope | None,
        lease: HeldLease,
        operation: Operation,
    ) -> Result:
        """Exchange a code; from the first send on only the end stops it."""
        try:
            return await self._exchange(code, expected, lease, operation)
        finally:
            operation.committed = False
            if lease.sending is not None:  # cancelled, or a mistake of ours
                lease.sending = None
                _ = self._tasks.start(self._end_send(code, lease, in_doubt=True))

    async def _exchange(  # noqa: C901  # one branch for each answer
        self,
        code: StoredCode,
        expected: Scope | None,
        lease: HeldLease,
        operation: Operation,
    ) -> Result:
        tries: Tries | None = None
        while True:
            asked_at, sent = (
                self._clock.now(),
                self._coordinator.first_sent.get(code.id),
            )
            # A code in doubt is sent for as long as its token may live.
            last_moment = asked_at + self._policy.exchange_budget
            if sent is not None:
                last_moment = sent.first_sent[0] + TOKEN_LIFE
            last_moment = max(code.deadline, last_moment)
            if not await self.queue.slot(last_moment, operation):
                what = "too many exchanges: the code would expire before its turn"
                return Limited(ExchangeRateLimitedError(what), 0.0)
            lease.sending = code.id  # from here on a cancellation ends the send
            epoch = 0 if tries is None else tries.epoch
            begun = await self._begin_send(code, lease, operation, epoch)
            if not records.owns(begun.new, lease.owner):
                lease.sending = None
                if begun.old.state is CodeState.NEW:
                    self._emit(events.CodeExpiredUnused, expected)
                return begun.new
            operation.committed = True
            lease.send_extended_at = begun.started
            epoch, anchor = begun.new.epoch, begun.new.first_sent[-1]
            resent = lease.inherited or anchor < begun.started - 0.001
            if not resent and sent is None:
                self._emit(events.CodeSent, expected, epoch=epoch)
            remember(self._coordinator.first_sent, code.id, begun.new)
            now = self._clock.now()
            if tries is None:
                tries = Tries(
                    deadline=now + self._policy.exchange_budget,
                    last_moment=last_moment,
                    single_key=code.machine,
                    in_doubt=resent,
                )
            else:
                tries = tries.postponed(now - asked_at)
            tries = attrs.evolve(tries, epoch=epoch)
            verdict = await self._send(code, expected, lease, tries)
            if isinstance(verdict, Again):
                tries = verdict.tries
                continue
            result: Result = (
                self._minted(code, verdict, anchor, replayed=resent)
                if isinstance(verdict, Issued)
                else verdict
            )
            if isinstance(result, Refused):
                result = await self._spend(code, lease, operation, result)
            elif isinstance(result, SetAside | Limited):
                await self._end_send(code, lease, in_doubt=result.in_doubt)
            elif isinstance(result, InDoubt):
                await self._end_send(code, lease, in_doubt=not result.unsent)
            lease.sending = None
            return result

    async def _begin_send(
        self, code: StoredCode, lease: HeldLease, operation: Operation, epoch: int
    ) -> Changed[CodeRecord]:
        """Take the right to send the code, waiting for the caller that sends it now."""
        coordinator = self._coordinator

        async def attempt(*, unsure: bool = False) -> Changed[CodeRecord] | None:
            received = code.received
            # During and after an outage another process may have sent it unseen.
            if unsure or coordinator.ever_down:
                received = min(received, code.deadline - _ASSUMED_CODE_LIFE)
            begun = await coordinator.code(
                code.id,
                records.begin_send,
                lease.owner,
                attrs.evolve(code, received=received),
                coordinator.first_sent.get(code.id, CodeRecord()),
                epoch=epoch,
                inherited=lease.inherited,
                unsure=unsure,
                budget=self._policy.exchange_budget,
            )
            if coordinator.shares and not (begun.shared or unsure):
                return await attempt(unsure=True)
            busy = records.is_busy(begun.new, begun.started, lease.owner)
            return None if busy else begun

        return await coordinator.repeat(operation, _OTHER_SENDER, attempt)

    async def _spend(
        self,
        code: StoredCode,
        lease: HeldLease,
        operation: Operation,
        refused: Refused,
    ) -> Refused | CodeRecord:
        """Mark a code as refused, unless another owner had success with it."""
        coordinator = self._coordinator

        async def attempt() -> Changed[CodeRecord] | None:
            spent = await coordinator.code(code.id, records.spend, lease.owner)
            busy = records.is_busy(spent.new, spent.started, lease.owner)
            return None if busy else spent

        spent = await coordinator.repeat(operation, _OTHER_SENDER, attempt)
        if spent.new.state is CodeState.REDEEMED:
            return spent.new
        coordinator.first_sent.pop(code.id, None)
        return refused

    async def _end_send(
        self, code: StoredCode, lease: HeldLease, *, in_doubt: bool
    ) -> None:
        await self._coordinator.code(
            code.id, records.end_send, lease.owner, in_doubt=in_doubt
        )

    async def _send(
        self, code: StoredCode, expected: Scope | None, lease: HeldLease, tries: Tries
    ) -> Issued | Refused | SetAside | Limited | InDoubt | Again:
        """Send until there is an ending, another key is due, or the right to send is old."""
        while True:
            outcome = await self._attempt(code, expected, tries)
            now = self._clock.now()
            verdict = judge(outcome, tries, now, self._random(), expected)
            if isinstance(outcome, Response):
                self.queue.learn(outcome)
            if not isinstance(verdict, Again):
                return verdict
            if verdict.closed_for:
                self.queue.close(verdict.closed_for)
            await self._clock.sleep(verdict.delay)
            epoch, tries = tries.epoch, verdict.tries
            old = self._clock.now() - lease.send_extended_at >= LEASE
            if old or tries.epoch != epoch or verdict.closed_for:
                return verdict

    async def _attempt(
        self, code: StoredCode, expected: Scope | None, tries: Tries
    ) -> Outcome:
        now, secret = self._clock.now(), code.secret
        request = Request(
            method=OAuthRoutes.TOKEN.method,
            route=OAuthRoutes.TOKEN.template,
            target=OAuthRoutes.TOKEN.template,
            deadline=min(now + self._policy.attempt_timeout, max(tries.deadline, now)),
            headers=self._context.headers,
            body=assertion_form(secret, expected or Scope())
            if code.machine
            else code_form(secret),
            content_type=_FORM,
            idempotency_key=exchange_key(self._context.origin, secret, tries.epoch),
            expects=Expects.OAUTH,
        )
        try:
            return await self._context.exchanger.send(request)
        except (TransportError, RateLimitedError) as error:
            # The latter is the client's own rate limiter, before anything was sent.
            return error.with_traceback(None)
        except ResponseTooLargeError as error:
            # No usable response: whether the code was consumed is not known.
            return ConnectionLostError(error.what, phase=Phase.AMBIGUOUS)

    def _minted(
        self, code: StoredCode, issued: Issued, anchor: float, *, replayed: bool
    ) -> Minted | Refused:
        grant = issued.grant
        if grant.clamped:
            self._emit(events.NumberClamped, name="expires-in of a token")
        expires = anchor + grant.lifetime
        if self._clock.now() >= expires - guard_window(grant.lifetime, self._policy):
            what = "the code was exchanged so long ago that its token has expired"
            return Refused(CodeAlreadyUsedError(what, phase=Phase.ANSWERED))
        window = refresh_window(
            grant.lifetime, self._random(), self._policy, busy=self.queue.busy
        )
        token = StoredToken(
            fingerprint=fingerprint(grant.token),
            secret=grant.token,
            scope=grant.scope.text,
            code_id=code.id,
            expires=expires,
            lifetime=grant.lifetime,
            refresh_at=expires - window,
        )
        return Minted(token, grant.scope, issued, replayed or issued.replayed)
