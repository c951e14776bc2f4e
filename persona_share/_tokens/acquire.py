"""Acquires a token: for a scope under its lease, or for one delivered code.

For a scope: lease, code, exchange, publication. The waiters have the token as soon as
it is cached; publishing is a separate task.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Final, NoReturn, ParamSpec

import attrs

from persona_share._policy.exchange import InDoubt, Limited, Refused, SetAside
from persona_share._tokens import record as records
from persona_share._tokens.backoff import (
    full_jitter,
    not_granted,
    shared_error,
    shared_reason,
)
from persona_share._tokens.cache import CachedToken
from persona_share._tokens.coordinator import Changed
from persona_share._tokens.exchange import Exchange, ExchangeResult, NewToken
from persona_share._tokens.inflight import Operation, WaitResult
from persona_share._tokens.record import (
    EXTEND_EVERY,
    Backoff,
    CodeRecord,
    CodeState,
    RejectedToken,
    ScopeRecord,
    StoredCode,
    StoredToken,
    Wish,
)
from persona_share._tokens.source import SourceFailure
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeExpiredError,
    TokenError,
    UsageError,
)
from persona_share.model import events
from persona_share.model.scope import Scope


if TYPE_CHECKING:
    from persona_share._tokens.provider import TokenProvider

P = ParamSpec("P")

#: One acquisition tries at most this many codes that are refused, or set aside.
_MAX_REFUSED: Final = 2
_MAX_SET_ASIDE: Final = 4
#: The first back-off after refused codes, in seconds; it doubles.
_CODES_PAUSE: Final = 2.0
#: The first back-off after a short grant.
_SHORT_PAUSE: Final = 5.0
_CAME_BACK: Final = "the exchange returned a token that was already rejected"


class Acquisition:
    """One acquisition: its lease, and the codes that it has tried.

    It shows what the record of its scope said last: ``pending`` is the code to use next,
    ``inherited`` whether an earlier owner may have sent it, ``set_aside`` how many codes
    are marked, ``token`` a token that fulfils the wish, and ``backoff`` why no manager
    may try now. The scope is empty for a delivered code whose scope is not known.
    """

    def __init__(
        self, provider: "TokenProvider", operation: Operation, scope: Scope
    ) -> None:
        self.provider: TokenProvider = provider
        self.operation: Operation = operation
        self.scope: Scope = scope
        self.owner: str = provider.new_bytes(8).hex()
        self.lost: bool = True
        self.pending: StoredCode | None = None
        self.inherited: bool = False
        self.set_aside: int = 0
        self.token: StoredToken | None = None
        self.backoff: Backoff | None = None
        self._coordinator = provider.coordinator
        self._cache = provider.cache
        self._emit = provider.emit
        self._wish = Wish()
        self._sending: Exchange | None = None
        self._may_own_lease = False
        self._retries_set_aside = True
        self._pulled = ""
        self._refused_codes = 0
        self._codes_set_aside = 0

    # ── A token for a scope ─────────────────────────────────────────────────────

    async def run(self, *, pushed_only: bool = False) -> CachedToken | WaitResult:
        """Return a token that is better than the held one, or raise a `TokenError`.

        With ``pushed_only`` the code source is not asked.
        """
        tasks = self.provider.tasks
        extending = tasks.start(self._extend(), endless=True)
        try:
            result: CachedToken | WaitResult | None = None
            while result is None:
                if self.token is not None:
                    result = await self._adopt(self.token)
                elif self.lost:
                    await self._acquire_lease()
                elif self.pending is not None:
                    result = await self._exchange(self.pending)
                elif pushed_only:
                    result = WaitResult.WITHDRAWN
                else:
                    result = await self._request_code()
            return result
        finally:
            extending.cancel()
            if self._may_own_lease:  # whatever became of the last write
                _ = tasks.start(self._release())

    async def _acquire_lease(self) -> None:
        """Acquire the lease, waiting while another process has it.

        Codes that were set aside wait for the next acquisition.
        """
        self._coordinator.require_store()
        text = self.scope.text
        held, usable = self._cache.get(text), self._cache.usable(text)
        self._wish = Wish(
            None if usable is None else usable.token.ends,
            None if held is None else held.fingerprint,
            self.provider.policy.guard,
        )

        async def attempt() -> bool | None:
            self._may_own_lease = True
            await self._change(
                records.acquire, self.owner, self._wish, retry=self._retries_set_aside
            )
            done = not self.lost or self.token is not None or self.backoff is not None
            return done or None

        await self._coordinator.poll(self.operation, "another process's lease", attempt)
        self._retries_set_aside = False
        if self.backoff is not None and self.token is None:
            left = max(0.0, self.backoff.until - self.provider.clock.now())
            raise shared_error(self.backoff, left, self.scope)

    async def _adopt(self, token: StoredToken) -> CachedToken | None:
        """Cache a token of the record; one that was rejected here is rejected there."""
        entry = self._cache.put(self.scope, token)
        if entry is not None:
            self.provider.backoff.succeeded(self.scope.text)
            self._emit(
                events.TokenAdopted,
                entry.token.scope,
                generation=entry.token.generation,
                remaining=entry.token.ends - self.provider.clock.now(),
            )
            return entry
        self.token, self.lost = None, True
        if self._cache.is_rejected(token.fingerprint):
            rejected = RejectedToken(token.fingerprint, token.expires)
            await self._coordinator.change(
                ScopeRecord, self.scope.text, records.reject, rejected
            )
        return None

    async def _request_code(self) -> WaitResult | None:
        """Have a code of the source in the record, or raise why there is none."""
        operation, queue = self.operation, self.provider.queue
        await queue.wait_until_short(operation)
        if self.lost:
            return None
        operation.committed = True
        operation.code_offered.clear()
        queue.requests += 1
        request = self.provider.supplier.request(self.scope, self.owner)
        offered = asyncio.ensure_future(operation.code_offered.wait())
        try:
            with operation.waiting("the code source"):
                await asyncio.wait(
                    {request, offered}, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            offered.cancel()
            queue.requests -= 1
            operation.committed = False
        if not request.done():  # a pushed code came first; the request continues
            self.lost = True
            return None
        supply = request.result()
        if isinstance(supply, SourceFailure):
            await self._source_failed(supply)
        else:
            self._see(supply)
            if self.pending is None:
                self.lost = True  # the code waits in the queue
            elif not self.inherited:
                self._pulled = self.pending.id
        unwanted = operation.unwanted and self.token is None
        return WaitResult.WITHDRAWN if unwanted else None

    async def _source_failed(self, failure: SourceFailure) -> NoReturn:
        error, provider = failure.error.fresh(), self.provider
        if isinstance(error, UsageError):  # a mistake in the program
            provider.backoff.add(self.scope.text, error)
            raise self._failed(error)
        if failure.pause is not None:
            await self._back_off(error, failure.pause)
        if provider.has_source:
            pause = provider.backoff.add(self.scope.text, error)
            error.retry_after = self._bounded_pause(pause)
        raise self._failed(error)

    async def _exchange(self, code: StoredCode) -> CachedToken | None:
        """Exchange the pending code, and act on the result; None means to continue."""
        provider = self.provider
        result = await self._result_of(code, pushed=code.id != self._pulled)
        match result:
            case NewToken():
                return await self._exchanged(code, result)
            case CodeRecord(state=CodeState.REDEEMED):
                await self._redeemed_before(code, result)
            case CodeRecord() | Refused():
                # A source that gives a used code again is not asked again and again.
                fault = isinstance(result, Refused) or code.id == self._pulled
                self._refused_codes += fault
                await self._drop_code(code, self._error_of(result, code))
            case SetAside(error, pause):
                await self._set_aside(code, error, pause)
            case Limited(error, pause):
                provider.backoff.add(self.scope.text, error, self._bounded_pause(pause))
                await self._release()
                raise self._failed(error)
            case InDoubt(unsent=unsent):
                error = self._error_of(result, code)
                if not unsent and provider.clock.now() > code.deadline:
                    await self._set_aside(code, error, 0.0)
                else:
                    await self._back_off(error, full_jitter(1, provider.random()))
        return None

    async def _exchanged(self, code: StoredCode, new: NewToken) -> CachedToken | None:
        if not self.scope <= new.granted:
            if new.granted.text:  # keep it under what it was granted
                await self._file(new.granted, new)
            await self._change(records.drop_code, code.id)
            error = not_granted(self.scope, self.scope - new.granted)
            await self._back_off(error, _SHORT_PAUSE)
        entry = await self._file(self.scope, new, self.owner)
        self.lost, self._may_own_lease = True, False  # the publication ends the lease
        if entry is None:
            self._refused_codes += 1
            if self._refused_codes >= _MAX_REFUSED:
                raise self._failed(CodeAlreadyUsedError(_CAME_BACK))
        return entry

    async def _redeemed_before(self, code: StoredCode, record: CodeRecord) -> None:
        """Use the token that another exchange of this code returned, if it fits."""
        token = self._coordinator.token_of(record)
        if token is not None and token.expires > self.provider.clock.now():
            if record.scope != self.scope.text:
                await self._coordinator.change(
                    ScopeRecord, record.scope, records.publish, "", token
                )
            if self.scope <= Scope.parse(token.scope):
                own_token = attrs.evolve(token, code_id=code.id)
                await self._change(records.publish, "", own_token)
                if self.token is not None:
                    return
        self._refused_codes += 1
        what = "the code was used before, and its token is no longer usable"
        await self._drop_code(code, CodeAlreadyUsedError(what))

    async def _drop_code(self, code: StoredCode, error: TokenError) -> None:
        """Drop a code that is of no use, and give up if no other one may come."""
        await self._change(records.drop_code, code.id)
        if self.lost:
            return
        if self._refused_codes >= _MAX_REFUSED:
            await self._back_off(error, _CODES_PAUSE)
        if self.pending is None and (
            not self.provider.has_source or self.operation.unwanted
        ):
            await self._release()
            raise self._failed(error)

    async def _set_aside(
        self, code: StoredCode, error: TokenError, pause: float
    ) -> None:
        """Let other codes come first; ``pause`` is for this manager's credential."""
        provider = self.provider
        self._codes_set_aside += 1
        await self._change(records.set_aside, code.id)
        if pause > 0:
            provider.backoff.credential_refused(self.scope.text, error, pause)
            error.retry_after = pause
            await self._release()
            raise self._failed(error)
        no_more = self.pending is None or self._codes_set_aside >= _MAX_SET_ASIDE
        stuck = self.set_aside >= _MAX_REFUSED or not provider.has_source
        if no_more and stuck and not self.lost:
            await self._back_off(error, full_jitter(3, provider.random()))

    # ── A token for one delivered code ──────────────────────────────────────────

    async def redeem(self, code: StoredCode) -> Scope:
        """Exchange one delivered code and return what it granted, however often."""
        self._coordinator.require_store()
        scope = self.scope
        extending = self.provider.tasks.start(self._extend(), endless=True)
        try:
            result = await self._result_of(code, pushed=True)
        finally:
            extending.cancel()
        if isinstance(result, NewToken):
            return await self._delivered(code, result)
        if isinstance(result, CodeRecord) and result.state is CodeState.REDEEMED:
            return await self._delivered_before(result)
        error = self._error_of(result, code)
        if isinstance(result, SetAside) and result.credential_pause > 0:
            pause = error.retry_after = result.credential_pause
            self.provider.backoff.credential_refused(scope.text, error, pause)
        unused = isinstance(result, SetAside | Limited | InDoubt)
        if unused and scope and not code.machine:
            # The next caller of its scope may use it, or learn what became of it.
            await self._coordinator.change(
                ScopeRecord, scope.text, records.hold, "", code
            )
        raise self._failed(error)

    async def _delivered(self, code: StoredCode, new: NewToken) -> Scope:
        scope, granted = self.scope, new.granted
        fits = scope <= granted
        entry = await self._file(scope if scope and fits else granted, new)
        if entry is None:
            raise CodeAlreadyUsedError(_CAME_BACK, scope=granted.text)
        if not fits:
            await self._coordinator.change(
                ScopeRecord, scope.text, records.drop_code, code.id
            )
            raise self._failed(not_granted(scope, scope - granted))
        return granted

    async def _delivered_before(self, record: CodeRecord) -> Scope:
        """Return the scope of the token that this code was exchanged for, and cache it."""
        token = self._coordinator.token_of(record)
        if token is not None:
            target = Scope.parse(record.scope)
            await self._coordinator.publish(target, "", token)
            if not self._cache.is_rejected(token.fingerprint):
                return Scope.parse(token.scope)
        what = "this code was used before"
        raise CodeAlreadyUsedError(what)

    # ── The lease ───────────────────────────────────────────────────────────────

    async def _change(
        self,
        transition: Callable[Concatenate[ScopeRecord, float, P], ScopeRecord],
        *args: P.args,
        **options: P.kwargs,
    ) -> None:
        """Change the record of the scope, and show what it says then."""
        self._see(
            await self._coordinator.change(
                ScopeRecord, self.scope.text, transition, *args, **options
            )
        )

    def _see(self, changed: Changed[ScopeRecord]) -> None:
        record, now, before = changed.new, changed.started, changed.old.pending
        self._may_own_lease = records.owns(record, self.owner)
        self.lost = not self._may_own_lease
        self.pending = record.pending
        self.inherited = before is not None and before == record.pending
        self.set_aside = len(
            [each for each in record.queue if each.set_aside and each.deadline > now]
        )
        self.token = self._wish.fulfilled_by(record, now)
        waits = record.backoff is not None and record.backoff.until > now
        busy = records.is_busy(record, now, self.owner)
        self.backoff = record.backoff if self.lost and waits and not busy else None

    async def _extend(self) -> None:
        while True:
            await self.provider.clock.sleep(EXTEND_EVERY)
            if self._sending is not None:
                await self._sending.extend()
            if not self.lost:
                changed = await self._coordinator.change(
                    ScopeRecord, self.scope.text, records.extend, self.owner
                )
                self.lost |= not records.owns(changed.new, self.owner)

    async def _release(
        self, reason: str = "", seconds: float = 0.0, detail: str = ""
    ) -> float:
        """End the lease and return for how long the scope backs off.

        With a ``reason``, the scope backs off for all managers.
        """
        self.lost, self._may_own_lease = True, False
        changed = await self._coordinator.change(
            ScopeRecord,
            self.scope.text,
            records.release,
            self.owner,
            reason=reason,
            seconds=seconds,
            detail=detail,
        )
        backoff = changed.new.backoff
        return 0.0 if backoff is None else max(0.0, backoff.until - changed.started)

    async def _back_off(self, error: TokenError, pause: float) -> NoReturn:
        """End the lease, back the scope off for all managers, and raise the error."""
        reason, detail = shared_reason(error)
        seconds = self._bounded_pause(pause)
        error.retry_after = await self._release(reason, seconds, detail)
        raise self._failed(error)

    # ── Parts ───────────────────────────────────────────────────────────────────

    async def _result_of(self, code: StoredCode, *, pushed: bool) -> ExchangeResult:
        """Exchange a code."""
        self.provider.pushed.remove(code.id)
        if code.id not in self._coordinator.first_sent:
            self._emit(events.CodeClaimed, self.scope, pushed=pushed)
        self._sending = Exchange(self, code)
        try:
            return await self._sending.run()
        finally:
            self._sending = None

    async def _file(
        self, scope: Scope, new: NewToken, owner: str = ""
    ) -> CachedToken | None:
        """Cache a new token, so that its waiters have it, and publish it.

        One that may be old is looked up among the rejected ones.
        """
        coordinator, token = self._coordinator, new.token
        if new.replayed:
            known = await coordinator.change(ScopeRecord, scope.text, records.unchanged)
            if known.new.is_rejected(token.fingerprint):
                self._cache.reject(scope.text, token.fingerprint, token.expires)
        entry = self._cache.put(scope, token)
        publishing = self.provider.tasks.start(coordinator.publish(scope, owner, token))
        if entry is None:
            await asyncio.wait({publishing})
            return None
        self.provider.backoff.succeeded(scope.text)
        self._emit(
            events.TokenIssued,
            entry.token.scope,
            generation=entry.token.generation,
            lifetime=entry.token.lifetime,
            renewal=entry.token.generation > 1,
            attempts=new.issued.attempts,
            replayed=new.replayed,
            followers=self.operation.followers if self.scope <= new.granted else 0,
            clamped=new.issued.grant.clamped,
            broader=entry.broader,
        )
        return entry

    def _bounded_pause(self, seconds: float) -> float:
        """Return a pause of at most a quarter of what a held token has left."""
        held = self._cache.usable(self.scope.text)
        if held is None:
            return seconds
        left = held.guard_at(self.provider.policy) - self.provider.clock.now()
        return max(min(seconds, left / 4), 0.01)

    def _error_of(self, result: ExchangeResult, code: StoredCode) -> TokenError:
        """Return why a result is no token, and emit what it says about the code."""
        match result:
            case CodeRecord(reason="expired"):
                what = "the code has expired, or would before it could be exchanged"
                return CodeExpiredError(what)
            case CodeRecord():
                what = "this code was refused before, and a code works once"
                return CodeAlreadyUsedError(what)
            case Refused(error):
                self._emit(events.CodeRejected, self.scope, status=error.status)
                if code.odd_expiry:
                    error.advice = (
                        "The code's expires_at contradicts this machine's clock; "
                        "check both."
                    )
                return error
            case InDoubt(error, unsent):
                if not unsent:
                    self._emit(events.CodeInDoubt, self.scope)
                return error
            case SetAside(error) | Limited(error):
                return error
            case _:
                raise AssertionError(result)

    def _failed(self, error: TokenError | UsageError) -> TokenError | UsageError:
        """Emit that no token came, and return the reason to raise."""
        if isinstance(error, TokenError):
            error.scope = error.scope or self.scope.text or None
        self._emit(
            events.ExchangeFailed,
            self.scope,
            error=type(error).__name__,
            cooldown=error.retry_after or 0.0,
            served_stale=self._cache.usable(self.scope.text) is not None,
        )
        return error
