"""The operations of Connect."""

from typing import Final

from persona_share.sandbox import partners, redemption, share_tokens
from persona_share.sandbox.operations import Operation, Table


_CONNECTION: Final = "/connect/connections/{connection-id}"
_SHARE_TOKEN: Final = "/connect/share-tokens/{share-token-id}"  # noqa: S105 - a path

TABLE: Final[Table] = {
    "GET /connect/connections": Operation(
        "list-all-connect-connections", partners.listed
    ),
    "POST /connect/connections": Operation(
        "create-a-connect-connection", partners.create
    ),
    f"GET {_CONNECTION}": Operation("retrieve-a-connect-connection", partners.retrieve),
    f"POST {_CONNECTION}/deactivate": Operation(
        "deactivate-a-connect-connection", partners.deactivate
    ),
    f"POST {_CONNECTION}/reactivate": Operation(
        "reactivate-a-connect-connection", partners.reactivate
    ),
    "GET /connect/share-tokens": Operation(
        "list-all-share-tokens", share_tokens.listed
    ),
    "POST /connect/share-tokens": Operation(
        "create-a-share-token", share_tokens.create
    ),
    f"GET {_SHARE_TOKEN}": Operation("retrieve-a-share-token", share_tokens.retrieve),
    f"POST {_SHARE_TOKEN}/expire": Operation("expire-share-token", share_tokens.expire),
    f"POST {_SHARE_TOKEN}/redeem": Operation("redeem-share-token", redemption.redeem),
}
