"""Whether a call is repeated, when, and with which idempotency key.

The service stores the response to a POST under its Idempotency-Key, failures and 5xx
included. So the same key asks what happened, and a new key does it again.
"""

import enum
from typing import Final, assert_never

import attrs

from persona_share._protocol.http import Request, Response, problem_of
from persona_share._protocol.limits import retry_after_of
from persona_share.errors import Phase
from persona_share.model.policy import RetryPolicy


#: The reason of an attempt that found no such host: worth one more try, not two.
NO_SUCH_NAME: Final = "no such name"

_TOO_LONG: Final = "the service asks for a longer wait"
_TIMEOUT: Final = 408
_LIMITED: Final = 429
# Cloudflare responds 520 to 524 and 530 if it cannot reach the service.
_BAD_GATEWAYS: Final = frozenset({502, 503, 504, *range(520, 525), 530})
_FAILURES: Final = _BAD_GATEWAYS | {500}
#: A response with any other status is final, whatever the method.
RETRIED: Final = _FAILURES | {_TIMEOUT, _LIMITED}
# The service sends these before it looks up the idempotency key, so they say nothing
# about an earlier attempt.
_BEFORE_KEY_LOOKUP: Final = RETRIED | {401}


@attrs.frozen
class Failed:
    """An attempt without a usable response."""

    phase: Phase
    reason: str
    retryable: bool


Outcome = Failed | Response


@attrs.frozen
class RetryAfter:
    """Retry after ``delay`` seconds, perhaps under a new key, at this cost."""

    delay: float
    cost: int
    new_key: bool = False


@attrs.frozen
class GiveUp:
    """Do not retry, for this reason."""

    reason: str


Decision = RetryAfter | GiveUp


@attrs.frozen
class Past:
    """The history of the attempts of one call, including the last one.

    ``in_doubt`` means that an attempt may have taken effect and that no later response
    has said whether. ``was_in_doubt`` is the same without the last attempt.
    """

    attempts: int = 0
    transients: int = 0
    throttles: int = 0
    failures_of_key: int = 0
    renewed: bool = False
    in_doubt: bool = False
    was_in_doubt: bool = False

    def after(self, outcome: Outcome) -> "Past":
        """Return the history with one more attempt."""
        status = outcome.status if isinstance(outcome, Response) else None
        failed = status is not None and status in _FAILURES
        limited = status == _LIMITED
        return attrs.evolve(
            self,
            attempts=self.attempts + 1,
            transients=self.transients + (not limited),
            throttles=self.throttles + limited,
            failures_of_key=self.failures_of_key + failed,
            in_doubt=self.in_doubt or may_have_acted(outcome),
            was_in_doubt=self.in_doubt,
        )

    def under_new_key(self) -> "Past":
        """Return the history under a new key; ``in_doubt`` remains."""
        return attrs.evolve(self, failures_of_key=0, renewed=True)


class Kind(enum.Enum):
    """The effect of repeating a request."""

    READ = "changes nothing"
    KEYED = "the service stores the response under the key"
    DELETE = "a second time changes nothing"
    OTHER = "may take effect twice"


class _Step(enum.Enum):
    STOP = "stop"
    SOON = "soon"
    PROBE = "retry with the same key, which returns what happened"
    NEW_KEY = "retry with a new key"
    THROTTLED = "wait for the time that the service names"


def kind_of(request: Request) -> Kind:
    """Return the effect of repeating this request."""
    if request.method in ("GET", "HEAD"):
        return Kind.READ
    if request.method == "DELETE":
        return Kind.DELETE
    if request.method == "POST" and request.idempotency_key is not None:
        return Kind.KEYED
    return Kind.OTHER


def may_have_acted(outcome: Outcome) -> bool:
    """Return whether an attempt may have taken effect without a response that says so."""
    if isinstance(outcome, Failed):
        return outcome.phase is Phase.AMBIGUOUS
    return outcome.status in _FAILURES or outcome.status == _TIMEOUT


def decide(
    request: Request,
    outcome: Outcome,
    past: Past,
    *,
    policy: RetryPolicy,
    random: float,
    left: float,
    rate_limited: bool = False,
) -> Decision:
    """Return the decision after a failed attempt.

    ``past`` includes the attempt, ``random`` lies in [0, 1), and ``left`` is how many
    seconds the call still has. ``rate_limited`` says that a limiter admits calls one by
    one when the window opens, so no jitter is needed; it does not track quotas.
    """
    step = _step(kind_of(request), request, outcome, past)
    if step is _Step.STOP:
        return GiveUp("not repeatable")
    if past.attempts >= _attempts(request, policy):
        return GiveUp("all attempts were used")
    wish = None
    if isinstance(outcome, Response):
        wish = retry_after_of(outcome)
        rate_limited = rate_limited and not problem_of(outcome).quota
    if wish is not None and wish > policy.max_wait:
        return GiveUp(_TOO_LONG)
    if rate_limited and wish is not None and step is _Step.THROTTLED:
        delay = wish
    else:
        delay = _delay(step, past, wish, policy, random)
    if delay >= left:
        return GiveUp("deadline")
    throttled = step is _Step.THROTTLED
    if throttled and delay > policy.max_wait:
        return GiveUp(_TOO_LONG)
    return RetryAfter(
        delay,
        policy.throttle_cost if throttled else policy.transient_cost,
        new_key=step is _Step.NEW_KEY,
    )


