"""Decides when tokens in use are refreshed, and when pushed codes are exchanged.

One task for all of them, no timer for each: what a suspended
machine missed is due at the first check afterwards.
"""

import heapq
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from persona_share._policy.token_lifetime import (
    TokenState,
    adds_lifetime,
    latest_safe_time,
)
from persona_share._tokens.cache import CachedToken
from persona_share._tokens.metrics import Emitter
from persona_share._tokens.record import StoredCode
from persona_share._waiting import TimeIsUpError, within
from persona_share.model import events
from persona_share.model.scope import Scope
from persona_share.ports import Clock


if TYPE_CHECKING:
    from persona_share._tokens.provider import TokenProvider

_log: Final = logging.getLogger("persona_share")

#: It checks at least this often, so that a suspension is noticed.
_POLL_INTERVAL: Final = 15.0
#: A pinned scope without a token is tried again after this many seconds.
_RETRY_PINNED: Final = 5.0
#: At most this many entries of dropped tokens stay in the heap.
_MAX_STALE: Final = 64


class PushedCodes:
    """The codes that were offered here and have not been used here.

    They wait in the records of their scopes, where every manager finds them.
    """

    def __init__(self, clock: Clock, emit: Emitter) -> None:
        self._now = clock.now
        self._emit = emit
        self._waiting: dict[str, tuple[StoredCode, Scope]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, code: StoredCode, scope: Scope) -> bool:
        """Add a code that waits; return False if it is known."""
        if code.id in self._waiting:
            return False
        self._waiting[code.id] = code, scope
        self._emit(events.CodeQueued, scope)
        return True

    def known(self, code: StoredCode) -> StoredCode:
        """Return a code as it was first offered: a second offer does not extend its deadline."""
        return self._waiting.get(code.id, (code, None))[0]

    def remove(self, code_id: str) -> None:
        """Remove a code that is exchanged here, or was dropped."""
        self._waiting.pop(code_id, None)

    def expire(self) -> None:
        """Emit an event for every code that expired unused."""
        now = self._now()
        for code, scope in list(self._waiting.values()):
            if code.deadline <= now:
                self.remove(code.id)
                self._emit(events.CodeExpiredUnused, scope)

    def clear(self) -> None:
        """Forget everything, in a forked child."""
        self._waiting.clear()


class Refresher:
    """Checks tokens, pushed codes and pinned scopes when they are due."""

    def __init__(self, provider: "TokenProvider", random: Callable[[], float]) -> None:
        self._provider = provider
        self._random = random
        self._clock = provider.clock
        self._cache = provider.cache
        self._tokens: list[CachedToken] = []
        # Pushed codes and pinned scopes: when to look, and how.
        self._scopes: list[tuple[float, int, Callable[[Scope], None], Scope]] = []
        self._order = itertools.count()
        self._pins: set[str] = set()

    def watch_code(self, code: StoredCode, scope: Scope) -> None:
        """Use a pushed code at its last safe moment, if that adds cover."""
        at = latest_safe_time(code.deadline, code.received, self._random())
        self._watch(at, self._check_code, scope)
        self._cache.has_new.set()

    def watch_pinned(self, scope: Scope) -> None:
        """Acquire a token for a scope that is kept ready and has none."""
        if scope.text not in self._pins:
            self._pins.add(scope.text)
            self._watch(self._clock.now(), self._check_pinned, scope)
            self._cache.has_new.set()

    async def run(self) -> None:
        """Look whenever something is due or new."""
        while True:
            self._cache.has_new.clear()
            try:
                self._check()
            except Exception:  # noqa: BLE001  # refreshing never stops
                _log.exception("Checking which tokens are due for refresh failed.")
            now = self._clock.now()
            due = [each.due_at for each in self._tokens[:1]]
            due += [each[0] for each in self._scopes[:1]]
            pause = max(0.001, min([now + _POLL_INTERVAL, *due]) - now)
            with suppress(TimeIsUpError):
                await within(self._clock, pause, self._cache.has_new.wait())

    def _watch(self, at: float, check: Callable[[Scope], None], scope: Scope) -> None:
        heapq.heappush(self._scopes, (at, next(self._order), check, scope))

    def _check(self) -> None:
        new, self._cache.new = self._cache.new, []
        for entry in new:
            heapq.heappush(self._tokens, entry)
        if len(self._tokens) > 2 * len(self._cache) + _MAX_STALE:
            # Tokens that are gone must not wait here until they would be due.
            self._tokens = [each for each in self._tokens if not self._is_gone(each)]
            heapq.heapify(self._tokens)
        self._provider.pushed.expire()
        now = self._clock.now()
        while self._tokens and self._tokens[0].due_at <= now:
            self._check_token(heapq.heappop(self._tokens))
        while self._scopes and self._scopes[0][0] <= now:
            _, _, check, scope = heapq.heappop(self._scopes)
            check(scope)

    def _is_gone(self, entry: CachedToken) -> bool:
        return self._cache.get(entry.scope.text) is not entry

    def _check_token(self, entry: CachedToken) -> None:
        now = self._clock.now()
        expired = entry.state(now, self._provider.policy) is TokenState.EXPIRED
        if self._is_gone(entry) or (
            expired and entry.scope.text not in self._cache.pinned
        ):
            return
        if not self._cache.is_in_use(entry, now):
            return  # idle: the next caller refreshes it, if there is one
        self._provider.refresh(entry.scope)
        # If this try fails, look again after a while, for as long as it is in use.
        entry.due_at = now + max(entry.token.lifetime / 100, 0.05)
        heapq.heappush(self._tokens, entry)

    def _check_code(self, scope: Scope) -> None:
        now, entry = self._clock.now(), self._cache.get(scope.text)
        if entry is not None and self._cache.is_in_use(entry, now):
            token = entry.token
            if adds_lifetime(now, token.ends, token.lifetime):
                self._provider.use_pushed(scope)

    def _check_pinned(self, scope: Scope) -> None:
        text = scope.text
        if text not in self._cache.pinned or self._cache.usable(text) is not None:
            self._pins.discard(text)
            return
        self._provider.refresh(scope)
        self._watch(self._clock.now() + _RETRY_PINNED, self._check_pinned, scope)
