"""Events: what happened to objects in the last weeks."""

from collections.abc import Sequence
from typing import Unpack

from persona_share._protocol.routes import events as routes
from persona_share.model.event import Event
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    Filter,
    Include,
    filtering,
    shaping,
)


class Events(Collection[Event], kind=Event):
    """``/events``, kept by the service for 30 days."""

    __slots__ = ()

    async def retrieve(
        self,
        event_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Event:
        """Answer one event.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /events/{event-id}.
        """
        shape = shaping(include, fields)
        return await self._one(routes.RETRIEVE, event_id, query=shape, options=options)

    def list(
        self,
        *,
        name: str | Sequence[str] | None = None,
        object_id: str | Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Event]:
        """List events, newest first; several values mean any of them.

        Source: GET /events.
        """
        query = filtering(filter, name=name, object_id=object_id)
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )
