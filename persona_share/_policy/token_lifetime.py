"""The life of a token as a pure function of time.

    first send ───── FRESH ─────┬─ ADVISORY ──┬─ MANDATORY ──┬─ EXPIRED ─ end
                           refresh_at   mandatory_at     guard_at

The lifetime counts from the first send of the exchange: a response may be a replay,
which repeats the original lifetime. Every window shrinks with the lifetime, so that a
token of three seconds works as well as one of an hour. All times are in seconds.
"""

import enum
from typing import Final

from persona_share.model.policy import RenewalPolicy


_MINUTE: Final = 60.0
#: Below this lifetime callers wait for a refresh only in the last 30 s.
_SHORT_LIFETIME: Final = 1800.0
_SHORT_MANDATORY: Final = 30.0
#: A new token may not be known everywhere at once.
REPLICATION_GRACE: Final = 5.0
#: Two refusals closer than this count as one.
REJECTION_GAP: Final = 0.1
#: The second try with the same token follows after a delay in this range.
REJECTION_DELAY: Final = (0.2, 0.5)
#: A code is not sent shortly before it expires: the response would be too late.
_CODE_MARGIN: Final = 5.0
#: An unused pushed code is exchanged at most this long before it expires, in seconds.
_SAFETY_MARGIN: Final = 60.0
_SAFETY_JITTER: Final = 30.0
#: ... if that makes the scope's cover longer by at least this much.
_MIN_EXTRA_LIFETIME: Final = 300.0


class TokenState(enum.Enum):
    """The phase of a token's lifetime."""

    FRESH = "fresh"
    ADVISORY = "advisory"
    MANDATORY = "mandatory"
    EXPIRED = "expired"


def advisory_window(lifetime: float) -> float:
    """Return how long before its end a token may be refreshed."""
    if lifetime <= 10 * _MINUTE:
        return lifetime / 2
    if lifetime <= 20 * _MINUTE:
        return 5 * _MINUTE
    return min(15 * _MINUTE if lifetime < 90 * _MINUTE else 60 * _MINUTE, lifetime / 2)


def mandatory_window(lifetime: float, policy: RenewalPolicy) -> float:
    """Return how long before its end callers begin to wait for the refresh."""
    short = lifetime < _SHORT_LIFETIME
    latest = min(policy.mandatory, _SHORT_MANDATORY) if short else policy.mandatory
    return min(latest, lifetime / 4)


def guard_window(lifetime: float, policy: RenewalPolicy) -> float:
    """Return how long before its end a token is no longer used."""
    return min(policy.guard, lifetime / 20)


def refresh_window(
    lifetime: float, random: float, policy: RenewalPolicy, *, busy: bool = False
) -> float:
    """Return how long before its end a token is refreshed; ``random`` is in [0, 1).

    Refreshes of tokens issued together spread over two thirds of the advisory window,
    or over more when exchanges already queue up (``busy``).
    """
    latest_start = advisory_window(lifetime)
    must = mandatory_window(lifetime, policy)
    earliest = min(latest_start, max(latest_start / 3, 1.25 * must))
    if busy:
        latest_start = min(latest_start * 5 / 3, lifetime / 2)
    return earliest + (latest_start - earliest) * random


def token_state(
    now: float,
    expires: float,
    refresh_at: float,
    lifetime: float,
    policy: RenewalPolicy,
) -> TokenState:
    """Return the phase of a token's lifetime at this instant."""
    if now >= expires - guard_window(lifetime, policy):
        return TokenState.EXPIRED
    if now >= expires - mandatory_window(lifetime, policy):
        return TokenState.MANDATORY
    return TokenState.ADVISORY if now >= refresh_at else TokenState.FRESH


def scaled(seconds: float, lifetime: float) -> float:
    """Return a delay that suits the lifetime: at most a tenth of it."""
    return min(seconds, lifetime / 10)


def code_deadline(received: float, lifetime: float) -> float:
    """Return the instant after which a code is no longer sent for the first time."""
    return received + lifetime - min(_CODE_MARGIN, lifetime / 20)


def latest_safe_time(deadline: float, received: float, random: float) -> float:
    """Return when a waiting code is best exchanged: late, but not too late.

    A token's life counts from its exchange, so a code that waits adds cover.
    """
    life = deadline - received
    margin = min(_SAFETY_MARGIN, life / 4)
    return deadline - margin - min(_SAFETY_JITTER, life / 8) * random


def adds_lifetime(now: float, expires: float, lifetime: float) -> bool:
    """Return whether an exchange now would add enough to a held token's life."""
    return now + lifetime - expires >= min(_MIN_EXTRA_LIFETIME, lifetime / 12)
