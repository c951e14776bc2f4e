"""Batches: many objects, fetched concurrently, within the rate limit, and resumable.

A batch sends nothing by itself and repeats no request; the layers below do both. It
decides which object is asked for next, and when to pause.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from persona_share.batch.batch import Batch, FetchOptions
from persona_share.batch.copy import (
    Copy,
    CopyReport,
    Person,
    Relationship,
    VerifyReport,
    verify_copy,
)
from persona_share.batch.shards import StoreCheckpoint, shard
from persona_share.batch.workers import Ids
from persona_share.model.batch import (
    Failed,
    Fetched,
    Plan,
    Progress,
    RateLimitStatus,
    Report,
)


if TYPE_CHECKING:
    from persona_share._jobs import CopyJob, FetchJob, JobReport

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

# Jobs stand on the manager, which stands on this package: they are imported late.
_JOBS = {"CopyJob", "FetchJob", "JobReport"}


if not TYPE_CHECKING:  # a type checker would otherwise accept any name

    def __getattr__(name: str) -> object:
        """Import a class of jobs when it is first used."""
        if name not in _JOBS:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(import_module("persona_share._jobs"), name)
