"""Webhooks: verifies the signatures of deliveries, and handles each event once.

A delivery is verified before it is parsed. Deliveries may be repeated and out of order:
`Verifier.handling` detects repetitions with a `ReplayGuard`.
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
from persona_share.model.policy import is_number
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

#: The tolerated age of a signature, in seconds; Persona does not document a number.
TOLERANCE: Final = 300.0
#: Longer than the service repeats a delivery (about 51 hours).
REMEMBERED_FOR: Final = timedelta(days=3)

_MAX_SECRETS: Final = 8
#: The lifetime of a claim, in seconds, unless it is extended.
LEASE: Final = 30.0
#: The Retry-After, in seconds, if too many requests claim an event at once.
_CONTENTION_DELAY: Final = 1.0
_LOG: Final = logging.getLogger("persona_share")


@attrs.frozen
class Signature:
    """A valid signature: the index of the secret that made it, and when."""

    secret: int
    signed_at: datetime


@attrs.frozen
class Delivery:
    """An event as it was delivered.

    ``is_new`` is False for an event that was handled before. It is None if this is
    unknown: without a guard, or if the store of the guard is down and the guard allows
    handling.
    """

    event: Event
    signature: Signature
    is_new: bool | None = None


class Verifier:
    """Verifies deliveries with the secrets of a webhook; it has no connections.

    ``secrets`` is one secret or several, as there are two during a rotation.
    ``tolerance`` is the accepted difference between the time of a signature and the
    clock, in seconds. A refused delivery is not parsed.

    Raises:
        ConfigurationError: the secrets or the tolerance are not valid.
    """

    def __init__(
        self,
        secrets: str | Secret | Iterable[str | Secret],
        tolerance: float = TOLERANCE,
        *,
        guard: "ReplayGuard | None" = None,
        clock: Clock | None = None,
    ) -> None:
        # Wrapped first: frames in an error report must not contain plain secrets.
        found = _secrets_of(secrets)
        del secrets
        self._secrets: tuple[Secret, ...] = found or ()
        if found is None:
            message = "secrets must be a str or a list of str"
            advice = "Decode bytes, and check that the environment variable is set."
            raise ConfigurationError(message, advice=advice)
        if not self._secrets or not all(self._secrets):
            message = "a Verifier needs at least one secret, and no secret may be empty"
            raise ConfigurationError(message)
        if not all(_is_clean(secret.reveal()) for secret in self._secrets):
            message = (
                "the secret of a webhook begins or ends with a space or line break"
            )
            advice = "Remove it with strip(); a secret from a file often ends with one."
            raise ConfigurationError(message, advice=advice)
        if len(self._secrets) > _MAX_SECRETS:
            message = (
                f"there are {len(self._secrets)} secrets; the maximum is {_MAX_SECRETS}"
            )
            raise ConfigurationError(message)
        if not is_number(tolerance) or not 0 < tolerance < float("inf"):
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

        ``body`` is the raw request body, and ``signature`` the header
        ``Persona-Signature``. Raises `SignatureError` with the ``reason``; respond 400.
        """
        self.check(body, signature)
        return _event(body)

    def check(self, body: bytes, signature: str | None) -> Signature:
        """Verify the signature of any body, such as the request of a workflow step.

        Returns the secret that matched and the time of the signature. Raises
        `SignatureError`.
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
        """Verify a delivery, and claim its event while the block runs.

        With a guard, the event is claimed first. The claim is confirmed when the block
        ends, and released if the block raises or is canceled. If the event was handled
        before, ``is_new`` is False: do nothing. ``guard`` takes precedence over the
        guard of the verifier.

        Raises:
            SignatureError: the signature is not valid; respond 400.
            DeliveryInProgressError: another request handles the event; respond 503.
            StoreUnavailableError: it is unknown whether the event is new; respond 503.
        """
        try:
            verified = self.check(body, signature)
            event = _event(body)
        except SignatureError as error:
            _LOG.warning("a webhook was refused: %s", error.reason)
            raise
        guard = guard or self._guard
        if guard is None:
            yield Delivery(event, verified)
            return
        async with guard.claiming(event.id) as is_new:
            yield Delivery(event, verified, is_new)

    def __repr__(self) -> str:
        return f"<Verifier with {len(self._secrets)} secrets>"


class ReplayGuard:
    """Records in a store which events are being handled and which were handled.

    Use `MemoryStore` for one process, `SQLiteStore` for one machine, and `RedisStore` or
    `PostgresStore` for several machines. The store contains only hashes of ids; its
    owner closes it. A claim lasts ``lease`` seconds and is extended while the event is
    handled. If the process dies, a later delivery is handled. Handled events are
    recorded for ``remember``. If the store is down, ``on_store_failure="refuse"``
    raises, and ``"handle"`` handles the event, which may then be handled twice.

    Raises:
        ConfigurationError: the store or an option is not valid.
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
        if not is_number(lease) or not 0 < lease <= replay.MAX_LEASE:
            message = f"lease must be above 0 and up to {replay.MAX_LEASE:.0f} s"
            raise ConfigurationError(message)
        given: object = remember
        if not isinstance(given, timedelta):
            message = f"remember must be a timedelta, not {type(given).__name__}"
            raise ConfigurationError(message, advice="Write timedelta(days=3).")
        if on_store_failure not in {"refuse", "handle"}:
            message = "on_store_failure must be 'refuse' or 'handle'"
            raise ConfigurationError(message)
        self._runtime = runtime or default_runtime()
        self._store = guarded(require_store(store, secrets=False), self._runtime)
        self._lease = lease
        self._remember = max(remember.total_seconds(), 2 * lease)
        self._refuses = on_store_failure == "refuse"
        self._opened = False
        self._finishing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def claiming(self, event_id: str) -> AsyncIterator[bool | None]:
        """Claim an event while the block runs, then confirm or release the claim.

        Yield True if the event is new, False if it was handled before, and None if the
        store is down and ``on_store_failure`` is "handle".

        Raises:
            DeliveryInProgressError: another request has claimed the event.
            StoreUnavailableError: the store is down.
        """
        encoded = event_id.encode(errors="surrogatepass")
        key = f"event/{hashlib.sha256(encoded).hexdigest()}"
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
            await self._finish(self._release(key, owner))
            raise
        if not is_new:
            yield False
            return
        extending = asyncio.ensure_future(self._extend(key, owner))
        try:
            yield True
        except BaseException:
            extending.cancel()
            await self._finish(self._release(key, owner))
            raise
        extending.cancel()
        await self._finish(self._confirm(key))

    async def _claim(self, key: str, owner: str) -> bool:
        if not self._opened:
            await self._store.open()
            self._opened = True

        def decide(found: Versioned) -> tuple[Change | None, Any]:
            decided = replay.claim(
                replay.from_bytes(found.value), owner, now=found.now, lease=self._lease
            )
            if isinstance(decided, replay.Claim):
                return Change(replay.to_bytes(decided), self._lease), decided
            return None, decided

        try:
            result = await change(self._store, self._runtime, key, decide)
        except ContentionError:
            result = replay.InProgress(_CONTENTION_DELAY)
        if isinstance(result, replay.InProgress):
            message = "this event is being handled by another request"
            raise DeliveryInProgressError(message, retry_after=result.seconds)
        return isinstance(result, replay.Claim)

    async def _extend(self, key: str, owner: str) -> None:
        while True:
            await self._runtime.clock.sleep(self._lease / 3)
            with suppress(StoreError):
                await change(self._store, self._runtime, key, self._extended(owner))

    def _extended(
        self, owner: str
    ) -> Callable[[Versioned], tuple[Change | None, None]]:
        def decide(found: Versioned) -> tuple[Change | None, None]:
            if not replay.is_owned_by(replay.from_bytes(found.value), owner):
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
            owned = replay.is_owned_by(replay.from_bytes(found.value), owner)
            return (Change(None) if owned else None), None

        await change(self._store, self._runtime, key, decide)

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Confirm or release a claim, even if the request is canceled in the meantime."""

        async def finish() -> None:
            try:
                await work
            except StoreError as error:
                _LOG.warning(
                    "the claim of an event could not be confirmed or released: %s",
                    error,
                )

        task = asyncio.ensure_future(finish())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        await asyncio.shield(task)

    def __repr__(self) -> str:
        return f"<ReplayGuard on {self._store!r}>"


def _secrets_of(given: object) -> tuple[Secret, ...] | None:
    """Return the secrets, or None for another type.

    Nothing is raised, so that no frame of a traceback has a plain secret.
    """
    several = [given] if isinstance(given, str | Secret) else given
    if isinstance(several, bytes) or not isinstance(several, Iterable):
        return None
    found = [Secret(x) if isinstance(x, str) else x for x in several]
    return tuple(found) if all(isinstance(x, Secret) for x in found) else None


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
    """Handle the events of missed deliveries, oldest first.

    The deliveries are those with one of the ``statuses`` ("failed", "pending") whose
    last attempt was after ``since``, a time or a duration until now. The service's
    index is about a minute behind. Each event is retrieved, claimed with ``guard``, and
    passed to ``handler``, so an event that the web application handles at the same time
    is handled once. An error of the handler is recorded, and recovery continues. The
    API key needs permissions for webhooks and events.

    Raises:
        InvalidArgumentError: ``since`` cannot be used; nothing was sent.
        ApiError: The search or the retrieval of an event was refused.
        StoreUnavailableError: The store of the guard is down.
    """
    start = _start(since)
    if isinstance(statuses, str):
        message = "statuses must be a sequence of str, not one str"
        raise InvalidArgumentError(message)
    conditions = {"webhook_id": webhook_id} if webhook_id is not None else {}
    created: dict[str, datetime] = {}
    for status in statuses:
        query = _missed(start, {**conditions, "status": status})
        sort = {"attribute": "updated_at", "direction": "asc"}
        async for each in client.webhook_events.search(query, sort=sort, page_size=100):
            if each.event_id is not None:
                created.setdefault(each.event_id, each.created_at or start)
    outcomes: dict[str, str] = {}
    failed: dict[str, Exception] = {}
    for event_id in sorted(created, key=created.__getitem__):
        try:
            outcomes[event_id] = await _recovered(client, handler, guard, event_id)
        except _HandlerError as error:
            failed[event_id] = error.cause
    by_outcome = {
        outcome: tuple(each for each, found in outcomes.items() if found == outcome)
        for outcome in ("handled", "known", "missing")
    }
    return Recovery(**by_outcome, failed=failed)


def _start(since: datetime | timedelta) -> datetime:
    start: object = since
    if isinstance(since, timedelta):
        with suppress(OverflowError):  # before the year 1 or after 9999
            start = default_clock().wall() - since
    if not isinstance(start, datetime) or start.tzinfo is None:
        message = "since must be a datetime with a time zone, or a timedelta until now"
        raise InvalidArgumentError(message)
    return start


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
    """Wraps an error of the caller's handler while the claim is released."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _missed(start: datetime, equal: Mapping[str, str]) -> dict[str, Any]:
    clauses = [
        {"attribute": name, "operator": "eq", "value": value}
        for name, value in equal.items()
    ]
    timestamp = start.astimezone(UTC).isoformat(timespec="milliseconds")
    value = timestamp.replace("+00:00", "Z")
    return {
        "and": [
            {"attribute": "updated_at", "operator": "gte", "value": value},
            *clauses,
        ]
    }


def sign(body: bytes, secret: str | Secret, *, at: datetime) -> str:
    """Return the ``Persona-Signature`` header of a body, for tests."""
    key = as_secret(secret).reveal().encode()
    return wire.signed(key, int(at.timestamp()), body)


def _event(body: bytes) -> Event:
    found = None
    with suppress(ValueError, TypeError, LookupError, AttributeError):
        found = CODEC.nested(parse_json(body), ResponseInfo())
    if not isinstance(found, Event) or not found.id:  # the id detects repetitions
        raise _refused(InvalidDelivery.NOT_AN_EVENT)
    return found


def _refused(reason: InvalidDelivery) -> SignatureError:
    message = f"the delivery was refused: {reason.value}"
    return SignatureError(message, reason=reason.value)
