"""``/devices``; their permissions are not documented."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family(None, "devices")

LIST: Final = _FAMILY.read("/devices")
RETRIEVE: Final = _FAMILY.read("/devices/{device-id}")
