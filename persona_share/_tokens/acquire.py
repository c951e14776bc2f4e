"""Acquires a token: for a scope under its lease, or for one delivered code.

The way of a scope: lease, code, exchange, publication. The waiters have the token as
soon as it is cached; publishing is a task of its own.
"""

import asyncio
import enum
import logging
from collections.abc import Callable
from typing import Any, Final, NoReturn

import attrs

from persona_share._policy.exchange import InDoubt, Limited, Refused, SetAside
from persona_share._tokens import record as records
from persona_share._tokens.backoff import LocalBackoff, full_jitter
from persona_share._tokens.cache import CachedToken, TokenCache
from persona_share._tokens.codes import PushedCodes
from persona_share._tokens.coordinator import Coordinator, HeldLease, View
from persona_share._tokens.exchange import (
    Adopted,
    Minted,
    SpentBefore,
    TokenExchanger,
    TooLate,
)
from persona_share._tokens.inflight import Operation, Tasks, WaitResult
from persona_share._tokens.record import (
    LEASE,
    MAX_BACKOFF,
    Backoff,
    CodeRecord,
    ScopeRecord,
    StoredCode,
    StoredToken,
    Wish,
)
from persona_share._tokens.source import CodeSupplier, SourceFailure
from persona_share.errors import (
    CodeAlreadyUsedError,
    CodeExpiredError,
    CodeRefusedError,
    CodeRejectedError,
    CodeSourceError,
    ExchangeUnavailableError,
    ScopeNotGrantedError,
    TokenError,
    TokenRejectedError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.ports import Runtime


_log: Final = logging.getLogger("persona_share")

#: One acquisition tries at most this many codes that are refused or set aside.
MAX_REFUSED: Final = 2
_MAX_SET_ASIDE: Final = 4
#: The first back-off after refused codes, in seconds; it doubles.
_CODES_PAUSE: Final = 2.0
#: The first back-off after a short grant.
_SHORT_PAUSE: Final = 5.0
#: A wait of this long is logged, once.
_NOTICEABLE: Final = 1.0


class _Again(enum.Enum):
    """The lease is gone: look at the record again."""

    AGAIN = enum.auto()


_AGAIN: Final = _Again.AGAIN


class Acquirer:
    """Does the work of every operation of one manager."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        policy: RenewalPolicy,
        coordinator: Coordinator,
        supplier: CodeSupplier,
        exchanger: TokenExchanger,
        cache: TokenCache,
        pushed: PushedCodes,
        backoff: LocalBackoff,
        tasks: Tasks,
        emit: Callable[[events.HookEvent], None],
    ) -> None:
        self._clock = runtime.clock
        self._random = runtime.random
        self._policy = policy
        self._coordinator = coordinator
        self._supplier = supplier
        self._exchanger = exchanger
        self._cache = cache
        self._pushed = pushed
        self._backoff = backoff
        self._tasks = tasks
        self._emit = emit

    # ── A token for a scope ─────────────────────────────────────────────────────

    async def acquire(  # noqa: C901  # one branch for each answer
        self, operation: Operation, scope: Scope, *, pushed_only: bool = False
    ) -> CachedToken | WaitResult:
        """Return a token that is better than the held one, or raise a `TokenError`.

        With ``pushed_only`` the code source is not asked.
        """
        key = self._coordinator.scope_key(scope.text)
        owner, polls = self._coordinator.new_owner(), 0
        try:
            while True:
                self._coordinator.require_store()
                wish = self._wish(scope)
                answer, view = await self._take_lease(key, owner, wish)
                match answer:
                    case records.Cached(token):
                        entry = await self._adopt(scope, token, view)
                        if entry is not None:
                            return entry
                    case records.Busy():
                        await self._wait(operation, "another process's lease")
                    case records.BackingOff(backoff):
                        _raise(_backoff_error(backoff, view, scope))
                    case records.Acquired(pending, inherited):
                        if pending is not None:
                            pending = pending.moved(view.to_local(0.0))
                        lease = HeldLease(key, owner, wish, self._clock.now())
                        result = await self._lead(
                            operation,
                            scope,
                            lease,
                            pending,
                            inherited=inherited,
                            pushed_only=pushed_only,
                        )
                        owner = self._coordinator.new_owner()
                        if result is not _AGAIN:
                            return result
                await self._coordinator.poll(polls)
                polls += 1
        except BaseException as error:
            # Whatever became of the last write, the lease does not stay behind.
            last = owner
            if not isinstance(error, TokenError):
                self._tasks.start(lambda: self._release(key, last))
            raise

    async def _take_lease(
        self, key: str, owner: str, wish: Wish
    ) -> tuple[
        records.Cached | records.Busy | records.BackingOff | records.Acquired,
        View[ScopeRecord],
    ]:
        coordinator = self._coordinator

        def change(view: View[ScopeRecord]) -> tuple[ScopeRecord, object]:
            record, lease, backoff = view.record, view.raw.lease, view.raw.backoff
            if lease is not None and lease.owner == owner:
                lease = None
            if backoff is not None and backoff.until <= view.now:
                backoff = None
            seen = coordinator.unchanged_for((key, "lease"), lease)
            void_lease = record.lease if seen >= LEASE else None
            seen = coordinator.unchanged_for((key, "backoff"), backoff)
            bound = MAX_BACKOFF.get(backoff.reason, 0.0) if backoff else 0.0
            return records.acquire(
                record,
                view.now,
                owner,
                coordinator.stored_wish(wish, view),
                void_lease=void_lease,
                void_backoff=record.backoff if backoff and seen >= bound else None,
            )

        answer, view = await coordinator.scope(key, change)
        if not isinstance(answer, records.Busy):
            coordinator.unchanged_for((key, "lease"), None)
        return answer, view  # type: ignore[return-value]  # of records.acquire

    def _wish(self, scope: Scope) -> Wish:
        held = self._cache.get(scope.text)
        if held is None:
            return Wish(guard=self._policy.guard)
        usable = self._cache.usable(scope.text) is held
        expires = held.token.ends if usable else None
        return Wish(expires, held.fingerprint, self._policy.guard)

    async def _adopt(
        self, scope: Scope, token: StoredToken, view: View[ScopeRecord]
    ) -> CachedToken | None:
        """File a token from the store; one that was rejected here is rejected there."""
        local = token.moved(view.to_local(0.0))
        entry = self._cache.put(scope, local)
        if entry is not None:
            self._emit_adopted(entry)
            self._backoff.succeeded(scope.text)
            return entry
        if self._cache.is_rejected(token.fingerprint):
            await self._coordinator.reject(scope.text, token.fingerprint, local.expires)
        return None

    async def _lead(
        self,
        operation: Operation,
        scope: Scope,
        lease: HeldLease,
        code: StoredCode | None,
        *,
        inherited: bool,
        pushed_only: bool,
    ) -> CachedToken | WaitResult | _Again:
        """Go from code to token, while the lease is ours."""
        self._coordinator.keep(lease)
        attempt = _Attempt(operation, scope, lease)
        try:
            while True:
                if code is None and pushed_only:
                    await self._end(lease)
                    return WaitResult.WITHDRAWN
                if code is None:
                    supplied = await self._new_code(attempt)
                    if not isinstance(supplied, tuple):
                        return supplied
                    code, inherited = supplied
                    pushed = inherited
                else:
                    pushed = True
                self._claim(code, scope, pushed=pushed)
                result = await self._exchanger.exchange(
                    code, scope, lease, operation, inherited=inherited
                )
                ending = await self._after(attempt, code, result)
                if not isinstance(ending, records.Next):
                    return ending
                if not ending.owned:
                    return _AGAIN
                code, inherited = ending.pending, False
        finally:
            operation.committed = False
            operation.waits_for(None)
            self._coordinator.stop(lease)

    def _claim(self, code: StoredCode, scope: Scope | None, *, pushed: bool) -> None:
        self._pushed.used(code.id)
        if code.id not in self._coordinator.first_sent:
            at, size = self._clock.now(), len(scope or ())
            self._emit(events.CodeClaimed(at=at, scope_size=size, pushed=pushed))

    async def _new_code(
        self, attempt: "_Attempt"
    ) -> tuple[StoredCode, bool] | CachedToken | WaitResult | _Again:
        """Request a code and hold it, or raise why there is none."""
        operation, scope, lease = attempt.operation, attempt.scope, attempt.lease
        if self._exchanger.queue.backlog() > 0:
            operation.waits_for("the rate limit of exchanges")
            await self._noticed(
                operation, asyncio.ensure_future(self._exchanger.turn())
            )
        if lease.lost or lease.better:
            await self._end(lease)
            return _AGAIN
        assert lease.key is not None  # noqa: S101  # leases of codes have no scope
        operation.committed = True
        operation.code_offered.clear()
        queue = self._exchanger.queue
        queue.requests += 1
        try:
            request = self._supplier.request(scope, lease.key, lease.owner)
            offered = asyncio.ensure_future(operation.code_offered.wait())
            operation.waits_for("the code source")
            try:
                await self._noticed(operation, request, offered)
            finally:
                offered.cancel()
        finally:
            queue.requests -= 1
        operation.committed = False
        operation.waits_for(None)
        if not request.done():  # a pushed code came first; the request goes on
            await self._end(lease)
            return _AGAIN
        supply = request.result()
        if isinstance(supply.result, SourceFailure):
            await self._source_failed(attempt, supply.result)
        if (better := self._found_better(lease)) or operation.unwanted:
            await self._end(lease)
            return _AGAIN if better else WaitResult.WITHDRAWN
        match supply.result:
            case records.Done() if supply.code is not None:
                return supply.code, False
            case records.UseOther(pending):
                return await self._moved_to_local(lease, pending)
            case _:
                await self._end(lease)
                return _AGAIN

    @staticmethod
    def _found_better(lease: HeldLease) -> bool:
        """Return whether an extension found a better token in the record."""
        return lease.better

    async def _moved_to_local(
        self, lease: HeldLease, pending: StoredCode
    ) -> tuple[StoredCode, bool] | _Again:
        """Return another pending code with local times, if the lease is still ours."""
        assert lease.key is not None  # noqa: S101
        _, view = await self._coordinator.scope(
            lease.key, lambda view: (view.record, None)
        )
        record = view.record
        ours = record.lease is not None and record.lease.owner == lease.owner
        if not ours or record.pending is None or record.pending.id != pending.id:
            await self._end(lease)
            return _AGAIN
        return pending.moved(view.to_local(0.0)), True

    async def _source_failed(
        self, attempt: "_Attempt", failure: SourceFailure
    ) -> NoReturn:
        error, scope = failure.error.fresh(), attempt.scope
        error.__cause__ = failure.error.__cause__
        if failure.shared is not None:
            error.retry_after = await self._end(
                attempt.lease,
                seconds=self._pause(scope, failure.pause),
                reason=failure.shared,
                detail=failure.detail,
            )
        else:
            await self._end(attempt.lease)
            if self._supplier.has_source:
                pause = self._backoff.failed(scope.text, error)
                error.retry_after = self._pause(scope, pause)
        self._failed(attempt.scope, error)

    async def _after(  # noqa: C901, RET503  # one branch for each result
        self, attempt: "_Attempt", code: StoredCode, result: object
    ) -> CachedToken | records.Next | _Again:
        """Act on the result of an exchange; raises what ends the acquisition."""
        scope, lease = attempt.scope, attempt.lease
        match result:
            case Minted():
                return await self._minted(attempt, code, result)
            case Adopted(filed_under, token):
                return await self._redeemed_elsewhere(attempt, code, filed_under, token)
            case SpentBefore() | TooLate() | Refused():
                return await self._spend(attempt, code, result)
            case SetAside(error, pause):
                return await self._set_aside(attempt, code, error, pause)
            case Limited(error, pause):
                await self._end(lease)
                self._backoff.failed(scope.text, error, pause=self._pause(scope, pause))
                self._failed(scope, error)
            case InDoubt(error, unsent):
                if not unsent:
                    self._emit(
                        events.CodeInDoubt(at=self._clock.now(), scope_size=len(scope))
                    )
                    if self._clock.now() > code.deadline:
                        return await self._set_aside(attempt, code, error, 0.0)
                pause = self._pause(scope, full_jitter(1, self._random()))
                error.retry_after = await self._end(
                    lease, seconds=pause, reason="outage"
                )
                self._failed(scope, error)
            case _:
                raise AssertionError(result)

    async def _minted(
        self, attempt: "_Attempt", code: StoredCode, minted: Minted
    ) -> CachedToken | _Again:
        scope, lease = attempt.scope, attempt.lease
        if not scope <= minted.granted:
            await self._keep_short_grant(code, minted)
            await self._drop(lease, code)
            missing = scope - minted.granted
            error = _not_granted(scope, missing)
            error.retry_after = await self._end(
                lease,
                seconds=self._pause(scope, _SHORT_PAUSE),
                reason="short",
                detail=missing.text,
            )
            self._failed(scope, error)
        entry = await self._file(scope, minted)
        if entry is None:
            attempt.refused += 1
            await self._coordinator.publish(scope, lease.owner, minted.token)
            if attempt.refused < MAX_REFUSED:
                return _AGAIN
            what = "the exchange brought a token back that was rejected"
            self._failed(scope, CodeAlreadyUsedError(what, scope=scope.text))
        self._emit_minted(entry, minted, attempt.operation.followers)
        self._tasks.start(
            lambda: self._coordinator.publish(scope, lease.owner, minted.token)
        )
        return entry

    async def _redeemed_elsewhere(
        self,
        attempt: "_Attempt",
        code: StoredCode,
        filed_under: str,
        token: StoredToken | None,
    ) -> CachedToken | records.Next | _Again:
        """Use the token that another exchange of this code brought, if it serves us."""
        scope, lease = attempt.scope, attempt.lease
        if token is not None and token.expires > self._clock.now():
            granted = Scope.parse(token.scope)
            if filed_under != scope.text:
                other = Scope.parse(filed_under)
                await self._coordinator.publish_scope(other, "", token)
            if scope <= granted:
                published, view = await self._coordinator.publish_scope(
                    scope, "", attrs.evolve(token, code_id=code.id)
                )
                held = published.token
                if held is not None and (
                    attempt.lease.wish.fulfilled_by(
                        attrs.evolve(
                            view.record,
                            token=held.moved(view.to_local(0.0)),
                        ),
                        self._clock.now(),
                    )
                ):
                    entry = self._cache.put(scope, held.moved(view.to_local(0.0)))
                    if entry is not None:
                        await self._end(lease)
                        self._emit_adopted(entry)
                        self._backoff.succeeded(scope.text)
                        return entry
        attempt.refused += 1
        following = await self._drop(lease, code)
        if following.owned and attempt.refused >= MAX_REFUSED:
            what = "the code was used before, and its token is of no use any more"
            error = CodeAlreadyUsedError(what, scope=scope.text)
            pause = self._pause(scope, _CODES_PAUSE)
            error.retry_after = await self._end(lease, seconds=pause, reason="codes")
            self._failed(scope, error)
        return following

    async def _spend(
        self,
        attempt: "_Attempt",
        code: StoredCode,
        result: SpentBefore | TooLate | Refused,
    ) -> CachedToken | records.Next | _Again:
        scope, lease = attempt.scope, attempt.lease
        error: TokenError
        if isinstance(result, Refused):
            error, reason = self._refused(scope, code, result.error), "refused"
            attempt.refused += 1
        elif isinstance(result, TooLate):
            what = "the code expired before it could be exchanged"
            error, reason = CodeExpiredError(what, scope=scope.text), "expired"
            at, size = self._clock.now(), len(scope)
            self._emit(events.CodeExpiredUnused(at=at, scope_size=size))
        else:
            error, reason = _spent_error(result, scope), ""
        if reason:
            redeemed = await self._spend_code(code, lease.owner, reason)
            if redeemed is not None:
                return await self._redeemed_elsewhere(
                    attempt, code, redeemed.scope, redeemed.token
                )
        following = await self._drop(lease, code)
        if not following.owned:
            return _AGAIN
        if attempt.refused >= MAX_REFUSED:
            pause = self._pause(scope, _CODES_PAUSE)
            error.retry_after = await self._end(lease, seconds=pause, reason="codes")
            self._failed(scope, error)
        if following.pending is None and (
            not self._supplier.has_source or attempt.operation.unwanted
        ):
            await self._end(lease)
            self._failed(scope, error)
        return following

    async def _set_aside(
        self, attempt: "_Attempt", code: StoredCode, error: TokenError, pause: float
    ) -> records.Next | _Again:
        scope, lease = attempt.scope, attempt.lease
        assert lease.key is not None  # noqa: S101
        attempt.set_aside += 1
        following, view = await self._coordinator.scope(
            lease.key,
            lambda view: records.set_aside(view.record, view.now, lease.owner, code.id),
        )
        if pause > 0:
            self._backoff.credential_refused(scope.text, error, pause)
            error.retry_after = pause
            await self._end(lease)
            self._failed(scope, error)
        if not following.owned:
            return _AGAIN
        if following.pending is None or attempt.set_aside >= _MAX_SET_ASIDE:
            doubt = isinstance(error, ExchangeUnavailableError)
            if following.set_aside >= MAX_REFUSED or not self._supplier.has_source:
                pause = self._pause(scope, full_jitter(3, self._random()))
                reason = "outage" if doubt else "codes"
                error.retry_after = await self._end(lease, seconds=pause, reason=reason)
                self._failed(scope, error)
        return self._localized(following, view)

    # ── A token for one delivered code ──────────────────────────────────────────

    async def redeem(  # noqa: C901, RET503  # one branch for each result
        self, operation: Operation, code: StoredCode, expected: Scope | None
    ) -> Scope:
        """Exchange one delivered code and return what it granted, however often."""
        self._coordinator.require_store()
        owner, now = self._coordinator.new_owner(), self._clock.now()
        lease = HeldLease(None, owner, Wish(), now)
        self._coordinator.keep(lease)
        size = len(expected or ())
        self._claim(code, expected, pushed=True)
        try:
            result = await self._exchanger.exchange(
                code, expected, lease, operation, inherited=False
            )
            if isinstance(result, Refused | TooLate):
                reason = "refused" if isinstance(result, Refused) else "expired"
                redeemed = await self._spend_code(code, owner, reason)
                if redeemed is not None:
                    result = Adopted(redeemed.scope, redeemed.token)
        finally:
            operation.committed = False
            self._coordinator.stop(lease)
        match result:
            case Minted():
                return await self._delivered(operation, code, expected, owner, result)
            case Adopted(filed_under, token):
                return await self._delivered_before(filed_under, token)
            case SpentBefore():
                self._failed(expected, _spent_error(result, expected))
            case TooLate():
                self._emit(
                    events.CodeExpiredUnused(at=self._clock.now(), scope_size=size)
                )
                what = "this code has expired, or would before it could be exchanged"
                self._failed(expected, CodeExpiredError(what))
            case Refused(error):
                self._failed(expected, self._refused(expected, code, error))
            case SetAside(error, pause):
                if pause > 0:
                    scope = "" if expected is None else expected.text
                    self._backoff.credential_refused(scope, error, pause)
                    error.retry_after = pause
                await self._keep_code(code, expected)
                self._failed(expected, error)
            case Limited(error):
                await self._keep_code(code, expected)
                self._failed(expected, error)
            case InDoubt(error):
                self._emit(events.CodeInDoubt(at=self._clock.now(), scope_size=size))
                await self._keep_code(code, expected)
                self._failed(expected, error)

    async def _delivered(
        self,
        operation: Operation,
        code: StoredCode,
        expected: Scope | None,
        owner: str,
        minted: Minted,
    ) -> Scope:
        granted = minted.granted
        fits = expected is not None and expected <= granted
        target = expected if fits and expected is not None else granted
        entry = await self._file(target, minted)
        if entry is None:
            await self._coordinator.publish(target, owner, minted.token)
            what = "the exchange brought a token back that was rejected"
            raise CodeAlreadyUsedError(what, scope=granted.text)
        self._emit_minted(entry, minted, operation.followers)
        self._tasks.start(
            lambda: self._coordinator.publish(target, owner, minted.token)
        )
        if expected is not None and not fits:
            await self._drop_from(expected, code)
            self._failed(expected, _not_granted(expected, expected - granted))
        return granted

    async def _delivered_before(
        self, filed_under: str, token: StoredToken | None
    ) -> Scope:
        """Return the scope of the token that this code brought, and hold that token."""
        if token is not None:
            target = Scope.parse(filed_under)
            published, view = await self._coordinator.publish_scope(target, "", token)
            held = published.token
            if held is not None:
                self._cache.put(target, held.moved(view.to_local(0.0)))
            if published.outcome is not records.Publication.REFUSED:
                return Scope.parse(token.scope)
        what = "this code was used before"
        raise CodeAlreadyUsedError(what)

    async def _keep_code(self, code: StoredCode, expected: Scope | None) -> None:
        """Keep a code that is unconsumed or in doubt for the next caller of its scope."""
        if expected is not None and not code.machine:
            await self._coordinator.hold(
                self._coordinator.scope_key(expected.text), "", code
            )

    # ── Parts ───────────────────────────────────────────────────────────────────

    async def _file(self, scope: Scope, minted: Minted) -> CachedToken | None:
        """Cache a new token; one that may be old is looked up among the rejected ones."""
        token = minted.token
        if minted.replayed:
            _, view = await self._coordinator.scope(
                self._coordinator.scope_key(scope.text),
                lambda view: (view.record, None),
            )
            if view.record.is_rejected(token.fingerprint):
                self._cache.reject(scope.text, token.fingerprint, token.expires)
        entry = self._cache.put(scope, token)
        if entry is not None:
            self._backoff.succeeded(scope.text)
        return entry

    async def _keep_short_grant(self, code: StoredCode, minted: Minted) -> None:
        """Keep a token under what it was granted, which is less than was asked."""
        if not minted.granted.text:
            return
        entry = await self._file(minted.granted, minted)
        if entry is not None:
            self._emit_minted(entry, minted, 0)
        await self._coordinator.publish(
            minted.granted, "", attrs.evolve(minted.token, code_id=code.id)
        )

    async def _spend_code(
        self, code: StoredCode, owner: str, reason: str
    ) -> records.Redeemed | None:
        """Mark a code as spent; returns its token if another owner had success with it."""
        coordinator, polls = self._coordinator, 0
        key = ("send", code.id)

        def change(view: View[CodeRecord]) -> tuple[CodeRecord, object]:
            record = view.record
            void = coordinator.unchanged_for(key, view.raw.sender(owner)) >= LEASE
            return records.spend_code(
                record,
                view.now,
                owner,
                reason,
                void_until=record.until if void else None,
            )

        while True:
            answer, view = await coordinator.code(code.id, change)
            if not isinstance(answer, records.Busy):
                break
            await coordinator.poll(polls)
            polls += 1
        coordinator.unchanged_for(key, None)
        if isinstance(answer, records.Redeemed):
            token = answer.token
            if token is not None:
                token = token.moved(view.to_local(0.0))
            return records.Redeemed(answer.scope, token)
        coordinator.first_sent.pop(code.id, None)
        return None

    async def _drop(self, lease: HeldLease, code: StoredCode) -> records.Next:
        assert lease.key is not None  # noqa: S101
        following, view = await self._coordinator.scope(
            lease.key,
            lambda view: records.drop_code(view.record, lease.owner, code.id),
        )
        return self._localized(following, view)

    async def _drop_from(self, scope: Scope, code: StoredCode) -> None:
        await self._coordinator.scope(
            self._coordinator.scope_key(scope.text),
            lambda view: records.drop_code(view.record, "", code.id),
        )

    @staticmethod
    def _localized(following: records.Next, view: View[ScopeRecord]) -> records.Next:
        if following.pending is None:
            return following
        local = following.pending.moved(view.to_local(0.0))
        return attrs.evolve(following, pending=local)

    async def _end(
        self,
        lease: HeldLease,
        *,
        seconds: float = 0.0,
        reason: str | None = None,
        detail: str = "",
    ) -> float | None:
        """End our lease; returns how long the scope backs off, if it does."""
        self._coordinator.stop(lease)
        assert lease.key is not None  # noqa: S101
        return await self._release(
            lease.key, lease.owner, seconds=seconds, reason=reason, detail=detail
        )

    async def _release(
        self,
        key: str,
        owner: str,
        *,
        seconds: float = 0.0,
        reason: str | None = None,
        detail: str = "",
    ) -> float | None:
        def change(view: View[ScopeRecord]) -> tuple[ScopeRecord, float | None]:
            record, _ = records.release(
                view.record,
                view.now,
                owner,
                seconds=seconds,
                reason=reason,
                detail=detail,
            )
            backoff = record.backoff
            return record, None if backoff is None else backoff.until - view.now

        left, _ = await self._coordinator.scope(key, change)
        return left if reason is not None else None

    def _pause(self, scope: Scope, seconds: float) -> float:
        """Return a pause of at most a quarter of what a held token has left."""
        held = self._cache.usable(scope.text)
        if held is None:
            return seconds
        left = held.guard_at(self._policy) - self._clock.now()
        return max(min(seconds, left / 4), 0.01)

    def _refused(
        self, scope: Scope | None, code: StoredCode, error: TokenError
    ) -> TokenError:
        self._emit(
            events.CodeRejected(
                at=self._clock.now(), scope_size=len(scope or ()), status=error.status
            )
        )
        if scope is not None:
            error.scope = error.scope or scope.text
        if code.odd_expiry:
            error.advice = (
                "The code's expires_at contradicts this machine's clock; check both."
            )
        return error

    def _failed(self, scope: Scope | None, error: TokenError) -> NoReturn:
        """Emit that no token came and raise the reason."""
        served = scope is not None and self._cache.usable(scope.text) is not None
        if scope is not None:
            error.scope = error.scope or scope.text
        self._emit(
            events.ExchangeFailed(
                at=self._clock.now(),
                scope_size=len(scope or ()),
                error=type(error).__name__,
                cooldown=error.retry_after or 0.0,
                served_stale=served,
            )
        )
        raise error

    async def _wait(self, operation: Operation, what: str) -> None:
        """Note a wait that is polled; after a second it is logged, once."""
        operation.waits_for(what)
        waited = self._clock.now() - operation.waiting_since
        if waited >= _NOTICEABLE and not operation.wait_noticed:
            self._notice(operation, what, waited)

    async def _noticed(
        self, operation: Operation, *futures: "asyncio.Future[Any]"
    ) -> None:
        """Wait for the first of some futures; after a second the wait is logged, once."""
        notice = asyncio.ensure_future(self._clock.sleep(_NOTICEABLE))
        try:
            await asyncio.wait({notice, *futures}, return_when=asyncio.FIRST_COMPLETED)
            if not any(each.done() for each in futures):
                what = operation.waiting_for or "a token"
                waited = self._clock.now() - operation.waiting_since
                self._notice(operation, what, waited)
                await asyncio.wait(set(futures), return_when=asyncio.FIRST_COMPLETED)
        finally:
            notice.cancel()

    def _notice(self, operation: Operation, what: str, waited: float) -> None:
        operation.wait_noticed = True
        _log.info("A token is waiting for %s (%.0f s so far).", what, waited)
        self._emit(
            events.TokenWaiting(
                at=self._clock.now(), scope_size=0, reason=what, seconds=waited
            )
        )

    def _emit_adopted(self, entry: CachedToken) -> None:
        token, now = entry.token, self._clock.now()
        self._emit(
            events.TokenAdopted(
                at=now,
                scope_size=len(token.scope),
                generation=token.generation,
                remaining=token.ends - now,
            )
        )

    def _emit_minted(self, entry: CachedToken, minted: Minted, followers: int) -> None:
        token = entry.token
        self._emit(
            events.TokenMinted(
                at=self._clock.now(),
                scope_size=len(token.scope),
                generation=token.generation,
                lifetime=token.lifetime,
                renewal=entry.renewal,
                attempts=minted.issued.attempts,
                replayed=minted.replayed,
                followers=followers,
                clamped=minted.issued.grant.clamped,
                broader=entry.broader,
            )
        )


def _raise(error: TokenError) -> NoReturn:
    raise error


@attrs.define
class _Attempt:
    """What one acquisition has come to so far."""

    operation: Operation
    scope: Scope
    lease: HeldLease
    refused: int = 0
    set_aside: int = 0


def _not_granted(asked: Scope, missing: Scope) -> ScopeNotGrantedError:
    message = f"{len(missing)} of {len(asked)} permissions were not granted"
    return ScopeNotGrantedError(message, scope=asked.text, missing=missing.text)


def _spent_error(spent: SpentBefore, scope: Scope | None) -> TokenError:
    text = None if scope is None else scope.text
    if spent.reason == "expired":
        return CodeExpiredError("this code expired unused", scope=text)
    what = "this code was refused before, and a code works once"
    return CodeAlreadyUsedError(what, scope=text)


def _backoff_error(
    backoff: Backoff, view: View[ScopeRecord], scope: Scope
) -> TokenError:
    """Return the error of a back-off that any process of the fleet may have begun."""
    left = min(backoff.until - view.now, MAX_BACKOFF.get(backoff.reason, 60.0))
    facts: dict[str, Any] = {"scope": scope.text, "retry_after": max(0.0, left)}
    match backoff.reason:
        case "refused":
            refused = Scope.parse(backoff.detail) if backoff.detail else None
            what = "the partner refused a code for this scope a moment ago"
            return CodeRefusedError(what, refused=refused, **facts)
        case "short":
            missing = Scope.parse(backoff.detail)
            error = _not_granted(scope, missing)
            error.retry_after = max(0.0, left)
            return error
        case "source":
            what = "the code source did not respond a moment ago"
            return CodeSourceError(what, reason="TimeoutError", **facts)
        case "codes":
            what = "several codes for this scope were refused a moment ago"
            return CodeRejectedError(what, **facts)
        case "rejections":
            what = "the service refused several new tokens of this scope"
            return TokenRejectedError(what, **facts)
        case _:
            what = "the service gave no usable response a moment ago"
            return ExchangeUnavailableError(what, **facts)
