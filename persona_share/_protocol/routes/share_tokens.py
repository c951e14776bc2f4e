"""``/connect/share-tokens``: offers to redeem; their permissions are not documented."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family(None, "share_tokens")

LIST: Final = _FAMILY.read("/connect/share-tokens")
CREATE: Final = _FAMILY.create(
    "/connect/share-tokens", "share_tokens.list(connection_id=…), newest first"
)
RETRIEVE: Final = _FAMILY.read("/connect/share-tokens/{share-token-id}")
EXPIRE: Final = _FAMILY.act(
    "/connect/share-tokens/{share-token-id}/expire", repeatable=True
)
REDEEM: Final = _FAMILY.act("/connect/share-tokens/{share-token-id}/redeem")
