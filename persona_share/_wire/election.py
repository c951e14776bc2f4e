"""Who exchanges: the record of one key, and what each operation makes of it.

Pure: a record and an instant go in, a new record and an answer come out. Every store
keeps these records; those that run Python use these functions inside one transaction,
Redis says the same in scripts. Instants are of the store's own clock.

Safety does not rest on the lease alone: the service takes the same code under the same
key for one exchange, and a publication with an older fence loses (token-manager §7.1).
"""

from typing import Final

import attrs


#: A leader that does not renew for so long has lost its place, in seconds.
LEASE: Final = 15.0
#: However often it renews, no leader stays longer.
LONGEST_LEAD: Final = 40.0
#: A fence, and what became of a code, are remembered longer than any token lives.
MOST_CODES: Final = 8


@attrs.frozen
class StoredToken:
    """A token as a store holds it: ``blob`` is opaque, ``ends`` decides."""

    generation: int
    ends: float
    blob: bytes = attrs.field(repr=False)


@attrs.frozen
class Carried:
    """A code on its way into a store or out of it; times are relative, in seconds.

    ``seconds`` is what it has left, ``sent_before`` how long ago it was first sent
    under the key of ``epoch``; ``blob`` is opaque.
    """

    id: str
    seconds: float
    blob: bytes = attrs.field(repr=False)
    epoch: int = 0
    sent_before: float | None = None


@attrs.frozen
class StoredTicket:
    """A code as a store holds it, with what has happened to it."""

    id: str
    deadline: float
    blob: bytes = attrs.field(repr=False)
    epoch: int = 0
    first_sent_at: float | None = None

    @classmethod
    def of(cls, ticket: Carried, now: float) -> "StoredTicket":
        """Answer a ticket with its times in the store's clock."""
        sent = None if ticket.sent_before is None else now - ticket.sent_before
        deadline = now + ticket.seconds
        return cls(ticket.id, deadline, ticket.blob, ticket.epoch, sent)

    def carried(self, now: float) -> Carried:
        """Answer the ticket with its times relative to now."""
        sent = None if self.first_sent_at is None else now - self.first_sent_at
        return Carried(self.id, self.deadline - now, self.blob, self.epoch, sent)


@attrs.frozen
class Leader:
    """Who exchanges now, and until when nobody else may."""

    owner: str
    fence: int
    since: float
    until: float


@attrs.frozen
class Setback:
    """A failure that everybody respects until then."""

    reason: str
    until: float


@attrs.frozen
class Record:
    """Everything that a store knows of one key."""

    fence: int = 0
    token: StoredToken | None = None
    invalidated: int = 0
    leader: Leader | None = None
    ticket: StoredTicket | None = None
    setback: Setback | None = None
    queue: tuple[StoredTicket, ...] = ()


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


def elect(
    record: Record, now: float, owner: str, *, newer_than: int, at_least: float
) -> tuple[Record, Elected]:
    """Answer a usable token, or who brings one.

    Usable is a token of a generation above ``newer_than`` with ``at_least`` so many
    seconds to live.
    """
    token = record.token
    if token is not None and token.generation > max(newer_than, record.invalidated):
        remaining = token.ends - now
        if remaining > at_least:
            return record, Held(token.generation, remaining, token.blob)
    leader = record.leader
    if leader is not None and now < leader.until and leader.owner != owner:
        return record, Follow(leader.until - now)
    if record.setback is not None and now < record.setback.until:
        return record, Refused(record.setback.reason, record.setback.until - now)
    fence = record.fence + 1
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
    return attrs.evolve(record, ticket=StoredTicket.of(ticket, now)), ticket


def mark_sent(
    record: Record, now: float, owner: str, fence: int, epoch: int
) -> tuple[Record, float | None]:
    """Note the first send under this epoch's key; answer how long ago it was.

    It is written once and never moved. None means that the caller leads no more.
    """
    ticket = record.ticket
    if ticket is None or not _leads(record, owner, fence):
        return record, None
    if ticket.first_sent_at is not None and ticket.epoch == epoch:
        return record, now - ticket.first_sent_at
    sent = attrs.evolve(ticket, epoch=epoch, first_sent_at=now)
    return attrs.evolve(record, ticket=sent), 0.0


def publish(
    record: Record, now: float, owner: str, fence: int, *, remaining: float, blob: bytes
) -> tuple[Record, Held | None]:
    """Take a new token in; answer a newer one that is there instead, or None.

    A late leader is refused by its fence and adopts what is stored.
    """
    token = record.token
    if token is not None and token.generation >= fence and token.ends > now:
        return record, Held(token.generation, token.ends - now, token.blob)
    mine = _leads(record, owner, fence)
    return (
        attrs.evolve(
            record,
            token=StoredToken(fence, now + remaining, blob),
            fence=max(record.fence, fence),
            leader=None if mine else record.leader,
            ticket=None if mine else record.ticket,
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
    fence = record.fence + 1
    stored = StoredToken(fence, now + remaining, blob)
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
    """Queue a pushed code; False when it is known or too many wait."""
    waiting = tuple(each for each in record.queue if now < each.deadline)
    if len(waiting) >= MOST_CODES or any(each.id == ticket.id for each in waiting):
        return attrs.evolve(record, queue=waiting), False
    added = StoredTicket.of(ticket, now)
    queue = sorted((*waiting, added), key=lambda each: each.deadline)
    return attrs.evolve(record, queue=tuple(queue), setback=None), True


def take(record: Record, now: float) -> tuple[Record, Carried | None]:
    """Take the waiting code that ends first."""
    waiting = tuple(each for each in record.queue if now < each.deadline)
    if not waiting:
        return attrs.evolve(record, queue=()), None
    return attrs.evolve(record, queue=waiting[1:]), waiting[0].carried(now)


def forget(record: Record) -> Record:
    """Drop everything but the fence, so that no late leader can come back."""
    return Record(fence=record.fence, invalidated=record.fence)


def _leads(record: Record, owner: str, fence: int) -> bool:
    leader = record.leader
    return leader is not None and (leader.owner, leader.fence) == (owner, fence)
