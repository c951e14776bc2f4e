"""Webhooks: events that the service delivers, trusted only if they are signed.

A delivery is verified before anything in it is read. It may come twice and out of order:
`Verifier.handling` recognizes a repetition if it has a `ReplayGuard`.
"""

import asyncio
import hashlib
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import attrs

from persona_share._policy import replay
from persona_share._protocol import signature as wire
from persona_share._protocol.json import parse_json
from persona_share._protocol.jsonapi import CODEC
from persona_share._protocol.signature import MAX_BODY, InvalidDelivery
from persona_share._transport.runtime import default_clock, default_runtime
from persona_share.errors import (
    ConfigurationError,
    DeliveryInProgressError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
    StoreError,
)
from persona_share.model.resource import ResponseInfo
from persona_share.model.secret import Secret, as_secret
from persona_share.model.webhook import Event, EventName
from persona_share.ports import Clock, Runtime, Store, Versioned
from persona_share.resources.api import ResourceAccessors
from persona_share.stores.access import (
    Change,
    ContentionError,
    change,
    guarded,
    require_store,
)


__all__ = [
    "MAX_BODY",
    "Delivery",
    "Event",
    "EventName",
    "Recovery",
    "ReplayGuard",
    "Signature",
    "Verifier",
    "recover",
    "sign",
]

#: How far the time of a signature may be off, in seconds; the service names no number.
TOLERANCE: Final = 300.0
#: Longer than the service repeats a delivery that was not accepted (about 51 hours).
REMEMBERED_FOR: Final = timedelta(days=3)

_MOST_SECRETS: Final = 8
#: How long a claim lasts unless it is extended, in seconds.
LEASE: Final = 30.0
#: The Retry-After of a contended claim, in seconds.
_COME_AGAIN: Final = 1.0
_LOG: Final = logging.getLogger("persona_share")


@attrs.frozen
class Signature:
    """A valid signature: the index of the secret that made it, and when."""

    secret: int
    signed_at: datetime


@attrs.frozen
class Delivery:
    """An event as it was delivered.

    ``is_new`` is False for an event that was handled before, and None if it is not known:
    without a guard, or with one whose store is down and that goes on regardless.
    """

    event: Event
    signature: Signature
    is_new: bool | None = None


