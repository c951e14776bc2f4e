"""What is held, as a store keeps it, and back: names, records, relative times."""

import logging
from typing import Final

import attrs

from persona_share._policy.election import Carried, Held
from persona_share._protocol.record import (
    CodeRecord,
    TokenRecord,
    code_blob,
    name_of,
    read_code,
    read_token,
    token_blob,
)
from persona_share._tokens.entries import Entry
from persona_share._tokens.tickets import Ticket, TicketState, code_id
from persona_share.model.scope import Scope
from persona_share.ports import ClientContext


_LOG: Final = logging.getLogger("persona_share")


@attrs.frozen
class Shared:
    """A token that the store holds, read and believed; ``ends`` is of our clock."""

    name: str
    generation: int
    ends: float
    record: TokenRecord


class Records:
    """Writes and reads the records of one context."""

    def __init__(self, context: ClientContext) -> None:
        self._secret = context.naming_secret
        self._origin = context.origin
        self._now = context.runtime.clock.now

    def now(self) -> float:
        """Answer the instant of our clock."""
        return self._now()

    def name(self, scope: Scope) -> str:
        """Answer the name that a scope has in the store."""
        return name_of(self._secret, self._origin, "scope", str(scope))

    def name_of_code(self, ticket: Ticket) -> str:
        """Answer the name that a delivered code has in the store."""
        return name_of(self._secret, self._origin, "code", ticket.id.hex())

    def blob(self, name: str, entry: Entry) -> bytes:
        """Answer the token of an entry as the record of this name."""
        token = entry.token
        return token_blob(
            name, TokenRecord(token, token.scope, entry.asked, token.lifetime)
        )

    def shared(self, name: str, held: Held, asked_at: float) -> Shared | None:
        """Answer the token of a record, or None for one that is not believed.

        Its time is counted from before the question: rather too little than too much.
        """
        record = read_token(name, held.blob)
        if record is None:
            _LOG.warning("a record of the token store cannot be read; it is not used")
            return None
        ends = asked_at + min(held.remaining, record.lifetime)
        return Shared(name, held.generation, ends, record)

    def carried(self, name: str, ticket: Ticket) -> Carried:
        """Answer a code as the record of this name."""
        if ticket.secret is None:
            message = "a code that was spent cannot be stored"
            raise RuntimeError(message)
        now, sent = self._now(), ticket.first_sent_at
        life = ticket.deadline - ticket.received_at
        record = CodeRecord(ticket.secret, ticket.hint, life, ticket.machine)
        return Carried(
            id=ticket.id.hex(),
            seconds=ticket.deadline - now,
            blob=code_blob(name, record),
            epoch=ticket.epoch,
            sent_before=None if sent is None else now - sent,
        )

    def ticket(self, name: str, carried: Carried | None) -> Ticket | None:
        """Answer the code of a record, or None for one that is not believed."""
        record = None if carried is None else read_code(name, carried.blob)
        if carried is None or record is None:
            return None
        now, sent = self._now(), carried.sent_before
        deadline = now + min(carried.seconds, record.life)
        return Ticket(
            secret=record.secret,
            id=code_id(record.secret),
            received_at=deadline - record.life,
            deadline=deadline,
            hint=record.hint,
            state=TicketState.QUEUED if sent is None else TicketState.IN_DOUBT,
            epoch=carried.epoch,
            first_sent_at=None if sent is None else now - sent,
            replayable=True,
            machine=record.machine,
        )
