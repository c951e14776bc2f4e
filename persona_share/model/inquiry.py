"""Inquiries: one person each in an identity flow, with their sessions and devices."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link, Links, OpenEnum
from persona_share.model.resource import Resource, ResourceWithFields
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


# ── Sessions and devices ─────────────────────────────────────────────────────


class InquirySessionStatus(OpenEnum):
    """The status of a session; the service may add more."""

    EXPIRED = "expired"


class InquirySession(Resource):
    """A session, with data of the device and its network."""

    __slots__ = ()

    status: Attribute[InquirySessionStatus] = Attribute(InquirySessionStatus)
    created_at: Attribute[datetime] = Attribute(datetime)
    started_at: Attribute[datetime] = Attribute(datetime)
    expired_at: Attribute[datetime] = Attribute(datetime)
    ip_address: Attribute[str] = Attribute(str)
    user_agent: Attribute[str] = Attribute(str)
    os_name: Attribute[str] = Attribute(str)
    os_full_version: Attribute[str] = Attribute(str)
    device_type: Attribute[str] = Attribute(str)
    device_name: Attribute[str] = Attribute(str)
    device_handoff_method: Attribute[str] = Attribute(str)
    browser_name: Attribute[str] = Attribute(str)
    browser_full_version: Attribute[str] = Attribute(str)
    mobile_sdk_name: Attribute[str] = Attribute(str)
    mobile_sdk_full_version: Attribute[str] = Attribute(str)
    is_proxy: Attribute[bool] = Attribute(bool)
    is_tor: Attribute[bool] = Attribute(bool)
    is_datacenter: Attribute[bool] = Attribute(bool)
    is_vpn: Attribute[bool] = Attribute(bool)
    threat_level: Attribute[str] = Attribute(str)
    country_code: Attribute[str] = Attribute(str)
    country_name: Attribute[str] = Attribute(str)
    region_code: Attribute[str] = Attribute(str)
    region_name: Attribute[str] = Attribute(str)
    latitude: Attribute[float] = Attribute(float)
    longitude: Attribute[float] = Attribute(float)

    one_time_link: Attribute[Secret] = Attribute(Secret, of="meta")
    one_time_link_short: Attribute[Secret] = Attribute(Secret, of="meta")

    inquiry: Link = Link()
    device: Link = Link()
    network: Link = Link()


class Device(Resource):
    """A device, with its fingerprints."""

    __slots__ = ()

    device_vendor_id: Attribute[str] = Attribute(str)
    device_fingerprint: Attribute[str] = Attribute(str)
    browser_fingerprint: Attribute[str] = Attribute(str)
