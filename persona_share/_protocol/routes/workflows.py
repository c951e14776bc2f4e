"""``/workflows`` and the runs of workflows."""

from typing import Final

from persona_share._protocol.routes.route import Family, Route


_RUNS: Final = Family(None, "workflows")

TRIGGER: Final = Route(
    "POST",
    "/workflows/{workflow-id}/trigger",
    permission="workflow.trigger",
    reconcile="workflows.list_runs()",
)
RETRIEVE_RUN: Final = _RUNS.read("/workflow-runs/{workflow-run-id}")
LIST_RUNS: Final = _RUNS.read("/workflow-runs")
LIST_VERSIONS: Final = _RUNS.read("/workflow-versions")
