"""Tickets: the life of each authorization code, and the pool where codes wait.

QUEUED → CLAIMED → SENT → REDEEMED | REJECTED | IN_DOUBT
QUEUED → EXPIRED_UNUSED      CLAIMED → QUEUED (only if it was never sent)
IN_DOUBT → CLAIMED → SENT (the same code, the same key) …      IN_DOUBT → DEAD
QUEUED | CLAIMED | IN_DOUBT → HANDED_ON (to a store, where whoever leads goes on with it)
CLAIMED → REDEEMED (by another manager that shares the store)
"""

import enum
import hashlib
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from persona_share._policy.lifetime import code_is_sendable
from persona_share.errors import InvalidArgumentError
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.secret import Secret


class TicketState(enum.Enum):
    """Where a code stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENT = "sent"
    REDEEMED = "redeemed"
    REJECTED = "rejected"
    IN_DOUBT = "in doubt"
    EXPIRED_UNUSED = "expired unused"
    DEAD = "dead"
    HANDED_ON = "handed on"


_ALLOWED: Final = {
    TicketState.QUEUED: {
        TicketState.CLAIMED,
        TicketState.EXPIRED_UNUSED,
        TicketState.HANDED_ON,
    },
    TicketState.CLAIMED: {
        TicketState.QUEUED,
        TicketState.SENT,
        TicketState.IN_DOUBT,  # only when it was in doubt before it was claimed
        TicketState.REDEEMED,
        TicketState.HANDED_ON,
    },
    TicketState.SENT: {
        TicketState.REDEEMED,
        TicketState.REJECTED,
        TicketState.IN_DOUBT,
        TicketState.CLAIMED,  # only when nothing was sent after all; see `unsent`
    },
    TicketState.IN_DOUBT: {
        TicketState.CLAIMED,
        TicketState.DEAD,
        TicketState.HANDED_ON,
    },
    TicketState.REDEEMED: set(),
    TicketState.REJECTED: set(),
    TicketState.EXPIRED_UNUSED: set(),
    TicketState.DEAD: set(),
    TicketState.HANDED_ON: set(),
}


def code_id(code: Secret) -> bytes:
    """Answer what a code is known by, without keeping the code."""
    text = f"persona-share/code\0{code.reveal()}"
    return hashlib.sha256(text.encode()).digest()[:16]


def _untold(_: object) -> None:
    """Tell nobody: a ticket that no pool knows."""


@attrs.define(eq=False)
class Ticket:
    """One authorization code (or one signed assertion) and what became of it."""

    secret: Secret | None = attrs.field(repr=False)
    id: bytes = attrs.field(repr=False)
    received_at: float
    deadline: float
    hint: Scope | None = None
    state: TicketState = TicketState.QUEUED
    epoch: int = 0
    first_sent_at: float | None = None
    replayable: bool = False
    granted: Scope | None = None
    machine: bool = False
    changed: Callable[["Ticket"], None] = attrs.field(default=_untold, repr=False)

    @property
    def may_be_sent(self) -> bool:
        """Whether it waits, or is in doubt and may be asked again under its key."""
        if self.state is TicketState.IN_DOUBT:
            return self.replayable
        return self.state is TicketState.QUEUED

    def become(self, state: TicketState) -> None:
        """Change the state, or raise `RuntimeError` for a change that cannot be."""
        if state not in _ALLOWED[self.state]:
            message = f"a code cannot go from {self.state.value} to {state.value}"
            raise RuntimeError(message)
        self.state = state
        if not _ALLOWED[state]:
            self.secret = None
        self.changed(self)

    def mark_sent(self, now: float, epoch: int) -> None:
        """Note that the code is about to leave, under the key of this epoch."""
        if self.state is not TicketState.SENT:
            self.become(TicketState.SENT)
        if self.first_sent_at is None or epoch != self.epoch:
            self.first_sent_at = now
        self.epoch = epoch

    def go_on_from(self, epoch: int, first_sent_at: float | None) -> None:
        """Take note of what another manager did with this code before."""
        if first_sent_at is None or epoch < self.epoch:
            return
        mine = self.first_sent_at if epoch == self.epoch else None
        self.first_sent_at = first_sent_at if mine is None else min(mine, first_sent_at)
        self.epoch = epoch
        self.replayable = True

    def unsent(self) -> None:
        """Note that no byte left after all, so that the code may wait again."""
        self.become(TicketState.CLAIMED)
        self.first_sent_at = None
        self.become(TicketState.QUEUED)

    def let_go(self) -> None:
        """Note that nobody is at work on it any more, however far that got."""
        if self.state is TicketState.SENT:
            self.become(TicketState.IN_DOUBT)
            self.replayable = True
        elif self.state is TicketState.CLAIMED:
            unsent = self.first_sent_at is None
            self.become(TicketState.QUEUED if unsent else TicketState.IN_DOUBT)


class Pool:
    """Every code that is known: the ones that wait, and what became of the others."""

    def __init__(self, policy: RenewalPolicy) -> None:
        self._policy = policy
        self._ledger: dict[bytes, Ticket] = {}
        # Those of the ledger whose life may go on: few, where the others are many.
        self._living: dict[bytes, Ticket] = {}
        # Those of the living that nobody is at work on.
        self._idle: dict[bytes, Ticket] = {}

    def __len__(self) -> int:
        return sum(each.state is TicketState.QUEUED for each in self._idle.values())

    def __iter__(self) -> Iterator[Ticket]:
        """Go through the codes that wait, are at work, or are in doubt."""
        yield from tuple(self._living.values())

    def known(self, code: Secret) -> Ticket | None:
        """Answer the ticket of a code that was seen before."""
        return self._ledger.get(code_id(code))

    def add(self, ticket: Ticket) -> None:
        """Remember a ticket; raises `InvalidArgumentError` when too many codes wait."""
        idle = self._idle.values()
        waiting = [each for each in idle if each.state is TicketState.QUEUED]
        alike = sum(each.hint == ticket.hint for each in waiting)
        policy = self._policy
        if len(waiting) >= policy.most_codes or (
            ticket.hint is not None and alike >= policy.most_codes_a_scope
        ):
            message = "too many codes wait already; offer it later"
            raise InvalidArgumentError(message)
        self._ledger[ticket.id] = ticket
        ticket.changed = self._sort_in
        self._sort_in(ticket)
        self._forget_old()

    def keep(self, ticket: Ticket) -> None:
        """Remember a ticket whatever waits: it was taken, and is ours or lost."""
        self._ledger[ticket.id] = ticket
        ticket.changed = self._sort_in
        self._sort_in(ticket)

    def _sort_in(self, ticket: Ticket) -> None:
        """Note how far the life of a code has come."""
        if ticket.secret is None:
            self._living.pop(ticket.id, None)
        else:
            self._living[ticket.id] = ticket
        if ticket.state in {TicketState.QUEUED, TicketState.IN_DOUBT}:
            self._idle[ticket.id] = ticket
        else:
            self._idle.pop(ticket.id, None)

    def fitting(self, scope: Scope, now: float) -> Ticket | None:
        """Answer a code for this scope: one in doubt first, else the first to end."""
        return min(
            (
                each
                for each in self._idle.values()
                if each.hint is not None
                and scope <= each.hint
                and self.is_ready(each, now)
            ),
            key=lambda each: (each.state is TicketState.QUEUED, each.deadline),
            default=None,
        )

    def unhinted(self, now: float) -> Ticket | None:
        """Answer a waiting code of which nobody said what it grants."""
        for ticket in self._idle.values():
            if ticket.hint is None and self.is_ready(ticket, now):
                return ticket
        return None

    def is_ready(self, ticket: Ticket, now: float) -> bool:
        """Answer whether an exchange of this code may begin."""
        return ticket.may_be_sent and not self._has_ended(ticket, now)

    def expire(self, now: float) -> list[Ticket]:
        """Let go of the codes that have ended, and answer those that ended unused."""
        ended = [each for each in self._idle.values() if self._has_ended(each, now)]
        unused = [each for each in ended if each.state is TicketState.QUEUED]
        for ticket in unused:
            ticket.become(TicketState.EXPIRED_UNUSED)
        for ticket in ended:
            if ticket.state is TicketState.IN_DOUBT:
                ticket.become(TicketState.DEAD)
        return unused

    def forget(self, scope: Scope) -> None:
        """Drop the waiting codes of a scope."""
        for ticket in tuple(self._idle.values()):
            if ticket.state is TicketState.QUEUED and ticket.hint == scope:
                ticket.become(TicketState.EXPIRED_UNUSED)

    def clear(self) -> None:
        """Drop everything: after a fork the parent still has these codes."""
        self._ledger.clear()
        self._living.clear()
        self._idle.clear()

    def _has_ended(self, ticket: Ticket, now: float) -> bool:
        """Answer whether a code has too little life left to begin its exchange."""
        received, policy = ticket.received_at, self._policy
        return not code_is_sendable(now, ticket.deadline, received, policy)

    def _forget_old(self) -> None:
        surplus = len(self._ledger) - 4 * self._policy.most_codes
        if surplus <= 0:
            return
        # A quarter more than needed, so that the next new code does not search again.
        surplus += self._policy.most_codes
        done = [each.id for each in self._ledger.values() if each.secret is None]
        for ticket_id in done[:surplus]:
            del self._ledger[ticket_id]
