"""Exchanges one code for a token: sends it, judges each response, repeats what it may.

The code's record is the arbiter: only the owner that it names sends the code, and only
the record knows when the code was sent for the first time under each key.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final

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
from persona_share._tokens.coordinator import Coordinator, HeldLease, View
from persona_share._tokens.inflight import Operation, Tasks
from persona_share._tokens.record import (
    LEASE,
    CodeRecord,
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
#: A code in doubt is replayed for as long as its token could be alive.
_ASSUMED_TOKEN_LIFE: Final = 3600.0
#: What an outage's assumption about a code's age rests on: its lifetime less a margin.
_ASSUMED_CODE_LIFE: Final = 594.0


@attrs.frozen
class Minted:
    """A token came; ``replayed``: it may have been issued earlier, to somebody else."""

    token: StoredToken
    granted: Scope
    issued: Issued
    replayed: bool


@attrs.frozen
class Adopted:
    """The code brought a token before, filed under ``scope``; its times are local."""

    scope: str
    token: StoredToken | None


@attrs.frozen
class TooLate:
    """The code has expired, or would before it could be exchanged."""


@attrs.frozen
class SpentBefore:
    """The code was found to be of no use earlier."""

    reason: str


Result = (
    Minted | Adopted | TooLate | SpentBefore | Refused | SetAside | Limited | InDoubt
)


class ExchangeQueue:
    """The share of the rate limit that exchanges may use, and who waits for it.

    Without a limit until one is seen. Waiters are served by the end of their codes;
    those that no caller waits for leave a reserve.
    """

    def __init__(self, clock: Clock, share: float) -> None:
        self.requests = 0  # at code sources: they will need a slot
        self._clock = clock
        self._share = share
        self._capacity: float | None = None
        self._level = 0.0
        self._filled_at = clock.now()
        self._closed_until = 0.0
        self._order = itertools.count()
        self._waiters: list[
            tuple[float, int, Callable[[], bool], asyncio.Future[None]]
        ] = []
        self._pump: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether so little is left that renewals should spread further."""
        return self._capacity is not None and self._filled() < self._reserve

    @property
    def level(self) -> float | None:
        """How many exchanges may start now, or None while no limit is known."""
        return None if self._capacity is None else self._filled()

    def backlog(self) -> float:
        """Return how long the queue takes as it stands, in seconds."""
        closed = max(0.0, self._closed_until - self._clock.now())
        if self._capacity is None:
            return closed
        behind = len(self._waiters) + self.requests + 1 - self._filled()
        return closed + max(0.0, behind) * _WINDOW / self._capacity

    async def slot(self, until: float, hurried: Callable[[], bool]) -> bool:
        """Wait for a slot and take it; False when it would come too late."""
        wait = self._wait(background=not hurried())
        if not self._waiters and wait <= 0:
            self._take()
            return True
        if self._clock.now() + wait >= until:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (until, next(self._order), hurried, turn))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._serve())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                return False
            raise
        finally:
            self._waiters = [each for each in self._waiters if each[3] is not turn]
            heapq.heapify(self._waiters)
        return True

    def learn(self, response: Response) -> None:
        """Take the limit from a response; it may change from one to the next."""
        limit = count_of(response.headers, "ratelimit-limit")
        if limit is None:
            return
        capacity = max(1.0, limit * self._share)
        # What was gained so far was gained at the old rate.
        self._level = capacity - 1.0 if self._capacity is None else self._filled()
        self._filled_at = self._clock.now()
        self._capacity = capacity

    def close(self, seconds: float) -> None:
        """Start nothing for so long: the service said when its window resets."""
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    def stop(self) -> None:
        """Stop serving; nobody waits any more."""
        if self._pump is not None:
            self._pump.cancel()

    @property
    def _reserve(self) -> float:
        return (self._capacity or 0.0) * _RESERVE

    def _filled(self) -> float:
        now = self._clock.now()
        capacity = self._capacity or 0.0
        gained = (now - self._filled_at) * capacity / _WINDOW
        self._level = min(capacity, self._level + gained)
        self._filled_at = now
        return self._level

    def _take(self) -> None:
        if self._capacity is not None:
            self._level = self._filled() - 1.0

    def _wait(self, *, background: bool) -> float:
        closed = self._closed_until - self._clock.now()
        if closed > 0 or self._capacity is None:
            return closed
        needed = 1.0 + (self._reserve if background else 0.0)
        lacking = min(needed, self._capacity) - self._filled()
        # A hair more than computed, or rounding asks for the same instant again.
        return lacking * _WINDOW / self._capacity + 1e-6 if lacking > 0 else 0.0

    async def _serve(self) -> None:
        while self._waiters:
            self._send_late_away()
            wait = self._serve_ready()
            if self._waiters:
                await self._clock.sleep(max(0.001, min(wait, _LOOK)))

    def _send_late_away(self) -> None:
        """End the waits whose slot would come after their code's end."""
        now = self._clock.now() + max(0.0, self._wait(background=False))
        for until, _, _, turn in self._waiters:
            if now >= until:
                turn.cancel()
        self._waiters = [each for each in self._waiters if not each[3].done()]
        heapq.heapify(self._waiters)

    def _serve_ready(self) -> float:
        """Serve those that may start now, and return when to look again."""
        while self._waiters:
            wait = self._wait(background=False)
            if wait > 0:
                return wait
            unhurried = self._wait(background=True) > 0
            ready = [
                each
                for each in self._waiters
                if not each[3].done() and not (unhurried and not each[2]())
            ]
            if not ready:
                return _LOOK
            first = min(ready)
            self._waiters.remove(first)
            heapq.heapify(self._waiters)
            self._take()
            first[3].set_result(None)
        return 0.0


