"""Acquires a token: for a scope under its lease, or for one delivered code.

For a scope: lease, code, exchange, publication. The waiters have the token as soon as
it is cached; publishing is a separate task.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec

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
from persona_share._tokens.exchange import Exchange, NewToken
from persona_share._tokens.inflight import Operation, WaitResult
from persona_share._tokens.record import (
    EXTEND_EVERY,
    CodeRecord,
    RejectedToken,
    ScopeRecord,
    StoredCode,
    StoredToken,
    Wish,
)
from persona_share._tokens.source import SourceFailure
from persona_share.errors import (
    AuthorizationCodeRequiredError,
    CodeAlreadyUsedError,
    TokenError,
    UsageError,
)
from persona_share.model import events
from persona_share.model.scope import Scope


if TYPE_CHECKING:
    from persona_share._tokens.provider import TokenProvider

P = ParamSpec("P")

#: One acquisition tries at most this many codes that are refused.
_MAX_REFUSED: Final = 2
#: The first back-off after refused codes, in seconds; it doubles.
_CODES_PAUSE: Final = 2.0
#: The first back-off after a short grant.
_SHORT_PAUSE: Final = 5.0
_CAME_BACK: Final = "the exchange returned a token that was already rejected"


class Acquisition:
    """One acquisition: its lease, and the codes that it has tried.

    It shows what the record of its scope said last: ``pending`` is the code to use next,
    ``inherited`` whether an earlier owner may have sent it, and ``token`` a token that
    fulfils the wish. The scope is empty for a delivered code whose scope is not known.
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
        self.token: StoredToken | None = None
        self._coordinator = provider.coordinator
        self._cache = provider.cache
        held = provider.cache.get(scope.text)
        usable = provider.cache.usable(scope.text)
        self._wish = Wish(
            None if usable is None else usable.token.ends,
            None if held is None else held.fingerprint,
            provider.policy.guard,
        )
        self._sending: Exchange | None = None
        self._may_own_lease = False
        self._pulled = ""
        self._refused_codes = 0
        self._refusal: TokenError | None = None
        self._has_set_aside = False

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
                    await self._coordinator.poll(
                        self.operation, "another process's lease", self._acquire_lease
                    )
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
                _ = tasks.start(self._change(records.release, self.owner))

    async def _acquire_lease(self) -> bool | None:
        """Acquire the lease, or return None while another process has it.

        Codes that were set aside wait for the next acquisition.
        """
        self._may_own_lease = True
        acquired = await self._change(
            records.acquire, self.owner, self._wish, retry=not self._has_set_aside
        )
        self._coordinator.require_store()
        if not self.lost or self.token is not None:
            return True
        record, now = acquired.new, acquired.started
        if records.is_busy(record, now, self.owner):
            return None
        if record.backoff is not None and record.backoff.until > now:
            raise shared_error(record.backoff, record.backoff.until - now, self.scope)
        # By the time of the transition, a little later than `now`, the wish is fulfilled.
        self.token = record.token
        return None if self.token is None else True

    async def _adopt(self, token: StoredToken) -> CachedToken | None:
        """Cache a token of the record; one that was rejected here is rejected there."""
        entry = self._cache.put(self.scope, token)
        if entry is not None:
            self.provider.backoff.succeeded(self.scope.text)
            self.provider.emit(
                events.TokenAdopted,
                entry.token.scope,
                generation=entry.token.generation,
                remaining=entry.token.ends - self.provider.clock.now(),
            )
            return entry
        if self._cache.is_rejected(token.fingerprint):
            rejected = RejectedToken(token.fingerprint, token.expires)
            await self._change(records.reject, rejected)
        self.token, self.lost = None, True
        return None

    async def _request_code(self) -> WaitResult | None:
        """Have a code of the source in the record, or raise why there is none."""
        operation, provider = self.operation, self.provider
        source = provider.supplier.source
        if source is None:
            message = "there is no code for this scope, and no code source"
            raise await self._failed(AuthorizationCodeRequiredError(message))
        await provider.queue.wait_until_short(operation)
        if self.lost:
            return None
        operation.committed = True
        operation.code_offered.clear()
        provider.queue.requests += 1
        request = provider.supplier.request(source, self.scope, self.owner)
        offered = asyncio.ensure_future(operation.code_offered.wait())
        try:
            with operation.waiting("the code source"):
                await asyncio.wait(
                    {request, offered}, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            offered.cancel()
            provider.queue.requests -= 1
            operation.committed = False
        # A pushed code may come first, and then the request continues.
        supply = request.result() if request.done() else None
        if isinstance(supply, SourceFailure) and operation.code_offered.is_set():
            supply = None
        if supply is None:
            self.lost = True
            return None
        if isinstance(supply, SourceFailure):
            raise await self._source_failed(supply)
        self._see(supply)
        if self.pending is None:
            self.lost = True  # the code waits in the queue
        elif not self.inherited:
            self._pulled = self.pending.id
        unwanted = operation.unwanted and self.token is None
        return WaitResult.WITHDRAWN if unwanted else None

    async def _source_failed(self, failure: SourceFailure) -> TokenError | UsageError:
        error = failure.error.fresh()
        if failure.pause is None:
            pause = self.provider.backoff.add(self.scope.text, error)
            if not isinstance(error, UsageError):  # that is a mistake in the program
                error.retry_after = self._bounded_pause(pause)
        return await self._failed(error, failure.pause)

    async def _exchange(  # noqa: C901  # one branch for each result
        self, code: StoredCode
    ) -> CachedToken | None:
        """Exchange the pending code, and act on the result; None means to continue."""
        provider, pulled = self.provider, code.id == self._pulled
        self._sending = Exchange(self, code)
        result = await self._sending.run(pushed=not pulled)
        match result:
            case NewToken():
                entry = await self._accept(code, result)
                self.lost, self._may_own_lease = True, False  # the publication ended it
                if entry is None:
                    self._refused_codes += 1
                    if self._refused_codes >= _MAX_REFUSED:
                        raise await self._failed(CodeAlreadyUsedError(_CAME_BACK))
                return entry
            case CodeRecord():
                token = await self._redeemed_token(code, result)
                if token is not None and self.scope <= Scope.parse(token.scope):
                    await self._change(records.publish, "", token)
                if self.token is None:
                    self._refused_codes += 1
                    what = "the code was used before, and its token is no longer usable"
                    await self._drop_code(code, CodeAlreadyUsedError(what))
            case Refused(error, known):
                # A source that gives a used code again is not asked again and again.
                self._refused_codes += pulled or not known
                error.__cause__, self._refusal = self._refusal, error
                await self._drop_code(code, error)
            case SetAside(error, pause):
                await self._set_aside(code, error, pause)
            case Limited(error, pause):
                provider.backoff.add(self.scope.text, error, self._bounded_pause(pause))
                raise await self._failed(error)
            case InDoubt(error, in_doubt):
                if not in_doubt or provider.clock.now() <= code.deadline:
                    raise await self._failed(error, full_jitter(1, provider.random()))
                await self._set_aside(code, error)
        return None

    async def _drop_code(self, code: StoredCode, error: TokenError) -> None:
        """Drop a code that is of no use, and give up if no other one may come."""
        await self._change(records.drop_code, code.id)
        if self.lost:
            return
        if self._refused_codes >= _MAX_REFUSED:
            raise await self._failed(error, _CODES_PAUSE)
        more = self.provider.has_source and not self.operation.unwanted
        if self.pending is None and not more:
            raise await self._failed(error)

    async def _set_aside(
        self, code: StoredCode, error: TokenError, pause: float = 0.0
    ) -> None:
        """Let other codes come first; ``pause`` is for this manager's credential."""
        self._has_set_aside = True
        changed = await self._change(records.set_aside, code.id)
        if pause > 0:
            raise await self._failed(error)
        waiting = [
            each
            for each in changed.new.queue
            if each.set_aside and each.deadline > changed.started
        ]
        stuck = len(waiting) >= _MAX_REFUSED or not self.provider.has_source
        if self.pending is None and stuck and not self.lost:
            raise await self._failed(error, full_jitter(3, self.provider.random()))

    # ── A token for one delivered code ──────────────────────────────────────────

    async def redeem(self, code: StoredCode) -> Scope:
        """Exchange one delivered code and return what it granted, however often."""
        self._sending = Exchange(self, code)
        extending = self.provider.tasks.start(self._extend(), endless=True)
        try:
            result = await self._sending.run(pushed=True)
        finally:
            extending.cancel()
        if isinstance(result, NewToken):
            granted = result.issued.grant.scope
            if await self._accept(code, result) is None:
                raise CodeAlreadyUsedError(_CAME_BACK, scope=granted.text)
            return granted
        if isinstance(result, CodeRecord):
            token = await self._redeemed_token(code, result)
            if token is None:
                what = "this code was used before"
                raise CodeAlreadyUsedError(what)
            granted = Scope.parse(token.scope)
            if missing := self.scope - granted:
                raise await self._failed(not_granted(self.scope, missing))
            if self.scope:
                await self._coordinator.publish(self.scope, "", token)
            return granted
        if self.scope and not isinstance(result, Refused):
            # The next caller of its scope may use it, or learn what became of it.
            await self._change(records.hold, "", code)
        raise await self._failed(result.error)

    # ── Codes and tokens ────────────────────────────────────────────────────────

    async def _accept(self, code: StoredCode, new: NewToken) -> CachedToken | None:
        """Cache and publish a token; raise if less was granted than was asked for."""
        granted = new.issued.grant.scope
        missing = self.scope - granted
        if not missing:
            return await self._file(self.scope or granted, new)
        if granted:  # keep it under what was granted
            await self._file(granted, new)
        await self._change(records.drop_code, code.id)
        raise await self._failed(not_granted(self.scope, missing), _SHORT_PAUSE)

    async def _redeemed_token(
        self, code: StoredCode, record: CodeRecord
    ) -> StoredToken | None:
        """Return the token that a code was exchanged for if it is usable, and publish it."""
        token = self._coordinator.token_of(record)
        if token is None or token.expires <= self.provider.clock.now():
            return None
        token = attrs.evolve(token, code_id=code.id)
        await self._coordinator.publish(Scope.parse(record.scope), "", token)
        return None if self._cache.is_rejected(token.fingerprint) else token

    async def _file(self, scope: Scope, new: NewToken) -> CachedToken | None:
        """Cache a new token, so that its waiters have it, and publish it."""
        token, issued = new.token, new.issued
        publishing = self.provider.tasks.start(
            self._coordinator.publish(scope, self.owner, token)
        )
        if issued.replayed:  # the record knows whether an old one was rejected
            await asyncio.wait({publishing})
        entry = self._cache.put(scope, token)
        if entry is None:
            await asyncio.wait({publishing})
            return None
        self.provider.backoff.succeeded(scope.text)
        self.provider.emit(
            events.TokenIssued,
            entry.token.scope,
            generation=entry.token.generation,
            lifetime=entry.token.lifetime,
            renewal=entry.token.generation > 1,
            attempts=issued.attempts,
            replayed=issued.replayed,
            followers=self.operation.followers if self.scope <= scope else 0,
            clamped=issued.grant.clamped,
            broader=entry.broader,
        )
        return entry

    # ── The lease ───────────────────────────────────────────────────────────────

    async def _change(
        self,
        transition: Callable[Concatenate[ScopeRecord, float, P], ScopeRecord],
        *args: P.args,
        **options: P.kwargs,
    ) -> Changed[ScopeRecord]:
        """Change the record of the scope, and show what it says then."""
        changed = await self._coordinator.change(
            ScopeRecord, self.scope.text, transition, *args, **options
        )
        self._see(changed)
        return changed

    def _see(self, changed: Changed[ScopeRecord]) -> None:
        record, before = changed.new, changed.old.pending
        self._may_own_lease = records.owns(record, self.owner)
        self.lost = not self._may_own_lease
        self.pending = record.pending
        self.inherited = before is not None and before == record.pending
        self.token = self._wish.fulfilled_by(record, changed.started)

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
                if self._wish.fulfilled_by(changed.new, changed.started) is not None:
                    self.operation.code_offered.set()  # no source is needed any more

    # ── Failures ────────────────────────────────────────────────────────────────

    async def _failed(
        self, error: TokenError | UsageError, pause: float | None = None
    ) -> TokenError | UsageError:
        """Return the error to raise; with a pause the scope backs off for all managers."""
        if pause is not None and self._may_own_lease:
            reason, detail = shared_reason(error)
            released = await self._change(
                records.release,
                self.owner,
                reason=reason,
                seconds=self._bounded_pause(pause),
                detail=detail,
            )
            until = 0.0 if released.new.backoff is None else released.new.backoff.until
            error.retry_after = max(0.0, until - released.started)
        if isinstance(error, TokenError):
            error.scope = error.scope or self.scope.text or None
        self.provider.emit(
            events.ExchangeFailed,
            self.scope,
            error=type(error).__name__,
            cooldown=error.retry_after or 0.0,
            served_stale=self._cache.usable(self.scope.text) is not None,
        )
        return error

    def _bounded_pause(self, seconds: float) -> float:
        """Return a pause of at most a quarter of what a held token has left."""
        held = self._cache.usable(self.scope.text)
        if held is None:
            return seconds
        left = held.guard_at(self.provider.policy) - self.provider.clock.now()
        return max(min(seconds, left / 4), 0.01)
