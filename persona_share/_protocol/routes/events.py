"""``/events``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("event", "events")

LIST: Final = _FAMILY.read("/events")
RETRIEVE: Final = _FAMILY.read("/events/{event-id}")
