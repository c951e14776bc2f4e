"""Who exchanges: the record of one key, and what each operation makes of it.

Pure: a record and an instant go in, a new record and an answer come out. Every store
keeps these records; those that run Python use these functions inside one transaction,
Redis says the same in scripts. Instants are of the store's own clock.

Safety does not rest on the lease alone: the service takes the same code under the same
key for one exchange, and a publication with an older fence loses (token-manager §7.1).
"""

from typing import Final

import attrs

from persona_share._protocol.stored import (
    Carried,
    Leader,
    Record,
    Setback,
    StoredTicket,
    StoredToken,
)


__all__ = [
    "LEASE",
    "LONGEST_LEAD",
    "MOST_CODES",
    "Carried",
    "Elected",
    "Follow",
    "Held",
    "Lead",
    "Look",
    "Refused",
    "adopt",
    "attach",
    "elect",
    "fail",
    "forget",
    "invalidate",
    "look",
    "mark_sent",
    "offer",
    "poll_pause",
    "publish",
    "renew",
    "take",
]

#: A leader that does not renew for so long has lost its place, in seconds.
LEASE: Final = 15.0
#: However often it renews, no leader stays longer.
LONGEST_LEAD: Final = 40.0
#: More pushed codes than these do not wait under one key.
MOST_CODES: Final = 8


# ── Answers of an election ──────────────────────────────────────────────────────


@attrs.frozen
class Held:
    """A usable token is there; ``remaining`` is in seconds."""

    generation: int
    remaining: float
    blob: bytes = attrs.field(repr=False)


@attrs.frozen
class Lead:
    """The caller exchanges, and goes on with this ticket if there is one."""

    fence: int
    ticket: Carried | None = None


@attrs.frozen
class Follow:
    """Somebody else exchanges, for so many seconds more at the most."""

    seconds: float


@attrs.frozen
class Refused:
    """It failed lately; nobody tries for so many seconds."""

    reason: str
    seconds: float


Elected = Held | Lead | Follow | Refused


@attrs.frozen
class Look:
    """How a key stands, for whoever looks after a store; nothing is changed by it.

    ``leading`` and ``refused`` are the seconds that an exchange or a pause may last.
    """

    held: Held | None
    leading: float
    refused: float
    codes: int


def elect(
    record: Record, now: float, owner: str, *, newer_than: int, at_least: float
) -> tuple[Record, Elected]:
    """Answer a usable token, or who brings one.

    Usable is a token of a generation above ``newer_than`` with ``at_least`` so many
    seconds to live. A store that lost its memory learns from ``newer_than`` where the
    fences had got to, so that what it hands out next is newer than what is in use.
    """
    floor = max(newer_than, record.invalidated)
    token = record.token
    if token is not None and token.generation > floor:
        held = _held(token, now)
        if held.remaining > at_least:
            return record, held
    leader = record.leader
    if leader is not None and now < leader.until and leader.owner != owner:
        return record, Follow(leader.until - now)
    if record.setback is not None and now < record.setback.until:
        return record, Refused(record.setback.reason, record.setback.until - now)
    fence = max(record.fence, floor) + 1
    ticket = record.ticket
    if ticket is not None and now >= ticket.deadline:
        ticket = None
    new = attrs.evolve(
        record,
        fence=fence,
        leader=Leader(owner, fence, now, now + LEASE),
        ticket=ticket,
        setback=None,
    )
    return new, Lead(fence, None if ticket is None else ticket.carried(now))


def attach(
    record: Record, now: float, owner: str, fence: int, ticket: Carried
) -> tuple[Record, Carried | None]:
    """Put a code under the leader's flight, or answer the one that is there already.

    None means that the caller leads no more.
    """
    if not _leads(record, owner, fence):
        return record, None
    there = record.ticket
    if there is not None and now < there.deadline:
        return record, there.carried(now)
    # It may have been offered by another manager: it must not wait to be used again.
    queue = tuple(each for each in record.queue if each.id != ticket.id)
    new = attrs.evolve(record, ticket=StoredTicket.of(ticket, now), queue=queue)
    return new, ticket


def mark_sent(
    record: Record, now: float, owner: str, fence: int, epoch: int
) -> tuple[Record, float | None]:
    """Note the first send under this epoch's key; answer how long ago it was.

    It is written once and never moved, and no epoch comes back after a later one. None
    means that the caller leads no more.
    """
    ticket = record.ticket
    if ticket is None or epoch < ticket.epoch or not _leads(record, owner, fence):
        return record, None
    if ticket.first_sent_at is not None and ticket.epoch == epoch:
        return record, now - ticket.first_sent_at
    sent = attrs.evolve(ticket, epoch=epoch, first_sent_at=now)
    return attrs.evolve(record, ticket=sent), 0.0


