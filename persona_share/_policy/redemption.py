"""Redemptions of share tokens: the meaning of a state, and when to poll it again."""

import enum
from typing import Final

from persona_share.model.share_token import (
    FINAL_STATUSES,
    RedeemMode,
    ShareToken,
    ShareTokenStatus,
)


#: The first and the longest pause between two requests for a state, in seconds.
MIN_DELAY: Final = 1.0
MAX_DELAY: Final = 30.0
_DOUBLINGS: Final = 5
_JITTER: Final = 0.25
_UNDER_WAY: Final = frozenset(
    {ShareTokenStatus.PENDING, ShareTokenStatus.REDEEMED, ShareTokenStatus.FAILED}
)


class Trace(enum.Enum):
    """The effect of a redeem call whose response was lost, by the state."""

    AS_REQUESTED = "it took effect as requested"
    NONE = "it took no effect so far"
    ANOTHER = "another redemption took effect"


def trace_of(token: ShareToken, destination_id: str | None) -> Trace:
    """Return the effect of a redeem call with this destination.

    Mode and destination are compared where the service states them: for a clone there is
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
    return Trace.AS_REQUESTED


def is_final(token: ShareToken) -> bool:
    """Return whether the state is final; an unknown one is not."""
    return token.status in FINAL_STATUSES


def pause(asked: int, random: float, left: float) -> float:
    """Return how many seconds to wait after so many requests.

    One to thirty seconds with jitter, and at most ``left``, the rest of the caller's
    time, so that the last request is sent at its end.
    """
    full = min(MAX_DELAY, MIN_DELAY * 2.0 ** min(max(0, asked - 1), _DOUBLINGS))
    return max(0.0, min(full * (1 + _JITTER * random), left))
