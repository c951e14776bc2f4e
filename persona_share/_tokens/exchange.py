"""Exchanges one code for a token: sends it, judges each response, repeats what it may.

The code's record is the arbiter: only the owner that it names sends the code, and only
the record knows when the code was sent for the first time under each key.
"""

import bisect
import contextlib
import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec

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
    TOKEN_LIFE,
    CodeRecord,
    CodeState,
    StoredCode,
    StoredToken,
    fingerprint,
)
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeExpiredError,
    ConnectionLostError,
    ExchangeRateLimitedError,
    Phase,
    RateLimitedError,
    ResponseTooLargeError,
    TransportError,
)
from persona_share.model import events
from persona_share.ports import Runtime


if TYPE_CHECKING:
    from persona_share._tokens.acquire import Acquisition

P = ParamSpec("P")

_FORM: Final = "application/x-www-form-urlencoded"
#: The budget of exchanges fills within so many seconds.
_WINDOW: Final = 60.0
#: Exchanges in the background leave so many seconds' worth of it to waiting callers.
_RESERVE: Final = 18.0
#: A source is asked for a code only while the queue of exchanges is shorter than this.
_MAX_BACKLOG: Final = 60.0
#: Those that wait look for their turn in pauses of this range, in seconds.
_RECHECK_INTERVAL: Final = 1.0
_MAX_RECHECK_INTERVAL: Final = 5.0
_ODD_EXPIRY: Final = (
    "The code's expires_at contradicts this machine's clock; check both."
)
_RATE_LIMIT: Final = "the rate limit of exchanges"
_NEXT_ATTEMPT: Final = "the next attempt of the exchange"
_OTHER_SENDER: Final = "another process's exchange"
#: The assumed lifetime of a code during an outage: the lifetime less a margin.
_ASSUMED_CODE_LIFE: Final = 594.0


@attrs.frozen
class NewToken:
    """The service issued a token for the code."""

    token: StoredToken
    issued: Issued


#: A `CodeRecord` says that the code was exchanged before, and for which token.
ExchangeResult = NewToken | CodeRecord | Refused | SetAside | Limited | InDoubt


class ExchangeQueue:
    """The share of the rate limit that exchanges may use, and who waits for it.

    Without a limit until one is seen. Those with callers come first and then those whose
    code ends first; those in the background also leave a reserve.
    """

    def __init__(self, runtime: Runtime, share: float) -> None:
        self.requests: int = 0  # at code sources: they will need a slot
        self._clock = runtime.clock
        self._random = runtime.random
        self._share = share
        # The budget of a window fills evenly, one slot in so many seconds, and was empty
        # at this instant; until a limit is known a slot costs nothing.
        self._interval = 0.0
        self._empty_at = float("-inf")
        self._closed_until = 0.0
        self._number = itertools.count()
        # Sorted: whether it is in the background, the end of the code, and a number.
        self._waiting: list[tuple[bool, float, int]] = []

    @property
    def level(self) -> float | None:
        """How many exchanges may start now, or None while no limit is known."""
        filled = min(_WINDOW, self._clock.now() - self._empty_at)
        return filled / self._interval if self._interval else None

    async def wait_until_short(self, operation: Operation) -> None:
        """Wait until the queue is short enough for a new code not to age in it."""
        if self.wait_behind(len(self._waiting) + self.requests) < _MAX_BACKLOG:
            return
        with operation.waiting(_RATE_LIMIT):
            while self.wait_behind(len(self._waiting) + self.requests) >= _MAX_BACKLOG:
                await self._clock.sleep(_RECHECK_INTERVAL * (0.5 + self._random() / 2))

    async def slot(self, until: float, operation: Operation) -> bool:
        """Wait for a slot and use it; return False if it would come too late."""
        number, queue = next(self._number), self._waiting
        with contextlib.ExitStack() as waiting:
            while True:
                background = operation.background and not operation.callers
                place = (background, until, number)
                index = bisect.bisect(queue, place)
                reserve = min(_RESERVE, _WINDOW - self._interval) if background else 0.0
                wait = self.wait_behind(index, reserve)
                now = self._clock.now()
                if wait <= 0:
                    empty_at = max(self._empty_at, now - _WINDOW)
                    self._empty_at = empty_at + self._interval
                    return True
                if now + wait >= until:
                    return False
                if operation.waiting_for is None:
                    waiting.enter_context(operation.waiting(_RATE_LIMIT))
                # A caller may come, others may leave, and the limit may rise.
                recheck = 0.0 if background else min(wait / 4, _MAX_RECHECK_INTERVAL)
                queue.insert(index, place)
                try:
                    await self._clock.sleep(min(wait, max(_RECHECK_INTERVAL, recheck)))
                finally:
                    del queue[bisect.bisect_left(queue, place)]

    def learn(self, response: Response) -> None:
        """Read the limit from a response; it may change from one to the next."""
        limit = count_of(response.headers, "ratelimit-limit")
        if limit is None:
            return
        known, self._interval = self._interval, _WINDOW / max(1.0, limit * self._share)
        if not known:  # the request of this response has used one slot
            self._empty_at = self._clock.now() - _WINDOW + self._interval

    def close(self, seconds: float) -> None:
        """Start nothing for so long: the service said when its window resets."""
        self._closed_until = max(self._closed_until, self._clock.now() + seconds)

    def wait_behind(self, others: int, reserve: float = 0.0) -> float:
        """Return when an exchange can start behind so many others, in seconds from now."""
        now = self._clock.now()
        filled = min(_WINDOW, now - self._empty_at)
        lacking = (others + 1) * self._interval + reserve - filled
        # A hair more than computed, or rounding asks for the same instant again.
        refilled = lacking + 1e-6 if lacking > 0 else 0.0
        return max(refilled, self._closed_until - now)


