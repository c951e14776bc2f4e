"""A case: a review by people, with whatever it is about."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.fields import Fielded
from persona_share.model.file import File


class Case(Fielded):
    """A case; its status is a name that its organization chose."""

    __slots__ = ()

    status = Attribute[str](str)
    name = Attribute[str](str)
    resolution = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    attachments = Attribute[tuple[File, ...]](tuple[File, ...])
    creator_id = Attribute[str](str)
    creator_type = Attribute[str](str)
    assignee_id = Attribute[str](str)
    assigner_id = Attribute[str](str)
    assigner_type = Attribute[str](str)
    resolver_id = Attribute[str](str)
    resolver_type = Attribute[str](str)
    updater_id = Attribute[str](str)
    updater_type = Attribute[str](str)
    created_at = Attribute[datetime](datetime)
    updated_at = Attribute[datetime](datetime)
    assigned_at = Attribute[datetime](datetime)
    resolved_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)
    sla_expires_at = Attribute[datetime](datetime)

    case_template = Link()
    case_queue = Link()
    accounts = Links()
    case_comments = Links()
    inquiries = Links()
    reports = Links()
    txns = Links()
    verifications = Links()
