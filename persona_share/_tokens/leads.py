"""Leads: what whoever exchanges a code does before and after, alone or for a fleet."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, Self

from persona_share._policy.election import Carried
from persona_share._tokens.entries import Entry
from persona_share._tokens.records import Records, Shared
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share.errors import StoreError, StoreUnavailableError, TokenError
from persona_share.ports import TokenStore


#: How often a leader says that it is still at it, in seconds.
RENEW: Final = 5.0


class LeadLostError(Exception):
    """Somebody else leads by now; what was begun is theirs."""


class Alone:
    """Whoever exchanges for itself only: there is no store, or it is down."""

    async def begun(self) -> Ticket | None:
        """Answer the code that a leader before us had in hand, if there is one."""
        return None

    async def take(self) -> Ticket | None:
        """Take a code that was pushed for everybody."""
        return None

    def drop_begun(self) -> None:
        """Put aside the code that was begun, and look for another turn."""
        raise LeadLostError

    async def attach(self, ticket: Ticket) -> Ticket:
        """Show the code that is going to be sent; answer the one that is to be used."""
        return ticket

    async def first_sent(self, epoch: int) -> float:  # noqa: ARG002  # what a fleet asks
        """Note that a code is about to leave; answer how long ago it first did."""
        return 0.0

    async def publish(self, entry: Entry) -> Shared | None:  # noqa: ARG002  # as above
        """Store a new token; answer the newer one that is there instead, if any."""
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave nothing behind."""


class Desk(Protocol):
    """What a lead needs of its fleet."""

    store: TokenStore
    records: Records
    owner: str

    def unavailable(self, error: StoreError, *, sent: bool) -> None:
        """Note that the store is down; raise the error if that is the policy."""
        ...

    def stored(self, entry: Entry, name: str, generation: int) -> None:
        """Note under what a token is stored."""
        ...

    async def store_again(self, entry: Entry) -> None:
        """Store a token that no election brought under what it is renewed for."""
        ...

    def soon(self, work: asyncio.Future[None]) -> None:
        """Keep a task that ends by itself."""
        ...

    def pause_after(self, error: TokenError) -> float:
        """Answer how long nobody is to try again after this, in seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Lead(Alone):
    """One turn to exchange, given by a store to this manager alone."""

    def __init__(
        self,
        desk: Desk,
        name: str,
        fence: int,
        carried: Carried | None,
        *,
        of_code: bool = False,
    ) -> None:
        self._desk = desk
        self._store = desk.store
        self._name = name
        self._mine = (desk.owner, fence)
        self._fence = fence
        self._carried = carried
        self._of_code = of_code
        self._ticket: Ticket | None = None
        self._over = False
        self._keeps = True
        self._keeping: asyncio.Task[None] | None = None

    async def begun(self) -> Ticket | None:
        """Answer the code that a leader before us had in hand, if there is one."""
        return self._desk.records.ticket(self._name, self._carried)

    def drop_begun(self) -> None:
        """Put aside the code that was begun, and look for another turn."""
        self._keeps = False
        super().drop_begun()

    async def take(self) -> Ticket | None:
        """Take a code that was pushed for everybody."""
        try:
            taken = await self._store.take(self._name)
        except StoreUnavailableError as error:
            self._desk.unavailable(error, sent=False)
            return None
        return self._desk.records.ticket(self._name, taken)

    async def attach(self, ticket: Ticket) -> Ticket:
        """Show the code that is going to be sent; answer the one that is to be used."""
        records = self._desk.records
        carried = records.carried(self._name, ticket)
        try:
            used = await self._store.attach(self._name, *self._mine, carried)
        except StoreUnavailableError as error:
            self._desk.unavailable(error, sent=False)
            return ticket
        if used is None:
            self._over = True
            raise LeadLostError
        there = records.ticket(self._name, used)
        self._ticket = there
        if there is not None and there.id == ticket.id:
            ticket.go_on_from(there.epoch, there.first_sent_at)
            self._ticket = ticket
        if self._ticket is None:
            # Somebody wrote what we cannot read; it must not stand in the way.
            self._keeps = False
            raise LeadLostError
        return self._ticket

    async def first_sent(self, epoch: int) -> float:
        """Note that a code is about to leave; answer how long ago it first did."""
        try:
            before = await self._store.mark_sent(self._name, *self._mine, epoch)
        except StoreUnavailableError as error:
            self._desk.unavailable(error, sent=False)
            return 0.0
        if before is None:
            self._over = True
            raise LeadLostError
        return before

    async def publish(self, entry: Entry) -> Shared | None:
        """Store a new token; answer the newer one that is there instead, if any."""
        newer = None
        home = self._desk.records.name(entry.asked)
        try:
            # What covers less than was asked is not kept under what was asked.
            if self._of_code or home == self._name:
                newer = await self._publish(entry)
            if newer is None and home != self._name:
                await self._desk.store_again(entry)
        except StoreError as error:  # a token in hand outlives any trouble of the store
            self._desk.unavailable(error, sent=True)
        return newer

    async def _publish(self, entry: Entry) -> Shared | None:
        records, asked_at = self._desk.records, self._desk.records.now()
        newer = await self._store.publish(
            self._name,
            *self._mine,
            remaining=entry.token.ends - asked_at,
            blob=records.blob(self._name, entry),
        )
        self._over = True
        if newer is not None:
            return records.shared(self._name, newer, asked_at)
        self._desk.stored(entry, self._name, self._fence)
        return None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.ensure_future(self._keep())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the turn back, with what the others should know of it."""
        if self._keeping is not None:
            self._keeping.cancel()
        keep = self._keeps and self._is_worth_keeping()
        self._hand_on()
        if not self._over:
            pause = self._desk.pause_after(exc) if isinstance(exc, TokenError) else 0.0
            giving = asyncio.ensure_future(
                self._give_back(type(exc).__name__, pause, keep=keep)
            )
            # In a task of its own: whoever is cancelled waits for nothing.
            self._desk.soon(giving)
            if exc is None or isinstance(exc, Exception):
                await asyncio.shield(giving)

    async def _give_back(self, reason: str, pause: float, *, keep: bool) -> None:
        # Should this fail, the lease ends by itself.
        with suppress(StoreError):
            await self._store.fail(
                self._name, *self._mine, reason=reason, pause=pause, keep_ticket=keep
            )

    def _is_worth_keeping(self) -> bool:
        ticket = self._ticket
        if ticket is not None and ticket.state is TicketState.IN_DOUBT:
            return ticket.replayable
        return ticket is None or ticket.secret is not None

    def _hand_on(self) -> None:
        """Leave the code to the store: what it carries on we must not use as well."""
        ticket = self._ticket
        waits = {TicketState.QUEUED, TicketState.CLAIMED, TicketState.IN_DOUBT}
        if not self._of_code and ticket is not None and ticket.state in waits:
            ticket.become(TicketState.HANDED_ON)

    async def _keep(self) -> None:
        kept = True
        while kept:
            await self._desk.sleep(RENEW)
            with suppress(StoreError):
                kept = await self._store.renew(self._name, *self._mine)
