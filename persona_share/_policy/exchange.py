"""The meaning of one response to an exchange: a pure decision.

A code works once, so the question is never "try again?" alone, but "with which code,
under which key, and is the code consumed?".
"""

from typing import Any, Final

import attrs

from persona_share._policy.bounds import RETRY_AFTER, bounded
from persona_share._protocol import oauth
from persona_share._protocol.http import Response, is_json, problem_of
from persona_share._protocol.limits import retry_after_of
from persona_share._protocol.redaction import shown_id
from persona_share.errors import (
    AssertionRefusedError,
    Attempt,
    CodeRejectedError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
    PersonaError,
    Phase,
    RateLimitedError,
    TokenError,
    TransportError,
)
from persona_share.model.scope import Scope


OPERATION: Final = "POST /oauth/token"
#: Attempts of one exchange, apart from waits that the service asks for.
MAX_ATTEMPTS: Final = 4
#: Full jitter between the attempts of one exchange, in seconds.
BACKOFF_BASE: Final = 0.25
BACKOFF_CAP: Final = 2.0
MIN_DELAY: Final = 0.1
#: How long to retry after a 409, while another process exchanges the same code.
CONFLICT_PATIENCE: Final = 5.0
_CONFLICT_DELAY: Final = 1.0
#: The wait after a 429 if no header has the reset, and if the reset is zero.
RESET_UNKNOWN: Final = 5.0
RESET_MINIMUM: Final = 1.0
#: The pause after a refused API key or a forbidden endpoint, in seconds.
COOLDOWN_401: Final = 60.0
COOLDOWN_403: Final = 300.0
COOLDOWN_UNKNOWN: Final = 60.0

_TRANSIENT: Final = frozenset({408, 502, 503, 504, 520, 521, 522, 523, 524, 530})
_STORED: Final = 500
_REJECTED: Final = frozenset({400, 404, 410, 422})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_LIMITED: Final = 429
# Responses that the service sends before it checks the code.
_HARMLESS: Final = frozenset({401, 403, 429})
_MAX_WORD: Final = 16
_MISMATCH: Final = "idempotency error"


@attrs.frozen
class Tries:
    """The attempts to exchange one code: the key, their number and the deadline.

    ``deadline`` ends the exchange; waits that the service asks for move it, but never
    past ``latest_send``. A signed assertion is sent under one key only
    (``single_key``): a new key needs a new one. ``in_doubt``: an earlier exchange of
    this code may have consumed it.
    """

    deadline: float
    latest_send: float
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    failures: int = 0
    stored_failure: bytes | None = attrs.field(default=None, repr=False)
    single_key: bool = False
    in_doubt: bool = False
    conflicted_since: float | None = None

    def postponed(self, seconds: float) -> "Tries":
        """Return the same with a later deadline, within the lifetime of the code."""
        later = max(self.deadline, min(self.latest_send, self.deadline + seconds))
        return attrs.evolve(self, deadline=later)

    @property
    def may_be_consumed(self) -> bool:
        """Whether any attempt may have consumed the code."""
        return self.in_doubt or any(
            attempt.phase is Phase.AMBIGUOUS
            or (attempt.phase is Phase.ANSWERED and attempt.status not in _HARMLESS)
            for attempt in self.attempts
        )

    @property
    def phase(self) -> Phase:
        """The furthest that any attempt got."""
        phases = {attempt.phase for attempt in self.attempts}
        if Phase.ANSWERED in phases:
            return Phase.ANSWERED
        return Phase.AMBIGUOUS if Phase.AMBIGUOUS in phases else Phase.NOT_SENT


@attrs.frozen
class Issued:
    """The service issued a token; ``replayed``: perhaps for an earlier attempt."""

    grant: oauth.TokenResponse
    attempts: int = 1
    replayed: bool = False


@attrs.frozen
class Again:
    """Send again after ``delay`` seconds: same code, same form, the key of ``epoch``."""

    delay: float
    tries: Tries
    closed_for: float = 0.0


@attrs.frozen
class Refused:
    """The code is unusable; another one may work.

    ``known``: nothing was sent, as the code had expired or had been refused before.
    """

    error: TokenError
    known: bool = False


