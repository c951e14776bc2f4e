"""Connections: the agreements over which share tokens are redeemed."""

from typing import Unpack

from persona_share._protocol.routes import connections as routes
from persona_share.model.connection import Connection, ConnectionStatus
from persona_share.model.ids import checked_id
from persona_share.resources.bodies import attributes_body
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import (
    Fields,
    FieldsOptions,
    Filter,
    filtering,
    shaping,
)


class Connections(Collection[Connection], kind=Connection):
    """``/connect/connections``; the partner accepts one in Persona's Dashboard."""

    __slots__ = ()

    async def create(
        self, *, destination_organization_id: str, **options: Unpack[FieldsOptions]
    ) -> Connection:
        """Offer a connection to an organization; it is pending until that accepts.

        Source: POST /connect/connections.
        """
        checked_id(destination_organization_id, "destination_organization_id")
        body = attributes_body(
            {"destination-organization-id": destination_organization_id}
        )
        return await self._one(routes.CREATE, body=body, options=options)

    async def retrieve(
        self,
        connection_id: str,
        *,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Connection:
        """Answer one connection.

        Source: GET /connect/connections/{connection-id}.
        """
        shape = shaping(None, fields)
        return await self._one(
            routes.RETRIEVE, connection_id, query=shape, options=options
        )

    def list(
        self,
        *,
        status: ConnectionStatus | str | None = None,
        destination_organization_id: str | None = None,
        filter: Filter | None = None,  # noqa: A002 — the API's own word
        page_size: int | None = None,
        after: str | None = None,
        before: str | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Listing[Connection]:
        """List connections in both directions, newest first.

        Source: GET /connect/connections.
        """
        query = filtering(
            filter,
            status=status,
            destination_organization_id=destination_organization_id,
        )
        return self._list(
            routes.LIST,
            query=query,
            fields=fields,
            page_size=page_size,
            after=after,
            before=before,
            options=options,
        )

    async def find_active(
        self, destination_organization_id: str, **options: Unpack[CallOptions]
    ) -> Connection | None:
        """Answer the newest active connection to an organization, or None."""
        destination = checked_id(destination_organization_id)
        active = self.list(
            status=ConnectionStatus.ACTIVE,
            destination_organization_id=destination,
            **options,
        )
        async for each in active:
            ours = each.destination_organization_id == destination
            if ours and each.status == ConnectionStatus.ACTIVE:
                return each
        return None

    async def deactivate(
        self, connection_id: str, **options: Unpack[CallOptions]
    ) -> Connection:
        """End a connection; either side may."""
        return await self._one(routes.DEACTIVATE, connection_id, options=options)

    async def reactivate(
        self, connection_id: str, **options: Unpack[CallOptions]
    ) -> Connection:
        """Offer an ended connection again; only its source may, and it is pending."""
        return await self._one(routes.REACTIVATE, connection_id, options=options)
