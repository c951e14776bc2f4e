"""Devices: the phones and computers of inquiries."""

from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource


class Device(Resource):
    """A device, with its fingerprints."""

    __slots__ = ()

    device_vendor_id: Attribute[str] = Attribute(str)
    device_fingerprint: Attribute[str] = Attribute(str)
    browser_fingerprint: Attribute[str] = Attribute(str)