class TokenExchanger:
    """Turns one code into a result."""

    def __init__(
        self,
        context: ClientContext,
        *,
        policy: RenewalPolicy,
        coordinator: Coordinator,
        tasks: Tasks,
        emit: Callable[[events.HookEvent], None],
    ) -> None:
        self.queue = ExchangeQueue(context.runtime.clock, policy.exchange_share)
        self._context = context
        self._policy = policy
        self._coordinator = coordinator
        self._tasks = tasks
        self._emit = emit
        self._clock = context.runtime.clock
        self._random = context.runtime.random

    async def turn(self) -> None:
        """Wait until the queue is short enough for a new code not to age in it."""
        while self.queue.backlog() >= _MAX_BACKLOG:
            await self._clock.sleep(_LOOK * (0.5 + self._random() / 2))

    async def exchange(
        self,
        code: StoredCode,
        expected: Scope | None,
        lease: HeldLease,
        operation: Operation,
        *,
        inherited: bool,
    ) -> Result:
        """Exchange a code, its times local; from the first send on only the end stops it."""
        try:
            return await self._exchange(
                code, expected, lease, operation, inherited=inherited
            )
        finally:
            if lease.sending is not None:  # cancelled, or a mistake of ours
                lease.sending = None
                self._tasks.start(lambda: self._end_send(code, lease, in_doubt=True))

    async def _exchange(  # noqa: C901, PLR0911, PLR0912  # one branch for each answer
        self,
        code: StoredCode,
        expected: Scope | None,
        lease: HeldLease,
        operation: Operation,
        *,
        inherited: bool,
    ) -> Result:
        epoch, tries = 0, None
        while True:
            last_moment, asked_at = self._last_moment(code), self._clock.now()
            if not await self.queue.slot(last_moment, lambda: operation.hurried):
                what = "too many exchanges: no turn came while the code was good"
                return Limited(ExchangeRateLimitedError(what), 0.0)
            lease.sending = code.id  # from here on a cancellation ends the send
            answer, view = await self._begin(
                code, lease, operation, epoch=epoch, inherited=inherited
            )
            if not isinstance(answer, records.Send):
                lease.sending = None
            match answer:
                case records.Redeemed(scope, token):
                    if token is not None:
                        token = token.moved(view.to_local(0.0))
                    return Adopted(scope, token)
                case records.Spent(reason):
                    return SpentBefore(reason)
                case records.Expired():
                    return TooLate()
                case records.Send(epoch, anchor_there):
                    pass
                case _:
                    raise AssertionError(answer)
            operation.committed = True
            lease.send_extended_at = view.before
            known = code.id in self._coordinator.first_sent
            anchor = self._coordinator.note_first_sent(
                code.id, epoch, view.to_local(anchor_there)
            )
            resent = inherited or anchor < view.before - 0.001
            now = self._clock.now()
            if now > anchor + _ASSUMED_TOKEN_LIFE - self._policy.exchange_budget:
                lease.sending = None
                await self._end_send(code, lease, in_doubt=True)
                return TooLate()
            if not known and not resent:
                size = len(expected or ())
                self._emit(events.CodeSent(at=now, scope_size=size, epoch=epoch))
            if tries is not None:
                tries = tries.postponed(now - asked_at)
            else:
                tries = Tries(
                    deadline=now + self._policy.exchange_budget,
                    last_moment=last_moment,
                    epoch=epoch,
                    single_key=code.machine,
                    in_doubt=resent,
                )
            verdict = await self._send(
                code, expected, lease, attrs.evolve(tries, epoch=epoch)
            )
            if isinstance(verdict, Again):
                tries, epoch = verdict.tries, verdict.tries.epoch
                continue
            if not isinstance(verdict, Refused | Issued):
                doubt = isinstance(verdict, InDoubt) and not verdict.unsent
                doubt = doubt or getattr(verdict, "in_doubt", False)
                lease.sending = None
                await self._end_send(code, lease, in_doubt=doubt)
            lease.sending = None
            if isinstance(verdict, Issued):
                return self._minted(code, verdict, anchor, replayed=resent)
            return verdict

    async def _begin(
        self,
        code: StoredCode,
        lease: HeldLease,
        operation: Operation,
        *,
        epoch: int,
        inherited: bool,
    ) -> tuple[object, View[CodeRecord]]:
        """Take the right to send the code, waiting for the caller that sends it now."""
        coordinator, polls = self._coordinator, 0
        key = ("send", code.id)

        def change(view: View[CodeRecord]) -> tuple[CodeRecord, object]:
            record = view.record
            if (sent := coordinator.first_sent.get(code.id)) is not None:
                first, second = (
                    None if each is None else view.to_store(each) for each in sent
                )
                record, _ = records.restore_first_sent(record, (first, second))
            there, received = view.to_store(0.0), code.received
            # During and after an outage another process may have sent it unseen.
            unsure = coordinator.shares and not view.shared
            if unsure or coordinator.ever_down:
                received = min(received, code.deadline - _ASSUMED_CODE_LIFE)
            void = coordinator.unchanged_for(key, view.raw.sender(lease.owner)) >= LEASE
            return records.begin_send(
                record,
                view.now,
                lease.owner,
                attrs.evolve(code, received=received).moved(there),
                epoch=epoch,
                inherited=inherited,
                from_receipt=unsure,
                void_until=record.until if void else None,
            )

        while True:
            answer, view = await coordinator.code(code.id, change)
            if not isinstance(answer, records.Busy):
                coordinator.unchanged_for(key, None)
                operation.waits_for(None)
                return answer, view
            operation.waits_for("another process's exchange")
            await coordinator.poll(polls)
            polls += 1

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
        now = self._clock.now()
        secret = code.secret
        if code.machine:
            body = assertion_form(secret, expected or Scope())
        else:
            body = code_form(secret)
        request = Request(
            method=OAuthRoutes.TOKEN.method,
            route=OAuthRoutes.TOKEN.template,
            target=OAuthRoutes.TOKEN.template,
            deadline=min(now + self._policy.attempt_timeout, max(tries.deadline, now)),
            headers=self._context.headers,
            body=body,
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

    async def _end_send(
        self, code: StoredCode, lease: HeldLease, *, in_doubt: bool
    ) -> None:
        await self._coordinator.code(
            code.id,
            lambda view: records.end_send(view.record, lease.owner, in_doubt=in_doubt),
        )

    def _last_moment(self, code: StoredCode) -> float:
        """Return how long the code may be sent: its own life, or its token's if in doubt."""
        sent = self._coordinator.first_sent.get(code.id)
        if sent is None or sent[0] is None:
            soon = self._clock.now() + self._policy.exchange_budget
            return max(code.deadline, soon)
        return max(code.deadline, sent[0] + _ASSUMED_TOKEN_LIFE)

    def _minted(
        self, code: StoredCode, issued: Issued, anchor: float, *, replayed: bool
    ) -> Minted | Refused:
        grant = issued.grant
        if grant.clamped:
            name = "expires-in of a token"
            self._emit(events.NumberClamped(at=self._clock.now(), name=name))
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
