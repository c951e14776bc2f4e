"""``/webhooks``, and ``/webhook-events`` for the deliveries of webhooks."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("webhook", "webhooks")
_EVENTS: Final = Family("webhook", "webhook_events")

LIST: Final = _FAMILY.read("/webhooks")
CREATE: Final = _FAMILY.create("/webhooks", "webhooks.list()")
RETRIEVE: Final = _FAMILY.read("/webhooks/{webhook-id}")
UPDATE: Final = _FAMILY.update("/webhooks/{webhook-id}")
ARCHIVE: Final = _FAMILY.act("/webhooks/{webhook-id}/archive")
ENABLE: Final = _FAMILY.act("/webhooks/{webhook-id}/enable")
DISABLE: Final = _FAMILY.act("/webhooks/{webhook-id}/disable")
ROTATE_SECRET: Final = _FAMILY.act("/webhooks/{webhook-id}/rotate-secret")
CLONE: Final = _FAMILY.act("/webhooks/{webhook-id}/clone", reconcile="webhooks.list()")
SEARCH_EVENTS: Final = _EVENTS.search("/webhook-events/search")
