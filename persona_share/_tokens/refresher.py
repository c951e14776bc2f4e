"""Decides when tokens in use are refreshed, and when pushed codes are exchanged.

One task for all of them, no timer for each: what a suspended
machine missed is due at the first check afterwards.
"""

import heapq
import logging
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


class PushedCodes(dict[str, tuple[StoredCode, Scope]]):
    """The codes that were offered here and have not been used here, by their ids.

    They wait in the records of their scopes, where every manager finds them.
    """

    def __init__(self, clock: Clock, emit: Emitter) -> None:
        super().__init__()
        self._now = clock.now
        self._emit = emit

    def __repr__(self) -> str:
        return f"<PushedCodes: {len(self)}>"

    def expire(self) -> None:
        """Remove every code that expired unused, and emit an event for it."""
        now = self._now()
        for code, scope in tuple(self.values()):
            # A hook may look, too, and so remove it first.
            if code.deadline <= now and self.pop(code.id, None) is not None:
                self._emit(events.CodeExpiredUnused, scope)


class Refresher:
    """Checks tokens, pushed codes and pinned scopes when they are due."""

    def __init__(self, provider: "TokenProvider") -> None:
        self._provider = provider
        self._clock = provider.clock
        self._cache = provider.cache
        # Heaps, by the next check.
        self._tokens: list[CachedToken] = []
        self._codes: list[tuple[float, str]] = []
        # Pinned scopes without a token, and when to try again.
        self._missing: set[Scope] = set()
        self._retry_at = 0.0

    def watch_code(self, code: StoredCode) -> None:
        """Use a pushed code at its last safe moment, if that adds cover."""
        random = self._provider.random()
        at = latest_safe_time(code.deadline, code.received, random)
        heapq.heappush(self._codes, (at, code.id))
        self._cache.has_new.set()

    def watch_pinned(self, scope: Scope) -> None:
        """Acquire a token for a scope that is kept ready and has none."""
        self._missing.add(scope)
        self._retry_at = self._clock.now()
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
            due = [now + _POLL_INTERVAL]
            due += [each.due_at for each in self._tokens[:1]]
            due += [at for at, _ in self._codes[:1]]
            if self._missing:
                due.append(self._retry_at)
            with suppress(TimeIsUpError):
                pause = max(0.001, min(due) - now)
                await within(self._clock, pause, self._cache.has_new.wait())

    def _check(self) -> None:
        new, self._cache.new = self._cache.new, []
        for entry in new:
            heapq.heappush(self._tokens, entry)
        if len(self._tokens) > 2 * len(self._cache) + _MAX_STALE:
            # Tokens that are gone must not wait here until they would be due.
            self._tokens = [each for each in self._tokens if not self._is_gone(each)]
            heapq.heapify(self._tokens)
        now, pushed = self._clock.now(), self._provider.pushed
        pushed.expire()
        while self._tokens and self._tokens[0].due_at <= now:
            self._check_token(heapq.heappop(self._tokens), now)
        while self._codes and self._codes[0][0] <= now:
            _, code_id = heapq.heappop(self._codes)
            if code_id in pushed:
                self._check_code(pushed[code_id][1], now)
        if self._missing and self._retry_at <= now:
            self._retry_at = now + _RETRY_PINNED
            for scope in tuple(self._missing):
                self._check_pinned(scope)

    def _is_gone(self, entry: CachedToken) -> bool:
        return self._cache.get(entry.scope.text) is not entry

    def _check_token(self, entry: CachedToken, now: float) -> None:
        expired = entry.state(now, self._provider.policy) is TokenState.EXPIRED
        if expired and entry.scope.text not in self._cache.pinned:
            return
        if self._is_gone(entry) or not self._cache.is_in_use(entry, now):
            return  # idle: the next caller refreshes it, if there is one
        self._provider.refresh(entry.scope)
        # If this try fails, look again after a while, for as long as it is in use.
        entry.due_at = now + max(entry.token.lifetime / 100, 0.05)
        heapq.heappush(self._tokens, entry)

    def _check_code(self, scope: Scope, now: float) -> None:
        entry = self._cache.get(scope.text)
        if entry is not None and self._cache.is_in_use(entry, now):
            token = entry.token
            if adds_lifetime(now, token.ends, token.lifetime):
                self._provider.use_pushed(scope)

    def _check_pinned(self, scope: Scope) -> None:
        text = scope.text
        if text in self._cache.pinned and self._cache.usable(text) is None:
            self._provider.refresh(scope)
        else:
            self._missing.discard(scope)
