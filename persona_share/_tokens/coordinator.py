"""Coordinates managers through a store: every change is a compare-and-swap of one record.

Without a store, or while it is down, the very same code runs on a private store in
memory. A store is an optimization and an escrow, not the source of safety: that comes
from the idempotency key, which follows from the code.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, Literal, TypeVar

import attrs

from persona_share._protocol.redaction import name_of
from persona_share._tokens import record as records
from persona_share._tokens.cache import TokenCache, stored_form
from persona_share._tokens.inflight import Tasks
from persona_share._tokens.record import (
    CODES,
    SCOPES,
    Codec,
    CodeRecord,
    CodeState,
    Publication,
    Published,
    ScopeRecord,
    StoredCode,
    StoredToken,
    UnreadableRecordError,
    Wish,
)
from persona_share.errors import (
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
)
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
#: Waiting is polling: pauses in this range, and at most so many reads a second in all.
_POLL_FIRST: Final = 0.1
_POLL_MAX: Final = 1.0
_MAX_READS: Final = 50.0
_POLITE_LOSSES: Final = 3
_MAX_OBSERVED: Final = 10_000
_MAX_FIRST_SENT: Final = 10_000
_MAX_UNPUBLISHED: Final = 10_000
OnStoreFailure = Literal["local", "fail"]
T = TypeVar("T")
_R = TypeVar("_R", ScopeRecord, CodeRecord)


class TimeIsUpError(Exception):
    """The work took longer than it was given."""


class CancelledItselfError(Exception):
    """The work was cancelled, and not by its caller."""


async def within(
    clock: Clock,
    seconds: float,
    work: Awaitable[T],
    late: Callable[[asyncio.Future[T]], object] = lambda _: None,
) -> T:
    """Await for so many seconds of this clock, or raise `TimeIsUpError`.

    Work that is left behind is cancelled; ``late`` gets what becomes of it. Raises
    `CancelledItselfError` if it was cancelled from within.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    try:
        done, _ = await asyncio.wait(
            {working, waiting}, return_when=asyncio.FIRST_COMPLETED
        )
    except asyncio.CancelledError:
        working.add_done_callback(late)
        raise
    finally:
        waiting.cancel()
        working.cancel()
    if working not in done:
        working.add_done_callback(late)
        raise TimeIsUpError
    if working.cancelled():
        raise CancelledItselfError
    return working.result()


