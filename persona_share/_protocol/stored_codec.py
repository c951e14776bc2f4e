"""A record as bytes, for stores that keep bytes.

The bytes repeat the name that they were written under and the time of writing, and
begin with a checksum: what was torn, flipped or moved to another name is not believed
(reliability T14, F103). Against somebody who writes checksums, `Encrypted` helps.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
import orjson

from persona_share._protocol.stored import (
    Leader,
    Record,
    Setback,
    StoredTicket,
    StoredToken,
    is_from_the_future,
    moved,
)


T = TypeVar("T")

#: Longer ones are not ours (F116), in bytes.
LONGEST: Final = 65_536
_CHECKSUM: Final = 16


def pack(name: str, record: Record, now: float) -> bytes:
    """Write a record down."""
    told = orjson.dumps(
        {
            "name": name,
            "at": now,
            "fence": record.fence,
            "invalidated": record.invalidated,
            "token": record.token and _token(record.token),
            "leader": record.leader and _leader(record.leader),
            "ticket": record.ticket and _ticket(record.ticket),
            "setback": record.setback and (record.setback.reason, record.setback.until),
            "queue": [_ticket(each) for each in record.queue],
        }
    )
    return _checksum(told) + told


@attrs.frozen
class Found:
    """A record as it may be read now; ``moved``: it is to be written again."""

    record: Record
    moved: bool = False


def unpack(name: str, data: bytes, now: float) -> Found | None:
    """Read a record, or answer None for what is not one, or not of this name."""
    told = data[_CHECKSUM:]
    if len(data) > LONGEST or data[:_CHECKSUM] != _checksum(told):
        return None
    try:
        values = orjson.loads(told)
        if values["name"] != name:
            return None
        record = Record(
            fence=int(values["fence"]),
            invalidated=int(values["invalidated"]),
            token=_read(_read_token, values["token"]),
            leader=_read(_read_leader, values["leader"]),
            ticket=_read(_read_ticket, values["ticket"]),
            setback=_read(_read_setback, values["setback"]),
            queue=tuple(_read_ticket(each) for each in values["queue"]),
        )
        at = float(values["at"])
        if is_from_the_future(at, now):
            return Found(moved(record, now - at), moved=True)
        return Found(record)
    except (ValueError, TypeError, KeyError):
        return None


def _checksum(told: bytes) -> bytes:
    return hashlib.blake2b(told, digest_size=_CHECKSUM).digest()


def _token(token: StoredToken) -> tuple[object, ...]:
    return token.generation, token.ends, token.lifetime, _text(token.blob)


def _read_token(fields: Sequence[Any]) -> StoredToken:
    generation, ends, lifetime, blob = fields
    return StoredToken(int(generation), float(ends), float(lifetime), _bytes(blob))


def _leader(leader: Leader) -> tuple[object, ...]:
    return leader.owner, leader.fence, leader.since, leader.until


def _ticket(ticket: StoredTicket) -> tuple[object, ...]:
    blob = _text(ticket.blob)
    return ticket.id, ticket.deadline, blob, ticket.epoch, ticket.first_sent_at


def _read_ticket(fields: Sequence[Any]) -> StoredTicket:
    name, deadline, blob, epoch, sent = fields
    first_sent_at = None if sent is None else float(sent)
    return StoredTicket(
        str(name), float(deadline), _bytes(blob), int(epoch), first_sent_at
    )


def _read_leader(fields: Sequence[Any]) -> Leader:
    owner, fence, since, until = fields
    return Leader(str(owner), int(fence), float(since), float(until))


def _read_setback(fields: Sequence[Any]) -> Setback:
    reason, until = fields
    return Setback(str(reason), float(until))


def _read(read: Callable[[Sequence[Any]], T], fields: Sequence[Any] | None) -> T | None:
    return None if fields is None else read(fields)


def _text(blob: bytes) -> str:
    return b64encode(blob).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
