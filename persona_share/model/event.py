"""An event: a change of an object, as it is listed or delivered by a webhook."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from persona_share.model.attribute import Attribute
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class EventName(OpenEnum):
    """The names of sharing events; all other names are kept as they are sent."""

    INBOUND_CREATED = "connect/share-token.inbound-created"
    INBOUND_REDEEMED = "connect/share-token.inbound-redeemed"
    OUTBOUND_CREATED = "connect/share-token.outbound-created"
    OUTBOUND_REDEEMED = "connect/share-token.outbound-redeemed"


_SHARING: Final = "connect/"
_CUSTOM: Final = "custom."


class Event(Resource):
    """An event; `subject` is the object that changed, in its state at that moment.

    Deliveries may repeat and arrive out of order. Tell them apart by ``id``, and order
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
