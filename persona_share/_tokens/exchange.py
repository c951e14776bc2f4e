"""Exchanges one code for a token: sends it, judges each response, repeats what it may.

The code's record is the arbiter: only the owner that it names sends the code, and only
the record knows when the code was sent for the first time under each key.
"""

import bisect
import itertools
from typing import TYPE_CHECKING, Final

import attrs

from persona_share._policy.exchange import (
    Again,
    Ending,
    InDoubt,
    Issued,
    Limited,
    Outcome,
    Refused,
    SetAside,
    Tries,
    Verdict,
    judge,
)
from persona_share._policy.token_lifetime import guard_window, refresh_window
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.limits import count_of
from persona_share._protocol.oauth import assertion_form, code_form, exchange_key
from persona_share._protocol.routes import OAuthRoutes
from persona_share._tokens import record as records
from persona_share._tokens.coordinator import Changed
from persona_share._tokens.inflight import Operation
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
from persona_share.model.scope import Scope
from persona_share.ports import Runtime


if TYPE_CHECKING:
    from persona_share._tokens.acquire import Acquisition

_FORM: Final = "application/x-www-form-urlencoded"
_WINDOW: Final = 60.0
#: Exchanges in the background leave this share of the budget to waiting callers.
_RESERVE: Final = 0.3
#: A source is asked for a code only while the queue of exchanges is shorter than this.
_MAX_BACKLOG: Final = 60.0
#: Those that wait look for their turn in pauses of this range, in seconds.
_RECHECK_INTERVAL: Final = 1.0
_MAX_RECHECK_INTERVAL: Final = 5.0
_OTHER_SENDER: Final = "another process's exchange"
#: The assumed lifetime of a code during an outage: the lifetime less a margin.
_ASSUMED_CODE_LIFE: Final = 594.0


@attrs.frozen
class NewToken:
    """A token came; ``replayed``: it may have been issued earlier, to another manager."""

    token: StoredToken
    granted: Scope
    issued: Issued
    replayed: bool


#: A `CodeRecord` says that the code was redeemed or spent before, or has expired.
ExchangeResult = NewToken | CodeRecord | Refused | SetAside | Limited | InDoubt


class ExchangeQueue:
    """The share of the rate limit that exchanges may use, and who waits for it.

    Without a limit until one is seen. Those with callers come first and then those whose
    code ends first; those in the background also leave a reserve.
    """

    def __init__(self, runtime: Runtime, share: float) -> None:
        self.requests: int = 0  # at code sources: they will need a slot
        self._clock = clock = runtime.clock
        self._random = runtime.random
        self._share = share
        self._capacity: float | None = None
        self._level = 0.0
        self._filled_at = clock.now()
        self._closed_until = 0.0
        self._number = itertools.count()
        # Sorted: whether it is in the background, the end of the code, and a number.
        self._waiting: list[tuple[bool, float, int]] = []

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
        """Whether so little is left that refreshes should spread further."""
        level = self.level
        return level is not None and level < _RESERVE * (self._capacity or 0.0)

    async def wait_until_short(self, operation: Operation) -> None:
        """Wait until the queue is short enough for a new code not to age in it."""
        if self._wait_behind(len(self._waiting) + self.requests) < _MAX_BACKLOG:
            return
        with operation.waiting("the rate limit of exchanges"):
            while self._wait_behind(len(self._waiting) + self.requests) >= _MAX_BACKLOG:
                await self._clock.sleep(_RECHECK_INTERVAL * (0.5 + self._random() / 2))

    async def slot(self, until: float, operation: Operation) -> bool:
        """Wait for a slot and use it; return False if it would come too late."""
        number, queue = next(self._number), self._waiting
        place = (not operation.hurried, until, number)
        bisect.insort(queue, place)
        try:
            while (wait := self._wait_at(place)) > 0:
                if self._clock.now() + wait >= until:
                    return False
                # A caller may come, others may leave, and the limit may rise.
                recheck = 0.0 if place[0] else min(wait / 4, _MAX_RECHECK_INTERVAL)
                await self._clock.sleep(min(wait, max(_RECHECK_INTERVAL, recheck)))
                if place[0] and operation.hurried:
                    del queue[bisect.bisect_left(queue, place)]
                    place = (False, until, number)
                    bisect.insort(queue, place)
            self._level -= 1.0
            return True
        finally:
            del queue[bisect.bisect_left(queue, place)]

    def learn(self, response: Response) -> None:
        """Read the limit from a response; it may change from one to the next."""
        limit = count_of(response.headers, "ratelimit-limit")
        if limit is None:
            return
        # The level until now was gained at the old rate.
        level, self._capacity = self.level, max(1.0, limit * self._share)
        self._level = self._capacity - 1.0 if level is None else level
        self._filled_at = self._clock.now()

    def close(self, seconds: float) -> None:
        """Start nothing for so long: the service said when its window resets."""
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    def _wait_at(self, place: tuple[bool, float, int]) -> float:
        reserve = _RESERVE * (self._capacity or 0.0) if place[0] else 0.0
        reserve = min(reserve, (self._capacity or 1.0) - 1.0)
        return self._wait_behind(bisect.bisect_left(self._waiting, place) + reserve)

    def _wait_behind(self, others: float) -> float:
        """Return when an exchange can start behind so many others, in seconds from now."""
        closed, level = self._closed_until - self._clock.now(), self.level
        if level is None or self._capacity is None:
            return max(0.0, closed)
        lacking = others + 1.0 - level
        # A hair more than computed, or rounding asks for the same instant again.
        refilled = lacking * _WINDOW / self._capacity + 1e-6 if lacking > 0 else 0.0
        return max(0.0, closed, refilled)


