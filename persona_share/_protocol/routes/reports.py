"""``/reports``."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("report", "reports")

LIST: Final = _FAMILY.read("/reports")
CREATE: Final = _FAMILY.create("/reports", "reports.list(reference_id=…)")
RETRIEVE: Final = _FAMILY.read("/reports/{report-id}")
REDACT: Final = _FAMILY.redact("/reports/{report-id}")
PRINT: Final = _FAMILY.print("/reports/{report-id}/print")
HISTORY: Final = _FAMILY.read("/reports/{report-id}/history")
RUN: Final = _FAMILY.act("/reports/{report-id}/run")
PAUSE: Final = _FAMILY.act("/reports/{report-id}/pause")
RESUME: Final = _FAMILY.act("/reports/{report-id}/resume")
DISMISS: Final = _FAMILY.act("/reports/{report-id}/dismiss")
ADD_TAG: Final = _FAMILY.act("/reports/{report-id}/add-tag")
REMOVE_TAG: Final = _FAMILY.act("/reports/{report-id}/remove-tag")
SET_TAGS: Final = _FAMILY.act("/reports/{report-id}/set-tags")
REVIEW: Final = _FAMILY.act("/reports/{report-id}/review")
