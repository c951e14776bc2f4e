"""The statuses that lists can be filtered by, for type checkers.

The sets are open: a status that Persona adds later is passed as the enum, such as
``InquiryStatus("brand_new")``.
"""

from typing import Literal


ConnectionStatusName = Literal["pending", "active", "inactive", "archived"]
DirectionName = Literal["outbound", "inbound"]
InquiryStatusName = Literal[
    "created",
    "pending",
    "completed",
    "expired",
    "failed",
    "needs_review",
    "approved",
    "declined",
]
ShareTokenStatusName = Literal["created", "pending", "redeemed", "expired", "failed"]
