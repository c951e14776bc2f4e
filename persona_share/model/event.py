"""An event: something that happened to an object, as it is listed or delivered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from persona_share.model.attribute import Attribute
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class EventName(OpenEnum):
    """The events of sharing by name; all others are kept as they come."""

    INBOUND_CREATED = "connect/share-token.inbound-created"
    INBOUND_REDEEMED = "connect/share-token.inbound-redeemed"
    OUTBOUND_CREATED = "connect/share-token.outbound-created"
    OUTBOUND_REDEEMED = "connect/share-token.outbound-redeemed"


_SHARING: Final = "connect/"


class Event(Resource):
    """An event; what it happened to is `subject`, as it was at that moment.

    Deliveries may repeat and overtake each other: tell them apart by ``id``, order them
    by ``created_at``.
    """

    __slots__ = ()

    name: Attribute[EventName] = Attribute(EventName)
    payload: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    context: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    created_at: Attribute[datetime] = Attribute(datetime)

    @property
    def is_sharing(self) -> bool:
        """Whether it is about a share token."""
        name = self.name
        return name is not None and name.startswith(_SHARING)

    @property
    def subject(self) -> Resource | None:
        """What it happened to, as a typed object.

        Raises `MalformedResponseError` where the payload holds something else.
        """
        name, payload = "payload", self.payload
        if not payload:
            return None
        try:
            return self.nested(payload)
        except (TypeError, LookupError, AttributeError):
            pass  # raised below, so that no payload is carried along as a context
        raise self.malformed(name)
