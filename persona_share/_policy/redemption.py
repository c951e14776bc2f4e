"""What a share token's state says about a redemption (persona-api "Redeem")."""

import enum
from typing import Final

from persona_share.model.share_token import (
    FINAL_STATUSES,
    RedeemMode,
    ShareToken,
    ShareTokenStatus,
)


_UNDER_WAY: Final = frozenset(
    {ShareTokenStatus.PENDING, ShareTokenStatus.REDEEMED, ShareTokenStatus.FAILED}
)


class Trace(enum.Enum):
    """What the state tells about a redeem call whose answer was lost."""

    OURS = "it took effect as requested"
    NONE = "it took no effect so far"
    ANOTHER = "another redemption took effect"


def trace_of(token: ShareToken, destination_id: str | None) -> Trace:
    """Return what became of a redeem call with this destination.

    Mode and destination are compared where the service tells them: for a clone there is
    no destination until it is done.
    """
    if token.status not in _UNDER_WAY:
        return Trace.NONE
    mode = RedeemMode.CLONE if destination_id is None else RedeemMode.HYDRATE
    if token.redeem_mode not in (None, mode):
        return Trace.ANOTHER
    if destination_id is not None and token.destination_id not in (
        None,
        destination_id,
    ):
        return Trace.ANOTHER
    return Trace.OURS


def is_final(token: ShareToken) -> bool:
    """Return whether nothing more happens to it; an unknown state may go on."""
    return token.status in FINAL_STATUSES