class Exchange:
    """One exchange of one code, by the owner of one acquisition."""

    def __init__(self, acquisition: "Acquisition", code: StoredCode) -> None:
        self._provider = provider = acquisition.provider
        self._coordinator = provider.coordinator
        self._clock = provider.clock
        self._operation = acquisition.operation
        self._owner = acquisition.owner
        self._code = code
        self._expected = acquisition.scope or None
        # Whether an earlier owner of the lease may have sent the code.
        self._inherited = acquisition.inherited
        self._sending = False
        self._extended_at = 0.0
        # The first send under the current key, and whether it was an earlier one.
        self._first_sent_at = 0.0
        self._resent = False

    async def run(self) -> ExchangeResult:
        """Return what became of the code; from the first send on only the end stops it."""
        tries: Tries | None = None
        may_send = False
        try:
            while True:
                if tries is None or not may_send:
                    begun = await self._begin(tries)
                    if not isinstance(begun, Tries):
                        return begun
                    tries = begun
                verdict = await self._send(tries)
                if not isinstance(verdict, Again):
                    return await self._finish(verdict)
                if verdict.closed_for:
                    self._provider.queue.close(verdict.closed_for)
                await self._clock.sleep(verdict.delay)
                recent = self._clock.now() - self._extended_at < LEASE
                same_key = verdict.tries.epoch == tries.epoch
                may_send = recent and same_key and not verdict.closed_for
                tries = verdict.tries
        finally:
            self._operation.committed = False
            if self._sending:  # canceled, or a bug
                _ = self._provider.tasks.start(self._end_send(in_doubt=True))

    async def _begin(self, tries: Tries | None) -> Tries | Limited | CodeRecord:
        """Wait for a slot and for the right to send, or return why there is none."""
        asked_at, sent = (
            self._clock.now(),
            self._coordinator.first_sent.get(self._code.id),
        )
        # A code in doubt is sent for as long as its token may live.
        budget = self._provider.policy.exchange_budget
        latest_send = asked_at + budget
        if sent is not None:
            latest_send = sent.first_sent[0] + TOKEN_LIFE
        latest_send = max(self._code.deadline, latest_send)
        if not await self._provider.queue.slot(latest_send, self._operation):
            what = "too many exchanges: the code would expire before its turn"
            return Limited(ExchangeRateLimitedError(what), 0.0)
        self._sending = True  # from here on a cancellation ends the send
        epoch = 0 if tries is None else tries.epoch
        begun = await self._coordinator.poll(
            self._operation, _OTHER_SENDER, lambda: self._begin_send(epoch)
        )
        record = begun.new
        if not records.owns(record, self._owner):
            self._sending = False
            if begun.old.state is CodeState.NEW:
                self._provider.emit(events.CodeExpiredUnused, self._expected)
            return record
        self._operation.committed = True
        self._extended_at, self._first_sent_at = begun.started, record.first_sent[-1]
        self._resent = self._inherited or self._first_sent_at < begun.started - 0.001
        if not self._resent and sent is None:
            self._provider.emit(events.CodeSent, self._expected, epoch=record.epoch)
        self._coordinator.first_sent[self._code.id] = record
        now = self._clock.now()
        if tries is not None:
            return attrs.evolve(tries.postponed(now - asked_at), epoch=record.epoch)
        return Tries(
            deadline=now + budget,
            latest_send=latest_send,
            epoch=record.epoch,
            single_key=self._code.machine,
            in_doubt=self._resent,
        )

    async def _begin_send(
        self, epoch: int, *, unsure: bool = False
    ) -> Changed[CodeRecord] | None:
        """Acquire the right to send; return None while another caller has it."""
        coordinator, code = self._coordinator, self._code
        if unsure or coordinator.ever_down:
            # During and after an outage another process may have sent it unseen.
            received = min(code.received, code.deadline - _ASSUMED_CODE_LIFE)
            code = attrs.evolve(code, received=received)
        begun = await coordinator.change(
            CodeRecord,
            code.id,
            records.begin_send,
            self._owner,
            code,
            coordinator.first_sent.get(code.id, CodeRecord()),
            epoch=epoch,
            inherited=self._inherited,
            unsure=unsure,
            budget=self._provider.policy.exchange_budget,
        )
        if coordinator.shares and not (begun.shared or unsure):
            return await self._begin_send(epoch, unsure=True)
        return self._unless_busy(begun)

    async def _send(self, tries: Tries) -> Verdict:
        """Send the code once, and judge the response."""
        now, secret = self._clock.now(), self._code.secret
        context, attempt_timeout = (
            self._provider.context,
            self._provider.policy.attempt_timeout,
        )
        request = Request(
            method=OAuthRoutes.TOKEN.method,
            route=OAuthRoutes.TOKEN.template,
            target=OAuthRoutes.TOKEN.template,
            deadline=min(now + attempt_timeout, max(tries.deadline, now)),
            headers=context.headers,
            body=assertion_form(secret, self._expected or Scope())
            if self._code.machine
            else code_form(secret),
            content_type=_FORM,
            idempotency_key=exchange_key(context.origin, secret, tries.epoch),
            expects=Expects.OAUTH,
        )
        outcome: Outcome
        try:
            outcome = await context.exchanger.send(request)
            self._provider.queue.learn(outcome)
        except (TransportError, RateLimitedError) as error:
            # The latter is the client's own rate limiter, before anything was sent.
            outcome = error.with_traceback(None)
        except ResponseTooLargeError as error:
            # No usable response: whether the code was consumed is not known.
            outcome = ConnectionLostError(error.what, phase=Phase.AMBIGUOUS)
        now, random = self._clock.now(), self._provider.random()
        return judge(outcome, tries, now, random, self._expected)

    async def _finish(self, verdict: Ending) -> ExchangeResult:
        """Record what became of the code, and return it."""
        result: ExchangeResult = (
            self._new_token(verdict) if isinstance(verdict, Issued) else verdict
        )
        match result:
            case Refused():
                spent = await self._coordinator.poll(
                    self._operation, _OTHER_SENDER, self._spend
                )
                if spent.new.state is CodeState.REDEEMED:  # by another owner
                    result = spent.new
                else:
                    self._coordinator.first_sent.pop(self._code.id, None)
            case SetAside() | Limited():
                await self._end_send(in_doubt=result.in_doubt)
            case InDoubt():
                await self._end_send(in_doubt=not result.unsent)
            case _:
                pass  # the publication of a token ends the send
        self._sending = False
        return result

    def _new_token(self, issued: Issued) -> NewToken | Refused:
        grant, policy = issued.grant, self._provider.policy
        if grant.clamped:
            self._provider.emit(events.NumberClamped, name="expires-in of a token")
        expires = self._first_sent_at + grant.lifetime
        if self._clock.now() >= expires - guard_window(grant.lifetime, policy):
            what = "the code was exchanged so long ago that its token has expired"
            return Refused(CodeAlreadyUsedError(what, phase=Phase.ANSWERED))
        window = refresh_window(
            grant.lifetime,
            self._provider.random(),
            policy,
            busy=self._provider.queue.busy,
        )
        token = StoredToken(
            fingerprint=fingerprint(grant.token),
            secret=grant.token,
            scope=grant.scope.text,
            code_id=self._code.id,
            expires=expires,
            lifetime=grant.lifetime,
            refresh_at=expires - window,
        )
        replayed = self._resent or issued.replayed
        return NewToken(token, grant.scope, issued, replayed)

    # ── The right to send ───────────────────────────────────────────────────────

    async def _spend(self) -> Changed[CodeRecord] | None:
        return self._unless_busy(
            await self._coordinator.change(
                CodeRecord, self._code.id, records.spend, self._owner
            )
        )

    def _unless_busy(self, changed: Changed[CodeRecord]) -> Changed[CodeRecord] | None:
        busy = records.is_busy(changed.new, changed.started, self._owner)
        return None if busy else changed

    async def extend(self) -> None:
        """Extend the right to send, if it is in use."""
        if self._sending:
            changed = await self._coordinator.change(
                CodeRecord, self._code.id, records.extend, self._owner
            )
            if records.owns(changed.new, self._owner):
                self._extended_at = changed.started

    async def _end_send(self, *, in_doubt: bool) -> None:
        await self._coordinator.change(
            CodeRecord,
            self._code.id,
            records.end_send,
            self._owner,
            in_doubt=in_doubt,
        )
