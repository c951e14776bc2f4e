"""``/rate-limits``, which every credential may read."""

from typing import Final

from persona_share._protocol.routes.route import Family


LIST: Final = Family(None, "rate_limits").read("/rate-limits")
