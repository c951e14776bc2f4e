"""Webhooks: who is told of what, signed with which secrets, and when again."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Record


#: Seconds between an attempt that failed and the next one.
RETRIES: Final = (3, 64, 729, 4096, 15625, 46656, 117649)


@attrs.frozen
class Attempt:
    """One delivery as it went; a status of None is no answer at all."""

    event_id: str
    at: float
    status: int | None
    made: int
    delivered: bool


@attrs.define(eq=False)
class WebhookSecret:
    """One secret; None lives until it is rotated."""

    value: str = attrs.field(repr=False)
    expires_at: float | None = None


@attrs.define(eq=False, kw_only=True)
class Webhook:
    """What a test is handed of a webhook, and what became of its deliveries."""

    id: str
    url: str = attrs.field(repr=False)
    owner: Environment = attrs.field(repr=False)
    #: The names that are delivered; None delivers every event.
    events: frozenset[str] | None
    inflection: str
    version: str
    enabled: bool = True
    secrets: list[WebhookSecret] = attrs.field(factory=list, repr=False)
    attempts: list[Attempt] = attrs.field(factory=list, repr=False)

    @property
    def secret(self) -> str:
        """Return the newest secret, whole, as a verifier wants it."""
        return self.secrets[-1].value

    def wants(self, owner: Environment, name: str) -> bool:
        """Return whether an event of this owner is delivered here."""
        named = self.events is None or name in self.events
        return self.enabled and named and owner is self.owner


@attrs.define(eq=False)
class Delivery:
    """One event on its way to one webhook."""

    webhook: Webhook
    event: Record
    due: float
    made: int = 0
    first_attempted_at: int | None = None


class Webhooks:
    """Every webhook, and the deliveries that are still to be made."""

    def __init__(self, runtime: Runtime, limit: int) -> None:
        self._limit = limit
        self._runtime = runtime
        self._all: dict[str, Webhook] = {}
        self._waiting: list[Delivery] = []
        #: Called when there may be something to deliver.
        self.wake: Callable[[], None] = _no_listener

    def __iter__(self) -> Iterator[Webhook]:
        return iter(self._all.values())

    def __getitem__(self, webhook_id: str) -> Webhook:
        return self._all[webhook_id]

    def add(
        self,
        url: str,
        owner: Environment,
        events: Sequence[str] | None,
        inflection: str,
        version: str,
    ) -> Webhook:
        """Store a webhook with a secret of its own."""
        webhook = Webhook(
            id=self._runtime.new_id("wbh"),
            url=url,
            owner=owner,
            events=None if events is None else frozenset(events),
            inflection=inflection,
            version=version,
        )
        webhook.secrets.append(self._new_secret())
        self._all[webhook.id] = webhook
        return webhook

    def rotate(self, webhook_id: str, overlap: float) -> str:
        """Return a new secret; the older one signs along for some seconds."""
        webhook = self[webhook_id]
        until = self._runtime.now() + overlap
        for older in webhook.secrets:
            known = older.expires_at
            older.expires_at = until if known is None else min(known, until)
        webhook.secrets.append(self._new_secret())
        return webhook.secret

    def disable(self, webhook_id: str) -> None:
        """Stop a webhook; what it was still to be told is dropped."""
        webhook = self[webhook_id]
        webhook.enabled = False
        self._waiting = [each for each in self._waiting if each.webhook is not webhook]

    def enqueue(self, event: Record) -> None:
        """Plan the delivery of an event to everybody who wants it, now."""
        name, now = event.attributes["name"], self._runtime.now()
        for webhook in self._all.values():
            if webhook.wants(event.owner, name):
                self._waiting.append(Delivery(webhook, event, now))
        if self._waiting:
            self.wake()

    def pop_due(self) -> Delivery | None:
        """Take the delivery that is due the longest, None where none is."""
        if not self._waiting:
            return None
        first = min(self._waiting, key=lambda each: each.due)
        if first.due > self._runtime.now():
            return None
        self._waiting.remove(first)
        return first

    def next_due(self) -> float | None:
        """Return when the next delivery is due, None where none is planned."""
        return min((each.due for each in self._waiting), default=None)

    def retry(self, delivery: Delivery) -> None:
        """Plan the next attempt, unless there are none left."""
        if delivery.webhook.enabled and delivery.made <= len(RETRIES):
            delivery.due = self._runtime.now() + RETRIES[delivery.made - 1]
            self._waiting.append(delivery)

    def _new_secret(self) -> WebhookSecret:
        return WebhookSecret(self._runtime.new_secret("wbhsec_localbox_", 32))


def _no_listener() -> None: ...
