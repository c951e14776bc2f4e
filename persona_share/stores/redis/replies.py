"""How values look to the script and in its replies: times are whole milliseconds."""

from collections.abc import Sequence

from persona_share._policy.election import Carried, Held


def milliseconds(seconds: float) -> int:
    """Answer whole milliseconds, rather too few."""
    return int(seconds * 1_000)


def seconds_of(milliseconds: bytes) -> float:
    """Answer the seconds of a number of milliseconds."""
    return int(milliseconds) / 1_000


def fields_of(ticket: Carried) -> tuple[str | int | bytes, ...]:
    """Answer a ticket as the script takes it."""
    sent = ticket.sent_before
    return (
        ticket.id,
        milliseconds(ticket.seconds),
        ticket.blob,
        ticket.epoch,
        "" if sent is None else milliseconds(sent),
    )


def carried_of(fields: Sequence[bytes]) -> Carried | None:
    """Answer the ticket that the script gave, or None for none."""
    if not fields:
        return None
    name, left, blob, epoch, sent = fields
    sent_before = seconds_of(sent) if sent else None
    return Carried(name.decode(), seconds_of(left), blob, int(epoch), sent_before)


def held_of(reply: Sequence[bytes]) -> Held:
    """Answer the token that the script gave."""
    _, generation, left, blob = reply
    return Held(int(generation), seconds_of(left), blob)
