"""What one answer to an exchange means: a pure decision.

A code works once, so the question is never "try again?" alone, but "with which code,
under which key, and what became of the code?".
"""

from typing import Any, Final

import attrs

from persona_share._protocol import oauth
from persona_share._protocol.http import Response
from persona_share._protocol.limits import wish_of
from persona_share._protocol.problems import is_json
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
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope


_TRANSIENT: Final = frozenset({408, 502, 503, 504})
_STORED: Final = 500
_REJECTED: Final = frozenset({400, 404, 410, 422})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_LIMITED: Final = 429
# Answers that are given before the code is looked at.
_HARMLESS: Final = frozenset({401, 403, 429})
_LONGEST_WORD: Final = 16
_MISMATCH: Final = "idempotency error"


@attrs.frozen
class Tries:
    """What has been tried for one code: under which key, how often, until when.

    ``deadline`` ends the exchange; waits that the service asks for move it, but never
    past ``last_moment``, when the code itself ends. A signed assertion goes with one
    key only (``single_key``): a new key must carry a new one. ``in_doubt``: an earlier
    exchange of this code may have used it up.
    """

    deadline: float
    last_moment: float
    epoch: int = 0
    attempts: tuple[Attempt, ...] = ()
    stored_failure: bytes | None = attrs.field(default=None, repr=False)
    single_key: bool = False
    in_doubt: bool = False
    conflicted_since: float | None = None

    def put_off(self, seconds: float) -> "Tries":
        """Answer the same with so much more time, as far as the code lives."""
        later = min(self.last_moment, self.deadline + seconds)
        return attrs.evolve(self, deadline=later)

    @property
    def may_have_landed(self) -> bool:
        """Whether any attempt may have used the code up."""
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
class Minted:
    """A token came; ``replayed``: an attempt before may have brought it about."""

    grant: oauth.Grant
    attempts: int = 1
    replayed: bool = False


@attrs.frozen
class Again:
    """Ask again after ``delay`` seconds: same code, same form, the key of ``epoch``."""

    delay: float
    tries: Tries
    closed_for: float = 0.0


@attrs.frozen
class Rejected:
    """The service refused this code; another one may do."""

    error: TokenError


@attrs.frozen
class Blocked:
    """The exchange cannot go on, but the code is still good."""

    error: TokenError
    cooldown: float


@attrs.frozen
class InDoubt:
    """Nobody knows what became of the code; it is never sent under another key.

    ``replayable``: the same question under the same key may still bring its answer.
    """

    error: TokenError
    replayable: bool = False
    cooldown: float | None = None


Ending = Minted | Rejected | Blocked | InDoubt
Verdict = Again | Ending


@attrs.frozen
class Dice:
    """The instant and the roll that a decision is made with."""

    now: float
    random: float


#: How an attempt ended; a `RateLimitedError` is our own gate's, and nothing was sent.
Outcome = Response | TransportError | RateLimitedError


def judge(
    outcome: Outcome,
    tries: Tries,
    dice: Dice,
    policy: RenewalPolicy,
    expected: Scope | None = None,
) -> Verdict:
    """Answer what one outcome of ``POST /oauth/token`` means for code and caller."""
    tries = attrs.evolve(tries, attempts=(*tries.attempts, attempt_of(outcome)))
    verdict = _verdict(outcome, tries, dice, policy, expected)
    if isinstance(verdict, Blocked) and tries.may_have_landed:
        return InDoubt(verdict.error, replayable=True, cooldown=verdict.cooldown)
    return verdict


def _verdict(
    outcome: Outcome,
    tries: Tries,
    dice: Dice,
    policy: RenewalPolicy,
    expected: Scope | None,
) -> Verdict:
    if isinstance(outcome, TransportError):
        return _after_silence(outcome, tries, dice, policy)
    if isinstance(outcome, RateLimitedError):
        unsent = {"attempts": tries.attempts, "phase": tries.phase}
        return _after_limit(outcome.retry_after, unsent, tries, dice, policy)
    facts = _facts(outcome, tries)
    if outcome.ok:
        return _after_success(outcome, tries, expected, facts)
    if outcome.status == _LIMITED:
        return _after_limit(wish_of(outcome), facts, tries, dice, policy)
    refusal = _refusal(outcome, tries, facts, policy)
    return refusal or _after_failure(outcome, tries, dice, policy, facts)


def _refusal(
    response: Response, tries: Tries, facts: dict[str, Any], policy: RenewalPolicy
) -> Ending | None:
    """Answer what a refusal means, or None where it is no refusal."""
    status, title = response.status, title_of(response)
    if title.lower() == _MISMATCH:
        what = "the service takes the code's key for another request's"
        return InDoubt(ExchangeProtocolError(what, **facts))
    if status in _REJECTED:
        what = f"the service refused the code ({status} {title})".rstrip()
        return Rejected(CodeRejectedError(what, title=title, **facts))
    if status == _UNAUTHORIZED:
        return Blocked(_unauthorized(tries, facts), policy.cooldown_of_401)
    if status == _FORBIDDEN:
        forbidden = ExchangeForbiddenError(f"forbidden ({title})", title=title, **facts)
        return Blocked(forbidden, policy.cooldown_of_403)
    return None


