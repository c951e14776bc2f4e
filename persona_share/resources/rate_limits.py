"""The current rate limits."""

from typing import Unpack

from persona_share._protocol.routes import rate_limits as routes
from persona_share.model.rate_limit import RateLimit
from persona_share.resources.collection import Collection
from persona_share.resources.listing import Listing
from persona_share.resources.query_options import CallOptions


class RateLimits(Collection[RateLimit], kind=RateLimit, routes=routes):
    """The endpoint ``/rate-limits``."""

    __slots__ = ()

    def list(self, **options: Unpack[CallOptions]) -> Listing[RateLimit]:
        """List the limits that requests count against."""
        return self._list(routes.LIST, options=options)
