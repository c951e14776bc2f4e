"""Batch jobs: change up to 1,000 accounts or inquiries with one request."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Unpack

from persona_share._protocol.routes import BatchJobRoutes
from persona_share.errors import InvalidArgumentError
from persona_share.model.batch_job import BatchJob, BatchJobError
from persona_share.resources.collection import Listing, Retrievable
from persona_share.resources.params import attributes_body
from persona_share.resources.query_options import (
    PageOptions,
    RetrieveOptions,
    checked_list,
    checked_mapping,
)


MAX_ROWS: Final = 1_000


class BatchJobs(Retrievable[BatchJob], kind=BatchJob, routes=BatchJobRoutes):
    """The endpoints of ``/batch-jobs``."""

    __slots__ = ()

    async def create(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        operation: Literal["update", "upsert"],
        object: Literal["account", "inquiry"],  # noqa: A002 — the API's own word
        lookup_field: Literal["token", "reference_id"],
        account_type_id: str | None = None,
        emit_events: bool | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> BatchJob:
        """Submit rows; the service processes them in the background.

        Inquiries can only be updated, and looked up by token (their id). An upsert
        looks up by reference id. Raises `InvalidArgumentError` for other combinations
        and for more than 1,000 rows.
        """
        rows = checked_list("rows", rows)
        _check(rows, operation, object, lookup_field)
        values = {
            "operation": operation,
            "object": object,
            "lookup_field": lookup_field,
            "account_type_id": account_type_id,
            "emit_events": emit_events,
            "rows": [dict(checked_mapping("a row", row)) for row in rows],
        }
        body = attributes_body(values)
        return await self._one(BatchJobRoutes.CREATE, body=body, options=options)

    def errors(
        self, batch_job_id: str, **options: Unpack[PageOptions]
    ) -> Listing[BatchJobError]:
        """List the rows that failed; ``meta`` of a page has errors of the whole job."""
        return self._list_of(
            BatchJobError, BatchJobRoutes.ERRORS, batch_job_id, options=options
        )


def _check(
    rows: Sequence[Mapping[str, Any]], operation: str, kind: str, lookup_field: str
) -> None:
    if not 1 <= len(rows) <= MAX_ROWS:
        message = f"a batch job has 1 to {MAX_ROWS} rows, not {len(rows)}"
        raise InvalidArgumentError(message, advice="Submit several batch jobs.")
    if kind == "inquiry" and (operation, lookup_field) != ("update", "token"):
        message = "inquiries take operation='update' and lookup_field='token' only"
        raise InvalidArgumentError(message)
    if operation == "upsert" and lookup_field != "reference_id":
        message = "operation='upsert' takes lookup_field='reference_id' only"
        raise InvalidArgumentError(message)
