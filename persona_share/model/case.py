"""Cases: manual reviews of other objects."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.file import File
from persona_share.model.resource import ResourceWithFields


class Case(ResourceWithFields):
    """A case; the organization defines the names of its status."""

    __slots__ = ()

    status: Attribute[str] = Attribute(str)
    name: Attribute[str] = Attribute(str)
    resolution: Attribute[str] = Attribute(str)
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    attachments: Attribute[tuple[File, ...]] = Attribute(tuple[File, ...])
    creator_id: Attribute[str] = Attribute(str)
    creator_type: Attribute[str] = Attribute(str)
    assignee_id: Attribute[str] = Attribute(str)
    assigner_id: Attribute[str] = Attribute(str)
    assigner_type: Attribute[str] = Attribute(str)
    resolver_id: Attribute[str] = Attribute(str)
    resolver_type: Attribute[str] = Attribute(str)
    updater_id: Attribute[str] = Attribute(str)
    updater_type: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    assigned_at: Attribute[datetime] = Attribute(datetime)
    resolved_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)
    sla_expires_at: Attribute[datetime] = Attribute(datetime)

    case_template: Link = Link()
    case_queue: Link = Link()
    accounts: Links = Links()
    case_comments: Links = Links()
    inquiries: Links = Links()
    reports: Links = Links()
    txns: Links = Links()
    verifications: Links = Links()