def _attempts(request: Request, policy: RetryPolicy) -> int:
    return policy.attempts if request.retries is None else request.retries + 1


def is_unknown(request: Request, outcome: Outcome, past: Past) -> bool:
    """Return whether a call that ends like this may have taken effect."""
    if kind_of(request) in (Kind.READ, Kind.DELETE) or request.repeatable:
        return False
    if isinstance(outcome, Failed):
        return outcome.phase is not Phase.ANSWERED and past.in_doubt
    return past.was_in_doubt and outcome.status in _BEFORE_KEY_LOOKUP


# The step after a response, by kind of request; no other status is retried.
_AFTER_RESPONSE: Final = {
    Kind.READ: {
        _TIMEOUT: _Step.SOON,
        _LIMITED: _Step.THROTTLED,
        **dict.fromkeys(_FAILURES, _Step.SOON),
    },
    Kind.KEYED: {
        _TIMEOUT: _Step.SOON,
        _LIMITED: _Step.THROTTLED,
        **dict.fromkeys(_FAILURES, _Step.PROBE),
    },
    Kind.DELETE: {
        _TIMEOUT: _Step.SOON,
        _LIMITED: _Step.THROTTLED,
        **dict.fromkeys(_BAD_GATEWAYS, _Step.SOON),
    },
    Kind.OTHER: {_LIMITED: _Step.THROTTLED},
}


def _step(kind: Kind, request: Request, outcome: Outcome, past: Past) -> _Step:
    if isinstance(outcome, Failed):
        return _step_after_failure(kind, outcome, past)
    step = _AFTER_RESPONSE[kind].get(outcome.status, _Step.STOP)
    return _step_after_stored(request, past) if step is _Step.PROBE else step


def _step_after_failure(kind: Kind, failed: Failed, past: Past) -> _Step:
    if not failed.retryable or failed.phase is Phase.ANSWERED:
        return _Step.STOP
    if failed.reason == NO_SUCH_NAME and past.attempts > 1:
        return _Step.STOP
    sent = failed.phase is Phase.AMBIGUOUS
    return _Step.STOP if sent and kind is Kind.OTHER else _Step.SOON


def _step_after_stored(request: Request, past: Past) -> _Step:
    """Return the step after a 5xx response to a POST, which may be stored."""
    if past.renewed:
        return _Step.STOP
    if past.failures_of_key == 1:
        return _Step.PROBE
    return _Step.NEW_KEY if request.repeatable else _Step.STOP


def _delay(
    step: _Step, past: Past, wish: float | None, policy: RetryPolicy, random: float
) -> float:
    """Return how many seconds to wait, by our own backoff or the service's headers."""
    own = _own_delay(step, past, policy, random)
    if wish is None:
        return own
    # If the service says when the window ends, our own estimate is not used.
    floor = wish if step is _Step.THROTTLED else max(wish, own)
    jittered = floor + random * max(1.0, 0.1 * floor)
    return max(floor, min(jittered, policy.max_wait))


def _own_delay(step: _Step, past: Past, policy: RetryPolicy, random: float) -> float:
    match step:
        case _Step.SOON:
            full = _doubled(
                policy.transient_base, past.transients, policy.transient_cap
            )
            return random * full
        case _Step.PROBE:
            full = min(policy.probe_base, policy.probe_cap)
            return full * (1 + random) / 2
        case _Step.NEW_KEY:
            full = min(policy.patient_base, policy.patient_cap)
        case _Step.THROTTLED:
            full = _doubled(policy.patient_base, past.throttles, policy.patient_cap)
        case _Step.STOP:
            return 0.0
        case _:
            assert_never(step)
    return full * (1 + random / 4)


def _doubled(base: float, times: int, cap: float) -> float:
    return min(cap, base * 2.0 ** min(times - 1, 32))


class Budget:
    """A token bucket: retries cost tokens, and successes return them.

    One bucket belongs to one client and one credential. First attempts cost nothing.
    """

    __slots__ = ("_maximum", "level")

    def __init__(self, policy: RetryPolicy) -> None:
        self.level = self._maximum = policy.budget

    def spend(self, cost: int) -> bool:
        """Spend the cost of one retry, or return False if too little is left."""
        if cost > self.level:
            return False
        self.level -= cost
        return True

    def succeeded(self, last_cost: int = 1) -> None:
        """Return the cost of the last retry, or 1 for a success without one."""
        self.level = min(self._maximum, self.level + last_cost)
