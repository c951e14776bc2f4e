"""Reports: results from watchlists, registers and other data sources."""

from datetime import datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link, OpenEnum
from persona_share.model.resource import Resource


class ReportStatus(OpenEnum):
    """The status of a report; the service may add more."""

    PENDING = "pending"
    READY = "ready"
    ERRORED = "errored"


class Report(Resource):
    """A report of any type; attributes of one type only are in ``attributes``."""

    __slots__ = ()

    status: Attribute[ReportStatus] = Attribute(ReportStatus)
    has_match: Attribute[bool] = Attribute(bool)
    is_continuous: Attribute[bool] = Attribute(bool)
    is_recurring: Attribute[bool] = Attribute(bool)
    #: Names of lists, or objects with more about each list, depending on the type.
    matched_lists: Attribute[tuple[Any, ...]] = Attribute(tuple[Any, ...])
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
    """An action on a report; ``type`` is the action, such as ``run``."""

    __slots__ = ()
    _flat = True

    run_type: Attribute[str] = Attribute(str)
    scheduled_date: Attribute[str] = Attribute(str)
    matches: Attribute[int] = Attribute(int)
    creator_name: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)
