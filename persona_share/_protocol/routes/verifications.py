"""``/verifications`` of every type, and ``/verification/…`` of one type each."""

from typing import Final

from persona_share._protocol.routes.route import Family


_FAMILY: Final = Family("verification", "verifications")

RETRIEVE: Final = _FAMILY.read("/verifications/{verification-id}")
REDACT: Final = _FAMILY.redact("/verifications/{verification-id}")
PRINT: Final = _FAMILY.print("/verifications/{verification-id}/print")
INVESTIGATION_LOCK: Final = _FAMILY.act(
    "/verifications/{verification-id}/investigation-lock"
)
INVESTIGATION_UNLOCK: Final = _FAMILY.act(
    "/verifications/{verification-id}/investigation-unlock"
)
RETRIEVE_AAMVA: Final = _FAMILY.read("/verification/aamvas/{verification-id}")
RETRIEVE_DATABASE: Final = _FAMILY.read("/verification/databases/{verification-id}")
RETRIEVE_DATABASE_ECBSV: Final = _FAMILY.read(
    "/verification/database-ecbsvs/{verification-id}"
)
RETRIEVE_DATABASE_PHONE_CARRIER: Final = _FAMILY.read(
    "/verification/database-phone-carriers/{verification-id}"
)
RETRIEVE_DATABASE_SERPRO: Final = _FAMILY.read(
    "/verification/database-serpros/{verification-id}"
)
RETRIEVE_DATABASE_STANDARD: Final = _FAMILY.read(
    "/verification/database-standards/{verification-id}"
)
RETRIEVE_DATABASE_TIN: Final = _FAMILY.read(
    "/verification/database-tins/{verification-id}"
)
RETRIEVE_DOCUMENT: Final = _FAMILY.read("/verification/documents/{verification-id}")
RETRIEVE_EMAIL_ADDRESS: Final = _FAMILY.read(
    "/verification/email-addresses/{verification-id}"
)
RETRIEVE_GOVERNMENT_ID: Final = _FAMILY.read(
    "/verification/government-ids/{verification-id}"
)
RETRIEVE_GOVERNMENT_ID_NFC: Final = _FAMILY.read(
    "/verification/government-id-nfcs/{verification-id}"
)
RETRIEVE_PHONE_NUMBER: Final = _FAMILY.read(
    "/verification/phone-numbers/{verification-id}"
)
RETRIEVE_SELFIE: Final = _FAMILY.read("/verification/selfies/{verification-id}")