@attrs.frozen
class SetAside:
    """The code is not consumed, but must not block others.

    ``credential_pause`` is for how long this manager's own credential is not tried.
    """

    error: TokenError
    credential_pause: float = 0.0
    in_doubt: bool = False


@attrs.frozen
class Limited:
    """The rate limit resets too late for this exchange; the code is still good."""

    error: TokenError
    pause: float
    in_doubt: bool = False


@attrs.frozen
class InDoubt:
    """No usable response came within the budget.

    The same request under the same key may still return one, unless nothing was sent
    that may have consumed the code: then it is not ``in_doubt``.
    """

    error: TokenError
    in_doubt: bool = True


Ending = Issued | Refused | SetAside | Limited | InDoubt
Verdict = Again | Ending

#: How an attempt ended; a `RateLimitedError` is our own limiter's: nothing was sent.
Outcome = Response | TransportError | RateLimitedError


def judge(
    outcome: Outcome,
    tries: Tries,
    now: float,
    random: float,
    expected: Scope | None = None,
) -> Verdict:
    """Return the verdict on one outcome of ``POST /oauth/token``."""
    tries = attrs.evolve(tries, attempts=(*tries.attempts, attempt_of(outcome)))
    verdict = _verdict(outcome, tries, now, random, expected)
    if isinstance(verdict, SetAside | Limited) and tries.may_be_consumed:
        return attrs.evolve(verdict, in_doubt=True)
    return verdict


def _verdict(
    outcome: Outcome, tries: Tries, now: float, random: float, expected: Scope | None
) -> Verdict:
    if isinstance(outcome, TransportError):
        if not outcome.retryable:
            return _gave_up(outcome.what, tries)
        return _again(outcome.what, tries, now, random)
    if isinstance(outcome, RateLimitedError):
        unsent = {"attempts": tries.attempts, "phase": tries.phase}
        return _after_limit(outcome.retry_after, unsent, tries, now, random)
    facts = _facts(outcome, tries)
    if outcome.ok:
        return _after_success(outcome, tries, expected, facts)
    if outcome.status == _LIMITED:
        return _after_limit(retry_after_of(outcome), facts, tries, now, random)
    refusal = _refusal(outcome, tries, facts)
    return refusal or _after_failure(outcome, tries, now, random, facts)


def _refusal(
    response: Response, tries: Tries, facts: dict[str, Any]
) -> Refused | SetAside | None:
    status, title = response.status, title_of(response)
    if title.lower() == _MISMATCH:
        what = "the service says that the code's idempotency key belongs to another request"
        return Refused(ExchangeProtocolError(what, **facts))
    if status in _REJECTED:
        what = f"the service refused the code ({status} {title})".rstrip()
        return Refused(CodeRejectedError(what, title=title, **facts))
    if status == _UNAUTHORIZED:
        return SetAside(_unauthorized(tries, facts), COOLDOWN_401)
    if status == _FORBIDDEN:
        error = ExchangeForbiddenError(f"forbidden ({title})", title=title, **facts)
        return SetAside(error, COOLDOWN_403)
    return None


def _unauthorized(tries: Tries, facts: dict[str, Any]) -> ExchangeAuthenticationError:
    if tries.single_key:
        what = "the client assertion or the API key was refused"
        return AssertionRefusedError(what, **facts)
    return ExchangeAuthenticationError("the API key was refused", **facts)


def attempt_of(outcome: Outcome) -> Attempt:
    """Return the record of one outcome."""
    if isinstance(outcome, PersonaError):
        return Attempt(outcome.phase, type(outcome).__name__)
    request_id = shown_id(outcome.headers.get("request-id"))
    return Attempt(Phase.ANSWERED, "answered", outcome.status, request_id)


def title_of(response: Response) -> str:
    """Return the title of the first error, as far as it is a short plain text."""
    title = problem_of(response).title
    # A longer word may be a secret of the request.
    words = (word for word in title.split() if len(word) <= _MAX_WORD)
    return "".join(c for c in " ".join(words)[:80] if c.isascii() and c.isprintable())


