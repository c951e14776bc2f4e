"""An inquiry session: one device on which somebody went through an inquiry."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.openenum import OpenEnum
from persona_share.model.resource import Resource
from persona_share.model.secret import Secret


class InquirySessionStatus(OpenEnum):
    """Where a session stands; the service may add more."""

    EXPIRED = "expired"


class InquirySession(Resource):
    """A session, with what the device and its network told."""

    __slots__ = ()

    status = Attribute[InquirySessionStatus](InquirySessionStatus)
    created_at = Attribute[datetime](datetime)
    started_at = Attribute[datetime](datetime)
    expired_at = Attribute[datetime](datetime)
    ip_address = Attribute[str](str)
    user_agent = Attribute[str](str)
    os_name = Attribute[str](str)
    os_full_version = Attribute[str](str)
    device_type = Attribute[str](str)
    device_name = Attribute[str](str)
    device_handoff_method = Attribute[str](str)
    browser_name = Attribute[str](str)
    browser_full_version = Attribute[str](str)
    mobile_sdk_name = Attribute[str](str)
    mobile_sdk_full_version = Attribute[str](str)
    is_proxy = Attribute[bool](bool)
    is_tor = Attribute[bool](bool)
    is_datacenter = Attribute[bool](bool)
    is_vpn = Attribute[bool](bool)
    threat_level = Attribute[str](str)
    country_code = Attribute[str](str)
    country_name = Attribute[str](str)
    region_code = Attribute[str](str)
    region_name = Attribute[str](str)
    latitude = Attribute[float](float)
    longitude = Attribute[float](float)

    one_time_link = Attribute[Secret](Secret, of="meta")
    one_time_link_short = Attribute[Secret](Secret, of="meta")

    inquiry = Link()
    device = Link()
    network = Link()
