"""Acquires a token: for a scope under its lease, or for one delivered code.

The way of a scope: lease, code, exchange, publication. The waiters have the token as
soon as it is cached; publishing is a task of its own.
"""

import asyncio
from typing import Any, Final, NoReturn

import attrs

from persona_share._policy.exchange import InDoubt, Limited, Refused, SetAside
from persona_share._tokens import record as records
from persona_share._tokens.cache import CachedToken, TokenCache
from persona_share._tokens.coordinator import Coordinator, HeldLease
from persona_share._tokens.exchange import Minted, Result, TokenExchanger
from persona_share._tokens.inflight import Operation, WaitResult
from persona_share._tokens.record import (
    Backoff,
    CodeRecord,
    CodeState,
    RejectedToken,
    StoredCode,
    StoredToken,
    Wish,
)
from persona_share._tokens.refresher import PushedCodes
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


#: One acquisition tries at most this many codes that are refused, or set aside.
_MAX_REFUSED: Final = 2
_MAX_SET_ASIDE: Final = 4
#: The first back-off after refused codes, in seconds; it doubles.
_CODES_PAUSE: Final = 2.0
#: The first back-off after a short grant.
_SHORT_PAUSE: Final = 5.0


@attrs.define
class _Attempt:
    """One acquisition of a scope, and what it has come to so far."""

    operation: Operation
    scope: Scope
    lease: HeldLease
    pulled: str = ""
    refused: int = 0
    set_aside: int = 0


