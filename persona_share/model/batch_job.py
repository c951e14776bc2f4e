"""Batch jobs: many changes of accounts or inquiries in one request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource


class BatchJob(Resource):
    """A batch job; ``run_data`` has the counts of its rows."""

    __slots__ = ()

    status: Attribute[str] = Attribute(str)
    run_count: Attribute[int] = Attribute(int)
    run_data: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    started_at: Attribute[datetime] = Attribute(datetime)
    ended_at: Attribute[datetime] = Attribute(datetime)
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    redacted_at: Attribute[datetime] = Attribute(datetime)


class BatchJobError(Resource):
    """The error of one row; errors of the whole job are in ``page.meta``."""

    __slots__ = ()

    row: Attribute[Mapping[str, Any]] = Attribute(Mapping[str, Any])
    row_number: Attribute[int] = Attribute(int)
    error_message: Attribute[str] = Attribute(str)
