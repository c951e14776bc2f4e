"""A verification: one check of one piece of evidence, of some ``verification/…`` type."""

from datetime import datetime
from typing import Any, ClassVar

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

    status: ClassVar[Attribute[VerificationStatus]] = Attribute(VerificationStatus)
    checks: ClassVar[Attribute[tuple[dict[str, Any], ...]]] = Attribute(
        tuple[dict[str, Any], ...]
    )
    tags: ClassVar[Attribute[tuple[str, ...]]] = Attribute(tuple[str, ...])
    created_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    submitted_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    completed_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    redacted_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
