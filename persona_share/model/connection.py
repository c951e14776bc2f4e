"""A connection: the standing agreement of two organizations to share."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class ConnectionStatus(OpenEnum):
    """Where a connection stands; share tokens are redeemed over an active one only."""

    PENDING = "pending"
    ACTIVE = "active"
    INACTIVE = "inactive"


class Connection(Resource):
    """A connection, as either of its organizations sees it."""

    __slots__ = ()

    status: Attribute[ConnectionStatus] = Attribute(ConnectionStatus)
    source_organization_id: Attribute[str] = Attribute(str)
    destination_organization_id: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)

    creator: Link = Link()
