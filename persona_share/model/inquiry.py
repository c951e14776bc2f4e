"""Inquiries: one person each, on the way through an identity flow."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.fields import ResourceWithFields
from persona_share.model.openenum import OpenEnum
from persona_share.model.secret import Secret


class InquiryStatus(OpenEnum):
    """The status of an inquiry; the service may add more."""

    CREATED = "created"
    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    DECLINED = "declined"


class Inquiry(ResourceWithFields):
    """An inquiry.

    The session token and the one-time links are only part of the responses that create
    them.
    """

    __slots__ = ()

    status: Attribute[InquiryStatus] = Attribute(InquiryStatus)
    reference_id: Attribute[str] = Attribute(str)
    note: Attribute[str] = Attribute(str)
    tags: Attribute[tuple[str, ...]] = Attribute(tuple[str, ...])
    creator: Attribute[str] = Attribute(str)
    reviewer_comment: Attribute[str] = Attribute(str)
    previous_step_name: Attribute[str] = Attribute(str)
    next_step_name: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    started_at: Attribute[datetime] = Attribute(datetime)
    expires_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)
    failed_at: Attribute[datetime] = Attribute(datetime)
    marked_for_review_at: Attribute[datetime] = Attribute(datetime)
    decisioned_at: Attribute[datetime] = Attribute(datetime)
    expired_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)

    session_token: Attribute[Secret] = Attribute(Secret, of="meta")
    one_time_link: Attribute[Secret] = Attribute(Secret, of="meta")
    one_time_link_short: Attribute[Secret] = Attribute(Secret, of="meta")

    account: Link = Link()
    inquiry_template: Link = Link()
    inquiry_template_version: Link = Link()
    transaction: Link = Link()
    reviewer: Link = Link()
    documents: Links = Links()
    reports: Links = Links()
    selfies: Links = Links()
    sessions: Links = Links()
    verifications: Links = Links()
