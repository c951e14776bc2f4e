"""``/connect/connections``: agreements; their permissions are not documented."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family(None, "connections")

LIST: Final = _FAMILY.read("/connect/connections")
CREATE: Final = _FAMILY.create(
    "/connect/connections", "connections.list(destination_organization_id=…)"
)
RETRIEVE: Final = _FAMILY.read("/connect/connections/{connection-id}")
DEACTIVATE: Final = _FAMILY.act("/connect/connections/{connection-id}/deactivate")
REACTIVATE: Final = _FAMILY.act("/connect/connections/{connection-id}/reactivate")
