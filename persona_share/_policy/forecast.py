"""How long a number of calls takes at least, at the limit as it stands."""

from datetime import timedelta
from typing import Final

from persona_share.model.batch import RateLimitStatus


#: The service counts requests a minute (page "Rate limiting").
WINDOW: Final = 60.0


def shortest(calls: int, allowance: RateLimitStatus) -> timedelta:
    """Return the time before the last of so many calls can be sent."""
    beyond = calls - allowance.remaining
    if beyond <= 0:
        return timedelta()
    windows = -(-beyond // max(allowance.limit, 1))
    return timedelta(seconds=allowance.resets_in + (windows - 1) * WINDOW)
