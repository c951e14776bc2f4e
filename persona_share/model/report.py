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

    status = Attribute[ReportStatus](ReportStatus)
    has_match = Attribute[bool](bool)
    is_continuous = Attribute[bool](bool)
    is_recurring = Attribute[bool](bool)
    matched_lists = Attribute[tuple[str, ...]](tuple[str, ...])
    report_template_version_name = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    created_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    account = Link()
    inquiry = Link()
    report_template = Link()
    transaction = Link()


class ReportAction(Resource):
    """Something that was done with a report: ``type`` says what, such as ``run``."""

    __slots__ = ()
    flat = True

    run_type = Attribute[str](str)
    scheduled_date = Attribute[str](str)
    matches = Attribute[int](int)
    creator_name = Attribute[str](str)
    created_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
