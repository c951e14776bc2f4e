"""Policies: the numbers that a user can set, with the reasons for their defaults."""

import enum
from typing import Any, Final, Literal

import attrs

from persona_share.errors import ConfigurationError


#: The concurrency of a batch: it uses a window of 300 requests within seconds.
CONCURRENCY: Final = 32
#: The number of objects of a batch that share a token.
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
    """Return whether a value is an int or a float, but not NaN or a bool."""
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

    Shorter lifetimes shorten every time, so that a token of three seconds works as well
    as one of an hour. Raises `ConfigurationError` for invalid numbers.
    """

    #: A token is not used in its last seconds: clock skew, and the transit of a request.
    guard: float = attrs.field(default=10.0, validator=_not_negative)
    #: Within this time before the expiry, callers wait for the renewal.
    mandatory: float = _seconds(60.0)
    #: One exchange with all its attempts.
    exchange_budget: float = _seconds(30.0)
    #: One attempt of an exchange.
    attempt_timeout: float = _seconds(10.0)
    #: The timeout of the code source; the partner's system may be slow.
    source_timeout: float = _seconds(60.0)
    #: The lifetime of a code without an expiry; the value is the documented lifetime.
    code_lifetime: float = _seconds(599.0)
    #: The share of the request limit that exchanges may use.
    exchange_share: float = _seconds(0.2)
    #: The size of the cache; expired and idle tokens are evicted first.
    max_tokens: int = attrs.field(default=10_000, validator=_count)
    #: Closing waits this long for exchanges in progress.
    close_timeout: float = attrs.field(default=5.0, validator=_not_negative)
    #: Whether a token that covers more than requested is used without restriction.
    accept_broader: bool = False


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a call is repeated. Delays are in seconds, the budget in tokens.

    ``RetryPolicy(attempts=1)`` switches retries off completely.

    Raises:
        ConfigurationError: A number is invalid.
    """

    #: The first attempt and two retries: more seldom help, and add load to an outage.
    attempts: int = attrs.field(default=3, validator=_count)
    #: The call fails if the service requires a longer wait; a window of 60 s is shorter.
    max_wait: float = attrs.field(default=65.0, validator=_not_negative)
    #: Network errors, and 5xx responses to a read: short delays with full jitter.
    transient_base: float = _seconds(0.25)
    #: The longest of these delays.
    transient_cap: float = _seconds(8.0)
    #: The one retry with the same key after a 5xx response to a POST.
    probe_base: float = _seconds(1.0)
    #: The longest of these delays.
    probe_cap: float = _seconds(8.0)
    #: A new key after a repeated 5xx, and a 429 without a valid header: Persona recommends
    #: 5, 10, 20 and 40 s.
    patient_base: float = _seconds(5.0)
    #: The longest of these delays.
    patient_cap: float = _seconds(40.0)
    #: A token bucket that limits retries during an outage: empty after 35 retries, refilled
    #: by successes (the constants of the AWS SDKs' standard mode, 2026 revision).
    budget: int = attrs.field(default=500, validator=_not_negative)
    #: The cost of a retry after a network error or a 5xx response.
    transient_cost: int = attrs.field(default=14, validator=_not_negative)
    #: The cost of a retry after a 429.
    throttle_cost: int = attrs.field(default=5, validator=_not_negative)


@attrs.frozen(kw_only=True)
class Timeouts:
    """Timeouts in seconds.

    Raises:
        ConfigurationError: A number is invalid.
    """

    #: One connection: DNS, TCP and TLS. It leaves time for another attempt.
    connect: float = _seconds(5.0)
    #: The longest time without a byte, before a response (connecting included) or within
    #: it. It may be noticed two seconds late.
    read: float = _seconds(30.0)
    #: One attempt, even if bytes keep arriving.
    attempt: float = _seconds(60.0)
    #: One call with all attempts and waits, unless the caller sets ``timeout=``.
    call: float = _seconds(100.0)


@attrs.frozen(kw_only=True)
class Pool:
    """The connection pool of a client; times are in seconds.

    Raises:
        ConfigurationError: A number is invalid.
    """

    #: The number of connections; further calls wait for one.
    size: int = attrs.field(default=200, validator=_count)
    #: The longest wait for a connection.
    patience: float = _seconds(30.0)
    #: Shorter than the idle timeout of common load balancers, so few connections are stale.
    keepalive: float = _seconds(15.0)
    #: The lifetime of a DNS result.
    dns_ttl: float = _seconds(60.0)


class RateLimitMode(enum.StrEnum):
    """How a client avoids exceeding the rate limit."""

    #: Send without delay until the window is used up, then wait for the next one.
    WINDOW = "window"
    #: Send without delay until a response is 429, then delay every call.
    AFTER_429 = "after_429"
    #: Do not coordinate calls.
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
    """How calls wait for the rate limit, which responses report. Times are in seconds.

    Raises:
        ConfigurationError: The mode or a number is invalid.
    """

    mode: RateLimitMode = attrs.field(default=RateLimitMode.WINDOW, converter=_mode)
    #: The longest wait of one call; None waits until its deadline.
    max_wait: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_not_negative)
    )
    #: If a probe gets no response for this long, another one is sent.
    probe_patience: float = _seconds(1.0)
    #: The wait after a 429 without a valid header; Persona recommends 5 s at first.
    reset_unknown: float = _seconds(5.0)
    #: A later reset is ignored, and a probe is sent.
    longest_reset: float = _seconds(3600.0)
