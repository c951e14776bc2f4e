"""Refreshes the tokens in use before they expire.

One task and one heap of instants for all of them, no timer for each: what a suspended
machine missed is due at the first look after it.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from typing import Final

from persona_share._policy.token_lifetime import TokenState, adds_lifetime
from persona_share._tokens.cache import CachedToken, TokenCache
from persona_share._tokens.codes import PushedCodes
from persona_share.model.policy import RenewalPolicy
from persona_share.model.scope import Scope
from persona_share.ports import Clock


_log: Final = logging.getLogger("persona_share")

#: It looks at least this often, so that a suspension is noticed.
_POLL_INTERVAL: Final = 15.0
#: A pinned scope without a token is tried again after this many seconds.
_RETRY_PINNED: Final = 5.0
#: So many entries of tokens that are gone may wait in the heap.
_MAX_STALE: Final = 64


class Refresher:
    """Looks at tokens and pushed codes when they are due."""

    def __init__(
        self,
        clock: Clock,
        *,
        policy: RenewalPolicy,
        cache: TokenCache,
        pushed: PushedCodes,
        refresh: Callable[[Scope], None],
        use_pushed: Callable[[Scope], None],
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._cache = cache
        self._pushed = pushed
        self._refresh = refresh
        self._use_pushed = use_pushed
        self._heap: list[tuple[float, int, CachedToken]] = []
        self._pins: dict[str, tuple[float, Scope]] = {}
        self._order = itertools.count()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._next = float("inf")

    def start(self) -> None:
        """Start to look."""
        self._cache.due = self.watch
        self._pushed.watch = self._wake_by
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def watch(self, entry: CachedToken) -> None:
        """Look at a new token when it is due."""
        self._look_at(entry.refresh_at, entry)

    def watch_pinned(self, scope: Scope) -> None:
        """Acquire a token for a scope that is kept ready and has none."""
        self._pins[scope.text] = (self._clock.now(), scope)
        self._wake_by(self._clock.now())

    def _look_at(self, at: float, entry: CachedToken) -> None:
        heapq.heappush(self._heap, (at, next(self._order), entry))
        if len(self._heap) > 2 * len(self._cache) + _MAX_STALE:
            # Tokens that are gone must not wait here until they would be due.
            get = self._cache.get
            self._heap = [e for e in self._heap if get(e[2].scope.text) is e[2]]
            heapq.heapify(self._heap)
        self._wake_by(at)

    def _wake_by(self, at: float) -> None:
        if at < self._next:
            self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                self._look()
            except Exception:  # noqa: BLE001  # refreshing never stops
                _log.exception("A look at the tokens that are due failed.")
            now = self._clock.now()
            upcoming = [each[0] for each in self._heap[:1]]
            upcoming += [at for at, _ in self._pins.values()]
            if (moment := self._pushed.next_moment()) is not None:
                upcoming.append(moment)
            self._next = min(now + _POLL_INTERVAL, *upcoming, now + _POLL_INTERVAL)
            sleeping = asyncio.ensure_future(
                self._clock.sleep(max(self._next - now, 0.001))
            )
            waking = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait(
                    {sleeping, waking}, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                sleeping.cancel()
                waking.cancel()

    def _look(self) -> None:
        now = self._clock.now()
        self._pushed.expire()
        for scope in self._pushed.due():
            entry = self._cache.get(scope.text)
            if entry is not None and self._cache.is_in_use(entry, now):
                token = entry.token
                if adds_lifetime(now, token.ends, token.lifetime):
                    self._use_pushed(scope)
        while self._heap and self._heap[0][0] <= now:
            self._look_at_token(heapq.heappop(self._heap)[2], now)
        for text, (at, scope) in tuple(self._pins.items()):
            if at <= now:
                self._look_at_pin(text, scope, now)

    def _look_at_token(self, entry: CachedToken, now: float) -> None:
        if self._cache.get(entry.scope.text) is not entry:
            return
        state = entry.state(now, self._policy)
        if state is TokenState.EXPIRED and not entry.pinned:
            return
        if not self._cache.is_in_use(entry, now):
            return  # idle: the next caller renews it, if there is one
        self._refresh(entry.scope)
        # If this try fails, look again after a while, for as long as it is in use.
        self._look_at(now + max(entry.token.lifetime / 100, 0.05), entry)

    def _look_at_pin(self, text: str, scope: Scope, now: float) -> None:
        if not self._cache.is_pinned(text) or self._cache.usable(text) is not None:
            del self._pins[text]
            return
        self._pins[text] = (now + _RETRY_PINNED, scope)
        self._refresh(scope)