def _unauthorized(tries: Tries, facts: dict[str, Any]) -> ExchangeAuthenticationError:
    if tries.single_key:
        what = "the client's assertion was refused, or else the API key"
        return AssertionRefusedError(what, **facts)
    return ExchangeAuthenticationError("the API key was refused", **facts)


def attempt_of(outcome: Outcome) -> Attempt:
    """Answer the record of one outcome."""
    if isinstance(outcome, PersonaError):
        return Attempt(outcome.phase, type(outcome).__name__)
    request_id = shown_id(outcome.headers.get("request-id"))
    return Attempt(Phase.ANSWERED, "answered", outcome.status, request_id)


def title_of(response: Response) -> str:
    """Answer the title of the first error, as far as it is a short plain text."""
    try:
        title = oauth.first_title(response.body)
    except ValueError:
        return ""
    # A word this long is no English: it may be what we sent, echoed.
    words = (word for word in title.split() if len(word) <= _LONGEST_WORD)
    return "".join(c for c in " ".join(words)[:80] if c.isascii() and c.isprintable())


def _facts(response: Response, tries: Tries) -> dict[str, Any]:
    return {
        "operation": "POST /oauth/token",
        "status": response.status,
        "request_id": shown_id(response.headers.get("request-id")),
        "attempts": tries.attempts,
    }


def _after_success(
    response: Response, tries: Tries, expected: Scope | None, facts: dict[str, Any]
) -> Verdict:
    earlier = attrs.evolve(tries, attempts=tries.attempts[:-1])
    kind = response.headers.get("content-type")
    if kind is not None and not is_json(kind):  # whatever it looks like (T17)
        return InDoubt(ExchangeProtocolError("the answer is not JSON", **facts))
    try:
        grant = oauth.granted(response.body, expected)
        return Minted(grant, len(tries.attempts), replayed=earlier.may_have_landed)
    except ExchangeProtocolError as error:
        return InDoubt(type(error)(error.what, **facts))


def _after_silence(
    error: TransportError, tries: Tries, dice: Dice, policy: RenewalPolicy
) -> Verdict:
    if not error.retryable:
        return _gave_up(error.what, tries)
    return _again(error.what, tries, dice, policy)


def _after_limit(
    wish: float | None,
    facts: dict[str, Any],
    tries: Tries,
    dice: Dice,
    policy: RenewalPolicy,
) -> Verdict:
    reset = policy.reset_unknown if wish is None else max(wish, policy.reset_shortest)
    if dice.now + reset >= tries.last_moment:
        what = "too many requests, for longer than this exchange may wait"
        return Blocked(
            ExchangeRateLimitedError(what, retry_after=reset, **facts), reset
        )
    delay = reset + policy.backoff_base * dice.random
    return Again(delay, tries.put_off(delay), closed_for=reset)


def _after_failure(
    response: Response,
    tries: Tries,
    dice: Dice,
    policy: RenewalPolicy,
    facts: dict[str, Any],
) -> Verdict:
    status = response.status
    what = f"the service answered {status}"
    if status in _TRANSIENT:
        return _again(what, tries, dice, policy)
    if status == _CONFLICT:
        since = dice.now if tries.conflicted_since is None else tries.conflicted_since
        if dice.now - since > policy.conflict_patience:
            return Rejected(CodeRejectedError("another request holds it", **facts))
        return _again(what, attrs.evolve(tries, conflicted_since=since), dice, policy)
    if status == _STORED:
        return _after_stored_failure(response, tries, dice, policy)
    if status > _STORED:
        return _gave_up(what, tries)
    return Blocked(
        ExchangeProtocolError(f"unexpected {what}", **facts), policy.cooldown_cap
    )


def _after_stored_failure(
    response: Response, tries: Tries, dice: Dice, policy: RenewalPolicy
) -> Verdict:
    """Probe once under the same key, then once under the key of the next epoch.

    A 500 that reached the idempotency layer is stored and comes back for a day, to the
    letter; another one says nothing about what this key holds.
    """
    what = f"the service answered {_STORED}"
    if tries.epoch > 0:
        return _gave_up(what, tries)
    if response.body != tries.stored_failure:
        tries = attrs.evolve(tries, stored_failure=response.body)
        return _again(what, tries, dice, policy)
    if tries.single_key:
        failed = CodeRejectedError("the service stored a failure", status=_STORED)
        return Rejected(failed)
    return _again(what, attrs.evolve(tries, epoch=1), dice, policy)


def _again(what: str, tries: Tries, dice: Dice, policy: RenewalPolicy) -> Verdict:
    tried = len(tries.attempts)
    highest = min(policy.backoff_cap, policy.backoff_base * 2 ** (tried - 1))
    delay = max(highest * dice.random, policy.strike_gap)
    if tried >= policy.exchange_attempts or dice.now + delay >= tries.deadline:
        return _gave_up(what, tries)
    return Again(delay, tries)


def _gave_up(what: str, tries: Tries) -> Verdict:
    error = ExchangeUnavailableError(
        f"no usable answer ({what})",
        operation="POST /oauth/token",
        phase=tries.phase,
        attempts=tries.attempts,
    )
    if tries.phase is Phase.NOT_SENT:
        return Blocked(error, 0.0)
    return InDoubt(error, replayable=True)
