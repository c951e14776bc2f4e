"""``/inquiry-sessions``; their permissions are not documented."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family(None, "inquiry_sessions")

LIST: Final = _FAMILY.read("/inquiry-sessions")
CREATE: Final = _FAMILY.create(
    "/inquiry-sessions", "inquiry_sessions.list(inquiry_id=…)"
)
RETRIEVE: Final = _FAMILY.read("/inquiry-sessions/{inquiry-session-id}")
EXPIRE: Final = _FAMILY.act("/inquiry-sessions/{inquiry-session-id}/expire")
EXPIRE_ALL: Final = _FAMILY.create(
    "/inquiry-sessions/expire-all", "inquiry_sessions.list(inquiry_id=…)"
)
GENERATE_ONE_TIME_LINK: Final = _FAMILY.act(
    "/inquiry-sessions/{inquiry-session-id}/generate-one-time-link"
)
