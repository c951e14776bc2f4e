"""``/cases``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("case", "cases")

LIST: Final = _FAMILY.read("/cases")
SEARCH: Final = _FAMILY.search("/cases/search")
CREATE: Final = _FAMILY.create("/cases", "cases.list(…), newest first")
RETRIEVE: Final = _FAMILY.read("/cases/{case-id}")
UPDATE: Final = _FAMILY.update("/cases/{case-id}")
REDACT: Final = _FAMILY.redact("/cases/{case-id}")
ASSIGN: Final = _FAMILY.act("/cases/{case-id}/assign")
SET_STATUS: Final = _FAMILY.act("/cases/{case-id}/set-status")
ADD_OBJECTS: Final = _FAMILY.act("/cases/{case-id}/add-objects")
REMOVE_OBJECTS: Final = _FAMILY.act("/cases/{case-id}/remove-objects")
ADD_TAG: Final = _FAMILY.act("/cases/{case-id}/add-tag")
REMOVE_TAG: Final = _FAMILY.act("/cases/{case-id}/remove-tag")
SET_TAGS: Final = _FAMILY.act("/cases/{case-id}/set-tags")
ADD_COMMENT: Final = _FAMILY.act("/cases/{case-id}/add-comment")
