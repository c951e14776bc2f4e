"""Coordinates managers through a store: every change is a compare-and-swap of one record.

Without a store, or while it is down, the same transitions change private records of this
process. A store is an optimization and an escrow, not the source of safety: that comes
from the idempotency key, which follows from the code.

Callers see local times only: the times of records are converted here, and rounded down,
so that nothing looks younger than it is on the way.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar

import attrs

from persona_share._protocol.redaction import name_of
from persona_share._tokens import record as records
from persona_share._tokens.cache import BoundedDict, TokenCache
from persona_share._tokens.inflight import Operation, Tasks
from persona_share._tokens.metrics import Emitter
from persona_share._tokens.record import (
    CodeRecord,
    CodeState,
    Record,
    ScopeRecord,
    StoredCode,
    StoredToken,
    Timed,
    UnreadableRecordError,
)
from persona_share._waiting import CancelledItselfError, TimeIsUpError, within
from persona_share.errors import (
    InvalidArgumentError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
)
from persona_share.model import events
from persona_share.model.scope import Scope
from persona_share.ports import Clock, Runtime, Store


_log: Final = logging.getLogger("persona_share")

#: An operation may take this long, mostly waiting for its turn: a store that writes one
#: record at a time is not down because many scopes need it at once.
_MAX_TURN: Final = 20.0
#: Closing the store may take this long.
_CLOSE_TIMEOUT: Final = 2.5
#: While a store is down it is tried again after pauses in this range, in seconds.
_RETRY_FIRST: Final = 2.0
_RETRY_MAX: Final = 30.0
#: It is back when it accepts this value, which is as long as a record with a token.
_PROBE: Final = bytes(2_048)
#: Waiting polls: pauses in this range, and a maximum of reads per second in all.
_POLL_FIRST: Final = 0.1
_POLL_MAX: Final = 1.0
_MAX_READS: Final = 50.0
_POLITE_LOSSES: Final = 3
#: The maximum of leases, first sends and unpublished tokens that are remembered.
_MAX_REMEMBERED: Final = 10_000
#: The maximum of redeemed codes that are remembered, as they may be delivered again.
#: Persona's limit allows fewer in an hour; a forgotten code is sent with the same key, and
#: the service repeats its response.
_MAX_REDEEMED: Final = 20_000
#: Expired private records are dropped when there are twice as many as then, and so many.
_MIN_PURGED: Final = 256
OnStoreFailure = Literal["local", "fail"]
T = TypeVar("T")
P = ParamSpec("P")


@attrs.frozen
class Changed(Generic[Record]):
    """A record before and after a transition, its times local.

    ``started`` is when it began; ``shared``: it happened in the shared store.
    """

    old: Record
    new: Record
    started: float
    shared: bool


class PrivateRecords:
    """The records of this process: of a manager without a store, or whose store is down.

    Their tokens are left to the cache. Of redeemed codes, which may be delivered again,
    only the scope is kept.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._records: dict[
            tuple[str, str], tuple[ScopeRecord | CodeRecord, float]
        ] = {}
        # By the hash of a code's id, which is half as large.
        self._redeemed = BoundedDict[int, str](_MAX_REDEEMED)
        self._purge_above = _MIN_PURGED

    def read(self, kind: type[Record], name: str) -> Record:
        """Return a record."""
        if kind is CodeRecord and hash(name) in self._redeemed:
            facts: dict[str, Any] = {"scope": self._redeemed[hash(name)]}
            return kind(state=CodeState.REDEEMED, **facts)
        found, end = self._records.get((kind.kind, name), (None, 0.0))
        return found if isinstance(found, kind) and end > self._now() else kind()

    def write(self, name: str, record: ScopeRecord | CodeRecord) -> None:
        """Keep a record for as long as it is of any use."""
        now, key = self._now(), (record.kind, name)
        record = attrs.evolve(record, token=None)
        self._records.pop(key, None)
        if isinstance(record, CodeRecord) and record.state is CodeState.REDEEMED:
            self._redeemed[hash(name)] = record.scope
        elif (ttl := record.ttl(now)) > 0:
            self._records[key] = record, now + ttl
        if len(self._records) > self._purge_above:
            live = [each for each in self._records.items() if each[1][1] > now]
            self._records = dict(live)
            self._purge_above = 2 * len(live) + _MIN_PURGED

    def drain(self) -> list[tuple[str, StoredCode]]:
        """Remove all records, and return the codes in them, each with its scope."""
        now, found, self._records = self._now(), self._records, {}
        return [
            (name, code)
            for (_, name), (record, end) in found.items()
            if isinstance(record, ScopeRecord) and end > now
            for code in record.codes
        ]


