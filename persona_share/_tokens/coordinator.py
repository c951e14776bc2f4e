"""Coordinates managers through a store: every change is a compare-and-swap of one record.

Without a store, or while it is down, the very same code runs on a private store in
memory. A store is an optimization and an escrow, not the source of safety: that comes
from the idempotency key, which follows from the code.

Callers see local times only: the times of records are converted here, and rounded down,
so that nothing looks younger than it is on the way.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
)

import attrs

from persona_share._protocol.redaction import name_of
from persona_share._tokens import record as records
from persona_share._tokens.cache import BoundedDict, TokenCache
from persona_share._tokens.inflight import Operation, Tasks, TimeIsUpError, within
from persona_share._tokens.metrics import Emitter
from persona_share._tokens.record import (
    Backoff,
    CodeRecord,
    CodeState,
    Lease,
    Record,
    ScopeRecord,
    StoredToken,
    Timed,
    UnreadableRecordError,
)
from persona_share.errors import StoreCorruptError, StoreError, StoreUnavailableError
from persona_share.model import events
from persona_share.model.scope import Scope
from persona_share.ports import Clock, Runtime, Store


_log: Final = logging.getLogger("persona_share")

#: One store operation may take this long; the store's own limit is a little shorter.
STORE_TIMEOUT: Final = 2.5
#: The same with the time that an operation waits for its turn: a store that writes one
#: record at a time is not down because many scopes need it at once.
_QUEUE_TIMEOUT: Final = 20.0
#: While a store is down it is tried again after pauses in this range, in seconds.
_RETRY_FIRST: Final = 2.0
_RETRY_MAX: Final = 30.0
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


class Coordinator:
    """Reads and changes the records of scopes and codes."""

    def __init__(
        self,
        store: Store | None,
        *,
        new_private: Callable[[], Store],
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
        self._new_private = new_private
        self._private = new_private()
        self.clock: Clock = runtime.clock
        self._random = runtime.random
        self.new_bytes: Callable[[int], bytes] = runtime.new_bytes
        self._naming = naming
        self._cache = cache
        self.emit: Emitter = emit
        self._on_store_failure = on_store_failure
        self._unreadable: dict[str, None] = BoundedDict(_MAX_REMEMBERED)
        # Leases and back-offs as they were first seen, by the local clock.
        self._observed: dict[tuple[str, str], tuple[object, float]]
        self._observed = BoundedDict(_MAX_REMEMBERED)
        self._unpublished: dict[str, tuple[Scope, StoredToken]]
        self._unpublished = BoundedDict(_MAX_REMEMBERED)
        # Redeemed codes, in a tenth of the memory that the private store would need.
        self._redeemed: dict[int, str] = BoundedDict(_MAX_REDEEMED)
        self._pollers = 0
        self._opened = False

    async def open(self) -> None:
        """Open the store. One that is refused raises; one that is down is tried again.

        Raises `StoreUnavailableError` only with ``on_store_failure="fail"``.
        """
        if self._store is None:
            return
        try:
            await within(self.clock, 2 * STORE_TIMEOUT, self._store.open())
            self._opened = True
        except (StoreUnavailableError, TimeIsUpError) as error:
            self._go_down(error)
            self.require_store()

    async def aclose(self) -> None:
        """Close the store."""
        if self._store is not None:
            await within(self.clock, STORE_TIMEOUT, self._store.aclose())

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

    async def change(
        self,
        kind: type[Record],
        name: str,
        transition: Callable[Concatenate[Record, float, P], Record],
        *args: P.args,
        **options: P.kwargs,
    ) -> Changed[Record]:
        """Change the record of a scope or of a code; ``args`` have local times.

        ``name`` is the scope's text or the code's id, or the key of the record.
        """
        key = name if "/" in name else self.key(kind, name)
        losses = 0
        while True:
            private = self._store is None or self.down or key in self._unreadable
            store = self._private if self._store is None or private else self._store
            try:
                started = self.clock.now()
                found = await self._io(store.read(key), private=private)
                now = float(found.now)
                if not math.isfinite(now):
                    message = "the clock of the store did not return a number"
                    raise _StoreDownError(StoreUnavailableError(message))  # noqa: TRY301
                there = 0.0 if private else now - self.clock.now()
                here = 0.0 if private else started - now
                old = self._decoded(key, found.value, kind, now, private=private)
                moved: Any = [
                    each.moved(there) if isinstance(each, Timed) else each
                    for each in args
                ]
                new = transition(old, now, *moved, **options)
                if new == old or await self._write(
                    store, key, new, etag=found.etag, now=now, private=private
                ):
                    return Changed(
                        old.moved(here), new.moved(here), started, not private
                    )
            except UnreadableRecordError as error:
                # A record that cannot be read is not overwritten.
                self._unreadable[key] = None
                _log.warning(
                    "A record of the token store cannot be read (%s); this manager"
                    " continues without it.",
                    error,
                )
                continue
            except _StoreDownError as error:
                self._go_down(error.reason)
                continue
            losses += 1
            if losses > _POLITE_LOSSES:
                await self.clock.sleep(0.01 * min(losses, 10) * self._random())

    def _decoded(
        self,
        key: str,
        value: bytes | None,
        kind: type[Record],
        now: float,
        *,
        private: bool,
    ) -> Record:
        record = records.decode(key, value, kind)
        if not private:
            return records.bounded(self._without_stale(key, record, now), now)
        scope = self._redeemed.get(_short(key))
        if scope is None:
            return record
        facts: dict[str, Any] = {"state": CodeState.REDEEMED, "scope": scope}
        return kind(**facts)

    async def _write(
        self,
        store: Store,
        key: str,
        new: ScopeRecord | CodeRecord,
        *,
        etag: str,
        now: float,
        private: bool,
    ) -> bool:
        if private:  # the cache holds the token
            new = attrs.evolve(new, token=None)
        ttl = new.ttl(now)
        if private and isinstance(new, CodeRecord) and new.state is CodeState.REDEEMED:
            self._redeemed[_short(key)] = new.scope
            ttl = 0.0
        value = records.encode(key, new) if ttl > 0 else None
        work = store.write(key, value, if_etag=etag, ttl=max(ttl, 1.0))
        return await self._io(work, private=private)

    async def _io(self, work: Awaitable[T], *, private: bool) -> T:
        """Await one operation of a store; whatever goes wrong, the store is down."""
        if private:
            return await work
        try:
            return await within(self.clock, _QUEUE_TIMEOUT, work)
        except StoreCorruptError as error:
            raise UnreadableRecordError(error.what) from None
        except Exception as error:  # noqa: BLE001  # whatever it is, the store is down
            raise _StoreDownError(error) from None

    def _without_stale(self, key: str, record: Record, now: float) -> Record:
        """End what this reader has seen unchanged for longer than it may last."""
        for name in ("lease", "backoff"):
            limit: Lease | Backoff | None = getattr(record, name, None)
            known = self._observed.get((key, name))
            if limit is None:
                self._observed.pop((key, name), None)
            elif known is None or known[0] != limit:
                self._observed[key, name] = limit, self.clock.now()
            elif limit.until > now and (
                self.clock.now() - known[1] >= records.max_duration(limit)
            ):
                record = records.with_end(record, name, now)
        return record

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

        The token is remembered until the store has it. A token that the scope's record
        rejects leaves the local cache, too.
        """
        if self._store is not None:
            self._unpublished[token.fingerprint] = scope, token
        shared = True
        if token.code_id:
            redeemed = await self.change(
                CodeRecord, token.code_id, records.redeem, scope.text, token
            )
            shared, known = redeemed.shared, redeemed.new.token
            if known is not None and known.fingerprint == token.fingerprint:
                token = known if known.expires < token.expires else token
            self.first_sent.pop(token.code_id, None)
        changed = await self.change(
            ScopeRecord, scope.text, records.publish, owner, token
        )
        if changed.new.is_rejected(token.fingerprint):
            self._cache.reject(scope.text, token.fingerprint, token.expires)
        elif changed.new.token is not None:
            self._cache.put(scope, changed.new.token)
        if shared and changed.shared:
            self._unpublished.pop(token.fingerprint, None)

    def token_of(self, redeemed: CodeRecord) -> StoredToken | None:
        """Return the token that a code was exchanged for; it may be only in the cache."""
        if redeemed.token is not None:
            return redeemed.token
        held = self._cache.usable(redeemed.scope)
        return None if held is None else held.stored()

    # ── Outages ─────────────────────────────────────────────────────────────────

    def _go_down(self, reason: BaseException) -> None:
        if self.down:
            return
        self.down = self.ever_down = True
        _log.warning(
            "The token store is down (%s); %s.",
            reason.what if isinstance(reason, StoreError) else type(reason).__name__,
            "this manager continues without it"
            if self._on_store_failure == "local"
            else "only cached tokens can be used",
        )
        self.emit(events.StoreDown)
        _ = self.tasks.start(self._recover(), endless=True)

    async def _recover(self) -> None:
        """Try the store until it responds, then rewrite what this manager holds."""
        store, pause = self._store, _RETRY_FIRST
        while store is not None:
            await self.clock.sleep(pause * (0.5 + self._random() / 2))
            pause = min(_RETRY_MAX, pause * 2)
            try:
                if not self._opened:
                    await self._io(store.open(), private=False)
                    self._opened = True
                await self._io(store.read(self.key(CodeRecord, "probe")), private=False)
            except _StoreDownError:
                continue
            break
        private, self._private = self._private, self._new_private()
        self.down = False
        self.emit(events.StoreUp)
        _log.info("The token store responds again.")
        await self._rewrite(private)

    async def _rewrite(self, private: Store) -> None:  # noqa: C901  # five loops
        """Update the store: rejections, tokens, first sends, then codes."""
        for rejected, scope in self._cache.rejections():
            await self.change(ScopeRecord, scope, records.reject, rejected)
        for unpublished, token in tuple(self._unpublished.values()):
            await self.publish(unpublished, "", token)
        for code_id, sent in tuple(self.first_sent.items()):
            await self.change(CodeRecord, code_id, records.merge_first_sent, sent)
        async for key in private.keys("scope/"):
            value = (await private.read(key)).value
            for code in records.decode(key, value, ScopeRecord).codes:
                known = await self.change(CodeRecord, code.id, records.unchanged)
                if known.new.state is CodeState.NEW:
                    await self.change(ScopeRecord, key, records.hold, "", code)
        for entry in self._cache:
            if self._cache.usable(entry.scope.text) is entry:
                await self.change(
                    ScopeRecord, entry.scope.text, records.publish, "", entry.stored()
                )

    def after_fork(self) -> None:
        """Drop, in a forked child, what its parent still has."""
        self._private = self._new_private()
        self._unpublished.clear()
        self._redeemed.clear()
        self.first_sent.clear()


class _StoreDownError(Exception):
    """An operation of the store failed; ``reason`` says how."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(type(reason).__name__)
        self.reason = reason


def _short(key: str) -> int:
    """Return 60 bits of a key's hash: unlikely to collide, and half as large."""
    return int(key[-15:], 16)
