"""A verification: one check of one piece of evidence, of some ``verification/…`` type."""

from datetime import datetime
from typing import Any

import attrs

from persona_share.model.resource import Attribute, OpenEnum, Resource


class VerificationStatus(OpenEnum):
    """Where a verification stands; the service may add more."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    PASSED = "passed"
    FAILED = "failed"
    REQUIRES_RETRY = "requires_retry"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    CONFIRMED = "confirmed"


@attrs.frozen(kw_only=True, eq=False)
class Verification(Resource):
    """A verification of any type; ``type`` says which."""

    status = Attribute[VerificationStatus](VerificationStatus)
    checks = Attribute[tuple[dict[str, Any], ...]](tuple[dict[str, Any], ...])
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    created_at = Attribute[datetime](datetime)
    submitted_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)