class Verifier:
    """Checks deliveries against the secrets of a webhook; it holds no connection.

    ``secrets`` is one or several, as there are two while one is being rotated;
    ``tolerance`` is how far the time of a signature may be off, in seconds. Nothing of a
    refused delivery was read.

    Raises:
        ConfigurationError: there is no secret, an empty one, or no tolerance.
    """

    def __init__(
        self,
        secrets: str | Secret | Iterable[str | Secret],
        tolerance: float = TOLERANCE,
        *,
        guard: "ReplayGuard | None" = None,
        clock: Clock | None = None,
    ) -> None:
        # Wrapped first, so that no frame of an error report shows a secret.
        secrets = [secrets] if isinstance(secrets, str | Secret) else secrets
        self._secrets = tuple(map(as_secret, secrets))
        del secrets
        if not self._secrets or not all(self._secrets):
            message = "a Verifier needs at least one secret, and no secret may be empty"
            raise ConfigurationError(message)
        if not all(_is_clean(secret.reveal()) for secret in self._secrets):
            message = (
                "the secret of a webhook begins or ends with a space or line break"
            )
            advice = "Strip it: was it read from a file?"
            raise ConfigurationError(message, advice=advice)
        if len(self._secrets) > _MOST_SECRETS:
            message = f"{len(self._secrets)} secrets; the maximum is {_MOST_SECRETS}"
            raise ConfigurationError(message)
        if isinstance(tolerance, bool) or not 0 < tolerance < float("inf"):
            message = "tolerance must be a number of seconds above 0"
            raise ConfigurationError(message)
        unchecked: object = guard
        if not isinstance(unchecked, ReplayGuard | None):
            message = f"guard must be a ReplayGuard, not {type(unchecked).__name__}"
            raise ConfigurationError(message, advice="Pass ReplayGuard(store).")
        self._tolerance = float(tolerance)
        self._guard = guard
        self._clock = clock or default_clock()

    def verify(self, body: bytes, signature: str | None) -> Event:
        """Return the event in a signed delivery.

        ``body`` is what came, byte for byte; ``signature`` is the header
        ``Persona-Signature``. Raises `SignatureError` with the ``reason``; respond 400.
        """
        self.check(body, signature)
        return _event(body)

    def check(self, body: bytes, signature: str | None) -> Signature:
        """Return which secret signed a body, and when; the body may be anything.

        Workflow steps sign their requests in the same way. Raises `SignatureError`.
        """
        given: object = body
        if not isinstance(given, bytes):
            message = f"body must be the raw bytes, not {type(given).__name__}"
            raise InvalidArgumentError(message)
        found = wire.verify(
            signature,
            body,
            [secret.reveal().encode() for secret in self._secrets],
            now=self._clock.wall().timestamp(),
            tolerance=self._tolerance,
        )
        if isinstance(found, InvalidDelivery):
            raise _refused(found)
        return Signature(found.secret, datetime.fromtimestamp(found.signed_at, UTC))

    @asynccontextmanager
    async def handling(
        self,
        body: bytes,
        signature: str | None,
        guard: "ReplayGuard | None" = None,
    ) -> AsyncIterator[Delivery]:
        """Verify a delivery, and have its event to ourselves while it is handled.

        With a guard the event is claimed first. The claim is confirmed if the block
        ends, and given back if the block raises or is cancelled. An event that was
        handled before has ``is_new=False``; do nothing then. ``guard`` replaces that of
        the verifier.

        Raises:
            SignatureError: the delivery is forged; respond 400.
            DeliveryInProgressError: another request handles the event now; respond 503.
            StoreUnavailableError: it is not known whether the event is new; respond 503.
        """
        try:
            held = self.check(body, signature)
            event = _event(body)
        except SignatureError as error:
            _LOG.warning("a webhook was refused: %s", error.reason)
            raise
        guard = guard or self._guard
        if guard is None:
            yield Delivery(event, held)
            return
        async with guard.claiming(event.id) as is_new:
            yield Delivery(event, held, is_new)

    def __repr__(self) -> str:
        return f"<Verifier with {len(self._secrets)} secrets>"


