"""The record of one webhook event: claimed by a handler, or handled.

An event is claimed with a short lease before it is handled and confirmed afterwards.
A handler that dies leaves a claim that expires, so the repetition is handled.
"""

from typing import Final

import attrs
import orjson


#: A claim with a longer lease is implausible, in seconds from now.
MAX_LEASE: Final = 600.0


@attrs.frozen
class Claim:
    """An event is being handled by this owner until that time of the store's clock."""

    owner: str
    until: float


@attrs.frozen
class Handled:
    """An event was handled."""


EventRecord = Claim | Handled | None


@attrs.frozen
class InProgress:
    """Another handler has the event for so many seconds."""

    seconds: float


def claim(
    record: EventRecord, owner: str, *, now: float, lease: float
) -> Claim | Handled | InProgress:
    """Return our claim if the event may be handled now, or why it may not."""
    match record:
        case Handled():
            return record
        case Claim(owner=other, until=until) if (
            other != owner and now < until <= now + MAX_LEASE
        ):
            return InProgress(until - now)
        case _:
            return Claim(owner, now + lease)


def is_owned_by(record: EventRecord, owner: str) -> bool:
    """Return whether this owner still has the claim."""
    return isinstance(record, Claim) and record.owner == owner


def to_bytes(record: Claim | Handled) -> bytes:
    """Write a record."""
    if isinstance(record, Handled):
        return b"[]"
    return orjson.dumps([record.owner, record.until])


def from_bytes(data: bytes | None) -> EventRecord:
    """Read a record; one that cannot be read counts as handled.

    It exists, and handling an event twice is worse than not repeating it.
    """
    if data is None:
        return None
    try:
        owner, until = orjson.loads(data)
        return Claim(str(owner), float(until))
    except (ValueError, TypeError):
        return Handled()
