"""A report: what some list or register says about a name, an address, a number."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource


class ReportStatus(OpenEnum):
    """Where a report stands; the service may add more."""

    PENDING = "pending"
    READY = "ready"
    ERRORED = "errored"


class Report(Resource):
    """A report of any type; what only one type has is in ``attributes``."""

    __slots__ = ()

    status: Attribute[ReportStatus] = Attribute(ReportStatus)
    has_match: Attribute[bool] = Attribute(bool)
    is_continuous: Attribute[bool] = Attribute(bool)
    is_recurring: Attribute[bool] = Attribute(bool)
    matched_lists: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    report_template_version_name: Attribute[str] = Attribute(str)
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    created_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    account: Link = Link()
    inquiry: Link = Link()
    report_template: Link = Link()
    transaction: Link = Link()


class ReportAction(Resource):
    """Something that was done with a report: ``type`` says what, such as ``run``."""

    __slots__ = ()
    _flat = True

    run_type: Attribute[str] = Attribute(str)
    scheduled_date: Attribute[str] = Attribute(str)
    matches: Attribute[int] = Attribute(int)
    creator_name: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)
