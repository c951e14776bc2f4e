"""Workflows: trigger runs, and read runs and versions."""

from collections.abc import Mapping
from typing import Any, Unpack

from persona_share._protocol.routes import WorkflowRoutes
from persona_share.model.ids import checked_id
from persona_share.model.workflow import WorkflowRun, WorkflowVersion
from persona_share.resources.collection import Collection, Listing
from persona_share.resources.params import attributes_body
from persona_share.resources.query_options import (
    IncludeOptions,
    ListOptions,
    RetrieveOptions,
    checked_mapping,
)


class Workflows(Collection[WorkflowRun], kind=WorkflowRun):
    """The endpoints of ``/workflows``, ``/workflow-runs`` and ``/workflow-versions``."""

    __slots__ = ()

    async def trigger(
        self,
        workflow_id: str,
        *,
        fields: Mapping[str, Any],
        **options: Unpack[IncludeOptions],
    ) -> WorkflowRun:
        """Start a run; ``fields`` are the inputs of the workflow's live version."""
        body = attributes_body({"fields": dict(checked_mapping("fields", fields))})
        return await self._one(
            WorkflowRoutes.TRIGGER,
            workflow_id,
            body=body,
            options=options,
            same_object=False,
        )

    async def retrieve_run(
        self, workflow_run_id: str, **options: Unpack[RetrieveOptions]
    ) -> WorkflowRun:
        """Return one run."""
        return await self._one(
            WorkflowRoutes.RETRIEVE_RUN, workflow_run_id, options=options
        )

    def list_runs(
        self, *, status: str | None = None, **options: Unpack[ListOptions]
    ) -> Listing[WorkflowRun]:
        """List the runs of all workflows, newest first."""
        return self._list(
            WorkflowRoutes.LIST_RUNS, filters={"status": status}, options=options
        )

    def list_versions(
        self, workflow_id: str, **options: Unpack[ListOptions]
    ) -> Listing[WorkflowVersion]:
        """List the versions of a workflow, newest first."""
        filters = {"workflow_id": checked_id(workflow_id, "workflow_id")}
        return self._list_of(
            WorkflowVersion,
            WorkflowRoutes.LIST_VERSIONS,
            filters=filters,
            options=options,
        )
