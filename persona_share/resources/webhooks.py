"""Events, webhooks, and the deliveries that webhooks make."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Unpack

from persona_share._protocol.routes import (
    EventRoutes,
    WebhookEventRoutes,
    WebhookRoutes,
)
from persona_share.model.webhook import Event, Webhook, WebhookEvent
from persona_share.resources.collection import Listing, Retrievable, Searchable
from persona_share.resources.params import (
    ChangedWebhook,
    NewWebhook,
    WebhookChanges,
    meta_body,
    seconds_of,
)
from persona_share.resources.query_options import (
    Fields,
    ListOptions,
    PageOptions,
    RetrieveOptions,
)


# ── Events ───────────────────────────────────────────────────────────────────


class Events(Retrievable[Event], kind=Event, routes=EventRoutes):
    """The endpoints of ``/events``; the service keeps events for 30 days."""

    __slots__ = ()

    def list(
        self,
        *,
        name: str | Sequence[str] | None = None,
        object_id: str | Sequence[str] | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Event]:
        """List events, newest first; several values mean any of them."""
        filters = {"name": name, "object_id": object_id}
        return self._list(EventRoutes.LIST, filters=filters, options=options)


# ── Webhooks ─────────────────────────────────────────────────────────────────


class _ListOptions(PageOptions, total=False):
    fields: Fields | None


class Webhooks(Retrievable[Webhook], kind=Webhook, routes=WebhookRoutes):
    """The endpoints of ``/webhooks``."""

    __slots__ = ()

    def list(self, **options: Unpack[_ListOptions]) -> Listing[Webhook]:
        """List webhooks, newest first; their secrets are left out."""
        return self._list(WebhookRoutes.LIST, options=options)

    async def create(self, **values: Unpack[NewWebhook]) -> Webhook:
        """Create a webhook, which is disabled until `enable`."""
        return await self._send(
            WebhookRoutes.CREATE, values=values, attributes=WebhookChanges
        )

    async def update(
        self, webhook_id: str, **values: Unpack[ChangedWebhook]
    ) -> Webhook:
        """Update a webhook."""
        return await self._send(
            WebhookRoutes.UPDATE, webhook_id, values=values, attributes=WebhookChanges
        )

    async def enable(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Enable a webhook."""
        return await self._one(WebhookRoutes.ENABLE, webhook_id, options=options)

    async def disable(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Disable a webhook; attempts that are pending are canceled."""
        return await self._one(WebhookRoutes.DISABLE, webhook_id, options=options)

    async def archive(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Archive a webhook."""
        return await self._one(WebhookRoutes.ARCHIVE, webhook_id, options=options)

    async def clone(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Copy a webhook; the result is the new one."""
        return await self._one(
            WebhookRoutes.CLONE, webhook_id, options=options, same_object=False
        )

    async def rotate_secret(
        self,
        webhook_id: str,
        *,
        expires_in: timedelta | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> Webhook:
        """Create a new secret; the old one stays valid for ``expires_in``.

        Until then deliveries have one signature for each secret.
        """
        body = meta_body(expires_in_seconds=seconds_of("expires_in", expires_in))
        return await self._one(
            WebhookRoutes.ROTATE_SECRET, webhook_id, body=body, options=options
        )


class WebhookEvents(
    Searchable[WebhookEvent], kind=WebhookEvent, routes=WebhookEventRoutes
):
    """The endpoint ``/webhook-events/search``: one object for each delivery.

    The attributes are ``status``, ``webhook_id``, ``event_id``, ``event_name``,
    ``webhook_event_id``, ``related_object_ids`` (operator ``eq`` only) and
    ``updated_at``. `persona_share.webhooks.recover` handles missed deliveries.
    """

    __slots__ = ()
