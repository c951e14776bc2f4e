"""Every number that can be set, with its reason beside it."""

import enum
from typing import Final

import attrs


#: A batch makes so many calls at once: they spend a window of 300 within seconds.
CONCURRENCY: Final = 32
#: So many objects of a batch share a token, and its code.
OBJECTS_PER_TOKEN: Final = 100


@attrs.frozen(kw_only=True)
class RenewalPolicy:
    """When a token is renewed and how an exchange behaves. All in seconds.

    Every window shrinks with the lifetime, so that a token of three seconds lives as
    well as one of an hour.
    """

    # A token is not handed out in its last moments: skew plus a request's transit.
    guard: float = 10.0
    # From here on callers wait for the renewal: one whole exchange fits in.
    mandatory: float = 60.0
    mandatory_of_short: float = 30.0
    short_lifetime: float = 1800.0
    # The partner's system may be slow: one exchange may take this long, in all.
    exchange_budget: float = 30.0
    exchange_attempts: int = 4
    attempt_timeout: float = 10.0
    # Full jitter between the attempts of one exchange.
    backoff_base: float = 0.25
    backoff_cap: float = 2.0
    # A 409 means that the same code is at work elsewhere; that may take this long.
    conflict_patience: float = 5.0
    # After a 429: where no header tells the reset, and where it says "now".
    reset_unknown: float = 5.0
    reset_shortest: float = 1.0
    # A code is not sent in its last moments: its answer would come too late.
    code_minimum_life: float = 40.0
    code_margin: float = 5.0
    # What the documentation shows, where nobody told how long a code lives.
    assumed_code_lifetime: float = 599.0
    # A pushed code is kept until its last safe moment, if that adds this much cover.
    last_moment: float = 60.0
    last_moment_jitter: float = 30.0
    worthwhile_cover: float = 300.0
    # After a failure: full jitter that doubles, never longer than callers can bear.
    cooldown_base: float = 1.0
    cooldown_cap: float = 60.0
    # A refused API key and a closed API do not heal by themselves.
    cooldown_of_401: float = 60.0
    cooldown_of_403: float = 300.0
    # Several codes refused in a row: the fault is not in the codes; keep the rest.
    breaker_codes: int = 3
    breaker_window: float = 60.0
    breaker_pause: float = 30.0
    # One flight may ask the code source this often: a bad code may be followed by one.
    fresh_codes: int = 2
    source_timeout: float = 60.0
    source_backoff_base: float = 2.0
    source_backoff_cap: float = 300.0
    # A new token may not be known everywhere at once.
    replication_grace: float = 5.0
    # One stray 401 must not cost a code: the second, this much later, decides.
    strike_gap: float = 0.1
    strike_delay: tuple[float, float] = (0.2, 0.5)
    # A token that keeps being refused is not bought anew for ever.
    revocations: int = 2
    revocation_window: float = 600.0
    # The share of the request limit that exchanges may use, and what renewals leave.
    pacing_share: float = 0.2
    pacing_reserve: float = 0.3
    # Memory.
    most_tokens: int = 10_000
    most_codes: int = 1024
    most_codes_a_scope: int = 8
    # The background looks at least this often, so that a suspension is noticed.
    tick: float = 15.0
    # Closing waits this long for exchanges that were sent.
    drain: float = 5.0
    # Serve only a token of exactly the session's scope, never a wider one.
    exact_only: bool = False


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is repeated. Delays are in seconds, the budget in tokens.

    ``RetryPolicy(attempts=1)`` switches retries off completely.
    """

    # The first try and two more: a third repetition seldom helps and triples a storm.
    attempts: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    # A longer wish of the server is answered by an error: one window of 60 s fits in.
    max_wait: float = 65.0
    # Network faults and 5xx of a read: soon, with full jitter.
    transient_base: float = 0.25
    transient_cap: float = 8.0
    # The one probe under the same key after a 5xx to a POST.
    probe_base: float = 1.0
    probe_cap: float = 8.0
    # A new key after a repeated 5xx, and a 429 without a usable header: the service's
    # own advice is 5, 10, 20, 40 s.
    patient_base: float = 5.0
    patient_cap: float = 40.0
    # A bucket, so that a dead service is not hammered: empty after 35 retries, refilled
    # by success (the constants of the AWS SDKs' standard mode, 2026 revision).
    budget: int = 500
    transient_cost: int = 14
    throttle_cost: int = 5


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long things may take, in seconds."""

    # One connection: name, TCP, TLS. A black hole must leave time for another try.
    connect: float = 5.0
    # The longest silence: before an answer, connecting included, or within it. It may
    # be noticed two seconds late.
    read: float = 30.0
    # One attempt, however lively: one byte a second must not hold a call for ever.
    attempt: float = 60.0
    # One call with all its attempts and waits, unless the caller sets a deadline.
    call: float = 100.0


@attrs.frozen(kw_only=True)
class Pool:
    """The connections that a client holds; times are in seconds."""

    # That many calls travel at once; more wait for a place.
    size: int = attrs.field(default=200, validator=attrs.validators.ge(1))
    # A longer wait means that the concurrency is too high for the pool.
    patience: float = 30.0
    # Shorter than the idle limit of common load balancers, so that few are stale.
    keepalive: float = 15.0
    # Often enough to follow a change of address, seldom enough to cost nothing.
    dns_ttl: float = 60.0


class RateLimitMode(enum.StrEnum):
    """What is done so that the service's rate limit is not exceeded."""

    # Spend the window as fast as callers come, then wait for the next one.
    GATE = "gate"
    # Delay nothing until somebody was answered 429, then stop everybody.
    AFTER_429 = "after_429"
    # Each call for itself.
    OFF = "off"


@attrs.frozen(kw_only=True)
class RateLimitPolicy:
    """How calls are held back; the limit itself is learned. Times are in seconds."""

    mode: RateLimitMode = attrs.field(
        default=RateLimitMode.GATE, converter=RateLimitMode
    )
    # A probe that stays unanswered for so long is followed by another one.
    probe_patience: float = 1.0
    # What the service advises to wait at first where it does not say how long.
    reset_unknown: float = 5.0
    # A longer wish is not believed without asking again.
    longest_wait: float = 3600.0
