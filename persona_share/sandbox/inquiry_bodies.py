"""The bodies that the operations on inquiries take."""

from typing import Final

from persona_share.sandbox.bodies import (
    BAG_OR_NULL,
    FLAG,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TEXTS_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Shape,
)


CREATE: Final[Shape] = {
    "data*": {
        "attributes*": {
            **dict.fromkeys(
                (
                    "template-id",
                    "inquiry-template-id",
                    "inquiry-template-version-id",
                    "reference-id",
                    "account-id",
                    "creator-email-address",
                    "theme-id",
                    "theme-set-id",
                    "redirect-uri",
                    "note",
                    "initial-step-name",
                ),
                TEXT_OR_NULL,
            ),
            "fields": BAG_OR_NULL,
            "tags": TEXTS_OR_NULL,
        }
    },
    "meta": {
        "auto-create-account": FLAG,
        "auto-create-account-type-id": TEXT,
        "auto-create-account-reference-id": TEXT,
        "auto-create-inquiry-session": FLAG,
        "auto-create-one-time-link": FLAG,
        "expiration-after-create-interval-seconds": WHOLE_OR_NULL,
        "expiration-after-start-interval-seconds": WHOLE_OR_NULL,
        "expiration-after-resume-interval-seconds": WHOLE_OR_NULL,
        "one-time-link-expiration-seconds": WHOLE_OR_NULL,
    },
}
UPDATE: Final[Shape] = {
    "data": {
        "attributes": {
            "note": TEXT_OR_NULL,
            "fields": BAG_OR_NULL,
            "tags": TEXTS,
            "redirect-uri": TEXT_OR_NULL,
        }
    }
}
DECISION: Final[Shape] = {"meta": {"comment": TEXT}}
ONE_TIME_LINK: Final[Shape] = {"meta": {"expires-in-seconds": WHOLE}}
