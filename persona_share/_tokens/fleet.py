"""The fleet: managers that share a store, of which one exchanges and the others wait.

The store saves codes; it is not what makes an exchange safe. That is the key that
follows from the code, and the fence that a late leader fails by.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Literal

from persona_share._policy.election import Follow, Held, Refused
from persona_share._policy.lifetime import cooldown
from persona_share._tokens.entries import Entry
from persona_share._tokens.leads import Alone, Lead
from persona_share._tokens.records import Records, Shared
from persona_share._tokens.tickets import Ticket, TicketState
from persona_share.errors import (
    ConfigurationError,
    ExchangeAuthenticationError,
    ExchangeForbiddenError,
    ExchangeProtocolError,
    ExchangeRateLimitedError,
    ExchangeUnavailableError,
    StoreError,
    StoreUnavailableError,
    TokenError,
)
from persona_share.model import events
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.model.token import AccessToken
from persona_share.ports import ClientContext, TokenStore


OnStoreFailure = Literal["local", "fail"]

#: How often what could not be stored is tried again, in seconds: from, to.
_AGAIN: Final = (5.0, 30.0)
#: What stands against everybody's exchanges. Another failure is one manager's own, such
#: as that of its code source: the next one tries at once.
_FOR_ALL: Final[Mapping[str, type[TokenError]]] = {
    kind.__name__: kind
    for kind in (
        ExchangeAuthenticationError,
        ExchangeForbiddenError,
        ExchangeProtocolError,
        ExchangeRateLimitedError,
        ExchangeUnavailableError,
    )
}


class Fleet:
    """This manager's part in the fleet."""

    def __init__(
        self,
        store: TokenStore,
        context: ClientContext,
        policy: RenewalPolicy,
        on_failure: OnStoreFailure,
        emit: Callable[[events.Event], None],
    ) -> None:
        if on_failure not in {"local", "fail"}:
            message = "on_store_failure must be 'local' or 'fail'"
            raise ConfigurationError(message)
        self.store = store
        self.records = Records(context)
        self.owner = context.runtime.new_key()
        self.sleep = context.runtime.clock.sleep
        self.down = False
        #: What is held, to be stored when a store that was down is back.
        self.held: Callable[[], Iterable[Entry]] = tuple
        self._runtime = context.runtime
        self._policy = policy
        self._strict = on_failure == "fail"
        self._emit = emit
        # Under what the tokens are stored, by their own generation.
        self._stored: dict[int, dict[str, int]] = {}
        self._unsaid: list[tuple[str, int]] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self._recovery: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Open the store in this event loop.

        Raises `StoreRefusedError` for one that is not safe, and, where that is the
        policy, `StoreUnavailableError`.
        """
        try:
            await self.store.open(self._runtime)
        except StoreUnavailableError as error:
            self.unavailable(error, sent=False)

    async def close(self) -> None:
        """Say what is still to be said, and let go of the store."""
        self._closed = True
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            if self._recovery is not None:
                self._recovery.cancel()
                await asyncio.gather(self._recovery, return_exceptions=True)
            with suppress(StoreError):
                await self.store.close()

    # ── Whose turn it is ────────────────────────────────────────────────────────

    async def turn(
        self,
        name: str,
        at_least: float,
        adopt: Callable[[Shared], Entry | None],
        *,
        of_code: bool = False,
    ) -> Entry | Alone:
        """Wait for a token that somebody brings, or for our turn to do so.

        ``at_least`` is how long a stored token must live, in seconds; ``adopt`` files
        one, or answers None. Raises the `TokenError` that all respect for a while, or,
        where that is the policy, `StoreUnavailableError`.
        """
        newer_than = 0
        while True:
            try:
                asked_at = self.records.now()
                answer = await self.store.elect(
                    name, self.owner, newer_than=newer_than, at_least=at_least
                )
                if isinstance(answer, Follow):
                    await self.store.news(name, answer.seconds)
                    continue
            except StoreUnavailableError as error:
                self.unavailable(error, sent=False)
                return Alone()
            self._noted(down=False)
            if isinstance(answer, Refused):
                kind = _FOR_ALL.get(answer.reason, ExchangeUnavailableError)
                what = "another manager that shares the store failed a moment ago"
                raise kind(what, retry_after=answer.seconds)
            if not isinstance(answer, Held):
                return Lead(self, name, answer.fence, answer.ticket, of_code=of_code)
            shared = self.records.shared(name, answer, asked_at)
            entry = None if shared is None else adopt(shared)
            if entry is not None:
                self.stored(entry, name, answer.generation)
                return entry
            newer_than = answer.generation

    async def take(self, scope: Scope) -> Ticket | None:
        """Take a code that was pushed for everybody, the one that ends first."""
        name = self.records.name(scope)
        try:
            return self.records.ticket(name, await self.store.take(name))
        except StoreUnavailableError as error:
            self.unavailable(error, sent=True)
            return None

    # ── What others should know ─────────────────────────────────────────────────

    def offer(self, ticket: Ticket, scope: Scope) -> None:
        """Queue a pushed code for everybody, soon; if that fails it stays ours."""
        self.soon(asyncio.ensure_future(self._offer(ticket, scope)))

    def revoked(self, token: AccessToken) -> None:
        """Tell everybody, soon, not to use a token any more."""
        self._unsaid += self._stored.pop(token.generation, {}).items()
        if self._unsaid:
            self.soon(asyncio.ensure_future(self._say()))

    async def forget(self, scope: Scope) -> None:
        """Drop what is stored for a scope."""
        try:
            await self.store.forget(self.records.name(scope))
        except StoreUnavailableError as error:
            self.unavailable(error, sent=True)

    # ── What a lead needs ───────────────────────────────────────────────────────

    def unavailable(self, error: StoreError, *, sent: bool) -> None:
        """Note that the store is down; raise the error if that is the policy."""
        self._noted(down=True)
        idle = self._recovery is None or self._recovery.done()
        if idle and not self._closed:
            self._recovery = asyncio.ensure_future(self._recover())
        if self._strict and not sent:
            raise error

    def stored(self, entry: Entry, name: str, generation: int) -> None:
        """Note under what a token is stored."""
        if generation:
            self._stored.setdefault(entry.token.generation, {})[name] = generation
        if len(self._stored) > 2 * self._policy.most_tokens:
            del self._stored[next(iter(self._stored))]

    async def store_again(self, entry: Entry) -> None:
        """Store a token that no election brought under what it is renewed for."""
        name = self.records.name(entry.asked)
        remaining = entry.token.ends - self.records.now()
        if remaining <= 0 or not entry.asked or entry.revoked:
            return
        blob = self.records.blob(name, entry)
        generation = await self.store.adopt(name, remaining=remaining, blob=blob)
        self.stored(entry, name, generation)
        self._drop_if_revoked(entry)

    def _drop_if_revoked(self, entry: Entry) -> None:
        if entry.revoked:  # while it was stored
            self.revoked(entry.token)

    def soon(self, work: asyncio.Future[None]) -> None:
        """Keep a task that ends by itself."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    def pause_after(self, error: TokenError) -> float:
        """Answer how long nobody is to try again after this, in seconds."""
        if type(error).__name__ not in _FOR_ALL:
            return 0.0
        return error.retry_after or cooldown(1, self._runtime.random(), self._policy)

    # ── Soon ────────────────────────────────────────────────────────────────────

    async def _offer(self, ticket: Ticket, scope: Scope) -> None:
        name = self.records.name(scope)
        try:
            queued = await self.store.offer(name, self.records.carried(name, ticket))
        except StoreError as error:
            self.unavailable(error, sent=True)
            return
        if queued and ticket.state is TicketState.QUEUED:
            ticket.become(TicketState.HANDED_ON)

    async def _say(self) -> None:
        try:
            await self._say_all()
        except StoreError as error:
            self.unavailable(error, sent=True)

    async def _say_all(self) -> None:
        while self._unsaid:
            said = self._unsaid.pop()
            try:
                await self.store.invalidate(*said)
            except BaseException:
                self._unsaid.append(said)
                raise

    async def _recover(self) -> None:
        """Wait until the store is back, and bring it what it does not know."""
        shortest, longest = _AGAIN
        while True:
            await self.sleep(shortest + (longest - shortest) * self._runtime.random())
            with suppress(StoreError):
                await self._say_all()
                for entry in self.held():
                    await self.store_again(entry)
                self._noted(down=False)
                return

    def _noted(self, *, down: bool) -> None:
        if down is not self.down:
            self.down = down
            kind = events.StoreDown if down else events.StoreUp
            self._emit(kind(at=self.records.now()))
