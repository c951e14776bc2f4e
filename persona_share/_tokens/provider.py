"""Provides tokens: a scope in, a usable token out, one exchange for any number of callers.

Decisions and changes of state happen between two awaits, never across one, so no lock
is needed in the one event loop that a manager belongs to.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from persona_share._policy.token_lifetime import TokenState
from persona_share._tokens import record as records
from persona_share._tokens.acquire import Acquisition
from persona_share._tokens.backoff import LocalBackoff
from persona_share._tokens.cache import CachedToken, TokenCache
from persona_share._tokens.coordinator import Coordinator, OnStoreFailure
from persona_share._tokens.credential import UnauthorizedOperations
from persona_share._tokens.exchange import ExchangeQueue
from persona_share._tokens.inflight import Inflight, Operation, Tasks, WaitResult
from persona_share._tokens.metrics import Emitter
from persona_share._tokens.record import (
    CodeRecord,
    CodeState,
    RejectedToken,
    ScopeRecord,
    StoredCode,
)
from persona_share._tokens.refresher import PushedCodes, Refresher
from persona_share._tokens.source import ClientCredentials, CodeSupplier
from persona_share._waiting import TimeIsUpError, within
from persona_share.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
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
#: When a manager closes, what was sent and is given up may release its leases for so long.
_RELEASE_TIMEOUT: Final = 0.5


class TokenProvider:
    """Holds the tokens of one manager and acquires new ones."""

    def __init__(
        self,
        context: ClientContext,
        source: CodeSource | None,
        policy: RenewalPolicy,
        hooks: Callable[[events.HookEvent], None],
        *,
        store: Store | None,
        on_store_failure: OnStoreFailure = "local",
    ) -> None:
        runtime = context.runtime
        self.clock: Clock = runtime.clock
        self.random: Callable[[], float] = runtime.random
        self.new_bytes: Callable[[int], bytes] = runtime.new_bytes
        self.context: ClientContext = context
        self.policy: RenewalPolicy = policy
        self.has_source: bool = source is not None
        self.closed: bool = False
        self.unauthorized: UnauthorizedOperations = UnauthorizedOperations()
        self.emit: Emitter = Emitter(runtime.clock.now, hooks)
        self.tasks: Tasks = Tasks()
        self._inflight = Inflight(runtime.clock, self.emit, self.tasks)
        self.cache: TokenCache = TokenCache(
            runtime, policy, self.emit, busy=self._inflight
        )
        self.pushed: PushedCodes = PushedCodes(runtime.clock, self.emit)
        self.backoff: LocalBackoff = LocalBackoff(runtime)
        self.queue: ExchangeQueue = ExchangeQueue(runtime, policy.exchange_share)
        machine = "machine" if isinstance(source, ClientCredentials) else "code"
        self.coordinator: Coordinator = Coordinator(
            store,
            runtime=runtime,
            naming=(context.naming_secret, context.origin, machine),
            cache=self.cache,
            tasks=self.tasks,
            emit=self.emit,
            on_store_failure=on_store_failure,
        )
        self.supplier: CodeSupplier = CodeSupplier(
            context, source, policy, self.coordinator
        )
        # An acquisition of a scope waits for these first: deliveries of its codes, each
        # with its operation, and rejections of its tokens.
        self._preceding: dict[str, dict[asyncio.Task[Any], Operation | None]] = {}
        self._refresher = Refresher(self)

    async def open(self) -> None:
        """Open the store and start to refresh; in the event loop that runs now."""
        await self.coordinator.open()
        _ = self.tasks.start(self._refresher.run(), endless=True)

    # ── Tokens ──────────────────────────────────────────────────────────────────

    async def get(  # noqa: C901  # one branch for each way a wait ends
        self, scope: Scope, deadline: float
    ) -> CachedToken:
        """Return a usable token, waiting until the deadline at most.

        While the held token is usable no caller notices what happens to its refresh.
        Raises a `TokenError` or `DeadlineExceededError`.
        """
        now = started = self.clock.now()
        while True:
            if self.closed:
                raise ManagerClosedError(_CLOSED)
            entry = self.cache.usable(scope.text, now)
            if entry is not None and self.refresh_if_due(entry, now):
                return entry
            operation = self._inflight.get(scope.text)
            if operation is None and entry is None:
                if (error := self.backoff.of(scope.text)) is not None:
                    raise error
                if now >= deadline:
                    raise self._too_late(None, started)
            operation = operation or self._start(scope)
            if entry is not None and operation.is_serving_this_call:
                return entry  # its code source needs a token, and there is one
            until = deadline
            if entry is not None:
                until = min(deadline, entry.guard_at(self.policy))
            outcome: Any = await operation.wait(until)
            now = self.clock.now()
            if outcome is WaitResult.WITHDRAWN:
                continue
            entry = self.cache.usable(scope.text, now)
            if entry is not None:
                entry.last_used = now
                return entry
            if isinstance(outcome, PersonaError):
                raise outcome.fresh()
            if outcome is WaitResult.TIMED_OUT and now >= deadline:
                raise self._too_late(operation, started)

    def refresh_if_due(self, entry: CachedToken, now: float) -> bool:
        """Start a refresh that is due; return whether the token can be used until then."""
        state = entry.state(now, self.policy)
        if state is TokenState.EXPIRED:
            return False
        if state is TokenState.MANDATORY and self._may_refresh(entry.scope):
            return False
        entry.last_used = now
        if state is not TokenState.FRESH:
            self.refresh(entry.scope)
        return True

    def refresh(self, scope: Scope) -> None:
        """Start to refresh a scope in the background, unless there is a reason not to."""
        busy = self.closed or scope.text in self._inflight
        if not busy and self._may_refresh(scope):
            self._start(scope, background=True)

    def _may_refresh(self, scope: Scope) -> bool:
        return self.backoff.of(scope.text) is None and (
            self.has_source or self.coordinator.shares or bool(self.pushed)
        )

    def _start(self, scope: Scope, *, background: bool = False) -> Operation:
        operation = self._inflight.join(
            scope.text, self._acquire, scope, background=background
        )
        if self.cache.get(scope.text) is not None:
            self.emit(events.RenewalStarted, scope, background=background)
        return operation

    async def _acquire(
        self, operation: Operation, scope: Scope
    ) -> CachedToken | WaitResult:
        """Acquire a token, after the delivered codes of this scope that are on their way."""
        while preceding := self._preceding.get(scope.text):
            task, delivery = next(iter(preceding.items()))
            if delivery is None:
                await asyncio.wait({task})
            else:  # as a caller: otherwise it would end when its own callers leave
                await delivery.wait(float("inf"))
            held = self.cache.usable(scope.text)
            if held is not None and (
                held.state(self.clock.now(), self.policy) is TokenState.FRESH
            ):
                return held
        try:
            return await Acquisition(self, operation, scope).run()
        except TokenError as error:
            if error.retry_after:
                pause = min(error.retry_after, _REMEMBER)
                self.backoff.add(scope.text, error, pause)
            raise

    def _acquire_after(
        self, text: str, task: asyncio.Task[Any], delivery: Operation | None = None
    ) -> None:
        """Start no acquisition of a scope before this task has ended."""
        preceding = self._preceding.setdefault(text, {})

        def ended(_: object) -> None:
            preceding.pop(task, None)
            if not preceding:
                self._preceding.pop(text, None)

        preceding[task] = delivery
        task.add_done_callback(ended)

    def _too_late(
        self, operation: Operation | None, started: float
    ) -> DeadlineExceededError:
        what = "no token was acquired before the caller's deadline"
        if operation is not None and operation.waiting_for is not None:
            waited = self.clock.now() - max(started, operation.waiting_since)
            what = f"{what}: waited {waited:.0f} s for {operation.waiting_for}"
        sent = operation is not None and operation.is_sending
        phase = Phase.AMBIGUOUS if sent else Phase.NOT_SENT
        return DeadlineExceededError(what, phase=phase)

    # ── Codes ───────────────────────────────────────────────────────────────────

    def received(self, code: object, expires_at: Any = None) -> StoredCode:
        """Return a delivered code; raises `InvalidArgumentError` for anything else."""
        received = self.supplier.received(code, expires_at)
        # A second offer does not extend its deadline.
        return self.pushed.get(received.id, (received,))[0]

    async def exchange(
        self, code: StoredCode, expected: Scope | None, deadline: float
    ) -> Scope:
        """Exchange a delivered code now and return what it granted.

        A code that was exchanged before returns its scope while its token is valid.
        Raises a `TokenError` or `DeadlineExceededError`.
        """
        key, started = ("code", code.id, expected), self.clock.now()
        while True:
            if self.closed:
                raise ManagerClosedError(_CLOSED)
            operation = self._inflight.join(key, self._redeem, code, expected)
            if expected is not None:
                self._acquire_after(expected.text, operation.task, operation)
            outcome = await operation.wait(deadline)
            if isinstance(outcome, Scope):
                return outcome
            if isinstance(outcome, PersonaError):
                raise outcome.fresh()
            if outcome is WaitResult.TIMED_OUT:
                raise self._too_late(operation, started)

    async def _redeem(
        self, operation: Operation, code: StoredCode, expected: Scope | None
    ) -> Scope:
        return await Acquisition(self, operation, expected or Scope()).redeem(code)

    async def offer(self, code: StoredCode, scope: Scope) -> None:
        """Put a delivered code by; it is in the record of its scope on return.

        Raises `InvalidArgumentError` if eight codes wait there already.
        """
        known = await self.coordinator.change(CodeRecord, code.id, records.unchanged)
        self.coordinator.require_store()
        changed = await self.coordinator.change(
            ScopeRecord, scope.text, records.offer, code, known.new.state
        )
        self.coordinator.require_store()
        waits = code.id in [each.id for each in changed.new.codes]
        if waits and code.id not in self.pushed:
            self.pushed[code.id] = code, scope
            self.emit(events.CodeQueued, scope)
            self._refresher.watch_code(code)
        elif not waits and known.new.state is CodeState.NEW:
            message = f"{records.MAX_PUSHED} codes for this scope are already queued"
            raise InvalidArgumentError(message)
        self.backoff.clear(scope.text)
        entry, now = self.cache.get(scope.text), self.clock.now()
        if (operation := self._inflight.get(scope.text)) is not None:
            operation.code_offered.set()
        elif entry is not None and (
            entry.state(now, self.policy) is not TokenState.FRESH
            and self.cache.is_in_use(entry, now)
        ):
            self.use_pushed(scope)

    def use_pushed(self, scope: Scope) -> None:
        """Exchange a pushed code in the background, if it still waits."""
        if not self.closed:
            self._inflight.join(
                scope.text, self._acquire_pushed, scope, background=True
            )

    async def _acquire_pushed(self, operation: Operation, scope: Scope) -> WaitResult:
        with contextlib.suppress(TokenError):
            await Acquisition(self, operation, scope).run(pushed_only=True)
        return WaitResult.WITHDRAWN

    # ── Rejections ──────────────────────────────────────────────────────────────

    def reject(self, entry: CachedToken) -> None:
        """Never use a token again, here and in the fleet; a newer one is untouched."""
        token, text = entry.token, entry.scope.text
        rejected = RejectedToken(entry.fingerprint, token.ends)
        if not self.cache.reject(text, rejected.fingerprint, rejected.until):
            return
        self.emit(events.TokenRevoked, token.scope, generation=token.generation)
        # A new token is acquired only after the record knows of the rejection.
        task = self.tasks.start(
            self.coordinator.change(ScopeRecord, text, records.reject, rejected)
        )
        self._acquire_after(text, task)
        if text in self.cache.pinned:
            self._refresher.watch_pinned(entry.scope)

    def invalidate(self, token: AccessToken) -> None:
        """Reject exactly this token if it is the one that is held for its scope."""
        broader = [each for each in self.cache.values() if each.token is token]
        for entry in (self.cache.get(token.scope.text), *broader):
            if entry is not None and entry.token == token:
                self.reject(entry)
                return

    # ── All scopes ──────────────────────────────────────────────────────────────

    def pin(self, scope: Scope) -> None:
        """Keep the token of a scope ready until it is forgotten."""
        self.cache.pinned.add(scope.text)
        if self.cache.usable(scope.text) is None:
            self._refresher.watch_pinned(scope)

    async def forget(self, scope: Scope) -> None:
        """Drop the token and the waiting codes of exactly this scope."""
        self.cache.pinned.discard(scope.text)
        self.cache.remove(scope.text)
        self.backoff.clear(scope.text)
        forgotten = await self.coordinator.forget(scope)
        for code in forgotten.old.queue:
            self.pushed.pop(code.id, None)

    def metrics(self) -> TokenMetrics:
        """Return the counters, and what is held and waits at this moment."""
        self.pushed.expire()
        states, nearest = self.cache.states()
        return self.emit.metrics(
            tokens=states,
            nearest_end=nearest,
            codes_waiting=len(self.pushed),
            acquiring=len(self._inflight),
            exchange_level=self.queue.level,
            store_up=not self.coordinator.down if self.coordinator.shares else None,
        )

    async def complete(self, work: Coroutine[Any, Any, None]) -> None:
        """Complete work that uses the store; closing waits for it."""
        task = self.tasks.start(work)
        await asyncio.wait({task})
        if task.cancelled():
            raise ManagerClosedError(_CLOSED)
        task.result()

    def after_fork(self) -> None:
        """Drop, in a forked child, what the parent still has: operations and codes."""
        self.closed = True
        self._inflight.clear()
        self._preceding.clear()
        self.pushed.clear()
        self.coordinator.after_fork()

    async def aclose(self) -> None:
        """Let what was sent come to its end, within bounds; drop the rest."""
        self.closed = True
        closed = ManagerClosedError(_CLOSED)
        for operation in tuple(self._inflight.values()):
            if not operation.is_sending:
                operation.abandon(closed)
        try:
            with contextlib.suppress(TimeIsUpError):
                await within(self.clock, self.policy.close_timeout, self.tasks.ended())
            for operation in tuple(self._inflight.values()):
                operation.abandon(closed)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.tasks.ended(), _RELEASE_TIMEOUT)
        finally:
            await self.tasks.cancel_all()
            self.cache.clear()
            with contextlib.suppress(Exception):
                await self.coordinator.aclose()
