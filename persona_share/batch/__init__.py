"""Many objects: fetched side by side, paced, resumable, and told as they arrive.

A batch sends nothing by itself and repeats nothing: both are the business of the stack
below it. It decides what is asked for next, and when not to ask.
"""

from persona_share.batch.order import Ids
from persona_share.batch.stream import Batch
from persona_share.model.batch import (
    Failed,
    Fetched,
    Outcome,
    Plan,
    Progress,
    RateLimitStatus,
    Report,
)


__all__ = [
    "Batch",
    "Failed",
    "Fetched",
    "Ids",
    "Outcome",
    "Plan",
    "Progress",
    "RateLimitStatus",
    "Report",
]
