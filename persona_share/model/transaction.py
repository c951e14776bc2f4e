"""A transaction: something that happened, with fields of its own."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.fields import Fielded


class Transaction(Fielded):
    """A transaction; its status is a name that its organization chose."""

    __slots__ = ()

    status = Attribute[str](str)
    reference_id = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    created_at = Attribute[datetime](datetime)
    updated_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    reviewer = Link()
    transaction_label = Link()
    transaction_type = Link()
    related_objects = Links()
