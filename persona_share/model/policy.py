"""Every number that can be set, with its reason beside it."""

import enum
from typing import Any, Final, Literal

import attrs

from persona_share.errors import ConfigurationError


#: A batch makes so many calls at once: they spend a window of 300 within seconds.
CONCURRENCY: Final = 32
#: So many objects of a batch share a token, and its code.
OBJECTS_PER_TOKEN: Final = 100


def _above_0(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if not is_number(value) or not value > 0:
        message = f"{field.name} must be a number above 0, not {_shown(value)}"
        raise ConfigurationError(message)


def _not_negative(_: object, field: "attrs.Attribute[Any]", value: Any) -> None:
    if not is_number(value) or not value >= 0:
        message = f"{field.name} must be a number of 0 or more, not {_shown(value)}"
        raise ConfigurationError(message)


def _count(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        message = (
            f"{field.name} must be a whole number of 1 or more, not {_shown(value)}"
        )
        raise ConfigurationError(message)


def is_number(value: object) -> bool:
    """Return whether this is an int or a float, and not NaN or a bool."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value == value  # noqa: PLR0124 - NaN is not equal to itself
    )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, int | float) else type(value).__name__


def _seconds(default: float) -> float:
    return attrs.field(default=default, validator=_above_0)


@attrs.frozen(kw_only=True)
class RenewalPolicy:
    """When a token is renewed and how an exchange behaves. Times are in seconds.

    Every window shrinks with the lifetime, so that a token of three seconds works as
    well as one of an hour. Raises `ConfigurationError` for numbers that cannot be.
    """

    # A token is not handed out in its last moments: clock skew plus a request's transit.
    guard: float = attrs.field(default=10.0, validator=_not_negative)
    # From this long before the end callers wait for the renewal.
    mandatory: float = _seconds(60.0)
    # One exchange with all its attempts.
    exchange_budget: float = _seconds(30.0)
    # One attempt of an exchange.
    attempt_timeout: float = _seconds(10.0)
    # The partner's system may be slow: a request to the code source may take this long.
    source_timeout: float = _seconds(60.0)
    # How long a code lives if nobody says so: the lifetime in the documentation.
    code_lifetime: float = _seconds(599.0)
    # The share of the request limit that exchanges may use.
    exchange_share: float = _seconds(0.2)
    # More tokens are not held; expired and idle ones are dropped first.
    max_tokens: int = attrs.field(default=10_000, validator=_count)
    # Closing waits this long for exchanges that were sent.
    close_timeout: float = attrs.field(default=5.0, validator=_not_negative)
    # Whether a token that covers more than was asked for is used without restriction.
    accept_broader: bool = False


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is repeated. Delays are in seconds, the budget in tokens.

    ``RetryPolicy(attempts=1)`` switches retries off completely.

    Raises:
        ConfigurationError: a number cannot be used.
    """

    # The first try and two more: a third repetition seldom helps and triples a storm.
    attempts: int = attrs.field(default=3, validator=_count)
    # If the service asks for a longer wait the call fails; one window of 60 s fits in.
    max_wait: float = attrs.field(default=65.0, validator=_not_negative)
    # Network faults and 5xx of a read: soon, with full jitter.
    transient_base: float = _seconds(0.25)
    transient_cap: float = _seconds(8.0)
    # The one repetition under the same key after a 5xx to a POST.
    probe_base: float = _seconds(1.0)
    probe_cap: float = _seconds(8.0)
    # A new key after a repeated 5xx, and a 429 without a usable header: the service's
    # own advice is 5, 10, 20, 40 s.
    patient_base: float = _seconds(5.0)
    patient_cap: float = _seconds(40.0)
    # A bucket, so that a dead service is not hammered: empty after 35 retries, refilled
    # by success (the constants of the AWS SDKs' standard mode, 2026 revision).
    budget: int = attrs.field(default=500, validator=_not_negative)
    transient_cost: int = attrs.field(default=14, validator=_not_negative)
    throttle_cost: int = attrs.field(default=5, validator=_not_negative)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long things may take, in seconds.

    Raises:
        ConfigurationError: a number cannot be used.
    """

    # One connection: name, TCP, TLS. A black hole must leave time for another try.
    connect: float = _seconds(5.0)
    # The longest silence: before an answer, connecting included, or within it. It may
    # be noticed two seconds late.
    read: float = _seconds(30.0)
    # One attempt, however lively: one byte a second must not hold a call for ever.
    attempt: float = _seconds(60.0)
    # One call with all its attempts and waits, unless the caller sets a deadline.
    call: float = _seconds(100.0)


@attrs.frozen(kw_only=True)
class Pool:
    """The connections that a client holds; times are in seconds.

    Raises:
        ConfigurationError: a number cannot be used.
    """

    # That many calls are under way at once; more wait for a connection.
    size: int = attrs.field(default=200, validator=_count)
    # A longer wait means that the concurrency is too high for the pool.
    patience: float = _seconds(30.0)
    # Shorter than the idle limit of common load balancers, so that few are stale.
    keepalive: float = _seconds(15.0)
    # Often enough to follow a change of address, seldom enough to cost nothing.
    dns_ttl: float = _seconds(60.0)


class RateLimitMode(enum.StrEnum):
    """What is done so that the service's rate limit is not exceeded."""

    # Spend the window as fast as callers come, then wait for the next one.
    WINDOW = "window"
    # Delay nothing until an answer was 429, then hold every call back.
    AFTER_429 = "after_429"
    # Each call for itself.
    OFF = "off"


def _mode(
    value: RateLimitMode | Literal["window", "after_429", "off"],
) -> RateLimitMode:
    for mode in RateLimitMode:
        if value == mode:
            return mode
    message = f"the mode of a rate limit must be one of {', '.join(RateLimitMode)}"
    raise ConfigurationError(message)


@attrs.frozen(kw_only=True)
class RateLimitPolicy:
    """How calls wait for the rate limit; the limit itself is learned. In seconds.

    Raises:
        ConfigurationError: the mode or a number cannot be used.
    """

    mode: RateLimitMode = attrs.field(default=RateLimitMode.WINDOW, converter=_mode)
    # The longest that one call waits for the limit; None waits until its deadline.
    max_wait: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_not_negative)
    )
    # A probe that stays unanswered for so long is followed by another one.
    probe_patience: float = _seconds(1.0)
    # What the service advises to wait at first where it does not say how long.
    reset_unknown: float = _seconds(5.0)
    # A later reset is not believed: a call goes to find out.
    longest_reset: float = _seconds(3600.0)
