"""The record with which several processes spend one rate-limit window together.

The first block of a process is its equal share, by the number of processes that spent
the window before; until that is known, and later, a block is at most an eighth of what
remains. One slot is held back, as each process's limiter does. A record that makes no
sense counts as unknown and is replaced, so that a wrong number heals.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import attrs
import orjson

from persona_share._protocol.limits import LimitState


#: A window that ends later than this from now is not believed, in seconds.
LONGEST_WINDOW: Final = 900.0
#: While one process finds out how the window stands, the others wait, in seconds.
PROBE: Final = 1.0
#: How long a process waits before it asks again what the probe found out, in seconds.
_PROBE_POLL: Final = 0.05
#: Processes that wait for the same instant come this far apart, in seconds.
_SPACING: Final = 0.01
#: How many processes are expected while nothing is known of them.
_EXPECTED: Final = 8
_LONGEST_SPREAD: Final = 1.0
#: A reset of less than this was rounded down to nothing, in seconds.
_ROUNDING: Final = 1.0
#: Ends of windows that differ by less than this are of the same window, in seconds:
#: resets are rounded to whole seconds, and answers travel.
_SAME_WINDOW: Final = 3.0
_PART: Final = 8
#: A smaller block costs a write for hardly any calls.
_LEAST_BLOCK: Final = 4
_MOST_SLOTS: Final = 1_000_000
#: So many reservations are remembered, to recognize a write whose answer was lost.
_MOST_RESERVATIONS: Final = 16

_Reservation = tuple[str, int]


@attrs.frozen
class SharedLimit:
    """How the window stands; ``left`` are the slots that no process has taken.

    ``ends`` and ``probe_until`` are times of the store's clock. ``size`` are the slots
    that the window began with; ``takers`` and ``takers_before`` are the processes that
    took some in it and in the window before.
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
    """Some of a window's slots, good for so many seconds; none: wait for so long.

    ``probing``: nothing is known of the window until the response to one call.
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
    """Take slots for a process, and apply what a response of the service said.

    ``reservation`` is a new random id; the same id gets the same slots again.
    ``first``: this process has taken none in this window yet.
    """
    limit = _believed(limit, now)
    for known, slots in limit.reservations:
        if known == reservation:
            return limit, Share(slots, max(limit.ends - now, 0.0))
    if seen is not None:
        limit = _updated(limit, now, seen)
    takers = max(limit.takers_before, limit.takers, _EXPECTED)
    spread = min(_SPACING * takers, _LONGEST_SPREAD)
    if now >= limit.ends:
        return _probe(limit, now, wanted, reservation, spread * random)
    if wanted <= 0:
        return limit, Share(0, limit.ends - now)
    slots = min(wanted, limit.left, _block(limit, first=first))
    if slots <= 0:
        # Not all at once when the window has ended: most would lose the race.
        return limit, Share(0, min(limit.ends - now + spread * random, LONGEST_WINDOW))
    limit = attrs.evolve(
        limit,
        left=limit.left - slots,
        takers=limit.takers + first,
        reservations=_noted(limit, reservation, slots),
    )
    return limit, Share(slots, limit.ends - now)


def _block(limit: SharedLimit, *, first: bool) -> int:
    """Return the most slots that a process may take at once."""
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
    return min(max(limit.ends - now, 0.0), LONGEST_WINDOW) + 60.0


def _believed(limit: SharedLimit, now: float) -> SharedLimit:
    """Return the record, or an empty one if its numbers make no sense."""
    sound = (
        limit.ends <= now + LONGEST_WINDOW
        and 0 <= limit.left <= limit.size <= _MOST_SLOTS
        and 0 <= limit.takers <= _MOST_SLOTS
        and 0 <= limit.takers_before <= _MOST_SLOTS
        and limit.probe_until <= now + PROBE
        and len(limit.reservations) <= _MOST_RESERVATIONS
    )
    return limit if sound else SharedLimit()


def _updated(limit: SharedLimit, now: float, seen: LimitState) -> SharedLimit:
    # A window that runs has more than none: that reset was rounded down.
    ends = now + min(max(seen.reset, 0.0) or _ROUNDING, LONGEST_WINDOW)
    left = min(max(seen.remaining - 1, 0), _MOST_SLOTS)
    if now >= limit.ends or ends > limit.ends + _SAME_WINDOW:
        return SharedLimit(ends=ends, left=left, size=left, takers_before=limit.takers)
    if ends < limit.ends - _SAME_WINDOW:
        return limit  # a response of an older window
    # Rounding alone is no reason to write: another process says the same in a moment.
    return attrs.evolve(limit, left=min(limit.left, left))


def _probe(
    limit: SharedLimit, now: float, wanted: int, reservation: str, spread: float
) -> tuple[SharedLimit, Share]:
    """Let one process send one call, whose response describes the window."""
    if now < limit.probe_until:
        wait = min(limit.probe_until - now, _PROBE_POLL + spread)
        return limit, Share(0, wait, probing=True)
    if wanted <= 0:
        return limit, Share(0, 0.0, probing=True)
    probing = SharedLimit(
        ends=limit.ends,
        probe_until=now + PROBE,
        takers=limit.takers,
        reservations=_noted(limit, reservation, 1),
    )
    return probing, Share(1, PROBE, probing=True)


def _noted(
    limit: SharedLimit, reservation: str, slots: int
) -> tuple[_Reservation, ...]:
    return (*limit.reservations, (reservation, slots))[-_MOST_RESERVATIONS:]


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        message = "not a time"
        raise ValueError(message)
    return number


def _reservation(value: Sequence[Any]) -> _Reservation:
    name, slots = value
    return str(name), int(slots)
