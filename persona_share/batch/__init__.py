"""Batches: many objects, fetched concurrently, within the rate limit, and resumable.

A batch sends nothing by itself and repeats no request; the layers below do both. It
decides which object is asked for next, and when to pause.
"""

from persona_share.batch.batch import Batch, FetchOptions
from persona_share.batch.copy import (
    Copy,
    CopyReport,
    Person,
    Relationship,
)
from persona_share.batch.jobs import (
    CopyJob,
    FetchJob,
    JobReport,
    StoreCheckpoint,
    shard,
)
from persona_share.batch.manifests import VerifyReport, verify_copy
from persona_share.batch.workers import Ids
from persona_share.model.batch import (
    Failed,
    Fetched,
    Plan,
    Progress,
    RateLimitStatus,
    Report,
)


__all__ = [
    "Batch",
    "Copy",
    "CopyJob",
    "CopyReport",
    "Failed",
    "FetchJob",
    "FetchOptions",
    "Fetched",
    "Ids",
    "JobReport",
    "Person",
    "Plan",
    "Progress",
    "RateLimitStatus",
    "Relationship",
    "Report",
    "StoreCheckpoint",
    "VerifyReport",
    "shard",
    "verify_copy",
]
