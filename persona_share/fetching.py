"""Where batches are plugged together, for a client, a session and a manager."""

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import cast

import attrs

from persona_share._pipeline.observed import EventEmitter
from persona_share.batch import Batch
from persona_share.batch.brake import Brake
from persona_share.batch.crew import Crew
from persona_share.batch.opening import CHUNK, Direct, Opening, Scoped
from persona_share.batch.order import Order, require_number
from persona_share.batch.stream import Surroundings
from persona_share.batch.tally import Measured, Tally
from persona_share.model.scope import MAX_ATOMS, Scope
from persona_share.ports import ClientContext, Hook
from persona_share.resources.base import Caller
from persona_share.resources.retrieving import family_of, retriever
from persona_share.stores.checkpoint import SQLiteCheckpoint


@attrs.frozen
class Fetching:
    """One order, and what it stands on; ``tokens`` answers the exchanges so far."""

    context: ClientContext
    order: Order
    tokens: Callable[[], int] = lambda: 0
    _tally: Tally = attrs.field(factory=Tally, init=False)

    def direct(self, caller: Caller) -> Batch:
        """Answer a batch under the one credential of a caller."""
        size = 1 if isinstance(self.order.ids, AsyncIterable) else CHUNK
        retrieve = retriever(self._measured(caller), scope=caller.scope)
        return self._batch(Direct(retrieve, size), self._brake(), per_token=None)

    def scoped(
        self,
        caller_of: Callable[[Scope], Caller],
        bring: Callable[[Scope], Awaitable[object]],
        *,
        permission: str | None,
        objects_per_token: int,
        free: bool,
    ) -> Batch:
        """Answer a batch under a token for every group of objects.

        Raises `InvalidArgumentError` for a permission that reads nothing, and for
        groups that are too large.
        """
        family = None if permission is None else family_of(permission)
        require_number("objects_per_token", objects_per_token, MAX_ATOMS)
        brake = self._brake()
        opening = Scoped(
            objects_per_token,
            permission,
            bring,
            lambda scope: retriever(self._measured(caller_of(scope)), family=family),
            brake,
            free=free,
        )
        return self._batch(opening, brake, per_token=objects_per_token)

    def _brake(self) -> Brake:
        return Brake(self.context.runtime.clock, self.order.concurrency)

    def _measured(self, caller: Caller) -> Caller:
        now = self.context.runtime.clock.now
        return attrs.evolve(caller, sender=Measured(caller.sender, self._tally, now))

    def _batch(self, opening: Opening, brake: Brake, per_token: int | None) -> Batch:
        order = self.order
        path, told = order.checkpoint, order.on_progress
        crew = Crew(
            ids=order.ids,
            opening=opening,
            clock=self.context.runtime.clock,
            brake=brake,
            tally=self._tally,
            concurrency=order.concurrency,
            checkpoint=None if path is None else SQLiteCheckpoint(path),
        )
        around = Surroundings(
            total=order.total,
            per_token=per_token,
            allowance=self.context.allowance,
            tokens=self.tokens,
            emit=None if told is None else EventEmitter([cast("Hook", told)]),
        )
        return Batch(crew, around)
