"""The background: looks at the tokens that are due, at least every few seconds.

One task and one heap of instants for all of them, no timer for each: what a suspended
machine missed is due at the first look after it.
"""

import asyncio
import heapq
import itertools
from typing import Final

from persona_share._policy.lifetime import Standing
from persona_share._tokens.broker import Broker
from persona_share._tokens.entries import Entry
from persona_share._tokens.tickets import Ticket


#: So many entries that nobody holds any more may wait in the heap.
_LITTER: Final = 64


class Renewal:
    """Renews the tokens that are in use before they end."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        # Entries are ordered by themselves: a record around each would cost memory.
        self._due: list[Entry] = []
        self._codes: list[tuple[float, int, Ticket]] = []
        self._order = itertools.count()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._broker.vault.due = self.watch
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop looking; nothing is left behind."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def watch(self, entry: Entry) -> None:
        """Look at this new entry when it is due."""
        self._look_at(entry.refresh_at, entry)
        if self._due[0] is entry:
            self._news.set()

    def watch_code(self, ticket: Ticket, at: float) -> None:
        """Look at this waiting code at its last safe moment."""
        heapq.heappush(self._codes, (at, next(self._order), ticket))
        if self._codes[0][2] is ticket:
            self._news.set()

    def _look_at(self, at: float, entry: Entry) -> None:
        entry.due_at = at
        heapq.heappush(self._due, entry)
        exact = self._broker.vault.entries.exact
        if len(self._due) > 2 * len(self._broker.vault.entries) + _LITTER:
            # Tokens that were dropped must not wait here until they would be due.
            self._due = [each for each in self._due if exact(each.token.scope) is each]
            heapq.heapify(self._due)

    async def _run(self) -> None:
        clock, tick = self._broker.clock, self._broker.policy.tick
        while True:
            self._news.clear()
            now = clock.now()
            self._broker.codes.expire()
            while self._codes and self._codes[0][0] <= now:
                self._broker.use_or_lose(heapq.heappop(self._codes)[2])
            while self._due and self._due[0].due_at <= now:
                self._look(heapq.heappop(self._due), now)
            upcoming = [each.due_at for each in self._due[:1]]
            upcoming += [at for at, _, _ in self._codes[:1]]
            pause = min(tick, *(at - now for at in upcoming)) if upcoming else tick
            sleeping = asyncio.ensure_future(clock.sleep(pause))
            hearing = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait(
                    {sleeping, hearing}, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                sleeping.cancel()
                hearing.cancel()

    def _look(self, entry: Entry, now: float) -> None:
        broker = self._broker
        token = entry.token
        if broker.vault.entries.exact(token.scope) is not entry or entry.revoked:
            return
        standing = entry.standing(now, broker.policy)
        if standing is Standing.EXPIRED and not entry.pinned:
            return
        if not broker.vault.is_in_use(entry, now):
            return  # idle: the next caller renews it, if there is one
        broker.renew(entry)
        # Should this try fail, look again after a while, as long as it is in use.
        self._look_at(now + max(token.lifetime / 100, 0.05), entry)
