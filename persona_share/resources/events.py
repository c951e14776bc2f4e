"""Events: changes of objects in the last weeks."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import events as routes
from persona_share.model.event import Event
from persona_share.resources.collection import Retrievable
from persona_share.resources.listing import Listing
from persona_share.resources.query_options import ListOptions


class Events(Retrievable[Event], kind=Event, routes=routes):
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
        return self._list(routes.LIST, filters=filters, options=options)
