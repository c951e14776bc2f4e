"""Webhooks and the deliveries that they made."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Unpack

from persona_share._protocol.routes import webhooks as routes
from persona_share.model.webhook import Webhook, WebhookEvent
from persona_share.resources.collection import Retrievable, Searchable
from persona_share.resources.listing import Listing
from persona_share.resources.params import (
    ChangedWebhook,
    NewWebhook,
    WebhookChanges,
    meta_body,
    seconds_of,
)
from persona_share.resources.query_options import (
    Fields,
    PageOptions,
    RetrieveOptions,
)


class _ListOptions(PageOptions, total=False):
    fields: Fields | None


class Webhooks(Retrievable[Webhook], kind=Webhook, routes=routes):
    """The endpoints of ``/webhooks``."""

    __slots__ = ()

    def list(self, **options: Unpack[_ListOptions]) -> Listing[Webhook]:
        """List webhooks, newest first; their secrets are left out."""
        return self._list(routes.LIST, options=options)

    async def create(self, **values: Unpack[NewWebhook]) -> Webhook:
        """Create a webhook, which is disabled until `enable`.

        From API version 2026-09-29 on a webhook needs a ``name``.
        """
        return await self._send(routes.CREATE, values=values, attributes=WebhookChanges)

    async def update(
        self, webhook_id: str, **values: Unpack[ChangedWebhook]
    ) -> Webhook:
        """Update a webhook."""
        return await self._send(
            routes.UPDATE, webhook_id, values=values, attributes=WebhookChanges
        )

    async def enable(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Enable a webhook."""
        return await self._one(routes.ENABLE, webhook_id, options=options)

    async def disable(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Disable a webhook; attempts that are pending are canceled."""
        return await self._one(routes.DISABLE, webhook_id, options=options)

    async def archive(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Archive a webhook."""
        return await self._one(routes.ARCHIVE, webhook_id, options=options)

    async def clone(
        self, webhook_id: str, **options: Unpack[RetrieveOptions]
    ) -> Webhook:
        """Copy a webhook; the result is the new one."""
        return await self._one(
            routes.CLONE, webhook_id, options=options, same_object=False
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
            routes.ROTATE_SECRET, webhook_id, body=body, options=options
        )


class WebhookEvents(Searchable[WebhookEvent], kind=WebhookEvent, routes=routes):
    """The endpoint ``/webhook-events/search``: one object for each delivery."""

    __slots__ = ()

    def search(
        self,
        query: Mapping[str, Any] | None = None,
        *,
        sort: Mapping[str, str] | None = None,
        fields: Fields | None = None,
        **options: Unpack[PageOptions],
    ) -> Listing[WebhookEvent]:
        """Search deliveries; the index is about a minute behind.

        The attributes are ``status``, ``webhook_id``, ``event_id``, ``event_name``,
        ``webhook_event_id``, ``related_object_ids`` (operator ``eq`` only) and
        ``updated_at``. `persona_share.webhooks.recover` handles missed deliveries.
        """
        return self._search(routes.SEARCH_EVENTS, query, sort, fields, options)
