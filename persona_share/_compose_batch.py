"""Composes batches and copies for clients, sessions and managers."""

import os
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import attrs

from persona_share._pipeline.observed import EventEmitter
from persona_share.batch.batch import (
    MAX_OUTAGE,
    Batch,
    BatchContext,
    FetchOptions,
    require_number,
)
from persona_share.batch.checkpoint import Checkpoint, SQLiteCheckpoint
from persona_share.batch.copy import FOLLOW, Copy, CopyContext, CopyWorker
from persona_share.batch.groups import (
    CHUNK,
    DirectPlanner,
    GroupPlanner,
    Planner,
    Retrieve,
)
from persona_share.batch.manifests import CopyRequest
from persona_share.batch.outages import OutageMonitor
from persona_share.batch.saving import Downloads, Persistent
from persona_share.batch.workers import BatchStats, Measured, WorkerPool
from persona_share.errors import InvalidArgumentError, InvalidIdError
from persona_share.model.account import Account
from persona_share.model.batch import WaitingFor
from persona_share.model.case import Case
from persona_share.model.document import Document
from persona_share.model.ids import checked_id, is_id, resource_of
from persona_share.model.inquiry import Inquiry
from persona_share.model.policy import CONCURRENCY
from persona_share.model.report import Report
from persona_share.model.resource import Resource
from persona_share.model.scope import MAX_ATOMS, Scope
from persona_share.model.transaction import Transaction
from persona_share.model.verification import Verification
from persona_share.model.webhook import Event
from persona_share.ports import ClientContext, Clock, Hook
from persona_share.resources.api import (
    ResourceAccessors,
    family_of,
    retriever,
)
from persona_share.resources.base import Caller


#: A batch pauses after this many consecutive failures of different objects.
_THRESHOLD: Final = 4
#: A copy waits this many seconds to fill a group of related objects, whose ids arrive at
#: the pace of the rate limit. Fuller groups need fewer codes.
_LINGER: Final = 20.0

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
    """Builds one batch; ``tokens`` returns how many exchanges the manager has made."""

    context: ClientContext
    options: FetchOptions
    tokens: Callable[[], int] = lambda: 0
    _stats: BatchStats = attrs.field(factory=BatchStats, init=False)

    def direct(self, caller: Caller) -> Batch[Any]:
        """Return a batch that uses the credential of a caller."""
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
        has_source: bool,
    ) -> Batch[Any]:
        """Return a batch that uses one token for each group of objects.

        Raises `InvalidArgumentError` for a permission that is not a read permission,
        and for groups that are too large.
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

        partner = self.options.partner_outages or self._monitor("partner")
        planner = GroupPlanner(
            size=objects_per_token,
            permission=permission,
            acquire=acquire,
            forget=forget,
            is_held=is_held,
            retrieve_under=retrieve_under,
            outages=partner,
            clock=self.context.runtime.clock,
            has_source=has_source,
            linger=self.options.linger,
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

    def _monitor(self, waiting_for: WaitingFor) -> OutageMonitor:
        options, clock = self.options, self.context.runtime.clock
        return _monitor(clock, options.concurrency, options.outage_seconds, waiting_for)

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
            checkpoint=SQLiteCheckpoint(path)
            if isinstance(path, str | os.PathLike)
            else path,
            keep_tokens=options.acknowledge == "explicit",
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


def _monitor(
    clock: Clock, concurrency: int, max_outage: float, waiting_for: WaitingFor
) -> OutageMonitor:
    return OutageMonitor(
        clock,
        threshold=min(concurrency, _THRESHOLD),
        max_outage=max_outage,
        waiting_for=waiting_for,
    )


class CopyArguments(TypedDict, total=False):
    """The keyword arguments of every ``copy``.

    ``into`` is the folder for the folders of all people. ``follow`` names the
    relationships whose objects are copied; ``files`` and ``pdf`` add their files and
    PDFs. ``refresh`` copies people again whose inquiry has changed, whose files are
    missing or have other sizes, or whose refused objects are shared now; it does not
    concern tokens, which are refreshed either way. With ``verify`` it also compares the
    hashes of all files.
    ``checkpoint`` replaces the checkpoint in the folder if several copies share one.
    ``file_concurrency`` is the number of concurrent downloads. The other options are
    those of ``fetch``.
    """

    into: str | os.PathLike[str] | None
    follow: Sequence[str]
    files: bool
    pdf: bool
    refresh: bool
    verify: bool
    checkpoint: Checkpoint | str | None
    concurrency: int
    file_concurrency: int
    max_outage: float | timedelta


class ManagerCopyArguments(CopyArguments, total=False):
    """The keyword arguments of `ScopedTokenManager.copy`."""

    permission: str | None
    objects_per_token: int


def compose_copy(
    fetch: Callable[..., Batch[Any]],
    context: ClientContext,
    accessors: Callable[[Scope | None], ResourceAccessors],
    ids: Any,
    *,
    into: str | os.PathLike[str] | None = None,
    follow: Sequence[str] = FOLLOW,
    files: bool = True,
    pdf: bool = False,
    refresh: bool = False,
    verify: bool = False,
    concurrency: int = CONCURRENCY,
    file_concurrency: int = 16,
    max_outage: float | timedelta = MAX_OUTAGE,
    permission: str | None = None,
    checkpoint: Checkpoint | str | None = None,
    **grouping: Any,
) -> Copy:
    """Return a copy; raises `InvalidArgumentError`."""
    require_number("file_concurrency", file_concurrency)
    if isinstance(follow, str):
        message = "follow must be a sequence of relationship names"
        raise InvalidArgumentError(message)
    names: Sequence[object] = follow
    for each in names:
        if not isinstance(each, str) or not is_id(each):  # it becomes a folder's name
            message = "follow must be names such as 'verifications'"
            raise InvalidArgumentError(message)
    if into is None and (files or pdf):
        files = pdf = False  # there is no folder to save them in
    if refresh and into is None:
        message = "refresh=True needs into=, the folder of the copy"
        raise InvalidArgumentError(message)
    if verify and not refresh:
        message = "verify=True needs refresh=True"
        raise InvalidArgumentError(
            message, advice="Without a copy, call persona_share.batch.verify_copy()."
        )
    options: dict[str, Any] = {
        "concurrency": concurrency,
        "max_outage": max_outage,
        "acknowledge": "explicit",
        **grouping,
    }
    named = {} if permission is None else {"permission": permission}
    clock = context.runtime.clock
    checked = FetchOptions(ids=ids, concurrency=concurrency, max_outage=max_outage)
    outage_seconds = checked.outage_seconds
    options["partner_outages"] = _monitor(clock, concurrency, outage_seconds, "partner")
    worker = CopyWorker(
        context=CopyContext(
            roots=lambda checkpoint: fetch(
                ids, checkpoint=checkpoint, **options, **named
            ),
            related=lambda related: fetch(related, linger=_LINGER, **options),
            downloads=Downloads(accessors),
            persistent=Persistent(
                clock=clock,
                outages=_monitor(clock, file_concurrency, outage_seconds, "service"),
            ),
            wall=clock.wall,
        ),
        request=CopyRequest(follow=tuple(follow), files=files, pdf=pdf),
        into=None if into is None else Path(into).expanduser(),
        refresh=refresh,
        verify=verify,
        file_concurrency=file_concurrency,
        checkpoint=checkpoint,
    )
    return Copy(worker)
