"""Connections: the agreements that share tokens are redeemed over."""

from typing import Unpack

from persona_share._protocol.routes import ConnectionRoutes
from persona_share.model.connection import Connection, ConnectionStatus
from persona_share.model.ids import checked_id
from persona_share.resources.collection import Collection, Listing
from persona_share.resources.params import attributes_body
from persona_share.resources.query_options import (
    CallOptions,
    ConnectionStatusName,
    FieldsOptions,
    ListOptions,
    check_status,
)


class Connections(Collection[Connection], kind=Connection, routes=ConnectionRoutes):
    """The endpoints of ``/connect/connections``.

    The destination organization accepts a connection in Persona's Dashboard.
    """

    __slots__ = ()

    async def create(
        self, *, destination_organization_id: str, **options: Unpack[FieldsOptions]
    ) -> Connection:
        """Offer a connection to an organization; it is pending until accepted."""
        checked_id(destination_organization_id, "destination_organization_id")
        body = attributes_body(
            {"destination_organization_id": destination_organization_id}
        )
        return await self._one(ConnectionRoutes.CREATE, body=body, options=options)

    async def retrieve(
        self, connection_id: str, **options: Unpack[FieldsOptions]
    ) -> Connection:
        """Return one connection."""
        return await self._one(
            ConnectionRoutes.RETRIEVE, connection_id, options=options
        )

    def list(
        self,
        *,
        status: ConnectionStatusName | ConnectionStatus | None = None,
        destination_organization_id: str | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Connection]:
        """List connections in both directions, newest first."""
        check_status(ConnectionStatus, status)
        filters = {
            "status": status,
            "destination_organization_id": destination_organization_id,
        }
        return self._list(ConnectionRoutes.LIST, filters=filters, options=options)

    async def find_active(
        self, destination_organization_id: str, **options: Unpack[CallOptions]
    ) -> Connection | None:
        """Return the newest active connection to an organization, or None."""
        destination = checked_id(
            destination_organization_id, "destination_organization_id"
        )
        active = self.list(
            status=ConnectionStatus.ACTIVE,
            destination_organization_id=destination,
            **options,
        )
        async for each in active:
            same = each.destination_organization_id == destination
            if same and each.status == ConnectionStatus.ACTIVE:
                return each
        return None

    async def deactivate(
        self, connection_id: str, **options: Unpack[CallOptions]
    ) -> Connection:
        """Deactivate a connection; either organization may."""
        return await self._one(
            ConnectionRoutes.DEACTIVATE, connection_id, options=options
        )

    async def reactivate(
        self, connection_id: str, **options: Unpack[CallOptions]
    ) -> Connection:
        """Offer an inactive connection again; only its source may. It is pending."""
        return await self._one(
            ConnectionRoutes.REACTIVATE, connection_id, options=options
        )
