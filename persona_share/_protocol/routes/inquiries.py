"""``/inquiries``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("inquiry", "inquiries")

LIST: Final = _FAMILY.read("/inquiries")
SEARCH: Final = _FAMILY.search("/inquiries/search")
CREATE: Final = _FAMILY.create("/inquiries", "inquiries.list(reference_id=…)")
RETRIEVE: Final = _FAMILY.read("/inquiries/{inquiry-id}")
UPDATE: Final = _FAMILY.update("/inquiries/{inquiry-id}")
REDACT: Final = _FAMILY.redact("/inquiries/{inquiry-id}")
PRINT: Final = _FAMILY.print("/inquiries/{inquiry-id}/print")
APPROVE: Final = _FAMILY.act("/inquiries/{inquiry-id}/approve")
DECLINE: Final = _FAMILY.act("/inquiries/{inquiry-id}/decline")
MARK_FOR_REVIEW: Final = _FAMILY.act("/inquiries/{inquiry-id}/mark-for-review")
RESUME: Final = _FAMILY.act("/inquiries/{inquiry-id}/resume")
EXPIRE: Final = _FAMILY.act("/inquiries/{inquiry-id}/expire")
GENERATE_ONE_TIME_LINK: Final = _FAMILY.act(
    "/inquiries/{inquiry-id}/generate-one-time-link"
)
PERFORM_SIMULATE_ACTIONS: Final = _FAMILY.act(
    "/inquiries/{inquiry-id}/perform-simulate-actions"
)
ADD_TAG: Final = _FAMILY.act("/inquiries/{inquiry-id}/add-tag")
REMOVE_TAG: Final = _FAMILY.act("/inquiries/{inquiry-id}/remove-tag")
SET_TAGS: Final = _FAMILY.act("/inquiries/{inquiry-id}/set-tags")