def _facts(response: Response, tries: Tries) -> dict[str, Any]:
    return {
        "operation": OPERATION,
        "status": response.status,
        "request_id": shown_id(response.headers.get("request-id")),
        "attempts": tries.attempts,
    }


def _after_success(
    response: Response, tries: Tries, expected: Scope | None, facts: dict[str, Any]
) -> Issued | Refused:
    earlier = attrs.evolve(tries, attempts=tries.attempts[:-1])
    kind = response.headers.get("content-type")
    if kind is not None and not is_json(kind):  # whatever it looks like
        return Refused(ExchangeProtocolError("the response is not JSON", **facts))
    try:
        grant = oauth.parse_token(response.body, expected)
    except ExchangeProtocolError as error:
        return Refused(type(error)(error.what, **facts))
    return Issued(grant, len(tries.attempts), replayed=earlier.may_be_consumed)


def _after_limit(
    wish: float | None,
    facts: dict[str, Any],
    tries: Tries,
    now: float,
    random: float,
) -> Again | Limited:
    reset = RESET_UNKNOWN if wish is None else bounded(wish, RETRY_AFTER).value
    reset = max(reset, RESET_MINIMUM)
    if now + reset >= tries.latest_send:
        what = (
            "too many requests; the rate limit resets later than this exchange may wait"
        )
        error = ExchangeRateLimitedError(what, retry_after=reset, **facts)
        return Limited(error, reset)
    delay = reset + BACKOFF_BASE * random
    return Again(delay, tries.postponed(delay), closed_for=reset)


def _after_failure(
    response: Response,
    tries: Tries,
    now: float,
    random: float,
    facts: dict[str, Any],
) -> Verdict:
    status = response.status
    what = f"the service responded {status}"
    if status in _TRANSIENT:
        return _again(what, tries, now, random)
    if status == _CONFLICT:
        since = now if tries.conflicted_since is None else tries.conflicted_since
        tries = attrs.evolve(tries, conflicted_since=since)
        if now - since >= CONFLICT_PATIENCE:
            return SetAside(
                CodeRejectedError("another request is exchanging this code", **facts)
            )
        delay = _CONFLICT_DELAY * (0.5 + random / 2)
        return Again(delay, tries.postponed(delay))
    if status == _STORED:
        return _after_stored_failure(response, tries, now, random, facts)
    if status > _STORED:
        return _gave_up(what, tries)
    error = ExchangeProtocolError(f"unexpected {what}", **facts)
    return SetAside(error, COOLDOWN_UNKNOWN)


def _after_stored_failure(
    response: Response, tries: Tries, now: float, random: float, facts: dict[str, Any]
) -> Verdict:
    """Ask once more under the same key, then under the key of the next epoch.

    A 500 that reached the idempotency layer is stored and repeated for a day, byte by
    byte; a different one says nothing about what this key holds.
    """
    what = f"the service responded {_STORED}"
    if response.body != tries.stored_failure:
        tries = attrs.evolve(tries, stored_failure=response.body)
        return _again(what, tries, now, random)
    if tries.epoch > 0 or tries.single_key:
        return Refused(CodeRejectedError("the service stored a failure", **facts))
    tries = attrs.evolve(tries, epoch=1, stored_failure=None, failures=1)
    return _again(what, tries, now, random)


def _again(what: str, tries: Tries, now: float, random: float) -> Again | InDoubt:
    failures = tries.failures + 1
    tries = attrs.evolve(tries, failures=failures)
    highest = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** (failures - 1))
    delay = max(highest * random, MIN_DELAY)
    if failures >= MAX_ATTEMPTS or now + delay >= tries.deadline:
        return _gave_up(what, tries)
    return Again(delay, tries)


def _gave_up(what: str, tries: Tries) -> InDoubt:
    error = ExchangeUnavailableError(
        f"no usable response ({what})",
        operation=OPERATION,
        phase=tries.phase,
        attempts=tries.attempts,
    )
    return InDoubt(error, in_doubt=tries.may_be_consumed)