class Exchange:
    """One exchange of one code, by the owner of one acquisition."""

    def __init__(self, acquisition: "Acquisition", code: StoredCode) -> None:
        self._provider = provider = acquisition.provider
        self._coordinator = coordinator = provider.coordinator
        self._now = provider.clock.now
        self._operation = acquisition.operation
        self._owner = acquisition.owner
        self._scope = acquisition.scope
        # Whether an earlier owner of the lease may have sent the code.
        self._inherited = acquisition.inherited
        self._code = code
        self._sending = False
        # The first send under the current key.
        self._first_sent_at = 0.0
        # A code in doubt is sent for as long as its token may live.
        known = coordinator.first_sent.get(code.id)
        latest = self._now() + provider.policy.exchange_budget
        if known is not None:
            latest = known.first_sent[0] + TOKEN_LIFE
        self._tries = Tries(
            deadline=0.0,
            latest_send=max(code.deadline, latest),
            single_key=code.machine,
            in_doubt=self._inherited or known is not None,
        )

    async def run(self, *, pushed: bool) -> ExchangeResult:
        """Return what became of the code; from the first send on only the end stops it."""
        self._provider.pushed.pop(self._code.id, None)
        if self._code.id not in self._coordinator.first_sent:
            self._provider.emit(events.CodeClaimed, self._scope, pushed=pushed)
        queued = True  # at first, and again after a 429
        try:
            while True:
                ended = await self._begin(queued=queued)
                if ended is not None:
                    return ended
                verdict = await self._send()
                if not isinstance(verdict, Again):
                    return await self._finish(verdict)
                if queued := verdict.closed_for > 0:
                    self._provider.queue.close(verdict.closed_for)
                reason = _RATE_LIMIT if queued else _NEXT_ATTEMPT
                with self._operation.waiting(reason):
                    await self._provider.clock.sleep(verdict.delay)
                self._tries = verdict.tries
        finally:
            self._operation.committed = self._operation.is_sending = False
            if self._sending:  # canceled, or a bug
                ending = self._change(records.end_send, self._owner, in_doubt=True)
                _ = self._provider.tasks.start(ending)

    async def _begin(self, *, queued: bool) -> Limited | Refused | CodeRecord | None:
        """Wait for a slot and for the right to send, or return why there is none."""
        tries, queue, asked_at = self._tries, self._provider.queue, self._now()
        if queued and not await queue.slot(tries.latest_send, self._operation):
            what = "too many exchanges: the code would expire before its turn"
            error = ExchangeRateLimitedError(
                what, phase=tries.phase, attempts=tries.attempts
            )
            return Limited(error, 0.0)
        self._sending = True  # from here on a cancellation ends the send
        begun = await self._coordinator.poll(
            self._operation, _OTHER_SENDER, self._begin_send
        )
        record, now = begun.new, self._now()
        if not records.owns(record, self._owner):
            self._sending = False
            return self._not_begun(begun)
        self._operation.committed = self._operation.is_sending = True
        self._first_sent_at = record.first_sent[-1]
        self._coordinator.first_sent[self._code.id] = record
        if tries.attempts:
            tries = tries.postponed(now - asked_at)
        else:
            in_doubt = tries.in_doubt or self._first_sent_at < begun.started - 0.001
            deadline = now + self._provider.policy.exchange_budget
            tries = attrs.evolve(tries, deadline=deadline, in_doubt=in_doubt)
            if not in_doubt:
                self._provider.emit(events.CodeSent, self._scope, epoch=record.epoch)
        self._tries = attrs.evolve(tries, epoch=record.epoch)
        return None

    def _not_begun(self, begun: Changed[CodeRecord]) -> CodeRecord | Refused:
        if begun.new.state is CodeState.REDEEMED:
            return begun.new
        if begun.old.state is CodeState.NEW:
            self._provider.emit(events.CodeExpiredUnused, self._scope)
        if begun.new.reason == "expired":
            what = "the code has expired, or would before it could be exchanged"
            return Refused(CodeExpiredError(what), known=True)
        what = "this code was refused before, and a code works once"
        return Refused(CodeAlreadyUsedError(what), known=True)

    async def _begin_send(self, *, unsure: bool = False) -> Changed[CodeRecord] | None:
        """Acquire the right to send; return None while another owner has it."""
        coordinator, code = self._coordinator, self._code
        if unsure or coordinator.ever_down:
            # During and after an outage another process may have sent it unseen.
            received = min(code.received, code.deadline - _ASSUMED_CODE_LIFE)
            code = attrs.evolve(code, received=received)
        begun = await self._change(
            records.begin_send,
            self._owner,
            code,
            coordinator.first_sent.get(code.id, CodeRecord()),
            epoch=self._tries.epoch,
            inherited=self._inherited,
            unsure=unsure,
            budget=self._provider.policy.exchange_budget,
        )
        if not self._tries.attempts:
            coordinator.require_store()
        if coordinator.shares and not (begun is None or begun.shared or unsure):
            return await self._begin_send(unsure=True)
        return begun

    async def _send(self) -> Verdict:
        """Send the code once, and judge the response."""
        provider, tries = self._provider, self._tries
        now, secret = self._now(), self._code.secret
        context, attempt_timeout = provider.context, provider.policy.attempt_timeout
        machine = self._code.machine
        request = Request(
            method=OAuthRoutes.TOKEN.method,
            route=OAuthRoutes.TOKEN.template,
            target=OAuthRoutes.TOKEN.template,
            deadline=min(now + attempt_timeout, max(tries.deadline, now)),
            headers=context.headers,
            body=assertion_form(secret, self._scope) if machine else code_form(secret),
            content_type=_FORM,
            idempotency_key=exchange_key(context.origin, secret, tries.epoch),
            expects=Expects.OAUTH,
        )
        outcome: Outcome
        try:
            outcome = await context.exchanger.send(request)
            provider.queue.learn(outcome)
        except (TransportError, RateLimitedError) as error:
            # The latter is the client's own rate limiter, before anything was sent.
            outcome = error.with_traceback(None)
        except ResponseTooLargeError as error:
            # No usable response: whether the code was consumed is not known.
            outcome = ConnectionLostError(error.what, phase=Phase.AMBIGUOUS)
        return judge(
            outcome, tries, self._now(), provider.random(), self._scope or None
        )

    async def _finish(self, ending: Ending) -> ExchangeResult:
        """Record what became of the code; the publication of a token does it later."""
        result: ExchangeResult = (
            self._new_token(ending) if isinstance(ending, Issued) else ending
        )
        if isinstance(result, Refused):
            spent = await self._coordinator.poll(
                self._operation,
                _OTHER_SENDER,
                partial(self._change, records.spend, self._owner),
            )
            if spent.new.state is CodeState.REDEEMED:  # by another owner
                result = spent.new
            else:
                status = result.error.status
                self._coordinator.first_sent.pop(self._code.id, None)
                self._provider.emit(events.CodeRejected, self._scope, status=status)
                if self._code.odd_expiry:
                    result.error.advice = _ODD_EXPIRY
        elif isinstance(result, SetAside | Limited | InDoubt):
            in_doubt = result.in_doubt
            await self._change(records.end_send, self._owner, in_doubt=in_doubt)
            if isinstance(result, InDoubt) and in_doubt:
                self._provider.emit(events.CodeInDoubt, self._scope)
            if isinstance(result, SetAside) and result.credential_pause > 0:
                pause = result.error.retry_after = result.credential_pause
                backoff = self._provider.backoff
                backoff.credential_refused(self._scope.text, result.error, pause)
        self._sending = False
        return result

    def _new_token(self, issued: Issued) -> NewToken | Refused:
        grant, policy = issued.grant, self._provider.policy
        if grant.clamped:
            self._provider.emit(events.NumberClamped, name="expires-in of a token")
        expires = self._first_sent_at + grant.lifetime
        if self._now() >= expires - guard_window(grant.lifetime, policy):
            what = "the code was exchanged so long ago that its token has expired"
            return Refused(CodeAlreadyUsedError(what, phase=Phase.ANSWERED))
        # Refreshes spread further while they would have to wait for a slot.
        random = self._provider.random()
        busy = self._provider.queue.wait_behind(0, _RESERVE) > 0
        window = refresh_window(grant.lifetime, random, policy, busy=busy)
        token = StoredToken(
            fingerprint=fingerprint(grant.token),
            secret=grant.token,
            scope=grant.scope.text,
            code_id=self._code.id,
            expires=expires,
            lifetime=grant.lifetime,
            refresh_at=expires - window,
        )
        return NewToken(token, issued)

    # ── The right to send ───────────────────────────────────────────────────────

    async def _change(
        self,
        transition: Callable[Concatenate[CodeRecord, float, P], CodeRecord],
        *args: P.args,
        **options: P.kwargs,
    ) -> Changed[CodeRecord] | None:
        """Change the record of the code; return None if another owner sends it."""
        changed = await self._coordinator.change(
            CodeRecord, self._code.id, transition, *args, **options
        )
        busy = records.is_busy(changed.new, changed.started, self._owner)
        return None if busy else changed

    async def extend(self) -> None:
        """Extend the right to send, if it is in use."""
        if self._sending:
            await self._change(records.extend, self._owner)
