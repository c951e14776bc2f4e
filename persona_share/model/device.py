"""A device on which somebody went through an inquiry."""

from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource


class Device(Resource):
    """A device, by the marks that it can be told by."""

    __slots__ = ()

    device_vendor_id: Attribute[str] = Attribute(str)
    device_fingerprint: Attribute[str] = Attribute(str)
    browser_fingerprint: Attribute[str] = Attribute(str)