class Acquirer:
    """Does the work of every operation of one manager."""

    def __init__(
        self,
        runtime: Runtime,
        policy: RenewalPolicy,
        *,
        coordinator: Coordinator,
        supplier: CodeSupplier,
        exchanger: TokenExchanger,
        cache: TokenCache,
        pushed: PushedCodes,
        backoff: "LocalBackoff",
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
        self._tasks = coordinator.tasks
        self._emit = coordinator.emit

    # ── A token for a scope ─────────────────────────────────────────────────────

    async def acquire(
        self, operation: Operation, scope: Scope, *, pushed_only: bool = False
    ) -> CachedToken | WaitResult:
        """Return a token that is better than the held one, or raise a `TokenError`.

        With ``pushed_only`` the code source is not asked.
        """
        async with HeldLease(self._coordinator, scope) as lease:
            attempt = _Attempt(operation, scope, lease)
            result: CachedToken | WaitResult | None = None
            while result is None:
                if lease.token is not None:
                    result = await self._adopt(scope, lease, lease.token)
                elif lease.lost:
                    await self._take(attempt)
                elif lease.pending is not None:
                    result = await self._exchange(attempt, lease.pending)
                elif pushed_only:
                    result = WaitResult.WITHDRAWN
                else:
                    result = await self._request_code(attempt)
            return result

    async def _take(self, attempt: _Attempt) -> None:
        """Take the lease, waiting while another process has it."""
        self._coordinator.require_store()
        scope, lease = attempt.scope, attempt.lease
        held = self._cache.get(scope.text)
        wish = Wish(guard=self._policy.guard)
        if held is not None:
            usable = self._cache.usable(scope.text) is held
            expires = held.token.ends if usable else None
            wish = Wish(expires, held.fingerprint, self._policy.guard)
        await lease.take(wish, attempt.operation)
        if lease.backoff is not None and lease.token is None:
            left = max(0.0, lease.backoff.until - self._clock.now())
            raise _backoff_error(lease.backoff, left, scope)

    async def _adopt(
        self, scope: Scope, lease: HeldLease, token: StoredToken
    ) -> CachedToken | None:
        """Cache a token of the record; one that was rejected here is rejected there."""
        entry = self._cache.put(scope, token)
        if entry is not None:
            self._backoff.succeeded(scope.text)
            self._emit(
                events.TokenAdopted,
                entry.token.scope,
                generation=entry.token.generation,
                remaining=entry.token.ends - self._clock.now(),
            )
            return entry
        lease.token, lease.lost = None, True
        if self._cache.is_rejected(token.fingerprint):
            rejected = RejectedToken(token.fingerprint, token.expires)
            await self._coordinator.scope(scope.text, records.reject, rejected)
        return None

    async def _request_code(self, attempt: _Attempt) -> WaitResult | None:
        """Have a code of the source in the record, or raise why there is none."""
        operation, scope, lease = attempt.operation, attempt.scope, attempt.lease
        await self._exchanger.turn(operation)
        if lease.lost:
            return None
        operation.committed = True
        operation.code_offered.clear()
        self._exchanger.queue.requests += 1
        request = self._supplier.request(scope, lease.owner)
        offered = asyncio.ensure_future(operation.code_offered.wait())
        try:
            with operation.waiting("the code source"):
                await asyncio.wait(
                    {request, offered}, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            offered.cancel()
            self._exchanger.queue.requests -= 1
            operation.committed = False
        if not request.done():  # a pushed code came first; the request goes on
            lease.lost = True
            return None
        supply = request.result()
        if isinstance(supply, SourceFailure):
            await self._source_failed(attempt, supply)
        else:
            lease.see(supply)
            if lease.pending is None:
                lease.lost = True  # the code waits in the queue
            elif not lease.inherited:
                attempt.pulled = lease.pending.id
        unwanted = operation.unwanted and lease.token is None
        return WaitResult.WITHDRAWN if unwanted else None

    async def _source_failed(self, attempt: _Attempt, failure: SourceFailure) -> None:
        scope, error = attempt.scope, failure.error.fresh()
        error.__cause__ = failure.error.__cause__
        if failure.shared:
            await self._back_off(
                attempt, error, failure.shared, failure.pause, failure.detail
            )
        if self._supplier.has_source:
            pause = self._backoff.failed(scope.text, error)
            error.retry_after = self._pause(scope, pause)
        raise self._failed(scope, error)

    async def _exchange(
        self, attempt: _Attempt, code: StoredCode
    ) -> CachedToken | None:
        """Exchange the pending code, and act on the result; None: go on."""
        operation, scope, lease = attempt.operation, attempt.scope, attempt.lease
        self._claim(code, scope, pushed=code.id != attempt.pulled)
        result = await self._exchanger.exchange(code, scope, lease, operation)
        match result:
            case Minted():
                return await self._minted(attempt, code, result)
            case CodeRecord(state=CodeState.REDEEMED):
                await self._redeemed_before(attempt, code, result)
            case CodeRecord() | Refused():
                # A source that gives a used code again is not asked again and again.
                fault = isinstance(result, Refused) or code.id == attempt.pulled
                attempt.refused += fault
                await self._spent(attempt, code, self._error(result, code, scope))
            case SetAside(error, pause):
                await self._set_aside(attempt, code, error, pause)
            case Limited(error, pause):
                self._backoff.failed(scope.text, error, self._pause(scope, pause))
                await lease.release()
                raise self._failed(scope, error)
            case InDoubt(unsent=unsent):
                error = self._error(result, code, scope)
                if not unsent and self._clock.now() > code.deadline:
                    await self._set_aside(attempt, code, error, 0.0)
                else:
                    pause = full_jitter(1, self._random())
                    await self._back_off(attempt, error, "outage", pause)
        return None

    async def _minted(
        self, attempt: _Attempt, code: StoredCode, minted: Minted
    ) -> CachedToken | None:
        scope, lease = attempt.scope, attempt.lease
        if not scope <= minted.granted:
            if minted.granted.text:  # keep it under what it was granted
                await self._file(minted.granted, minted, "", 0)
            await lease.change(records.drop_code, code.id)
            missing = scope - minted.granted
            error = _not_granted(scope, missing)
            await self._back_off(attempt, error, "short", _SHORT_PAUSE, missing.text)
        entry = await self._file(
            scope, minted, lease.owner, attempt.operation.followers
        )
        lease.leave()
        if entry is None:
            attempt.refused += 1
            if attempt.refused >= _MAX_REFUSED:
                raise self._failed(scope, CodeAlreadyUsedError(_CAME_BACK))
        return entry

    async def _redeemed_before(
        self, attempt: _Attempt, code: StoredCode, record: CodeRecord
    ) -> None:
        """Use the token that another exchange of this code returned, if it fits."""
        scope, lease = attempt.scope, attempt.lease
        token = self._coordinator.token_of(record)
        if token is not None and token.expires > self._clock.now():
            if record.scope != scope.text:
                await self._coordinator.scope(record.scope, records.publish, "", token)
            if scope <= Scope.parse(token.scope):
                ours = attrs.evolve(token, code_id=code.id)
                await lease.change(records.publish, "", ours)
                if lease.token is not None:
                    return
        attempt.refused += 1
        what = "the code was used before, and its token is no longer usable"
        await self._spent(attempt, code, CodeAlreadyUsedError(what))

    async def _spent(
        self, attempt: _Attempt, code: StoredCode, error: TokenError
    ) -> None:
        """Drop a code that is of no use, and give up if no other one may come."""
        lease = attempt.lease
        await lease.change(records.drop_code, code.id)
        if lease.lost:
            return
        if attempt.refused >= _MAX_REFUSED:
            await self._back_off(attempt, error, "codes", _CODES_PAUSE)
        if lease.pending is None and (
            not self._supplier.has_source or attempt.operation.unwanted
        ):
            await lease.release()
            raise self._failed(attempt.scope, error)

    async def _set_aside(
        self, attempt: _Attempt, code: StoredCode, error: TokenError, pause: float
    ) -> None:
        """Let other codes come first; ``pause`` is for this manager's credential."""
        scope, lease = attempt.scope, attempt.lease
        attempt.set_aside += 1
        await lease.change(records.set_aside, code.id)
        if pause > 0:
            self._backoff.credential_refused(scope.text, error, pause)
            error.retry_after = pause
            await lease.release()
            raise self._failed(scope, error)
        no_more = lease.pending is None or attempt.set_aside >= _MAX_SET_ASIDE
        stuck = lease.set_aside >= _MAX_REFUSED or not self._supplier.has_source
        if no_more and stuck and not lease.lost:
            doubt = isinstance(error, ExchangeUnavailableError)
            reason, seconds = "outage" if doubt else "codes", self._random()
            await self._back_off(attempt, error, reason, full_jitter(3, seconds))

    # ── A token for one delivered code ──────────────────────────────────────────

    async def redeem(
        self, operation: Operation, code: StoredCode, expected: Scope | None
    ) -> Scope:
        """Exchange one delivered code and return what it granted, however often."""
        self._coordinator.require_store()
        async with HeldLease(self._coordinator, None) as lease:
            self._claim(code, expected, pushed=True)
            result = await self._exchanger.exchange(code, expected, lease, operation)
        if isinstance(result, Minted):
            return await self._delivered(operation, code, expected, result)
        if isinstance(result, CodeRecord) and result.state is CodeState.REDEEMED:
            return await self._delivered_before(result)
        error = self._error(result, code, expected)
        if isinstance(result, SetAside) and result.credential_pause > 0:
            scope = "" if expected is None else expected.text
            pause = error.retry_after = result.credential_pause
            self._backoff.credential_refused(scope, error, pause)
        unused = isinstance(result, SetAside | Limited | InDoubt)
        if unused and expected is not None and not code.machine:
            # The next caller of its scope may use it, or learn what became of it.
            await self._coordinator.scope(expected.text, records.hold, "", code)
        raise self._failed(expected, error)

    async def _delivered(
        self,
        operation: Operation,
        code: StoredCode,
        expected: Scope | None,
        minted: Minted,
    ) -> Scope:
        granted = minted.granted
        fits = expected is not None and expected <= granted
        target = expected if fits and expected is not None else granted
        entry = await self._file(target, minted, "", operation.followers)
        if entry is None:
            raise CodeAlreadyUsedError(_CAME_BACK, scope=granted.text)
        if expected is not None and not fits:
            await self._coordinator.scope(expected.text, records.drop_code, code.id)
            raise self._failed(expected, _not_granted(expected, expected - granted))
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

    # ── Parts ───────────────────────────────────────────────────────────────────

    def _claim(self, code: StoredCode, scope: Scope | None, *, pushed: bool) -> None:
        self._pushed.remove(code.id)
        if code.id not in self._coordinator.first_sent:
            self._emit(events.CodeClaimed, scope, pushed=pushed)

    async def _file(
        self, scope: Scope, minted: Minted, owner: str, followers: int
    ) -> CachedToken | None:
        """Cache a new token, so that its waiters have it, and publish it.

        One that may be old is looked up among the rejected ones.
        """
        token = minted.token
        if minted.replayed:
            known = await self._coordinator.scope(scope.text, records.unchanged)
            if known.new.is_rejected(token.fingerprint):
                self._cache.reject(scope.text, token.fingerprint, token.expires)
        entry = self._cache.put(scope, token)
        publishing = self._tasks.start(self._coordinator.publish(scope, owner, token))
        if entry is None:
            await asyncio.wait({publishing})
            return None
        self._backoff.succeeded(scope.text)
        self._emit(
            events.TokenIssued,
            entry.token.scope,
            generation=entry.token.generation,
            lifetime=entry.token.lifetime,
            renewal=entry.renewal,
            attempts=minted.issued.attempts,
            replayed=minted.replayed,
            followers=followers,
            clamped=minted.issued.grant.clamped,
            broader=entry.broader,
        )
        return entry

    async def _back_off(
        self,
        attempt: _Attempt,
        error: TokenError,
        reason: str,
        pause: float,
        detail: str = "",
    ) -> NoReturn:
        """End the lease, back the scope off for everybody, and raise the error."""
        seconds = self._pause(attempt.scope, pause)
        error.retry_after = await attempt.lease.release(reason, seconds, detail)
        raise self._failed(attempt.scope, error)

    def _pause(self, scope: Scope, seconds: float) -> float:
        """Return a pause of at most a quarter of what a held token has left."""
        held = self._cache.usable(scope.text)
        if held is None:
            return seconds
        left = held.guard_at(self._policy) - self._clock.now()
        return max(min(seconds, left / 4), 0.01)

    def _error(
        self, result: Result, code: StoredCode, scope: Scope | None
    ) -> TokenError:
        """Return why a result is no token, and emit what it says about the code."""
        match result:
            case CodeRecord(reason="expired"):
                what = "the code has expired, or would before it could be exchanged"
                return CodeExpiredError(what)
            case CodeRecord():
                what = "this code was refused before, and a code works once"
                return CodeAlreadyUsedError(what)
            case Refused(error):
                self._emit(events.CodeRejected, scope, status=error.status)
                if code.odd_expiry:
                    error.advice = (
                        "The code's expires_at contradicts this machine's clock; "
                        "check both."
                    )
                return error
            case InDoubt(error, unsent):
                if not unsent:
                    self._emit(events.CodeInDoubt, scope)
                return error
            case SetAside(error) | Limited(error):
                return error
            case _:
                raise AssertionError(result)

    def _failed(self, scope: Scope | None, error: TokenError) -> TokenError:
        """Emit that no token came, and return the reason to raise."""
        if scope is not None:
            error.scope = error.scope or scope.text
        self._emit(
            events.ExchangeFailed,
            scope,
            error=type(error).__name__,
            cooldown=error.retry_after or 0.0,
            served_stale=scope is not None
            and self._cache.usable(scope.text) is not None,
        )
        return error


_CAME_BACK: Final = "the exchange returned a token that was already rejected"


def _not_granted(asked: Scope, missing: Scope) -> ScopeNotGrantedError:
    message = f"{len(missing)} of {len(asked)} permissions were not granted"
    return ScopeNotGrantedError(message, scope=asked.text, missing=missing.text)


def _backoff_error(backoff: Backoff, left: float, scope: Scope) -> TokenError:
    """Return the error of a back-off that any process of the fleet may have begun."""
    facts: dict[str, Any] = {"scope": scope.text, "retry_after": left}
    match backoff.reason:
        case "refused":
            refused = Scope.parse(backoff.detail) if backoff.detail else None
            what = "the partner refused a code for this scope a moment ago"
            return CodeRefusedError(what, refused=refused, **facts)
        case "short":
            error = _not_granted(scope, Scope.parse(backoff.detail))
            error.retry_after = left
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


# ── Failures that concern this manager alone ────────────────────────────────────

_BASE: Final = 1.0
_CAP: Final = 60.0
_DOUBLINGS: Final = 16
#: Old failures are dropped above this number.
_MAX_SCOPES: Final = 10_000
#: A success or this many seconds without a failure starts the count anew.
_FORGET_AFTER: Final = 300.0


def full_jitter(count: int, random: float) -> float:
    """Return the pause after so many failures in a row: from 0.1 s to 60 s."""
    highest = min(_CAP, _BASE * 2.0 ** min(max(count - 1, 0), _DOUBLINGS))
    return max(highest * random, _BASE / 10)


@attrs.frozen
class _Failure:
    error: TokenError
    until: float
    count: int


class LocalBackoff:
    """Remembers, in bounded memory, why this manager does not try a scope now.

    What a partner refuses is in the scope's record, for everybody. Kept here are
    exceptions of the code source, per scope, and refusals of this manager's own
    credential, until an exchange succeeds.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._now = runtime.clock.now
        self._random = runtime.random
        self._scopes: dict[str, _Failure] = {}
        self._credential: _Failure | None = None
        self._forbidden: set[str] = set()

    def of(self, scope: str) -> TokenError | None:
        """Return a fresh error if the scope is backing off, else None."""
        for failure in (self._scopes.get(scope), self._credential):
            left = 0.0 if failure is None else failure.until - self._now()
            if failure is not None and left > 0:
                error = failure.error.fresh()
                error.retry_after = left
                return error
        return None

    def failed(
        self, scope: str, error: TokenError, pause: float | None = None
    ) -> float:
        """Note a failure of one scope and return the pause, full jitter that doubles."""
        now, known = self._now(), self._scopes.pop(scope, None)
        recent = known is not None and now - known.until < _FORGET_AFTER
        count = known.count + 1 if known is not None and recent else 1
        seconds = full_jitter(count, self._random()) if pause is None else pause
        self._scopes[scope] = _Failure(error.fresh(), now + seconds, count)
        if len(self._scopes) > _MAX_SCOPES:
            del self._scopes[next(iter(self._scopes))]  # the oldest
        return seconds

    def remember(self, scope: str, error: TokenError, seconds: float) -> None:
        """Note a shared back-off for a moment, so that not every caller reads it."""
        if self.of(scope) is None:
            known = self._scopes.pop(scope, None)
            count = 0 if known is None else known.count
            until = self._now() + seconds
            self._scopes[scope] = _Failure(error.fresh(), until, count)

    def credential_refused(self, scope: str, error: TokenError, pause: float) -> None:
        """Note that the service refused this manager's own credential.

        A 403 may concern one code alone: it counts for the credential when a second
        scope gets one without a success in between.
        """
        self.failed(scope, error, pause)
        self._forbidden.add(scope)
        if error.status == 401 or len(self._forbidden) > 1:  # noqa: PLR2004
            self._credential = _Failure(error.fresh(), self._now() + pause, 1)

    def succeeded(self, scope: str) -> None:
        """Forget the failures that a success disproves."""
        self.clear(scope)
        self._credential = None
        self._forbidden.clear()

    def clear(self, scope: str) -> None:
        """Forget the failure of one scope: something new is known about it."""
        self._scopes.pop(scope, None)