class ReplayGuard:
    """Knows which events are being handled, and which were, in any store.

    `MemoryStore` will do for one process, `SQLiteStore` for one machine, `RedisStore` and
    `PostgresStore` for several. The store holds hashes of ids and nothing secret; closing
    it is its owner's business. A claim lasts ``lease`` seconds and is extended while the
    event is handled, so if the process dies, a repetition after that is handled. Events
    are remembered for ``remember``. If the store is down, ``on_store_failure="refuse"``
    raises, and ``"handle"`` handles the event at the risk of handling it twice.

    Raises:
        ConfigurationError: this is not a store, or a lease of no length.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease: float = LEASE,
        remember: timedelta = REMEMBERED_FOR,
        on_store_failure: Literal["refuse", "handle"] = "refuse",
        runtime: Runtime | None = None,
    ) -> None:
        if isinstance(lease, bool) or not 0 < lease <= replay.LONGEST_LEASE:
            message = f"lease must be above 0 and up to {replay.LONGEST_LEASE:.0f} s"
            raise ConfigurationError(message)
        if on_store_failure not in {"refuse", "handle"}:
            message = "on_store_failure must be 'refuse' or 'handle'"
            raise ConfigurationError(message)
        self._runtime = runtime or default_runtime()
        self._store = guarded(require_store(store, secrets=False), self._runtime)
        self._lease = lease
        self._remember = max(remember.total_seconds(), 2 * lease)
        self._refuses = on_store_failure == "refuse"
        self._opened = False
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def claiming(self, event_id: str) -> AsyncIterator[bool | None]:
        """Claim an event while the block runs; confirm it, or give it back.

        Yield True if it is new, False if it was handled before, and None if the store
        is down and this guard goes on regardless.

        Raises:
            DeliveryInProgressError: another claim is valid; ``retry_after`` says how long.
            StoreUnavailableError: the store is down, and this guard refuses then.
        """
        key = f"event/{hashlib.sha256(event_id.encode()).hexdigest()}"
        owner = self._runtime.new_bytes(12).hex()
        try:
            is_new = await self._claim(key, owner)
        except StoreError as error:
            if self._refuses:
                raise
            _LOG.warning(
                "an event is handled although it may have been handled before: %s",
                error,
            )
            yield None
            return
        except asyncio.CancelledError:
            await self._end(self._release(key, owner))
            raise
        if not is_new:
            yield False
            return
        extending = asyncio.ensure_future(self._extend(key, owner))
        try:
            yield True
        except BaseException:
            extending.cancel()
            await self._end(self._release(key, owner))
            raise
        extending.cancel()
        await self._end(self._confirm(key))

    async def _claim(self, key: str, owner: str) -> bool:
        if not self._opened:
            await self._store.open()
            self._opened = True

        def decide(found: Versioned) -> tuple[Change | None, Any]:
            wanted = replay.claim(
                replay.from_bytes(found.value), owner, now=found.now, lease=self._lease
            )
            if isinstance(wanted, replay.Claim):
                return Change(replay.to_bytes(wanted), self._lease), wanted
            return None, wanted

        try:
            answer = await change(self._store, self._runtime, key, decide)
        except ContentionError:
            answer = replay.InProgress(_COME_AGAIN)
        if isinstance(answer, replay.InProgress):
            message = "this event is being handled by another request"
            raise DeliveryInProgressError(message, retry_after=answer.seconds)
        return isinstance(answer, replay.Claim)

    async def _extend(self, key: str, owner: str) -> None:
        while True:
            await self._runtime.clock.sleep(self._lease / 3)
            with suppress(StoreError):
                await change(self._store, self._runtime, key, self._extended(owner))

    def _extended(
        self, owner: str
    ) -> Callable[[Versioned], tuple[Change | None, None]]:
        def decide(found: Versioned) -> tuple[Change | None, None]:
            if not replay.is_ours(replay.from_bytes(found.value), owner):
                return None, None
            record = replay.Claim(owner, found.now + self._lease)
            return Change(replay.to_bytes(record), self._lease), None

        return decide

    async def _confirm(self, key: str) -> None:
        def decide(_: Versioned) -> tuple[Change | None, None]:
            return Change(replay.to_bytes(replay.Handled()), self._remember), None

        await change(self._store, self._runtime, key, decide)

    async def _release(self, key: str, owner: str) -> None:
        def decide(found: Versioned) -> tuple[Change | None, None]:
            ours = replay.is_ours(replay.from_bytes(found.value), owner)
            return (Change(None) if ours else None), None

        await change(self._store, self._runtime, key, decide)

    async def _end(self, work: Coroutine[Any, Any, None]) -> None:
        """Finish a claim, even if the request that had it is cancelled meanwhile."""

        async def finish() -> None:
            try:
                await work
            except StoreError as error:
                _LOG.warning(
                    "the claim of an event could not be confirmed or released: %s",
                    error,
                )

        task = asyncio.ensure_future(finish())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        await asyncio.shield(task)

    def __repr__(self) -> str:
        return f"<ReplayGuard on {self._store!r}>"


def _is_clean(text: str) -> bool:
    return text == text.strip() and not set(text) & set("\r\n\0")


@attrs.frozen(kw_only=True)
class Recovery:
    """The result of `recover`, by event id.

    ``handled`` events were new. ``known`` events were handled before, or are being
    handled now. ``missing`` events are older than the service keeps them. ``failed``
    has the error of the handler for each event; call `recover` again for those.
    """

    handled: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: Mapping[str, Exception] = attrs.field(factory=dict)


async def recover(
    client: ResourceAccessors,
    handler: Callable[[Event], Awaitable[object]],
    *,
    since: datetime | timedelta,
    guard: ReplayGuard,
    webhook_id: str | None = None,
    statuses: Sequence[str] = ("failed",),
) -> Recovery:
    """Handle the events of deliveries that were missed, oldest first.

    The deliveries are those with one of the ``statuses`` ("failed", "pending") whose
    last attempt was after ``since``, a time or a duration until now. The service's
    index is about a minute behind. Each event is retrieved, claimed with ``guard``, and
    passed to ``handler``, so an event that the web application handles at the same time
    is handled once. An error of the handler is recorded, and the others go on. The API
    key needs permission for webhooks and events.

    Raises:
        InvalidArgumentError: ``since`` has no time zone; nothing was sent.
        ApiError: The search or the retrieval of an event was refused.
        StoreUnavailableError: The store of the guard is down.
    """
    start = default_clock().wall() - since if isinstance(since, timedelta) else since
    if start.tzinfo is None:
        message = "since needs a datetime with a time zone"
        raise InvalidArgumentError(message)
    conditions = {"webhook_id": webhook_id} if webhook_id is not None else {}
    event_ids: dict[str, None] = {}
    for status in statuses:
        query = _missed(start, {**conditions, "status": status})
        sort = {"attribute": "updated_at", "direction": "asc"}
        async for each in client.webhook_events.search(query, sort=sort, page_size=100):
            if each.event_id is not None:
                event_ids[each.event_id] = None
    outcomes: dict[str, str] = {}
    failed: dict[str, Exception] = {}
    for event_id in event_ids:
        try:
            outcomes[event_id] = await _recovered(client, handler, guard, event_id)
        except _HandlerError as error:
            failed[event_id] = error.cause
    by_outcome = {
        outcome: tuple(each for each, found in outcomes.items() if found == outcome)
        for outcome in ("handled", "known", "missing")
    }
    return Recovery(**by_outcome, failed=failed)


async def _recovered(
    client: ResourceAccessors,
    handler: Callable[[Event], Awaitable[object]],
    guard: ReplayGuard,
    event_id: str,
) -> str:
    try:
        event = await client.events.retrieve(event_id)
    except NotFoundError:
        return "missing"
    try:
        async with guard.claiming(event.id) as is_new:
            if is_new is False:
                return "known"
            try:
                await handler(event)
            except Exception as error:
                raise _HandlerError(error) from error
    except DeliveryInProgressError:
        return "known"
    return "handled"


class _HandlerError(Exception):
    """An error of the caller's handler, on its way through the claim."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _missed(start: datetime, equal: Mapping[str, str]) -> dict[str, Any]:
    clauses = [
        {"attribute": name, "operator": "eq", "value": value}
        for name, value in equal.items()
    ]
    moment = start.astimezone(UTC).isoformat(timespec="milliseconds")
    value = moment.replace("+00:00", "Z")
    return {
        "and": [
            {"attribute": "updated_at", "operator": "gte", "value": value},
            *clauses,
        ]
    }


def sign(body: bytes, secret: str | Secret, *, at: datetime) -> str:
    """Return the header with which the service would sign this body, for tests."""
    key = as_secret(secret).reveal().encode()
    return wire.signed(key, int(at.timestamp()), body)


def _event(body: bytes) -> Event:
    found = None
    with suppress(ValueError, TypeError, LookupError, AttributeError):
        found = CODEC.nested(parse_json(body), ResponseInfo())
    if not isinstance(found, Event):
        raise _refused(InvalidDelivery.NOT_AN_EVENT)
    return found


def _refused(reason: InvalidDelivery) -> SignatureError:
    message = f"the delivery was refused: {reason.value}"
    return SignatureError(message, reason=reason.value)
