"""Retrying: the only layer that repeats a call."""

from collections.abc import Callable
from typing import Final

import attrs

from persona_share._pipeline.rate_limiter import RateLimiter
from persona_share._policy.retry import (
    RETRIED,
    Budget,
    Decision,
    Failed,
    GiveUp,
    Kind,
    Outcome,
    Past,
    RetryAfter,
    decide,
    is_unknown,
    kind_of,
    may_have_acted,
)
from persona_share._protocol.errors import attempts_of
from persona_share._protocol.http import Expects, Request, Response
from persona_share.errors import (
    ApiError,
    Attempt,
    OutcomeUnknownError,
    PersonaError,
    Phase,
    TransportError,
)
from persona_share.model.events import AttemptFailed, HookEvent
from persona_share.model.policy import RetryPolicy
from persona_share.model.secret import Secret
from persona_share.ports import Runtime, Sender


_NOT_FOUND: Final = 404
_NO_CONTENT: Final = 204
_BROKE: Final = "retry_quota_reached"


class Retrying:
    """Repeats requests that may be repeated, within the deadline and a shared budget.

    If it is unknown whether a call took effect, it raises `OutcomeUnknownError`.
    """

    def __init__(
        self,
        inner: Sender,
        runtime: Runtime,
        policy: RetryPolicy | None = None,
        *,
        budget: Budget | None = None,
        emit: Callable[[HookEvent], object] | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        self._inner = inner
        self._runtime = runtime
        self._now = runtime.clock.now
        self._policy = policy or RetryPolicy()
        self._budget = budget or Budget(self._policy)
        self._emit = emit
        self._limiter = limiter

    async def send(self, request: Request) -> Response:
        """Send, and repeat the request as long as that helps and is safe."""
        started = self._now()
        ended: Response | PersonaError
        try:
            ended = response = await self._inner.send(request)
        except TransportError as error:
            ended = error
        else:
            if response.status not in RETRIED:
                self._budget.succeeded()
                return response
        return await self._retry(request, ended, started)

    async def _retry(
        self, request: Request, ended: Response | PersonaError, started: float
    ) -> Response:
        """Retry after a failed first attempt, and return the last response."""
        call = _Call(request)
        cost = 0
        while True:
            outcome = call.record(ended, started)
            step = self._next_step(call, outcome)
            call.add_attempt(ended, step)
            if isinstance(step, GiveUp):
                break
            cost = step.cost
            self._report(call, step)
            await self._runtime.clock.sleep(step.delay)
            if step.new_key:
                call.use_key(self._runtime.new_key())
            started = self._now()
            ended = await self._attempt(call.request)
        if isinstance(ended, Response) and ended.status not in RETRIED:
            self._budget.succeeded(cost)
        return call.result(ended, outcome)

    async def _attempt(self, request: Request) -> Response | PersonaError:
        """Send once, and return an error as a value, so that errors are not chained."""
        try:
            return await self._inner.send(request)
        except PersonaError as error:
            return error

    def _next_step(self, call: "_Call", outcome: Outcome) -> Decision:
        policy, limiter = self._policy, self._limiter
        if limiter is not None and limiter.max_wait < policy.max_wait:
            policy = attrs.evolve(policy, max_wait=limiter.max_wait)
        decision = decide(
            call.request,
            outcome,
            call.past,
            policy=policy,
            random=self._runtime.random(),
            left=call.request.deadline - self._now(),
            rate_limited=limiter is not None,
        )
        if isinstance(decision, RetryAfter) and not self._budget.spend(decision.cost):
            return GiveUp(_BROKE)
        return decision

    def _report(self, call: "_Call", step: RetryAfter) -> None:
        if self._emit is None:
            return
        last = call.trail[-1]
        event = AttemptFailed(
            at=self._now(),
            operation=call.request.operation,
            attempt=len(call.trail),
            phase=last.phase,
            reason=last.reason,
            delay=step.delay,
            status=last.status,
            request_id=last.request_id,
            budget=self._budget.level,
        )
        self._emit(event)


class _Call:
    """One call whose first attempt failed, with its attempts so far."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.past = Past()
        self.trail: list[Attempt] = []
        # The response may be stored from an earlier attempt; its age counts from that.
        self._acted_at: float | None = None

    def record(self, ended: Response | PersonaError, started: float) -> Outcome:
        """Record how an attempt ended, and return it as a plain value."""
        outcome = ended if isinstance(ended, Response) else _failed(ended)
        self.past = self.past.after(outcome)
        if self._acted_at is None and may_have_acted(outcome):
            self._acted_at = started
        return outcome

    def add_attempt(self, ended: Response | PersonaError, step: Decision) -> None:
        """Add the attempt to the trail, with the decision that followed it."""
        attempts = ended.attempts
        if isinstance(ended, Response):
            attempts = attempts_of(self.request, ended)
        self.trail.extend(attempts)
        if not self.trail:
            return
        last = self.trail[-1]
        if isinstance(step, RetryAfter):
            self.trail[-1] = attrs.evolve(last, delay=step.delay)
        elif step.reason == _BROKE:
            self.trail[-1] = attrs.evolve(last, reason=f"{last.reason}, {_BROKE}")

    def use_key(self, key: str) -> None:
        """Continue under a new idempotency key."""
        self.request = attrs.evolve(self.request, idempotency_key=Secret(key))
        self.past = self.past.under_new_key()
        self._acted_at = None

    def result(self, ended: Response | PersonaError, outcome: Outcome) -> Response:
        """Return the last response, or raise the error of the attempts."""
        attempts = tuple(self.trail)
        if is_unknown(self.request, outcome, self.past):
            raise self._unknown()
        if isinstance(ended, PersonaError):
            ended.attempts = attempts
            if self.past.in_doubt and ended.phase is Phase.NOT_SENT:
                ended.phase = Phase.AMBIGUOUS  # of an earlier attempt
            raise ended
        sent_at = ended.first_sent_at
        if self._acted_at is not None:
            sent_at = min(sent_at, self._acted_at)
        ended = attrs.evolve(ended, attempts=attempts, first_sent_at=sent_at)
        if self._is_done(ended):
            return attrs.evolve(ended, status=_NO_CONTENT, body=b"")
        return ended

    def _is_done(self, response: Response) -> bool:
        """Return whether an earlier attempt had deleted the object already."""
        return (
            response.status == _NOT_FOUND
            and self.past.was_in_doubt
            and kind_of(self.request) is Kind.DELETE
        )

    def _unknown(self) -> OutcomeUnknownError:
        request, key = self.request, self.request.idempotency_key
        if request.expects is Expects.OAUTH:  # there it is a secret
            key = None
        last = self.trail[-1]
        return OutcomeUnknownError(
            "it is unknown whether the change took effect",
            operation=request.operation,
            phase=Phase.AMBIGUOUS,
            attempts=self.trail,
            status=last.status,
            request_id=last.request_id,
            idempotency_key=key.reveal() if key is not None else None,
            reconcile=request.reconcile,
        )


def _failed(error: PersonaError) -> Failed:
    if isinstance(error, TransportError):
        reason = error.attempts[-1].reason if error.attempts else type(error).__name__
        return Failed(error.phase, reason, error.retryable)
    # Refused locally, or no token: its phase does not describe this request.
    phase = error.phase if isinstance(error, ApiError) else Phase.NOT_SENT
    return Failed(phase, type(error).__name__, retryable=False)
