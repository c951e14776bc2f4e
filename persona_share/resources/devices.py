"""Devices: what inquiries were gone through on."""

from typing import Unpack

from persona_share._protocol.routes import devices as routes
from persona_share.model.device import Device
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions
from persona_share.resources.query_options import Fields, Include, filtering, shaping


class Devices(Collection[Device], kind=Device):
    """``/devices``."""

    __slots__ = ()

    async def retrieve(
        self,
        device_id: str,
        *,
        include: Include | None = None,
        fields: Fields | None = None,
        **options: Unpack[CallOptions],
    ) -> Device:
        """Answer one device.

        ``include`` names relationships whose objects come along, ``fields`` maps a
        type to the attributes wanted of it. Source: GET /devices/{device-id}.
        """
        shape = shaping(include, fields)
        return await self._one(routes.RETRIEVE, device_id, query=shape, options=options)

    def list(
        self, *, inquiry_session_id: str, **options: Unpack[CallOptions]
    ) -> Listing[Device]:
        """List the devices of an inquiry session.

        Source: GET /devices.
        """
        query = filtering(None, inquiry_session_id=inquiry_session_id)
        return self._list(routes.LIST, query=query, options=options)
