"""Connections: the agreements of two organizations to share data."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, OpenEnum
from persona_share.model.resource import Resource


class ConnectionStatus(OpenEnum):
    """The status of a connection; share tokens need an active one."""

    PENDING = "pending"
    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


class Connection(Resource):
    """A connection, as seen by either organization."""

    __slots__ = ()

    status: Attribute[ConnectionStatus] = Attribute(ConnectionStatus)
    source_organization_id: Attribute[str] = Attribute(str)
    destination_organization_id: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)

    creator: Link = Link()
