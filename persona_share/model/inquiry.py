"""An inquiry: one person's run through an identity flow."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

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

    status: ClassVar[Attribute[InquiryStatus]] = Attribute(InquiryStatus)
    reference_id: ClassVar[Attribute[str]] = Attribute(str)
    note: ClassVar[Attribute[str]] = Attribute(str)
    tags: ClassVar[Attribute[tuple[str, ...]]] = Attribute(tuple[str, ...])
    fields: ClassVar[Attribute[Mapping[str, Any]]] = Attribute(dict[str, Any])
    created_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    updated_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    started_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    completed_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    failed_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    decisioned_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    expired_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
    redacted_at: ClassVar[Attribute[datetime]] = Attribute(datetime)
