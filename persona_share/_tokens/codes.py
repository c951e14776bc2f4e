"""Codes that are delivered before they are needed.

A pushed code waits in the record of its scope, where every manager finds it. It is used
at once if the scope's token is due, else at its last safe moment, if that adds cover:
a token's life counts from the exchange.
"""

import heapq
import itertools
from collections.abc import Callable

from persona_share._policy.token_lifetime import last_safe_moment
from persona_share._tokens import record as records
from persona_share._tokens.coordinator import Coordinator
from persona_share._tokens.record import CodeState, StoredCode
from persona_share.errors import InvalidArgumentError
from persona_share.model import events
from persona_share.model.scope import Scope
from persona_share.ports import Runtime


class PushedCodes:
    """Offers codes to the records of their scopes, and knows their last safe moments."""

    def __init__(
        self,
        runtime: Runtime,
        coordinator: Coordinator,
        emit: Callable[[events.HookEvent], None],
    ) -> None:
        self.watch: Callable[[float], None] = lambda _: None
        self._now = runtime.clock.now
        self._random = runtime.random
        self._coordinator = coordinator
        self._emit = emit
        self._order = itertools.count()
        self._moments: list[tuple[float, int, Scope]] = []
        # The codes that were offered here and have not been used here: their end.
        self._waiting: dict[str, tuple[StoredCode, int]] = {}

    def __len__(self) -> int:
        self.expire()
        return len(self._waiting)

    async def offer(self, code: StoredCode, scope: Scope) -> None:
        """Put a code, its times local, into the record of its scope.

        Raises `InvalidArgumentError` if eight codes wait there already.
        """
        key = self._coordinator.scope_key(scope.text)
        state = (await self._coordinator.state_of_code(code.id)).state
        answer, view = await self._coordinator.scope(
            key,
            lambda view: records.offer(
                view.record, view.now, code.moved(view.to_store(0.0)), state
            ),
        )
        if isinstance(answer, records.Full):
            message = f"{records.MAX_PUSHED} codes wait for this scope already"
            raise InvalidArgumentError(message)
        known = any(each.id == code.id for each in view.record.codes)
        if known or state in {CodeState.REDEEMED, CodeState.SPENT}:
            return
        now = self._now()
        self._waiting[code.id] = (code, len(scope))
        at = last_safe_moment(code.deadline, code.received, self._random())
        heapq.heappush(self._moments, (at, next(self._order), scope))
        self._emit(events.CodeQueued(at=now, scope_size=len(scope)))
        self.watch(at)

    def known(self, code: StoredCode) -> StoredCode:
        """Return a code as it was offered here, if it was: it is no younger now."""
        waiting = self._waiting.get(code.id)
        return code if waiting is None else waiting[0]

    def used(self, code_id: str) -> None:
        """Note that a code is being exchanged here."""
        self._waiting.pop(code_id, None)

    def forget(self, code_ids: set[str]) -> None:
        """Note that codes were dropped."""
        for code_id in code_ids:
            self._waiting.pop(code_id, None)

    def due(self) -> list[Scope]:
        """Return the scopes that have a code at its last safe moment."""
        now, due = self._now(), []
        while self._moments and self._moments[0][0] <= now:
            due.append(heapq.heappop(self._moments)[2])
        return due

    def next_moment(self) -> float | None:
        """Return when to look again."""
        return self._moments[0][0] if self._moments else None

    def expire(self) -> None:
        """Emit an event for every code that expired unused."""
        now = self._now()
        expired = [
            key for key, (code, _) in self._waiting.items() if code.deadline <= now
        ]
        for key in expired:
            _, size = self._waiting.pop(key)
            self._emit(events.CodeExpiredUnused(at=now, scope_size=size))

    def clear(self) -> None:
        """Forget everything, in a forked child."""
        self._waiting.clear()
        self._moments.clear()
