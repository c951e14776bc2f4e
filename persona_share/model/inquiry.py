"""An inquiry: one person's run through an identity flow."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.fields import Fielded
from persona_share.model.openenum import OpenEnum
from persona_share.model.secret import Secret


class InquiryStatus(OpenEnum):
    """Where an inquiry stands; the service may add more."""

    CREATED = "created"
    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    DECLINED = "declined"


class Inquiry(Fielded):
    """An inquiry as its owner, or a partner with a scoped token, may read it.

    The session token and the one-time links come only with the answers that make them.
    """

    __slots__ = ()

    status = Attribute[InquiryStatus](InquiryStatus)
    reference_id = Attribute[str](str)
    note = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    creator = Attribute[str](str)
    reviewer_comment = Attribute[str](str)
    previous_step_name = Attribute[str](str)
    next_step_name = Attribute[str](str)
    created_at = Attribute[datetime](datetime)
    updated_at = Attribute[datetime](datetime)
    started_at = Attribute[datetime](datetime)
    expires_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
    failed_at = Attribute[datetime](datetime)
    marked_for_review_at = Attribute[datetime](datetime)
    decisioned_at = Attribute[datetime](datetime)
    expired_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    session_token = Attribute[Secret](Secret, of="meta")
    one_time_link = Attribute[Secret](Secret, of="meta")
    one_time_link_short = Attribute[Secret](Secret, of="meta")

    account = Link()
    inquiry_template = Link()
    inquiry_template_version = Link()
    transaction = Link()
    reviewer = Link()
    documents = Links()
    reports = Links()
    selfies = Links()
    sessions = Links()
    verifications = Links()
