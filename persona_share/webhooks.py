"""Webhooks: events that the service delivers, believed only when they are signed.

A delivery is checked before anything in it is read. It may come twice and out of order:
`Verifier.receive` tells a repetition, if it was given a guard.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from persona_share._policy.election import Carried
from persona_share._protocol import codec, signature as wire
from persona_share._protocol.objects import CODEC
from persona_share._protocol.signature import Refusal
from persona_share._transport.runtime import default_clock, default_runtime
from persona_share.errors import (
    ConfigurationError,
    InvalidArgumentError,
    SignatureError,
)
from persona_share.model.event import Event, EventName
from persona_share.model.resource import ResponseInfo
from persona_share.model.secret import Secret, as_secret
from persona_share.ports import Clock, ReplayGuard, Runtime, TokenStore


__all__ = [
    "Delivery",
    "Event",
    "EventName",
    "MemoryReplayGuard",
    "ReplayGuard",
    "Signature",
    "StoreReplayGuard",
    "Verifier",
    "sign",
]

#: How far the time of a signature may be off, in seconds; the service names no number.
TOLERANCE: Final = 300.0
#: Longer than the service repeats a delivery that was not accepted (about 51 hours).
REMEMBERED_FOR: Final = timedelta(days=3)

_MOST_SECRETS: Final = 8


@attrs.frozen
class Signature:
    """A signature that holds: which of the secrets made it, and when."""

    secret: int
    signed_at: datetime


@attrs.frozen
class Delivery:
    """An event as it was delivered.

    ``is_new`` is False for one whose id came before, and None without a guard.
    """

    event: Event
    signature: Signature
    is_new: bool | None = None


class Verifier:
    """Checks deliveries against the secrets of a webhook; it holds no connection.

    ``secrets`` is one or several, as there are two while one is being rotated;
    ``tolerance`` is in seconds, for both sides. Nothing that is refused was read.

    Raises:
        ConfigurationError: there is no secret, an empty one, or no tolerance.
    """

    def __init__(
        self,
        secrets: str | Secret | Iterable[str | Secret],
        tolerance: float = TOLERANCE,
        *,
        guard: ReplayGuard | None = None,
        clock: Clock | None = None,
    ) -> None:
        given = [secrets] if isinstance(secrets, str | Secret) else list(secrets)
        self._secrets = tuple(map(as_secret, given))
        if not self._secrets or not all(self._secrets):
            message = "a webhook needs at least one secret, and none that is empty"
            raise ConfigurationError(message)
        if len(self._secrets) > _MOST_SECRETS:
            message = f"{len(self._secrets)} secrets; {_MOST_SECRETS} are the most"
            raise ConfigurationError(message)
        if isinstance(tolerance, bool) or not 0 < tolerance < float("inf"):
            message = "tolerance must be a number of seconds above 0"
            raise ConfigurationError(message)
        self._tolerance = float(tolerance)
        self._guard = guard
        self._clock = clock or default_clock()

    def verify(self, body: bytes, signature: str | None) -> Event:
        """Answer the event in a delivery that is signed.

        ``body`` is what came, byte for byte; ``signature`` is the header
        ``Persona-Signature``. Raises `SignatureError` with the ``reason``, and then the
        sender is to be answered with 400.
        """
        self.check(body, signature)
        return _event(body)

    def check(self, body: bytes, signature: str | None) -> Signature:
        """Answer which secret a body is signed with, and when, whatever is in it.

        Workflow steps sign their requests in the same way. Raises `SignatureError`.
        """
        given: object = body
        if not isinstance(given, bytes):
            message = f"body must be the raw bytes, not {type(given).__name__}"
            raise InvalidArgumentError(message)
        found = wire.judged(
            signature,
            body,
            [secret.reveal().encode() for secret in self._secrets],
            now=self._clock.wall().timestamp(),
            tolerance=self._tolerance,
        )
        if isinstance(found, Refusal):
            raise _refused(found)
        return Signature(found.secret, datetime.fromtimestamp(found.signed_at, UTC))

    async def receive(self, body: bytes, signature: str | None) -> Delivery:
        """Answer a delivery that is signed, and whether its event is a new one.

        A repetition is told, not raised: the service is to be answered as if it were
        new. Raises `SignatureError`.
        """
        held = self.check(body, signature)
        event = _event(body)
        if self._guard is None:
            return Delivery(event, held)
        lifetime = max(REMEMBERED_FOR.total_seconds(), 2 * self._tolerance)
        return Delivery(event, held, await self._guard.is_new(event.id, lifetime))

    async def forget(self, event: Event) -> None:
        """Let an event count as new when it comes again: it could not be handled.

        Answer its delivery with a 5xx then, so that it does come again.
        """
        if self._guard is not None:
            await self._guard.forget(event.id)

    def __repr__(self) -> str:
        return f"<Verifier with {len(self._secrets)} secrets>"


class MemoryReplayGuard:
    """Remembers the ids of events in this process, the newest of them if need be."""

    def __init__(self, *, most: int = 100_000, clock: Clock | None = None) -> None:
        self._clock = clock or default_clock()
        self._most = most
        self._ends: OrderedDict[str, float] = OrderedDict()

    async def is_new(self, event_id: str, lifetime: float) -> bool:
        """Note an id for so many seconds; answer whether it was not noted before."""
        now = self._clock.now()
        while self._ends:
            oldest, end = next(iter(self._ends.items()))
            if end > now and len(self._ends) < self._most:
                break
            del self._ends[oldest]
        if event_id in self._ends:
            return False
        self._ends[event_id] = now + lifetime
        return True

    async def forget(self, event_id: str) -> None:
        """Drop an id, so that it is new the next time."""
        self._ends.pop(event_id, None)

    def __len__(self) -> int:
        return len(self._ends)


class StoreReplayGuard:
    """Remembers the ids of events in a store, for every process that shares it.

    Any of `persona_share.stores` will do; it is opened by the first event, and closing
    it is its owner's business. It holds hashes of ids. `is_new` raises
    `StoreUnavailableError` when the store cannot say: answer such a delivery with a 5xx
    and it comes again.
    """

    def __init__(self, store: TokenStore, *, _runtime: Runtime | None = None) -> None:
        self._store = store
        self._runtime = _runtime or default_runtime()
        self._opened = False

    async def is_new(self, event_id: str, lifetime: float) -> bool:
        """Note an id for so many seconds; answer whether it was not noted before."""
        await self._open()
        key = _key(event_id)
        # Of all who queue one thing under one key at once, a store lets one do it.
        return await self._store.offer(key, Carried(key, lifetime, b""))

    async def forget(self, event_id: str) -> None:
        """Drop an id, so that it is new the next time."""
        await self._open()
        await self._store.forget(_key(event_id))

    async def _open(self) -> None:
        if not self._opened:
            await self._store.open(self._runtime)
            self._opened = True


def _key(event_id: str) -> str:
    return f"event-{hashlib.sha256(event_id.encode()).hexdigest()}"


def sign(body: bytes, secret: str | Secret, *, at: datetime) -> str:
    """Answer the header with which the service would sign this body, for tests."""
    key = as_secret(secret).reveal().encode()
    return wire.signed(key, int(at.timestamp()), body)


def _event(body: bytes) -> Event:
    found = None
    with suppress(ValueError, TypeError, LookupError, AttributeError):
        found = CODEC.nested(codec.parsed(body), ResponseInfo())
    if not isinstance(found, Event):
        raise _refused(Refusal.NOT_AN_EVENT)
    return found


def _refused(reason: Refusal) -> SignatureError:
    message = f"the delivery was refused: {reason.value}"
    return SignatureError(message, reason=reason.value)
