"""``/api-logs``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("api_log", "api_logs")

LIST: Final = _FAMILY.read("/api-logs")
RETRIEVE: Final = _FAMILY.read("/api-logs/{api-log-id}")
