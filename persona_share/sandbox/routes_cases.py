"""The operations on reports, cases, documents and events."""

from typing import Final

from persona_share.sandbox import case_acts, documents, filters, report_acts
from persona_share.sandbox.operations import Operation, Table, redaction, tags
from persona_share.sandbox.printing import printer
from persona_share.sandbox.reading import lister, retriever
from persona_share.sandbox.searching import (
    of_attribute,
    of_fields,
    of_relationship,
    searcher,
)
from persona_share.sandbox.writing import changer, maker


_CASE: Final = "/cases/{case-id}"
_REPORT: Final = "/reports/{report-id}"
_SEARCHED: Final = {
    "template": of_relationship("case-template"),
    "status": of_attribute("status"),
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
    "resolved_at": of_attribute("resolved-at"),
    "sla_expires_at": of_attribute("sla-expires-at"),
    "assignee": of_attribute("assignee-id"),
    "case_queue": of_relationship("case-queue"),
    "resolver": of_attribute("resolver-id"),
    "fields.*": of_fields,
}

REPORTS: Final[Table] = {
    "GET /reports": Operation("list-all-reports", lister("report", filters.REPORTS)),
    "POST /reports": Operation(
        "create-a-report", maker("report", report_acts.create, report_acts.CREATE)
    ),
    f"GET {_REPORT}": Operation("retrieve-a-report", retriever("report")),
    **redaction("report", _REPORT, "redact-a-report"),
    f"GET {_REPORT}/history": Operation("list-report-history", report_acts.history),
    f"GET {_REPORT}/print": Operation("print-report-pdf", printer("report")),
    f"POST {_REPORT}/run": Operation(
        "report-action-re-run-report", changer("report", report_acts.run)
    ),
    f"POST {_REPORT}/pause": Operation(
        "report-action-pause-continuous-monitoring",
        changer("report", report_acts.monitor("pause", on=False)),
    ),
    f"POST {_REPORT}/resume": Operation(
        "report-action-resume-continuous-monitoring",
        changer("report", report_acts.monitor("resume", on=True)),
    ),
    f"POST {_REPORT}/dismiss": Operation(
        "dismiss-matches", changer("report", report_acts.dismiss, report_acts.DISMISS)
    ),
    **tags(
        "report",
        _REPORT,
        {
            "add-tag": "reports-add-tag",
            "remove-tag": "reports-remove-tag",
            "set-tags": "reports-set-all-tags",
        },
    ),
}
CASES: Final[Table] = {
    "GET /cases": Operation("list-all-cases", lister("case", filters.CASES)),
    "POST /cases": Operation(
        "create-a-case",
        maker("case", case_acts.create, case_acts.CREATE, event="case.created"),
    ),
    "POST /cases/search": Operation("search-cases", searcher("case", _SEARCHED)),
    f"GET {_CASE}": Operation("retrieve-case", retriever("case")),
    f"PATCH {_CASE}": Operation(
        "update-a-case", changer("case", case_acts.update, case_acts.UPDATE)
    ),
    **redaction("case", _CASE, "redact-a-case"),
    f"POST {_CASE}/add-objects": Operation(
        "add-persona-objects", changer("case", case_acts.add_objects, case_acts.OBJECTS)
    ),
    f"POST {_CASE}/remove-objects": Operation(
        "remove-persona-objects",
        changer("case", case_acts.remove_objects, case_acts.OBJECTS),
    ),
    f"POST {_CASE}/assign": Operation(
        "assign-a-case", changer("case", case_acts.assign, case_acts.ASSIGN)
    ),
    f"POST {_CASE}/set-status": Operation(
        "set-status-for-a-case", changer("case", case_acts.set_status, case_acts.STATUS)
    ),
    **tags(
        "case",
        _CASE,
        {"add-tag": "add-tag", "remove-tag": "remove-tag", "set-tags": "set-tags"},
    ),
}
DOCUMENTS_AND_EVENTS: Final[Table] = {
    "GET /documents/{document-id}": Operation(
        "retrieve-a-document", retriever("document")
    ),
    **{
        f"GET /document/{segment}/{{document-id}}": Operation(
            f"retrieve-a-{kind}-document", retriever("document", f"document/{kind}")
        )
        for kind, segment in documents.SEGMENTS.items()
    },
    "GET /events": Operation("list-all-events", lister("event", filters.EVENTS)),
    "GET /events/{event-id}": Operation("retrieve-an-event", retriever("event")),
}
TABLE: Final[Table] = {**REPORTS, **CASES, **DOCUMENTS_AND_EVENTS}
