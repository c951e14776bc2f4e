"""Accounts: people and businesses."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.resource import ResourceWithFields


class Account(ResourceWithFields):
    """An account; the organization defines the names of its status."""

    __slots__ = ()

    account_type_name: Attribute[str] = Attribute(str)
    account_status: Attribute[str] = Attribute(str)
    reference_id: Attribute[str] = Attribute(str)
    country_code: Attribute[str] = Attribute(str)
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    workflow_run_id: Attribute[str] = Attribute(str, of="meta")

    account_type: Link = Link()
