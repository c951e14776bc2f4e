"""The operations on inquiries, their sessions and devices, and verifications."""

from typing import Final

from persona_share.sandbox import (
    filters,
    inquiry_acts as acts,
    inquiry_bodies as bodies,
    session_acts,
)
from persona_share.sandbox.operations import Operation, Table, redaction, tags
from persona_share.sandbox.printing import printer
from persona_share.sandbox.reading import list_verifications, lister, retriever
from persona_share.sandbox.searching import of_attribute, of_relationship, searcher
from persona_share.sandbox.simulating import SIMULATE, simulate
from persona_share.sandbox.verifications import SEGMENTS, lock, unlock
from persona_share.sandbox.writing import changer, maker


_INQUIRY: Final = "/inquiries/{inquiry-id}"
_SESSION: Final = "/inquiry-sessions/{inquiry-session-id}"
_VERIFICATION: Final = "/verifications/{verification-id}"
_SEARCHED: Final = {
    "status": of_attribute("status"),
    "created_at": of_attribute("created-at"),
    "updated_at": of_attribute("updated-at"),
    "reference_id": of_attribute("reference-id"),
    "inquiry_template_id": of_relationship("inquiry-template"),
}
_OPERATION_OF_KIND: Final = {
    "aamva": "retrieve-an-aamva-verification",
    "database-ecbsv": "retrieve-an-ecbsv-database-verification",
    "database-phone-carrier": "retrieve-a-phone-carrier-database-verification",
    "database-serpro": "retrieve-a-serpro-database-verification",
    "database-tin": "retrieve-a-tin-database-verification",
}

INQUIRIES: Final[Table] = {
    "GET /inquiries": Operation(
        "list-all-inquiries", lister("inquiry", filters.INQUIRIES)
    ),
    "POST /inquiries": Operation(
        "create-an-inquiry",
        maker("inquiry", acts.create, bodies.CREATE, event="inquiry.created"),
    ),
    "POST /inquiries/search": Operation(
        "search-inquiries", searcher("inquiry", _SEARCHED)
    ),
    f"GET {_INQUIRY}": Operation("retrieve-an-inquiry", retriever("inquiry")),
    f"PATCH {_INQUIRY}": Operation(
        "update-an-inquiry", changer("inquiry", acts.update, bodies.UPDATE)
    ),
    **redaction("inquiry", _INQUIRY, "redact-an-inquiry"),
    f"GET {_INQUIRY}/print": Operation("print-an-inquiry-pdf", printer("inquiry")),
    f"POST {_INQUIRY}/approve": Operation(
        "approve-an-inquiry",
        changer(
            "inquiry",
            acts.decider("approved"),
            bodies.DECISION,
            event="inquiry.approved",
        ),
    ),
    f"POST {_INQUIRY}/decline": Operation(
        "decline-an-inquiry",
        changer(
            "inquiry",
            acts.decider("declined"),
            bodies.DECISION,
            event="inquiry.declined",
        ),
    ),
    f"POST {_INQUIRY}/mark-for-review": Operation(
        "mark-an-inquiry-for-review",
        changer(
            "inquiry", acts.decider("needs_review"), event="inquiry.marked-for-review"
        ),
    ),
    f"POST {_INQUIRY}/expire": Operation(
        "expire-an-inquiry", changer("inquiry", acts.expire, event="inquiry.expired")
    ),
    f"POST {_INQUIRY}/resume": Operation(
        "resume-an-inquiry", changer("inquiry", acts.resume)
    ),
    f"POST {_INQUIRY}/generate-one-time-link": Operation(
        "generate-a-one-time-link", changer("inquiry", acts.link, bodies.ONE_TIME_LINK)
    ),
    f"POST {_INQUIRY}/perform-simulate-actions": Operation(
        "inquiries-perform-simulate-actions", changer("inquiry", simulate, SIMULATE)
    ),
    **tags(
        "inquiry",
        _INQUIRY,
        {
            "add-tag": "inquiries-add-tag",
            "remove-tag": "inquiries-remove-tag",
            "set-tags": "inquiries-set-all-tags",
        },
    ),
}
SESSIONS: Final[Table] = {
    "GET /inquiry-sessions": Operation(
        "list-all-inquiry-sessions",
        lister("inquiry-session", filters.SESSIONS, paged=False),
    ),
    "POST /inquiry-sessions": Operation(
        "create-an-inquiry-session",
        maker("inquiry-session", session_acts.create, session_acts.CREATE),
    ),
    "POST /inquiry-sessions/expire-all": Operation(
        "expire-inquiry-sessions", session_acts.expire_all
    ),
    f"GET {_SESSION}": Operation(
        "retrieve-an-inquiry-session", retriever("inquiry-session")
    ),
    f"POST {_SESSION}/expire": Operation(
        "expire-an-inquiry-session", changer("inquiry-session", session_acts.expire)
    ),
    f"POST {_SESSION}/generate-one-time-link": Operation(
        "generate-a-one-time-link-for-an-inquiry-session",
        changer("inquiry-session", session_acts.one_time_link),
    ),
    "GET /devices": Operation(
        "list-all-devices",
        lister(
            "device", filters.DEVICES, required=("inquiry-session-id",), paged=False
        ),
    ),
    "GET /devices/{device-id}": Operation("retrieve-a-device", retriever("device")),
}
VERIFICATIONS: Final[Table] = {
    "GET /verifications": Operation(None, list_verifications),
    f"GET {_VERIFICATION}": Operation(
        "retrieve-a-verification", retriever("verification")
    ),
    **redaction("verification", _VERIFICATION, "redact-a-verification"),
    f"GET {_VERIFICATION}/print": Operation(
        "print-a-verification-as-pdf", printer("verification")
    ),
    f"POST {_VERIFICATION}/investigation-lock": Operation(
        "investigation-lock-a-verification", changer("verification", lock)
    ),
    f"POST {_VERIFICATION}/investigation-unlock": Operation(
        "investigation-unlock-a-verification", changer("verification", unlock)
    ),
    **{
        f"GET /verification/{segment}/{{verification-id}}": Operation(
            _OPERATION_OF_KIND.get(kind, f"retrieve-a-{kind}-verification"),
            retriever("verification", f"verification/{kind}"),
        )
        for kind, segment in SEGMENTS.items()
    },
}
TABLE: Final[Table] = {**INQUIRIES, **SESSIONS, **VERIFICATIONS}
