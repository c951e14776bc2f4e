"""What a store knows of one key: the nouns of `_policy.election`.

Pure values. Instants are of the store's own clock, in seconds; what comes from a caller
or goes to one (`Carried`, `Held`) is relative, so that no two clocks are ever compared.
"""

from typing import Final

import attrs


#: How long a key is remembered after all in it has ended, in seconds. No token lives
#: longer than a day (reliability F46): what outlives this cannot come back and do harm.
REMEMBERED: Final = 86_400.0 + 3_600.0
#: How far two hosts' clocks may differ before one is not believed (F81, F89).
LEEWAY: Final = 120.0


@attrs.frozen
class StoredToken:
    """A token as a store holds it: ``blob`` is opaque, ``ends`` decides.

    ``lifetime`` is what its writer said that it had left: it never has more.
    """

    generation: int
    ends: float
    lifetime: float
    blob: bytes = attrs.field(repr=False)

    def remaining(self, now: float) -> float:
        """Answer what it has left."""
        return min(self.ends - now, self.lifetime)


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

    def moved(self, seconds: float) -> "StoredTicket":
        """Answer the ticket with its instants so many seconds later."""
        sent = None if self.first_sent_at is None else self.first_sent_at + seconds
        return attrs.evolve(self, deadline=self.deadline + seconds, first_sent_at=sent)


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


def is_from_the_future(written_at: float, now: float) -> bool:
    """Answer whether a record was written before a clock was set back.

    Such a one is to be `moved`, so that it counts as written just now, and to be
    written again: nothing in it is then late by more than the time before that, and no
    lease or pause holds anybody up for the whole step.
    """
    return written_at - now > LEEWAY


def moved(record: Record, seconds: float) -> Record:
    """Answer the record with all of its instants so many seconds later."""
    token, leader, setback = record.token, record.leader, record.setback
    return attrs.evolve(
        record,
        token=token and attrs.evolve(token, ends=token.ends + seconds),
        leader=leader
        and attrs.evolve(
            leader, since=leader.since + seconds, until=leader.until + seconds
        ),
        ticket=record.ticket and record.ticket.moved(seconds),
        setback=setback and attrs.evolve(setback, until=setback.until + seconds),
        queue=tuple(each.moved(seconds) for each in record.queue),
    )


def dies_at(record: Record, now: float) -> float:
    """Answer when nobody needs the record any more, nor its fence."""
    ends = [now, *(each.deadline for each in record.queue)]
    if record.token is not None:
        ends.append(record.token.ends)
    if record.ticket is not None:
        ends.append(record.ticket.deadline)
    if record.setback is not None:
        ends.append(record.setback.until)
    return max(ends) + REMEMBERED
