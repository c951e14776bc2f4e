"""Transactions: business events with custom fields."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.resource import ResourceWithFields


class Transaction(ResourceWithFields):
    """A transaction; the organization defines the names of its status."""

    __slots__ = ()

    status: Attribute[str] = Attribute(str)
    reference_id: Attribute[str] = Attribute(str)
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    reviewer: Link = Link()
    transaction_label: Link = Link()
    transaction_type: Link = Link()
    related_objects: Links = Links()