def _take_exception(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


@attrs.frozen
class View(Generic[_R]):
    """One reading of a record: what it was, the store's time, and the offset to ours.

    ``raw`` is what was read, ``record`` the same with its times within bounds.
    Both conversions round down: nothing looks younger than it is on the way.
    """

    record: _R
    raw: _R
    now: float
    before: float
    after: float
    shared: bool

    def to_local(self, instant: float) -> float:
        """Return an instant of the store's clock on the local clock."""
        return instant - (self.now - self.before)

    def to_store(self, instant: float) -> float:
        """Return an instant of the local clock on the store's clock."""
        return instant + (self.now - self.after)


class HeldLease:
    """A lease of this manager that is extended until it is stopped.

    ``wish`` is what its acquisition needs; ``lost`` and ``better`` are what an
    extension found. ``sending`` is the code that is being sent under it.
    """

    def __init__(self, key: str | None, owner: str, wish: Wish, now: float) -> None:
        self.key = key
        self.owner = owner
        self.wish = wish
        self.lost = False
        self.better = False
        self.sending: str | None = None
        self.send_extended_at = now
        self.keeper: asyncio.Future[Any] | None = None


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
        emit: Callable[[events.HookEvent], None],
        on_store_failure: OnStoreFailure = "local",
    ) -> None:
        self.down: bool = False
        #: First sends of codes by this manager, by the local clock.
        self.first_sent: dict[str, tuple[float | None, float | None]] = {}
        self._store = store
        self._new_private = new_private
        self._private = new_private()
        self._clock = runtime.clock
        self._now = runtime.clock.now
        self._random = runtime.random
        self._new_bytes = runtime.new_bytes
        self._naming = naming
        self._cache = cache
        self._tasks = tasks
        self._emit = emit
        self._on_store_failure = on_store_failure
        self._unreadable: set[str] = set()
        # Leases, sends and back-offs as they were first seen, by the local clock.
        self._observed: dict[Hashable, tuple[object, float]] = {}
        self._unpublished: dict[str, tuple[Scope, StoredToken]] = {}
        self._pollers = 0
        self._ever_down = False
        self._opened = False

    @property
    def shares(self) -> bool:
        """Whether there is a store to share with other managers."""
        return self._store is not None

    @property
    def ever_down(self) -> bool:
        """Whether this manager ever had to go on without its store."""
        return self._ever_down

    async def open(self) -> None:
        """Open the store. One that is refused raises; one that is down is tried again.

        Raises `StoreUnavailableError` only with ``on_store_failure="fail"``.
        """
        if self._store is None:
            return
        try:
            await within(self._clock, 2 * STORE_TIMEOUT, self._store.open())
            self._opened = True
        except (StoreUnavailableError, TimeIsUpError) as error:
            if self._on_store_failure == "fail":
                raise _unavailable(error) from None
            self._go_down(error)

    async def aclose(self) -> None:
        """Close the store."""
        if self._store is not None:
            await within(self._clock, STORE_TIMEOUT, self._store.aclose())

    def require_store(self) -> None:
        """Raise `StoreUnavailableError` if the store is down and that is to be an error."""
        if self.down and self._on_store_failure == "fail":
            message = "the token store is down"
            raise StoreUnavailableError(message)

    def new_owner(self) -> str:
        """Return a new random id for one acquisition."""
        return self._new_bytes(8).hex()

    def scope_key(self, scope: str) -> str:
        """Return the key of a scope's record; it reveals nothing of the scope."""
        secret, origin, kind = self._naming
        return f"scope/{name_of(secret, 'scope', origin, kind, scope)}"

    def code_key(self, code_id: str) -> str:
        """Return the key of a code's record."""
        secret, origin, kind = self._naming
        return f"code/{name_of(secret, 'code', origin, kind, code_id)}"

    # ── Compare-and-swap ────────────────────────────────────────────────────────

    async def scope(
        self, key: str, change: Callable[[View[ScopeRecord]], tuple[ScopeRecord, T]]
    ) -> tuple[T, View[ScopeRecord]]:
        """Change a scope's record by a transition and return its answer."""
        return await self._change(key, SCOPES, ScopeRecord(), change)

    async def code(
        self, code_id: str, change: Callable[[View[CodeRecord]], tuple[CodeRecord, T]]
    ) -> tuple[T, View[CodeRecord]]:
        """Change a code's record by a transition and return its answer."""
        return await self._change(self.code_key(code_id), CODES, CodeRecord(), change)

    async def _change(  # noqa: C901  # one branch for each way it can go
        self,
        key: str,
        codec: Codec[_R],
        absent: _R,
        change: Callable[[View[_R]], tuple[_R, T]],
    ) -> tuple[T, View[_R]]:
        losses = 0
        while True:
            store, shared = self._store_of(key)
            try:
                before = self._now()
                found = await self._io(store.read(key), shared=shared)
                after = self._now()
                value, now = found.value, float(found.now)
                if not math.isfinite(now):
                    message = "the store's clock gives no number"
                    raise StoreUnavailableError(message)
                record = absent if value is None else codec.decode(key, value)
                view = View(
                    codec.bounded(record, now), record, now, before, after, shared
                )
                new, answer = change(view)
                if new == record or await self._write(
                    store, key, codec, new, etag=found.etag, now=now, shared=shared
                ):
                    return answer, view
            except UnreadableRecordError as error:
                self._set_unreadable(key, error)
                continue
            except _StoreDownError as error:
                if not shared:
                    raise
                if self._store_of(key)[1]:
                    self._go_down(error.reason)
                continue
            losses += 1
            if losses > _POLITE_LOSSES:
                await self._clock.sleep(0.01 * min(losses, 10) * self._random())

    async def _write(
        self,
        store: Store,
        key: str,
        codec: Codec[_R],
        new: _R,
        *,
        etag: str,
        now: float,
        shared: bool,
    ) -> bool:
        ttl = records.ttl(new, now)
        needless = ttl <= 0 or (self._store is None and _says_nothing(new))
        value = None if needless else codec.encode(key, new)
        work = store.write(key, value, if_etag=etag, ttl=max(ttl, 1.0))
        return bool(await self._io(work, shared=shared))

    async def _io(self, work: Awaitable[T], *, shared: bool) -> T:
        """Await one operation of a store; whatever goes wrong, the store is down."""
        if not shared:
            return await work
        try:
            return await within(self._clock, _QUEUE_TIMEOUT, work, _take_exception)
        except StoreCorruptError as error:
            raise UnreadableRecordError(error.what) from None
        except Exception as error:  # noqa: BLE001  # whatever it is, the store is down
            raise _StoreDownError(error) from None

    def _store_of(self, key: str) -> tuple[Store, bool]:
        if self._store is None or self.down or key in self._unreadable:
            return self._private, False
        return self._store, True

    def _set_unreadable(self, key: str, error: UnreadableRecordError) -> None:
        """Go on without the store for this key: what cannot be read is not overwritten."""
        if len(self._unreadable) > _MAX_OBSERVED:
            self._unreadable.clear()
        self._unreadable.add(key)
        _log.warning(
            "A record of the token store cannot be read (%s); this manager goes on"
            " without it.",
            error,
        )

    # ── Waiting ─────────────────────────────────────────────────────────────────

    def unchanged_for(self, key: Hashable, value: object) -> float:
        """Return for how long, by the local clock, this reader has seen a value."""
        now = self._now()
        known = self._observed.get(key)
        if value is None:
            self._observed.pop(key, None)
            return 0.0
        if known is None or known[0] != value:
            if len(self._observed) >= _MAX_OBSERVED:
                self._observed.clear()
            self._observed[key] = (value, now)
            return 0.0
        return now - known[1]

    async def poll(self, polls: int) -> None:
        """Pause before a record is read again; all waits share the reads of a second."""
        self._pollers += 1
        try:
            pause = min(_POLL_MAX, _POLL_FIRST * 2.0 ** min(polls, 8))
            pause = max(pause * (0.5 + self._random() / 2), self._pollers / _MAX_READS)
            await self._clock.sleep(pause)
        finally:
            self._pollers -= 1

    # ── Leases ──────────────────────────────────────────────────────────────────

    def keep(self, lease: HeldLease) -> None:
        """Extend a lease every five seconds until it is stopped."""
        lease.keeper = self._tasks.spawn(lambda: self._keep(lease), endless=True)

    def stop(self, lease: HeldLease) -> None:
        """Extend a lease no longer."""
        if lease.keeper is not None:
            self._tasks.cancel(lease.keeper)
            lease.keeper = None

    async def _keep(self, lease: HeldLease) -> None:
        while True:
            await self._clock.sleep(records.EXTEND_EVERY)
            if lease.key is not None and not lease.lost:
                answer, _ = await self.scope(
                    lease.key,
                    lambda view: records.extend(
                        view.record,
                        view.now,
                        lease.owner,
                        self.stored_wish(lease.wish, view),
                    ),
                )
                lease.lost = isinstance(answer, records.Lost)
                lease.better = isinstance(answer, records.Cached)
            if (code_id := lease.sending) is not None:
                started = self._now()
                answer, _ = await self.code(
                    code_id,
                    lambda view: records.extend_send(
                        view.record, view.now, lease.owner
                    ),
                )
                if isinstance(answer, records.Done) and lease.sending == code_id:
                    lease.send_extended_at = started

    @staticmethod
    def stored_wish(wish: Wish, view: View[ScopeRecord]) -> Wish:
        """Return a wish with its time on the store's clock."""
        if wish.expires is None:
            return wish
        return attrs.evolve(wish, expires=view.to_store(wish.expires))

    # ── Publishing ──────────────────────────────────────────────────────────────

    async def publish(self, scope: Scope, owner: str, token: StoredToken) -> None:
        """Publish a token, its times local: first with its code, then with its scope.

        The token is remembered until the store has it. A token that the scope's record
        rejects leaves the local cache, too.
        """
        self._unpublished[token.fingerprint] = (scope, token)
        if len(self._unpublished) > _MAX_UNPUBLISHED:
            del self._unpublished[next(iter(self._unpublished))]
        shared = True
        if token.code_id:
            redeemed, code_view = await self.code(
                token.code_id,
                lambda view: records.redeem(
                    view.record,
                    scope.text,
                    token.moved(view.to_store(0.0)),
                ),
            )
            shared = code_view.shared
            if redeemed.token is not None and (
                redeemed.token.fingerprint == token.fingerprint
            ):
                known = redeemed.token.moved(code_view.to_local(0.0))
                token = min(token, known, key=lambda each: each.expires)
            self.first_sent.pop(token.code_id, None)
        published, view = await self.publish_scope(scope, owner, token)
        if published.outcome is Publication.REFUSED:
            self._cache.reject(scope.text, token.fingerprint, token.expires)
        elif published.token is not None:
            self._cache.put(scope, published.token.moved(view.to_local(0.0)))
        if (shared and view.shared) or self._store is None:
            self._unpublished.pop(token.fingerprint, None)

    async def publish_scope(
        self, scope: Scope, owner: str, token: StoredToken
    ) -> tuple[Published, View[ScopeRecord]]:
        """Publish a token, its times local, with its scope alone."""
        return await self.scope(
            self.scope_key(scope.text),
            lambda view: records.publish(
                view.record, owner, token.moved(view.to_store(0.0))
            ),
        )

    async def reject(self, scope: str, fingerprint: str, until: float) -> None:
        """Tell everybody that a token is rejected; ``until`` is local."""
        await self.scope(
            self.scope_key(scope),
            lambda view: records.reject(
                view.record, view.now, fingerprint, view.to_store(until)
            ),
        )

    async def hold(
        self, key: str, owner: str, code: StoredCode
    ) -> tuple[records.Done | records.UseOther | records.Lost, View[ScopeRecord]]:
        """Put a code, its times local, into a scope's record."""
        return await self.scope(
            key,
            lambda view: records.hold(
                view.record, view.now, owner, code.moved(view.to_store(0.0))
            ),
        )

    async def state_of_code(self, code_id: str) -> CodeRecord:
        """Return the record of a code."""
        _, view = await self.code(code_id, lambda view: (view.record, None))
        return view.record

    def note_first_sent(self, code_id: str, epoch: int, anchor: float) -> float:
        """Note a first send by the local clock and return the earliest that is known."""
        known = self.first_sent.pop(code_id, (None, None))
        earlier = known[epoch]
        anchor = anchor if earlier is None else min(earlier, anchor)
        sent = (anchor, known[1]) if epoch == 0 else (known[0], anchor)
        self.first_sent[code_id] = sent
        if len(self.first_sent) > _MAX_FIRST_SENT:
            del self.first_sent[next(iter(self.first_sent))]
        return anchor

    # ── Outages ─────────────────────────────────────────────────────────────────

    def _go_down(self, reason: BaseException) -> None:
        if self.down:
            return
        self.down = self._ever_down = True
        _log.warning(
            "The token store is down (%s); %s.",
            reason.what if isinstance(reason, StoreError) else type(reason).__name__,
            "this manager goes on alone"
            if self._on_store_failure == "local"
            else "only tokens that are held are served",
        )
        self._emit(events.StoreDown(at=self._now()))
        _ = self._tasks.spawn(self._recover, endless=True)

    async def _recover(self) -> None:
        """Try the store until it responds, then rewrite what this manager holds."""
        store, pause = self._store, _RETRY_FIRST
        while store is not None:
            await self._clock.sleep(pause * (0.5 + self._random() / 2))
            pause = min(_RETRY_MAX, pause * 2)
            try:
                if not self._opened:
                    await self._io(store.open(), shared=True)
                    self._opened = True
                await self._io(store.read(self.code_key("probe")), shared=True)
            except _StoreDownError:
                continue
            break
        private, self._private = self._private, self._new_private()
        self.down = False
        self._emit(events.StoreUp(at=self._now()))
        _log.info("The token store responds again.")
        await self._rewrite(private)

    async def _rewrite(self, private: Store) -> None:
        """Bring the store up to date: rejections, tokens, first sends, then codes."""
        for fingerprint, (scope, until) in self._cache.rejections().items():
            await self.reject(scope, fingerprint, until)
        for scope_value, token in tuple(self._unpublished.values()):
            await self.publish(scope_value, "", token)
        for code_id, sent in tuple(self.first_sent.items()):
            await self._restore_first_sent(code_id, sent)
        async for key in private.keys("scope/"):
            await self._restore_codes(key, await private.read(key))
        for entry in self._cache:
            if self._cache.usable(entry.scope.text) is entry:
                await self.publish_scope(entry.scope, "", stored_form(entry))

    async def _restore_first_sent(
        self, code_id: str, sent: tuple[float | None, float | None]
    ) -> None:
        def change(view: View[CodeRecord]) -> tuple[CodeRecord, records.Done]:
            first, second = (
                None if each is None else view.to_store(each) for each in sent
            )
            return records.restore_first_sent(view.record, (first, second))

        await self.code(code_id, change)

    async def _restore_codes(self, key: str, found: Any) -> None:
        if found.value is None:
            return
        offset = self._now() - found.now
        for code in SCOPES.decode(key, found.value).codes:
            state = (await self.state_of_code(code.id)).state
            if state not in {CodeState.REDEEMED, CodeState.SPENT}:
                await self.hold(key, "", code.moved(offset))

    def after_fork(self) -> None:
        """Drop, in a forked child, what its parent still has."""
        self._private = self._new_private()
        self._unpublished.clear()
        self.first_sent.clear()


class _StoreDownError(Exception):
    """An operation of the store failed; ``reason`` says how."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(type(reason).__name__)
        self.reason = reason


def _says_nothing(record: ScopeRecord | CodeRecord) -> bool:
    """Return whether a private record holds nothing that the cache does not hold."""
    return isinstance(record, ScopeRecord) and record == ScopeRecord(token=record.token)


def _unavailable(error: BaseException) -> StoreUnavailableError:
    if isinstance(error, StoreUnavailableError):
        return error
    return StoreUnavailableError("the token store did not respond in time")