class Coordinator:
    """Reads and changes the records of scopes and codes."""

    def __init__(
        self,
        store: Store | None,
        *,
        runtime: Runtime,
        naming: tuple[bytes, str, str],
        cache: TokenCache,
        tasks: Tasks,
        emit: Emitter,
        on_store_failure: OnStoreFailure = "local",
    ) -> None:
        #: Whether there is a store to share with other managers.
        self.shares: bool = store is not None
        self.down: bool = False
        #: Whether this manager ever had to continue without its store.
        self.ever_down: bool = False
        #: First sends of codes by this manager, by the local clock.
        self.first_sent: BoundedDict[str, CodeRecord] = BoundedDict(_MAX_REMEMBERED)
        self.tasks: Tasks = tasks
        self._store = store
        self.clock: Clock = runtime.clock
        self._private = PrivateRecords(runtime.clock.now)
        self._random = runtime.random
        self._naming = naming
        self._cache = cache
        self.emit: Emitter = emit
        self._on_store_failure = on_store_failure
        # Records that cannot be read, and when they have expired.
        self._unreadable = BoundedDict[tuple[type[Any], str], float](_MAX_REMEMBERED)
        # Leases and back-offs as they were first seen, by the local clock.
        self._observed = BoundedDict[tuple[str, str], tuple[Any, float]](
            _MAX_REMEMBERED
        )
        # By scope and fingerprint.
        self._unpublished = BoundedDict[tuple[str, str], tuple[Scope, StoredToken]](
            _MAX_REMEMBERED
        )
        self._pollers = 0
        self._opened = False

    async def open(self) -> None:
        """Open the store. One that is refused raises; one that is down is tried again.

        Raises `StoreUnavailableError` only with ``on_store_failure="fail"``.
        """
        if self._store is None:
            return
        try:
            await self._store.open()
            self._opened = True
        except BaseException as error:
            strict = self._on_store_failure == "fail"
            if strict or not isinstance(error, StoreUnavailableError):
                await self.aclose()  # the manager is not entered: nothing else does it
                raise
            self._go_down(error)

    async def aclose(self) -> None:
        """Close the store."""
        if self._store is not None:
            with suppress(TimeIsUpError):
                await within(self.clock, _CLOSE_TIMEOUT, self._store.aclose())

    def require_store(self) -> None:
        """Raise `StoreUnavailableError` if the store is down and the policy is "fail"."""
        if self.down and self._on_store_failure == "fail":
            message = "the token store is down"
            raise StoreUnavailableError(message)

    def key(self, kind: type[ScopeRecord | CodeRecord], name: str) -> str:
        """Return the key of a record; it reveals nothing of the scope or the code."""
        secret, origin, machine = self._naming
        return f"{kind.kind}/{name_of(secret, kind.kind, origin, machine, name)}"

    # ── Compare-and-swap ────────────────────────────────────────────────────────

    async def change(  # noqa: C901  # one branch for each way a change ends
        self,
        kind: type[Record],
        name: str,
        transition: Callable[Concatenate[Record, float, P], Record],
        *args: P.args,
        **options: P.kwargs,
    ) -> Changed[Record]:
        """Change the record of a scope or of a code; ``args`` have local times.

        ``name`` is the scope's text or the code's id. Without a store, or while it is
        down, the record is one of this process.
        """
        losses, began = 0, self.clock.now()
        if self._unreadable.get((kind, name), began) < began:
            del self._unreadable[kind, name]
            for code in self._private.read(ScopeRecord, name).codes:
                await self.change(ScopeRecord, name, records.hold, "", code)
        while True:
            started = self.clock.now()
            private = self.down or (kind, name) in self._unreadable
            if self._store is None or private:
                old = self._private.read(kind, name)
                new = transition(old, started, *args, **options)
                if new != old:
                    self._private.write(name, new)
                return Changed(old, new, started, shared=False)
            key = self.key(kind, name)
            try:
                found = await self._io(self._store.read(key))
                now = found.now
                there, here = now - self.clock.now(), started - now
                old = records.decode(key, found.value, kind)
                old = records.bounded(old, now, self._ages(key, old))
                moved: Any = [
                    each.moved(there) if isinstance(each, Timed) else each
                    for each in args
                ]
                new = transition(old, now, *moved, **options)
                changed = Changed(old.moved(here), new.moved(here), started, True)
                if new == old:
                    return changed
                ttl = new.ttl(now)
                value = records.encode(key, new) if ttl > 0 else None
                writing = self._store.write(
                    key, value, if_etag=found.etag, ttl=max(ttl, 1.0)
                )
                if await self._io(writing):
                    return changed
            except (
                UnreadableRecordError,
                StoreCorruptError,
                InvalidArgumentError,  # it is too long
            ) as error:
                # A record that cannot be read is not overwritten.
                self._unreadable[kind, name] = started + records.KEEP_CODE
                _log.warning(
                    "A record of the token store cannot be read (%s); this manager"
                    " continues without it.",
                    error,
                )
                continue
            except StoreError as error:
                self._go_down(error)
                continue
            losses += 1
            if started - began > _MAX_TURN:  # nothing but this explains it
                self._unreadable[kind, name] = started + records.KEEP_CODE
                message = "the store refuses every change of a record"
                self._go_down(StoreUnavailableError(message))
            elif losses > _POLITE_LOSSES:
                await self.clock.sleep(0.01 * min(losses, 10) * self._random())

    async def _io(self, work: Awaitable[T]) -> T:
        """Await an operation; it may have to wait for its turn, but not without end."""
        try:
            return await within(self.clock, _MAX_TURN, work)
        except (TimeIsUpError, CancelledItselfError):
            message = f"the store did not respond within {_MAX_TURN:.0f} s"
            raise StoreUnavailableError(message) from None

    def _ages(self, key: str, record: ScopeRecord | CodeRecord) -> dict[str, float]:
        """Return for how long this reader has seen the lease and back-off unchanged."""
        now, ages = self.clock.now(), {}
        for name in ("lease", "backoff"):
            limit = getattr(record, name, None)
            known, since = self._observed.pop((key, name), (None, now))
            if limit is not None:
                since = since if known == limit else now
                self._observed[key, name] = limit, since
                ages[name] = now - since
        return ages

    async def poll(
        self,
        operation: Operation,
        what: str,
        attempt: Callable[[], Awaitable[T | None]],
    ) -> T:
        """Return the first result of an attempt; until then the operation waits.

        All operations that wait share the reads of a second.
        """
        if (result := await attempt()) is not None:
            return result
        pause = _POLL_FIRST
        with operation.waiting(what):
            while True:
                self._pollers += 1
                try:
                    jittered = pause * (0.5 + self._random() / 2)
                    await self.clock.sleep(max(jittered, self._pollers / _MAX_READS))
                finally:
                    self._pollers -= 1
                if (result := await attempt()) is not None:
                    return result
                pause = min(_POLL_MAX, pause * 2)

    # ── Publishing ──────────────────────────────────────────────────────────────

    async def publish(self, scope: Scope, owner: str, token: StoredToken) -> None:
        """Publish a token: first with its code, then with its scope.

        The token is remembered until the store has it, or it is forgotten. A token that
        the scope's record rejects leaves the local cache, too.
        """
        key, shared = (scope.text, token.fingerprint), True
        self._unpublished[key] = scope, token
        if token.code_id:
            redeemed = await self.change(
                CodeRecord, token.code_id, records.redeem, scope.text, token
            )
            shared, known = redeemed.shared, redeemed.new.token
            if known is not None and known.fingerprint == token.fingerprint:
                token = known  # its expiry is the earlier one
            self.first_sent.pop(token.code_id, None)

        def publish(
            record: ScopeRecord, now: float, owner: str, token: StoredToken
        ) -> ScopeRecord:
            new = records.publish(record, now, owner, token)
            forgotten = key not in self._unpublished
            return attrs.evolve(new, token=record.token) if forgotten else new

        changed = await self.change(ScopeRecord, scope.text, publish, owner, token)
        if changed.new.is_rejected(token.fingerprint):
            self._cache.reject(scope.text, token.fingerprint, token.expires)
        elif changed.new.token is not None and key in self._unpublished:
            self._cache.put(scope, changed.new.token)
        if not self.shares or (shared and changed.shared):
            self._unpublished.pop(key, None)

    async def forget(self, scope: Scope) -> Changed[ScopeRecord]:
        """Drop the token of a scope, published or not, and its waiting codes."""
        for key in [each for each in self._unpublished if each[0] == scope.text]:
            del self._unpublished[key]
        return await self.change(ScopeRecord, scope.text, records.forget)

    def token_of(self, redeemed: CodeRecord) -> StoredToken | None:
        """Return the token that a code was exchanged for; it may be only in the cache."""
        if redeemed.token is not None:
            return redeemed.token
        held = self._cache.usable(redeemed.scope)
        return None if held is None else held.stored()

    # ── Outages ─────────────────────────────────────────────────────────────────

    def _go_down(self, reason: StoreError) -> None:
        if self.down or self._store is None:
            return
        self.down = self.ever_down = True
        _log.warning(
            "The token store is down (%s); %s.",
            reason.what,
            "this manager continues without it"
            if self._on_store_failure == "local"
            else "only cached tokens can be used",
        )
        self.emit(events.StoreDown)
        _ = self.tasks.start(self._recover(self._store), endless=True)

    async def _recover(self, store: Store) -> None:
        """Try the store until it responds, then rewrite what this manager holds."""
        pause = _RETRY_FIRST
        while True:
            await self.clock.sleep(pause * (0.5 + self._random() / 2))
            pause = min(_RETRY_MAX, pause * 2)
            with suppress(StoreError):
                if not self._opened:
                    await store.open()
                    self._opened = True
                # A store that is full, or a replica, can be read; that is not enough.
                probe = self.key(CodeRecord, f"probe {self._random()}")
                etag = (await store.read(probe)).etag
                if await store.write(probe, _PROBE, if_etag=etag, ttl=1.0):
                    break
        self.down = False
        codes = self._private.drain()
        self.emit(events.StoreUp)
        _log.info("The token store responds again.")
        await self._rewrite(codes)

    async def _rewrite(self, codes: list[tuple[str, StoredCode]]) -> None:
        """Update the store: rejections, tokens, first sends, then codes."""
        for rejected, scope in self._cache.rejections():
            await self.change(ScopeRecord, scope, records.reject, rejected)
        for unpublished, token in tuple(self._unpublished.values()):
            await self.publish(unpublished, "", token)
        for code_id, sent in tuple(self.first_sent.items()):
            await self.change(CodeRecord, code_id, records.merge_first_sent, sent)
        for scope, code in codes:
            known = await self.change(CodeRecord, code.id, records.unchanged)
            if known.new.state is CodeState.NEW:
                await self.change(ScopeRecord, scope, records.hold, "", code)
        for entry in tuple(self._cache.values()):
            if self._cache.usable(entry.scope.text) is entry:
                await self.publish(entry.scope, "", entry.stored())

    def after_fork(self) -> None:
        """Drop, in a forked child, what its parent still has."""
        self._private.drain()
        self._unpublished.clear()
