"""The life of a token as a pure function of time.

    sent ──────────── FRESH ────────────┬─ ADVISORY ─┬─ MANDATORY ─┬─ EXPIRED ─ end
                                    refresh_at   mandatory_at   guard_at

The end counts from the first send of the exchange: an answer may be a replay, which
repeats the original lifetime (idempotence page).
"""

import enum
from typing import Final

import attrs

from persona_share.model.policy import RenewalPolicy


_MINUTE: Final = 60.0


class Standing(enum.Enum):
    """Where a token stands in its life."""

    FRESH = "fresh"
    ADVISORY = "advisory"
    MANDATORY = "mandatory"
    EXPIRED = "expired"


@attrs.frozen
class Windows:
    """How long before its end a token enters each window, in seconds."""

    refresh: float
    mandatory: float
    guard: float


def advisory(lifetime: float) -> float:
    """Answer how long before its end a token of this lifetime may be renewed."""
    if lifetime <= 10 * _MINUTE:
        return lifetime / 2
    if lifetime <= 20 * _MINUTE:
        return 5 * _MINUTE
    return min(15 * _MINUTE if lifetime < 90 * _MINUTE else 60 * _MINUTE, lifetime / 2)


def mandatory(lifetime: float, policy: RenewalPolicy) -> float:
    """Answer how long before its end callers begin to wait for the renewal."""
    short = lifetime < policy.short_lifetime
    return min(policy.mandatory_of_short if short else policy.mandatory, lifetime / 4)


def guard(lifetime: float, policy: RenewalPolicy) -> float:
    """Answer how long before its end a token is no longer handed out."""
    return min(policy.guard, lifetime / 20)


def windows(
    lifetime: float, random: float, policy: RenewalPolicy, *, pressed: bool = False
) -> Windows:
    """Draw the windows of a new token; ``random`` in [0, 1) spreads renewals.

    Renewals of tokens minted together are spread over two thirds of the advisory
    window; when exchanges queue up (``pressed``) the window is stretched by two thirds.
    """
    latest_start = advisory(lifetime)
    must = mandatory(lifetime, policy)
    earliest = min(latest_start, max(latest_start / 3, 1.25 * must))
    if pressed:
        latest_start = min(latest_start * 5 / 3, lifetime / 2)
    refresh = earliest + (latest_start - earliest) * random
    return Windows(refresh, min(must, refresh), guard(lifetime, policy))


def standing(
    now: float, ends: float, refresh_at: float, lifetime: float, policy: RenewalPolicy
) -> Standing:
    """Answer where a token stands at this instant."""
    if now >= ends - guard(lifetime, policy):
        return Standing.EXPIRED
    if now >= ends - mandatory(lifetime, policy):
        return Standing.MANDATORY
    return Standing.ADVISORY if now >= refresh_at else Standing.FRESH


def shortened(seconds: float, lifetime: float) -> float:
    """Answer a delay that suits this lifetime: a tenth of it at the most."""
    return min(seconds, lifetime / 10)


def cooldown(
    failures: int, random: float, policy: RenewalPolicy, left: float | None = None
) -> float:
    """Answer the pause after so many failures in a row: full jitter, never 0.

    While a token lives (``left`` until its guard) the pause is a quarter of that at
    the most, so that there is time for more than one try.
    """
    highest = min(
        policy.cooldown_cap, policy.cooldown_base * 2.0 ** min(max(failures - 1, 0), 16)
    )
    pause = max(highest * random, policy.cooldown_base / 10)
    return pause if left is None else max(min(pause, left / 4), 0.01)


def source_backoff(failures: int, random: float, policy: RenewalPolicy) -> float:
    """Answer the pause after a code source failed so many times in a row."""
    highest = min(
        policy.source_backoff_cap,
        policy.source_backoff_base * 2.0 ** min(max(failures - 1, 0), 16),
    )
    return highest * (0.5 + random / 2)


def code_deadline(
    received_at: float, lifetime: float | None, policy: RenewalPolicy
) -> float:
    """Answer the instant after which a code is no longer sent."""
    known = policy.assumed_code_lifetime if lifetime is None else lifetime
    return received_at + known - min(policy.code_margin, known / 20)


def last_safe_moment(
    deadline: float, received_at: float, random: float, policy: RenewalPolicy
) -> float:
    """Answer when a waiting code is best exchanged: late, but not too late.

    A token's life counts from its exchange, so that a code kept waiting adds cover.
    """
    life = deadline - received_at
    margin = min(policy.last_moment, life / 4)
    return deadline - margin - min(policy.last_moment_jitter, life / 8) * random


def is_worthwhile(
    now: float, ends: float, lifetime: float, policy: RenewalPolicy
) -> bool:
    """Answer whether an exchange now would add enough cover to what is held."""
    return now + lifetime - ends >= min(policy.worthwhile_cover, lifetime / 12)


def code_is_sendable(
    now: float, deadline: float, received_at: float, policy: RenewalPolicy
) -> bool:
    """Answer whether a code has enough life left to begin its exchange."""
    life = deadline - received_at
    return now + min(policy.code_minimum_life, life / 10) <= deadline
