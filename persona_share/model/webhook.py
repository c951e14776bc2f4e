"""Events, webhooks, and the deliveries that webhooks make."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from persona_share.model.attribute import Attribute, OpenEnum
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


# ── Events ───────────────────────────────────────────────────────────────────


class EventName(OpenEnum):
    """The names of sharing events; all other names are kept as they are sent."""

    INBOUND_CREATED = "connect/share-token.inbound-created"
    INBOUND_REDEEMED = "connect/share-token.inbound-redeemed"
    OUTBOUND_CREATED = "connect/share-token.outbound-created"
    OUTBOUND_REDEEMED = "connect/share-token.outbound-redeemed"


_SHARING: Final = "connect/"
_CUSTOM: Final = "custom."


class Event(Resource):
    """A change of an object; `subject` is the object in its state after the change.

    Deliveries may be repeated and out of order. Deduplicate them by ``id``, and order
    them by ``created_at``. ``payload`` is any JSON for custom events.
    """

    __slots__ = ()

    name: Attribute[EventName] = Attribute(EventName)
    payload: Attribute[Any] = Attribute(Any)
    context: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    created_at: Attribute[datetime] = Attribute(datetime)

    @property
    def is_sharing(self) -> bool:
        """Whether the event is about a share token."""
        return self._name_begins_with(_SHARING)

    @property
    def is_custom(self) -> bool:
        """Whether the organization defined the event itself (``custom.…``)."""
        return self._name_begins_with(_CUSTOM)

    @property
    def subject(self) -> Resource | None:
        """The object that changed, or None for a custom event or one without data.

        Raises `MalformedResponseError` if the payload has an object without a readable
        type and id.
        """
        payload = None if self.is_custom else self.payload
        if not isinstance(payload, dict) or payload.get("data") is None:
            return None
        try:
            return self._nested(payload)
        except (TypeError, LookupError, AttributeError):
            pass  # raised below, without the payload as its context
        del payload
        name = "payload"
        raise self._malformed(name)

    def _name_begins_with(self, prefix: str) -> bool:
        name = self.name
        return name is not None and name.startswith(prefix)


# ── Webhooks ─────────────────────────────────────────────────────────────────


class WebhookStatus(OpenEnum):
    """The status of a webhook; the service may add more."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    ARCHIVED = "archived"


@attrs.frozen
class WebhookSecret:
    """A secret that deliveries are signed with.

    ``expires_at`` is set for the old secret while a webhook has two.
    """

    value: Secret | None = None
    expires_at: datetime | None = None


class Webhook(Resource):
    """A webhook; its secrets are not part of lists."""

    __slots__ = ()

    status: Attribute[WebhookStatus] = Attribute(WebhookStatus)
    name: Attribute[str] = Attribute(str)
    description: Attribute[str] = Attribute(str)
    url: Attribute[str] = Attribute(str)
    secrets: Attribute[tuple[WebhookSecret, ...]] = Attribute(tuple[WebhookSecret, ...])
    enabled_events: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    api_version: Attribute[str] = Attribute(str)
    api_key_inflection: Attribute[str] = Attribute(str)
    api_attributes_blocklist: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    file_access_token_expires_in: Attribute[int] = Attribute(int)
    payload_filter: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    included_allowlist: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    relationship_allowlist: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    created_at: Attribute[datetime] = Attribute(datetime)


class WebhookEventStatus(OpenEnum):
    """The status of a delivery; the service may add more."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class WebhookEvent(Resource):
    """The delivery of one event to one webhook, with all of its attempts."""

    __slots__ = ()

    status: Attribute[WebhookEventStatus] = Attribute(WebhookEventStatus)
    event_name: Attribute[str] = Attribute(str)
    webhook_id: Attribute[str] = Attribute(str)
    event_id: Attribute[str] = Attribute(str)
    result_code: Attribute[int] = Attribute(int)
    attempts_made: Attribute[int] = Attribute(int)
    last_attempted_at: Attribute[datetime] = Attribute(datetime)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
