"""Provides tokens: a scope in, a usable token out, one exchange for any number of callers.

Decisions and changes of state happen between two awaits, never across one, so no lock
is needed in the one event loop that a manager belongs to.
"""

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from typing import Any, Final

import attrs

from persona_share._policy.token_lifetime import TokenState
from persona_share._tokens import record as records
from persona_share._tokens.acquire import Acquirer
from persona_share._tokens.backoff import LocalBackoff
from persona_share._tokens.cache import CachedToken, TokenCache
from persona_share._tokens.client_credentials import ClientCredentials
from persona_share._tokens.codes import PushedCodes
from persona_share._tokens.coordinator import (
    Coordinator,
    OnStoreFailure,
    TimeIsUpError,
    within,
)
from persona_share._tokens.exchange import TokenExchanger
from persona_share._tokens.inflight import (
    Inflight,
    Operation,
    Tasks,
    WaitResult,
)
from persona_share._tokens.metrics import MetricsRecorder
from persona_share._tokens.record import StoredCode
from persona_share._tokens.refresher import Refresher
from persona_share._tokens.source import CodeSupplier
from persona_share.errors import (
    DeadlineExceededError,
    ManagerClosedError,
    PersonaError,
    Phase,
    TokenError,
)
from persona_share.model import events
from persona_share.model.events import TokenMetrics
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken
from persona_share.ports import ClientContext, Clock, CodeSource, Store


_CLOSED: Final = "the manager was closed"
#: A shared back-off is read again after this long, as another process may end it.
_REMEMBER: Final = 1.0


class UnauthorizedOperations:
    """Which operations accept tokens, and which ones refuse tokens that work elsewhere."""

    def __init__(self) -> None:
        self._proved: set[str] = set()
        self._blamed: dict[tuple[str, str], None] = {}
        self._always: dict[tuple[str, str], float] = {}

    def proved(self, scope: str, route: str) -> None:
        """Note that an operation accepted a token."""
        if route not in self._proved:
            self._proved.add(route)
        if self._always or self._blamed:
            self._always.pop((scope, route), None)
            self._blamed.pop((scope, route), None)

    def is_proved(self, route: str) -> bool:
        """Return whether the operation ever accepted a token; so do unnamed ones."""
        return not route or route in self._proved

    def blamed(self, scope: str, route: str) -> None:
        """Note that an operation's refusals cost a token."""
        _bounded_insert(self._blamed, (scope, route), None)

    def refused_new_token(self, scope: str, route: str, now: float) -> None:
        """Note that an operation refuses a token that is new, or works elsewhere."""
        if (scope, route) in self._blamed or not self.is_proved(route):
            _bounded_insert(self._always, (scope, route), now + 600.0)

    def always(self, scope: str, route: str, now: float) -> bool:
        """Return whether the operation's refusals say nothing about the token."""
        return self._always.get((scope, route), 0.0) > now and (
            (scope, route) in self._blamed
        )


def _bounded_insert(into: dict[Any, Any], key: Hashable, value: object) -> None:
    into.pop(key, None)
    into[key] = value
    if len(into) > 1_000:  # noqa: PLR2004  # far more than there are operations
        del into[next(iter(into))]