def publish(
    record: Record, now: float, owner: str, fence: int, *, remaining: float, blob: bytes
) -> tuple[Record, Held | None]:
    """Take a new token in; answer a newer one that is there instead, or None.

    A late leader is refused by its fence, or by its end where fences are equal (as
    after a store lost some), and adopts what is stored. None without a word is also
    the answer where its key was forgotten or invalidated meanwhile: nothing is kept.
    """
    token, ends = record.token, now + remaining
    mine = _leads(record, owner, fence)
    done = attrs.evolve(
        record,
        leader=None if mine else record.leader,
        ticket=None if mine else record.ticket,
    )
    if token is not None and (token.generation, token.ends) > (fence, ends):
        usable = token.ends > now and token.generation > record.invalidated
        return done, _held(token, now) if usable else None
    if fence <= record.invalidated:
        return done, None
    return (
        attrs.evolve(
            done,
            token=StoredToken(fence, ends, remaining, blob),
            fence=max(record.fence, fence),
            setback=None,
        ),
        None,
    )


def adopt(
    record: Record, now: float, *, remaining: float, blob: bytes
) -> tuple[Record, int]:
    """Take in a token that no election brought, and answer its generation.

    One that lives longer stays; its generation is answered as 0.
    """
    token = record.token
    if (
        token is not None
        and token.generation > record.invalidated
        and token.ends >= now + remaining
    ):
        return record, 0
    fence = max(record.fence, record.invalidated) + 1
    stored = StoredToken(fence, now + remaining, remaining, blob)
    return attrs.evolve(record, token=stored, fence=fence, setback=None), fence


def fail(
    record: Record,
    now: float,
    owner: str,
    fence: int,
    *,
    reason: str,
    pause: float,
    keep_ticket: bool,
) -> Record:
    """Give the lead back after a failure that all respect for a while."""
    if not _leads(record, owner, fence):
        return record
    return attrs.evolve(
        record,
        leader=None,
        ticket=record.ticket if keep_ticket else None,
        setback=Setback(reason, now + pause) if pause > 0 else None,
    )


def invalidate(record: Record, generation: int) -> Record:
    """Never answer this generation again; a newer one is untouched."""
    return attrs.evolve(record, invalidated=max(record.invalidated, generation))


def renew(record: Record, now: float, owner: str, fence: int) -> tuple[Record, bool]:
    """Keep the lead a while longer; False when it is lost."""
    leader = record.leader
    if leader is None or not _leads(record, owner, fence):
        return record, False
    until = min(now + LEASE, leader.since + LONGEST_LEAD)
    if now >= until:
        return record, False
    return attrs.evolve(record, leader=attrs.evolve(leader, until=until)), True


def offer(record: Record, now: float, ticket: Carried) -> tuple[Record, bool]:
    """Queue a pushed code; False when it is known, over, or too many wait."""
    waiting = _waiting(record, now)
    known = waiting if record.ticket is None else (*waiting, record.ticket)
    if (
        ticket.seconds <= 0
        or len(waiting) >= MOST_CODES
        or any(each.id == ticket.id for each in known)
    ):
        return attrs.evolve(record, queue=waiting), False
    added = StoredTicket.of(ticket, now)
    queue = sorted((*waiting, added), key=lambda each: each.deadline)
    return attrs.evolve(record, queue=tuple(queue), setback=None), True


def take(record: Record, now: float) -> tuple[Record, Carried | None]:
    """Take the waiting code that ends first."""
    waiting = _waiting(record, now)
    if not waiting:
        return attrs.evolve(record, queue=()), None
    return attrs.evolve(record, queue=waiting[1:]), waiting[0].carried(now)


def look(record: Record, now: float) -> tuple[Record, Look]:
    """Answer how a key stands; the record stays as it is."""
    token, leader, setback = record.token, record.leader, record.setback
    usable = token is not None and token.generation > record.invalidated
    held = _held(token, now) if token is not None and usable else None
    return record, Look(
        held if held is not None and held.remaining > 0 else None,
        0.0 if leader is None else max(leader.until - now, 0.0),
        0.0 if setback is None else max(setback.until - now, 0.0),
        len(_waiting(record, now)),
    )


def forget(record: Record) -> Record:
    """Drop everything but the fence, so that no late leader can come back."""
    fence = max(record.fence, record.invalidated)
    return Record(fence=fence, invalidated=fence)


def poll_pause(count: int, random: float) -> float:
    """Answer how long to wait before looking again: 50 ms, doubled to 1 s, ±50 %."""
    return min(1.0, 0.05 * 2.0 ** min(count, 5)) * (0.5 + random)


def _leads(record: Record, owner: str, fence: int) -> bool:
    leader = record.leader
    return leader is not None and (leader.owner, leader.fence) == (owner, fence)


def _held(token: StoredToken, now: float) -> Held:
    return Held(token.generation, token.remaining(now), token.blob)


def _waiting(record: Record, now: float) -> tuple[StoredTicket, ...]:
    return tuple(each for each in record.queue if now < each.deadline)
