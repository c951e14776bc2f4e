"""Devices: the phones and computers that inquiries were completed on."""

from typing import Unpack

from persona_share._protocol.routes import devices as routes
from persona_share.model.device import Device
from persona_share.resources.collection import Retrievable
from persona_share.resources.listing import Listing
from persona_share.resources.query_options import CallOptions


class Devices(Retrievable[Device], kind=Device, routes=routes):
    """The endpoints of ``/devices``."""

    __slots__ = ()

    def list(
        self, *, inquiry_session_id: str, **options: Unpack[CallOptions]
    ) -> Listing[Device]:
        """List the devices of an inquiry session."""
        filters = {"inquiry_session_id": inquiry_session_id}
        return self._list(routes.LIST, filters=filters, options=options)
