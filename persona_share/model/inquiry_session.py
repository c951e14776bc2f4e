"""Inquiry sessions: the use of an inquiry on one device."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


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
