"""The record through which several processes share one rate-limit window.

The first block of a process is its equal share, by the number of processes that used
the window before; until that is known, and later, a block is at most an eighth of the
remaining slots. One slot is reserved, as in each process's limiter. An implausible
record counts as unknown and is replaced, so that a wrong number is corrected.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import attrs
import orjson

from persona_share._protocol.limits import LimitState


#: A window with a later end is implausible, in seconds from now.
MAX_WINDOW: Final = 900.0
#: While one process probes the window, the others wait this long, in seconds.
PROBE: Final = 1.0
#: How often a process polls for the result of the probe, in seconds.
_PROBE_POLL: Final = 0.05
#: Processes that wait for the same instant are spread by this much, in seconds.
_SPACING: Final = 0.01
#: How many processes are assumed while their number is unknown.
_EXPECTED: Final = 8
_MAX_SPREAD: Final = 1.0
#: A reset of less than this was rounded down to nothing, in seconds.
_ROUNDING: Final = 1.0
#: Ends of windows that differ by less than this are of the same window, in seconds:
#: resets are rounded to whole seconds, and responses have latency.
_SAME_WINDOW: Final = 3.0
_PART: Final = 8
#: A smaller block is not worth a write.
_LEAST_BLOCK: Final = 4
_MAX_SLOTS: Final = 1_000_000
#: How many reservations to keep, to recognize a write whose response was lost.
_MAX_RESERVATIONS: Final = 16

_Reservation = tuple[str, int]


@attrs.frozen
class SharedLimit:
    """The state of the window; ``left`` is the number of slots still available.

    ``ends`` and ``probe_until`` are times of the store's clock. ``size`` is the initial
    number of slots; ``takers`` and ``takers_before`` count the processes that acquired
    some in it and in the window before.
    """

    ends: float = 0.0
    left: int = 0
    probe_until: float = 0.0
    size: int = 0
    takers: int = 0
    takers_before: int = 0
    reservations: tuple[_Reservation, ...] = ()


@attrs.frozen
class Share:
    """Slots of a window, valid for so many seconds; without slots, wait so long.

    ``probing``: the window is unknown until the response to one call.
    """

    calls: int
    seconds: float
    probing: bool = False


def take(
    limit: SharedLimit,
    *,
    now: float,
    wanted: int,
    seen: LimitState | None,
    reservation: str,
    first: bool = False,
    random: float = 0.0,
) -> tuple[SharedLimit, Share]:
    """Acquire slots for a process, and apply the state that a response showed.

    ``reservation`` is a new random id; the same id gets the same slots again.
    ``first``: this process has acquired none in this window yet.
    """
    limit = _plausible(limit, now)
    for known, slots in limit.reservations:
        if known == reservation:
            return limit, Share(slots, max(limit.ends - now, 0.0))
    if seen is not None:
        limit = _updated(limit, now, seen)
    takers = max(limit.takers_before, limit.takers, _EXPECTED)
    spread = min(_SPACING * takers, _MAX_SPREAD)
    if now >= limit.ends:
        return _probe(limit, now, wanted, reservation, spread * random)
    if wanted <= 0:
        return limit, Share(0, limit.ends - now)
    slots = min(wanted, limit.left, _block(limit, first=first))
    if slots <= 0:
        # Spread, because most processes would lose a race for the new window.
        return limit, Share(0, min(limit.ends - now + spread * random, MAX_WINDOW))
    limit = attrs.evolve(
        limit,
        left=limit.left - slots,
        takers=limit.takers + first,
        reservations=_with_reservation(limit, reservation, slots),
    )
    return limit, Share(slots, limit.ends - now)


def _block(limit: SharedLimit, *, first: bool) -> int:
    """Return the most slots that a process may acquire at once."""
    if first and limit.takers_before:
        takers = max(limit.takers_before, limit.takers + 1)
        return max(-(-limit.size // takers), 1)
    return max(limit.left // _PART, _LEAST_BLOCK)


def to_bytes(limit: SharedLimit) -> bytes:
    """Write a record."""
    return orjson.dumps(attrs.astuple(limit, recurse=False))


def from_bytes(data: bytes | None) -> SharedLimit:
    """Read a record; one that cannot be read counts as unknown."""
    try:
        ends, left, probe_until, *counts, reservations = orjson.loads(data or b"")
        size, takers, takers_before = map(int, counts)
        return SharedLimit(
            ends=_finite(ends),
            left=int(left),
            probe_until=_finite(probe_until),
            size=size,
            takers=takers,
            takers_before=takers_before,
            reservations=tuple(map(_reservation, reservations)),
        )
    except (ValueError, TypeError):
        return SharedLimit()


def ttl(limit: SharedLimit, now: float) -> float:
    """Return how long a record is worth keeping, in seconds."""
    return min(max(limit.ends - now, 0.0), MAX_WINDOW) + 60.0


def _plausible(limit: SharedLimit, now: float) -> SharedLimit:
    """Return the record, or an empty one if it is implausible."""
    sound = (
        limit.ends <= now + MAX_WINDOW
        and 0 <= limit.left <= limit.size <= _MAX_SLOTS
        and 0 <= limit.takers <= _MAX_SLOTS
        and 0 <= limit.takers_before <= _MAX_SLOTS
        and limit.probe_until <= now + PROBE
        and len(limit.reservations) <= _MAX_RESERVATIONS
    )
    return limit if sound else SharedLimit()


def _updated(limit: SharedLimit, now: float, seen: LimitState) -> SharedLimit:
    # The current window has more than 0 s: that reset was rounded down.
    ends = now + min(max(seen.reset, 0.0) or _ROUNDING, MAX_WINDOW)
    left = min(max(seen.remaining - 1, 0), _MAX_SLOTS)
    if now >= limit.ends or ends > limit.ends + _SAME_WINDOW:
        return SharedLimit(ends=ends, left=left, size=left, takers_before=limit.takers)
    if ends < limit.ends - _SAME_WINDOW:
        return limit  # a response of an older window
    # A difference by rounding alone is not worth a write.
    return attrs.evolve(limit, left=min(limit.left, left))


def _probe(
    limit: SharedLimit, now: float, wanted: int, reservation: str, spread: float
) -> tuple[SharedLimit, Share]:
    """Let one process send one call, whose response shows the state of the window."""
    if now < limit.probe_until:
        wait = min(limit.probe_until - now, _PROBE_POLL + spread)
        return limit, Share(0, wait, probing=True)
    if wanted <= 0:
        return limit, Share(0, 0.0, probing=True)
    probing = SharedLimit(
        ends=limit.ends,
        probe_until=now + PROBE,
        takers=limit.takers,
        reservations=_with_reservation(limit, reservation, 1),
    )
    return probing, Share(1, PROBE, probing=True)


def _with_reservation(
    limit: SharedLimit, reservation: str, slots: int
) -> tuple[_Reservation, ...]:
    return (*limit.reservations, (reservation, slots))[-_MAX_RESERVATIONS:]


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        message = "not a time"
        raise ValueError(message)
    return number


def _reservation(value: Sequence[Any]) -> _Reservation:
    name, slots = value
    return str(name), int(slots)
