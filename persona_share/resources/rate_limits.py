"""Rate limits, as they stand at the moment."""

from typing import Unpack

from persona_share._protocol.routes import rate_limits as routes
from persona_share.model.rate_limit import RateLimit
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.options import CallOptions


class RateLimits(Collection[RateLimit], kind=RateLimit):
    """``/rate-limits``."""

    __slots__ = ()

    def list(self, **options: Unpack[CallOptions]) -> Listing[RateLimit]:
        """List the limits that requests count against.

        Source: GET /rate-limits.
        """
        return self._list(routes.LIST, options=options)
