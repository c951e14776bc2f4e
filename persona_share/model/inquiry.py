"""An inquiry: one person's run through an identity flow."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from persona_share.model.resource import Attribute, OpenEnum, Resource


class InquiryStatus(OpenEnum):
    """Where an inquiry stands; the service may add more."""

    CREATED = "created"
    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    DECLINED = "declined"


@attrs.frozen(kw_only=True, eq=False)
class Inquiry(Resource):
    """An inquiry as its owner, or a partner with a scoped token, may read it."""

    status = Attribute[InquiryStatus](InquiryStatus)
    reference_id = Attribute[str](str)
    note = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    fields = Attribute[Mapping[str, Any]](dict[str, Any])
    created_at = Attribute[datetime](datetime)
    updated_at = Attribute[datetime](datetime)
    started_at = Attribute[datetime](datetime)
    completed_at = Attribute[datetime](datetime)
    failed_at = Attribute[datetime](datetime)
    decisioned_at = Attribute[datetime](datetime)
    expired_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)
