"""Composes batches for a client, a session and a manager."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import Any, Final, cast

import attrs

from persona_share._pipeline.observed import EventEmitter
from persona_share.batch.batch import (
    Batch,
    BatchContext,
    FetchOptions,
    require_number,
)
from persona_share.batch.checkpoint import SQLiteCheckpoint
from persona_share.batch.groups import (
    CHUNK,
    DirectPlanner,
    GroupPlanner,
    Planner,
    Retrieve,
)
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.stats import BatchStats, Measured
from persona_share.batch.workers import WorkerPool
from persona_share.errors import InvalidArgumentError, InvalidIdError
from persona_share.model.account import Account
from persona_share.model.case import Case
from persona_share.model.document import Document
from persona_share.model.event import Event
from persona_share.model.ids import checked_id, resource_of
from persona_share.model.inquiry import Inquiry
from persona_share.model.report import Report
from persona_share.model.resource import Resource
from persona_share.model.scope import MAX_ATOMS, Scope
from persona_share.model.transaction import Transaction
from persona_share.model.verification import Verification
from persona_share.ports import ClientContext, Hook
from persona_share.resources.api import family_of, retriever
from persona_share.resources.base import Caller


#: Failures of distinct objects in a row that start a pause.
_THRESHOLD: Final = 4

_FAMILIES: Final[Mapping[type[Resource], str]] = {
    Account: "account",
    Case: "case",
    Document: "document",
    Event: "event",
    Inquiry: "inquiry",
    Report: "report",
    Transaction: "txn",
    Verification: "verification",
}


@attrs.frozen
class BatchComposer:
    """Builds one batch; ``tokens`` returns the exchanges of the manager so far."""

    context: ClientContext
    options: FetchOptions
    tokens: Callable[[], int] = lambda: 0
    _stats: BatchStats = attrs.field(factory=BatchStats, init=False)

    def direct(self, caller: Caller) -> Batch[Any]:
        """Return a batch under the one credential of a caller."""
        size = 32 if isinstance(self.options.ids, AsyncIterable) else CHUNK
        family = self._family()
        retrieve = retriever(self._measured(caller), family=family, scope=caller.scope)
        planner = DirectPlanner(self._checked(retrieve, family), size)
        return self._batch(planner, per_token=None)

    def scoped(
        self,
        caller_of: Callable[[Scope], Caller],
        acquire: Callable[[Scope], Awaitable[object]],
        forget: Callable[[Scope], Awaitable[None]],
        is_held: Callable[[Scope], bool],
        *,
        permission: str | None,
        objects_per_token: int,
        free: bool,
    ) -> Batch[Any]:
        """Return a batch under a token for every group of objects.

        Raises `InvalidArgumentError` for a permission that reads nothing, and for
        groups that are too large.
        """
        require_number("objects_per_token", objects_per_token, MAX_ATOMS)
        family = self._family()
        if permission is not None:
            named = family_of(permission)
            if family not in {None, named}:
                message = f"permission does not read objects of {family!r}"
                raise InvalidArgumentError(message)
            family = named
        elif family is not None:
            permission = f"{family}.read"

        def retrieve_under(scope: Scope) -> Retrieve:
            return retriever(self._measured(caller_of(scope)), family=family)

        partner = self._monitor("partner")
        planner = GroupPlanner(
            size=objects_per_token,
            permission=permission,
            acquire=acquire,
            forget=forget,
            is_held=is_held,
            retrieve_under=retrieve_under,
            outages=partner,
            clock=self.context.runtime.clock,
            free=free,
        )
        return self._batch(planner, per_token=objects_per_token, partner=partner)

    def _family(self) -> str | None:
        """Return the permission family of ``kind``, or None for any kind."""
        kind = self.options.kind
        if kind is Resource:
            return None
        for each, family in _FAMILIES.items():
            if issubclass(kind, each):
                return family
        message = f"objects of {kind.__name__} cannot be fetched by their ids"
        raise InvalidArgumentError(message)

    @staticmethod
    def _checked(retrieve: Retrieve, family: str | None) -> Retrieve:
        """Refuse ids of other kinds before anything is sent."""
        if family is None:
            return retrieve

        async def checked(object_id: str) -> Any:
            found = resource_of(checked_id(object_id))
            if found not in {None, family}:
                message = f"the id is one of {found!r}, not of {family!r}"
                raise InvalidIdError(message)
            return await retrieve(object_id)

        return checked

    def _monitor(self, waiting_for: Any) -> OutageMonitor:
        return OutageMonitor(
            self.context.runtime.clock,
            threshold=min(self.options.concurrency, _THRESHOLD),
            max_outage=self.options.outage_seconds,
            waiting_for=waiting_for,
        )

    def _measured(self, caller: Caller) -> Caller:
        now = self.context.runtime.clock.now
        return attrs.evolve(caller, sender=Measured(caller.sender, self._stats, now))

    def _batch(
        self,
        planner: Planner,
        per_token: int | None,
        partner: OutageMonitor | None = None,
    ) -> Batch[Any]:
        options = self.options
        path, on_progress = options.checkpoint, options.on_progress
        pool = WorkerPool(
            ids=options.ids,
            planner=planner,
            clock=self.context.runtime.clock,
            outages=self._monitor("service"),
            partner_outages=partner,
            stats=self._stats,
            concurrency=options.concurrency,
            checkpoint=None if path is None else SQLiteCheckpoint(path),
        )
        emit = None
        if on_progress is not None:
            emit = EventEmitter([cast("Hook", on_progress)])
        context = BatchContext(
            total=options.total,
            per_token=per_token,
            allowance=self.context.rate_limit_status,
            tokens=self.tokens,
            emit=emit,
            acknowledge=options.acknowledge,
        )
        return Batch(pool, context)