class TokenProvider:
    """Holds the tokens of one manager and acquires new ones."""

    def __init__(
        self,
        context: ClientContext,
        source: CodeSource | None,
        policy: RenewalPolicy,
        emit: Callable[[events.HookEvent], None],
        *,
        store: Store | None,
        new_private: Callable[[], Store],
        on_store_failure: OnStoreFailure = "local",
    ) -> None:
        runtime = context.runtime
        self.clock: Clock = runtime.clock
        self.random: Callable[[], float] = runtime.random
        self.origin: str = context.origin
        self.timeout: float = context.timeout
        self.closed: bool = False
        self.unauthorized: UnauthorizedOperations = UnauthorizedOperations()
        self.policy = policy
        self._emit = MetricsRecorder(emit)
        self._tasks = Tasks()
        self._inflight = Inflight(runtime.clock)
        self._deliveries: dict[str, Operation] = {}
        self.cache: TokenCache = TokenCache(runtime.clock, policy, runtime.random)
        self._backoff = LocalBackoff(runtime.clock.now, runtime.random)
        kind = "machine" if isinstance(source, ClientCredentials) else "code"
        self.coordinator: Coordinator = Coordinator(
            store,
            new_private=new_private,
            runtime=runtime,
            naming=(context.naming_secret, context.origin, kind),
            cache=self.cache,
            tasks=self._tasks,
            emit=self._emit,
            on_store_failure=on_store_failure,
        )
        self._supplier = CodeSupplier(
            context,
            source,
            policy=policy,
            coordinator=self.coordinator,
            tasks=self._tasks,
            emit=self._emit,
        )
        self._exchanger = TokenExchanger(
            context,
            policy=policy,
            coordinator=self.coordinator,
            tasks=self._tasks,
            emit=self._emit,
        )
        self._pushed = PushedCodes(runtime, self.coordinator, self._emit)
        self._acquirer = Acquirer(
            runtime=runtime,
            policy=policy,
            coordinator=self.coordinator,
            supplier=self._supplier,
            exchanger=self._exchanger,
            cache=self.cache,
            pushed=self._pushed,
            backoff=self._backoff,
            tasks=self._tasks,
            emit=self._emit,
        )
        self._refresher: Refresher | None = None

    @property
    def has_source(self) -> bool:
        """Whether anybody can be asked for codes."""
        return self._supplier.has_source

    async def open(self) -> None:
        """Open the store and start to refresh; in the event loop that runs now."""
        await self.coordinator.open()
        self._refresher = Refresher(
            self.clock,
            policy=self.policy,
            cache=self.cache,
            pushed=self._pushed,
            refresh=self.refresh,
            use_pushed=self._use_pushed,
        )
        self._refresher.start()

    # ── Tokens ──────────────────────────────────────────────────────────────────

    async def get(  # noqa: C901  # one branch for each way a wait ends
        self, scope: Scope, deadline: float
    ) -> CachedToken:
        """Return a usable token, waiting until the deadline at most.

        While the held token is usable no caller notices what happens to its renewal.
        Raises a `TokenError` or `DeadlineExceededError`.
        """
        started = self.clock.now()
        while True:
            self._require_not_closed()
            operation = self._needed_operation(scope, deadline)
            if isinstance(operation, CachedToken):
                return operation
            until, held = deadline, self.cache.usable(scope.text)
            if held is not None:
                until = min(deadline, held.guard_at(self.policy))
            outcome: Any = WaitResult.TIMED_OUT
            if operation is not None:
                outcome = await operation.wait(until)
                if outcome is WaitResult.WITHDRAWN:
                    continue
            held = self.cache.usable(scope.text)
            if held is not None:
                held.last_used = self.clock.now()
                return held
            if isinstance(outcome, PersonaError):
                raise _fresh(outcome)
            if outcome is WaitResult.TIMED_OUT and self.clock.now() >= deadline:
                raise self._too_late(operation, started)

    def _needed_operation(
        self, scope: Scope, deadline: float
    ) -> CachedToken | Operation | None:
        """Return the held token, or what to wait for; None if there is no time to wait."""
        now, entry = self.clock.now(), self.cache.get(scope.text)
        state = TokenState.EXPIRED
        if entry is not None:
            entry.last_used = now
            state = entry.state(now, self.policy)
        if entry is None or state is TokenState.EXPIRED:
            operation = self._inflight.get(scope.text)
            if operation is None:
                self._require_no_backoff(scope)
            return operation or (self._join(scope) if now < deadline else None)
        if state is TokenState.FRESH:
            return entry
        if state is TokenState.ADVISORY or not self._may_renew(scope):
            self.refresh(scope)
            return entry
        operation = self._join(scope)
        # If its code source needs a token, there is one.
        return entry if operation.is_serving_this_call else operation

    def usable(self, entry: CachedToken, now: float) -> AccessToken | None:
        """Return the token of an entry that is due, unless its caller should wait."""
        state = entry.state(now, self.policy)
        if state is TokenState.EXPIRED or (
            state is TokenState.MANDATORY and self._may_renew(entry.scope)
        ):
            return None
        entry.last_used = now
        self.refresh(entry.scope)
        return entry.token

    def refresh(self, scope: Scope) -> None:
        """Start the renewal of a scope in the background, unless there is a reason."""
        busy = self.closed or scope.text in self._inflight
        if not busy and self._may_renew(scope):
            self._join(scope, background=True)

    def _may_renew(self, scope: Scope) -> bool:
        return self._backoff.of(scope.text) is None and (
            self.has_source or self.coordinator.shares or len(self._pushed) > 0
        )

    def _require_no_backoff(self, scope: Scope) -> None:
        if (error := self._backoff.of(scope.text)) is not None:
            raise error

    def _join(self, scope: Scope, *, background: bool = False) -> Operation:
        operation = self._inflight.get(scope.text)
        if operation is not None:
            return operation
        if self.cache.get(scope.text) is not None:
            now, size = self.clock.now(), len(scope)
            self._emit(
                events.RenewalStarted(at=now, scope_size=size, background=background)
            )
        return self._inflight.join(
            scope.text,
            lambda operation: self._acquire(operation, scope),
            background=background,
        )

    async def _acquire(
        self, operation: Operation, scope: Scope
    ) -> CachedToken | WaitResult:
        """Acquire a token, after the delivered code of this scope that is on its way."""
        while (delivery := self._deliveries.get(scope.text)) is not None:
            await delivery.wait(float("inf"))
            held = self.cache.usable(scope.text)
            if held is not None and (
                held.state(self.clock.now(), self.policy) is TokenState.FRESH
            ):
                return held
        try:
            entry = await self._acquirer.acquire(operation, scope)
        except TokenError as error:
            if error.retry_after:
                pause = min(error.retry_after, _REMEMBER)
                self._backoff.remember(scope.text, error, pause)
            raise
        self._evict()
        return entry

    def _too_late(
        self, operation: Operation | None, started: float
    ) -> DeadlineExceededError:
        what, now = "no token came before the caller's time was up", self.clock.now()
        if operation is not None and operation.waiting_for is not None:
            waited = now - max(started, operation.waiting_since)
            what = f"{what}: waited {waited:.0f} s for {operation.waiting_for}"
        sent = operation is not None and operation.is_sending
        phase = Phase.AMBIGUOUS if sent else Phase.NOT_SENT
        return DeadlineExceededError(what, phase=phase)

    # ── Codes ───────────────────────────────────────────────────────────────────

    def received(self, code: object, expires_at: Any = None) -> StoredCode:
        """Return a delivered code; raises `InvalidArgumentError` for anything else."""
        return self._pushed.known(self._supplier.received(code, expires_at))

    async def exchange(
        self, code: StoredCode, expected: Scope | None, deadline: float
    ) -> Scope:
        """Exchange a delivered code now and return what it granted.

        A code that brought a token before returns its scope for as long as that lives.
        Raises a `TokenError` or `DeadlineExceededError`.
        """
        key, started = ("code", code.id), self.clock.now()
        while True:
            self._require_not_closed()
            operation = self._inflight.join(
                key, lambda operation: self._redeem(operation, code, expected)
            )
            outcome = await operation.wait(deadline)
            if isinstance(outcome, Scope):
                return outcome
            if isinstance(outcome, PersonaError):
                raise _fresh(outcome)
            if outcome is WaitResult.TIMED_OUT:
                raise self._too_late(operation, started)

    async def _redeem(
        self, operation: Operation, code: StoredCode, expected: Scope | None
    ) -> Scope:
        text = None if expected is None else expected.text
        if text is not None:
            self._deliveries.setdefault(text, operation)
        try:
            scope = await self._acquirer.redeem(operation, code, expected)
            self._evict()
            return scope
        finally:
            if text is not None and self._deliveries.get(text) is operation:
                del self._deliveries[text]

    async def offer(self, code: StoredCode, scope: Scope) -> None:
        """Put a delivered code by; it is in the record of its scope on return."""
        self.coordinator.require_store()
        await self._pushed.offer(code, scope)
        self._backoff.clear(scope.text)
        operation = self._inflight.get(scope.text)
        if operation is not None:
            operation.code_offered.set()
            return
        entry, now = self.cache.get(scope.text), self.clock.now()
        if entry is None or entry.state(now, self.policy) is TokenState.FRESH:
            return
        if self.cache.is_in_use(entry, now):
            self._use_pushed(scope)

    def _use_pushed(self, scope: Scope) -> None:
        """Exchange a pushed code in the background, if it still waits."""
        if self.closed or scope.text in self._inflight:
            return

        async def work(operation: Operation) -> Any:
            with contextlib.suppress(TokenError):
                return await self._acquirer.acquire(operation, scope, pushed_only=True)
            return WaitResult.WITHDRAWN

        self._inflight.join(scope.text, work, background=True)

    # ── Rejections ──────────────────────────────────────────────────────────────

    def noted_rejection(self, entry: CachedToken) -> None:
        """Emit that the current token was refused for the first time."""
        token = entry.token
        self._emit(
            events.TokenStruck(
                at=self.clock.now(),
                scope_size=len(token.scope),
                generation=token.generation,
            )
        )

    def reject(self, entry: CachedToken) -> None:
        """Never use a token again, here and in the fleet; a newer one is untouched."""
        token, text = entry.token, entry.scope.text
        fingerprint, ends = entry.fingerprint, entry.token.ends
        if not self.cache.reject(text, fingerprint, ends):
            return
        self._emit(
            events.TokenRevoked(
                at=self.clock.now(),
                scope_size=len(token.scope),
                generation=token.generation,
            )
        )
        done = self._tasks.spawn(
            lambda: self.coordinator.reject(text, fingerprint, ends)
        )
        rejecting: Operation | None = self._inflight.get(text)
        if rejecting is None and not done.done():
            # A new token is acquired only after the record knows of the rejection.
            self._deliveries.setdefault(text, _Rejection(done))  # type: ignore[arg-type]
            done.add_done_callback(lambda _: self._deliveries.pop(text, None))
        if self.cache.is_pinned(text) and self._refresher is not None:
            self._refresher.watch_pinned(entry.scope)

    def invalidate(self, token: AccessToken) -> None:
        """Reject exactly this token if it is the one that is held for its scope."""
        for entry in (self.cache.get(token.scope.text), *self._broader(token)):
            if entry is not None and entry.token == token:
                self.reject(entry)
                return

    def _broader(self, token: AccessToken) -> list[CachedToken]:
        return [each for each in self.cache if each.token is token]

    # ── All scopes ──────────────────────────────────────────────────────────────

    def pin(self, scope: Scope) -> None:
        """Keep the token of a scope ready until it is forgotten."""
        self.cache.pin(scope)
        if self.cache.usable(scope.text) is None and self._refresher is not None:
            self._refresher.watch_pinned(scope)

    async def forget(self, scope: Scope) -> None:
        """Drop the token and the waiting codes of exactly this scope."""
        self.cache.unpin(scope.text)
        self.cache.remove(scope.text)
        self._backoff.clear(scope.text)
        _, view = await self.coordinator.scope(
            self.coordinator.scope_key(scope.text),
            lambda view: records.forget(view.record),
        )
        self._pushed.forget({each.id for each in view.record.queue})

    def metrics(self) -> TokenMetrics:
        """Return the counters, and what is held and waits at this moment."""
        states, nearest = self.cache.states()
        return attrs.evolve(
            self._emit.counted(),
            tokens=states,
            nearest_end=nearest,
            codes_waiting=len(self._pushed),
            acquiring=sum(1 for _ in self._inflight),
            exchange_level=self._exchanger.queue.level,
            store_up=not self.coordinator.down if self.coordinator.shares else None,
        )

    def _evict(self) -> None:
        evicted = self.cache.evict(
            lambda each: each.pinned or each.scope.text in self._inflight
        )
        if evicted:
            self._emit(events.TokensEvicted(at=self.clock.now(), count=evicted))

    def _require_not_closed(self) -> None:
        if self.closed:
            raise ManagerClosedError(_CLOSED)

    def after_fork(self) -> None:
        """Drop, in a forked child, what the parent still has: operations and codes."""
        self.closed = True
        self._inflight.clear()
        self._deliveries.clear()
        self._tasks.abandon()
        self._pushed.clear()
        self.coordinator.after_fork()

    async def aclose(self) -> None:
        """Let what was sent come to its end, within bounds; drop the rest."""
        self.closed = True
        closed = ManagerClosedError(_CLOSED)
        if self._refresher is not None:
            await self._refresher.stop()
        for operation in tuple(self._inflight):
            if not operation.is_sending:
                operation.abandon(closed)
        tasks = [each.task for each in self._inflight if each.task is not None]
        tasks += self._tasks.ending()
        grace = self.policy.close_timeout
        try:
            if tasks:
                ended = asyncio.gather(*tasks, return_exceptions=True)
                with contextlib.suppress(TimeIsUpError):
                    await within(self.clock, grace, asyncio.shield(ended))
        finally:
            # Also if closing itself is cancelled: nothing stays behind.
            left = [each.task for each in self._inflight if each.task is not None]
            for operation in tuple(self._inflight):
                operation.abandon(closed)
                if operation.task is not None:
                    operation.task.cancel()
            if left:
                await asyncio.wait(left, timeout=0.2)
            await self._tasks.cancel_all()
            self._exchanger.queue.stop()
            with contextlib.suppress(Exception):
                await self.coordinator.aclose()
            self.cache.clear()


class _Rejection:
    """Lets an acquisition wait until a rejection is in the record."""

    def __init__(self, done: "asyncio.Future[Any]") -> None:
        self._done = done

    async def wait(self, _until: float) -> None:
        await asyncio.wait({self._done})


def _fresh(error: PersonaError) -> PersonaError:
    """Return an error of its own for each caller, with the same cause."""
    twin = error.fresh()
    twin.__cause__ = error.__cause__
    return twin
