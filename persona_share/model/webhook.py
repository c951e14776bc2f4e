"""Webhooks, and the deliveries that they make."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from persona_share.model.attribute import Attribute
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


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
