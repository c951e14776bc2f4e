"""A transaction: something that happened, with fields of its own."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.fields import ResourceWithFields


class Transaction(ResourceWithFields):
    """A transaction; its status is a name that its organization chose."""

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
