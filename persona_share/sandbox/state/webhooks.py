"""Webhooks, their secrets, and their pending deliveries."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import attrs

from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Record


#: Seconds between a failed attempt and the next one.
RETRIES: Final = (3, 64, 729, 4096, 15625, 46656, 117649)
#: The name of all events.
ALL_EVENTS: Final = "*"


@attrs.frozen
class Attempt:
    """One delivery attempt; the status is None if there was no response."""

    event_id: str
    at: float
    status: int | None
    made: int
    delivered: bool


@attrs.define(eq=False)
class WebhookSecret:
    """One secret; it expires only after a rotation."""

    value: str = attrs.field(repr=False)
    expires_at: float | None = None

    def expired(self, now: float) -> bool:
        """Return whether the secret has expired."""
        return self.expires_at is not None and self.expires_at <= now


@attrs.define(eq=False, kw_only=True)
class Webhook:
    """A webhook, its newest secret, and its delivery attempts."""

    id: str
    url: str = attrs.field(repr=False)
    owner: Environment = attrs.field(repr=False)
    #: The events that are delivered; None delivers all of them.
    events: frozenset[str] | None
    inflection: str
    version: str
    created_at: float = 0.0
    name: str | None = None
    status: Literal["enabled", "disabled", "archived"] = "enabled"
    #: Attributes that are stored and returned, but change nothing here.
    settings: dict[str, Any] = attrs.field(factory=dict, repr=False)
    secrets: list[WebhookSecret] = attrs.field(factory=list, repr=False)
    #: The last attempts, oldest first.
    attempts: deque[Attempt] = attrs.field(
        factory=lambda: deque(maxlen=1000), repr=False
    )

    @property
    def enabled(self) -> bool:
        """Return whether events are delivered."""
        return self.status == "enabled"

    @property
    def secret(self) -> str:
        """Return the newest secret, as a verifier takes it."""
        return self.secrets[-1].value

    def wants(self, owner: Environment, name: str) -> bool:
        """Return whether an event of this owner is delivered here."""
        named = self.events is None or not self.events.isdisjoint({name, ALL_EVENTS})
        return self.enabled and named and owner is self.owner


@attrs.define(eq=False)
class Delivery:
    """The delivery of one event to one webhook."""

    webhook: Webhook
    event: Record
    #: The webhook event, which the API lists.
    record: Record
    due: float
    made: int = 0
    first_attempted_at: int | None = None


class Webhooks:
    """All webhooks, and the deliveries that are due now or later."""

    def __init__(self, runtime: Runtime, limit: int) -> None:
        self._runtime = runtime
        self._limit = limit
        self._all: dict[str, Webhook] = {}
        self._pending: list[Delivery] = []
        #: Called when a delivery may be due.
        self.wake: Callable[[], None] = _no_dispatcher

    def __iter__(self) -> Iterator[Webhook]:
        return iter(self._all.values())

    def clear(self) -> None:
        """Drop all webhooks and deliveries."""
        self._all.clear()
        self._pending.clear()

    def __getitem__(self, webhook_id: str) -> Webhook:
        return self._all[webhook_id]

    def get(self, webhook_id: str, owner: Environment) -> Webhook | None:
        """Return the owner's webhook of this id."""
        webhook = self._all.get(webhook_id)
        return webhook if webhook is not None and webhook.owner is owner else None

    def add(
        self,
        url: str,
        owner: Environment,
        events: Sequence[str] | None,
        inflection: str,
        version: str,
    ) -> Webhook:
        """Store an enabled webhook with a new secret."""
        webhook = Webhook(
            id=self._runtime.new_id("wbh"),
            url=url,
            owner=owner,
            events=None if events is None else frozenset(events),
            inflection=inflection,
            version=version,
            created_at=self._runtime.now(),
        )
        webhook.secrets.append(self._new_secret())
        self._all[webhook.id] = webhook
        if len(self._all) > self._limit:
            del self._all[next(iter(self._all))]
        return webhook

    def rotate(self, webhook_id: str, overlap: float) -> str:
        """Return a new secret; the older ones sign for ``overlap`` more seconds."""
        webhook, now = self[webhook_id], self._runtime.now()
        until = now + overlap
        for older in webhook.secrets:
            known = older.expires_at
            older.expires_at = until if known is None else min(known, until)
        webhook.secrets = [each for each in webhook.secrets if not each.expired(now)]
        webhook.secrets.append(self._new_secret())
        return webhook.secret

    def disable(self, webhook_id: str) -> None:
        """Disable a webhook and drop its pending deliveries."""
        webhook = self[webhook_id]
        webhook.status = "disabled"
        for each in self._pending:
            if each.webhook is webhook:
                each.record.attributes["status"] = "skipped"
        self._pending = [each for each in self._pending if each.webhook is not webhook]

    def enqueue(self, delivery: Delivery) -> None:
        """Schedule a delivery; the oldest one is dropped if there are too many."""
        self._pending.append(delivery)
        if len(self._pending) > self._limit:
            del self._pending[0]
        self.wake()

    def pop_due(self) -> Delivery | None:
        """Return the delivery that has been due the longest, or None."""
        if not self._pending:
            return None
        first = min(self._pending, key=lambda each: each.due)
        if first.due > self._runtime.now():
            return None
        self._pending.remove(first)
        return first

    def next_due(self) -> float | None:
        """Return when the next delivery is due, None if there is none."""
        return min((each.due for each in self._pending), default=None)

    def retry(self, delivery: Delivery) -> bool:
        """Schedule the next attempt; return False if none is left."""
        left = delivery.webhook.enabled and delivery.made <= len(RETRIES)
        if left:
            delivery.due = self._runtime.now() + RETRIES[delivery.made - 1]
            self._pending.append(delivery)
        return left

    def _new_secret(self) -> WebhookSecret:
        return WebhookSecret(self._runtime.new_secret("wbhsec_localbox_", 32))


def _no_dispatcher() -> None: ...
