"""Workflows: triggering them, and their runs."""

from collections.abc import Mapping
from typing import Any, Final

from persona_share.sandbox.jsonapi.body import OBJECT, Shape, read_body
from persona_share.sandbox.jsonapi.objects import (
    emit,
    kebab_keys,
    relationship,
    timestamp,
)
from persona_share.sandbox.jsonapi.operations import Operation, Routes, mark_updated
from persona_share.sandbox.jsonapi.read import (
    ONE,
    Filters,
    check_include,
    check_query,
    is_one_of,
    list_handler,
    retrieve_handler,
)
from persona_share.sandbox.jsonapi.rendering import render_one
from persona_share.sandbox.responses import ApiError, Response
from persona_share.sandbox.state.organizations import Environment
from persona_share.sandbox.state.records import Json, ObjectRef, Record
from persona_share.sandbox.state.requests import Request
from persona_share.sandbox.state.state import State


TRIGGER: Final[Shape] = {"data*": {"attributes*": {"fields*": OBJECT}}}


def add_workflow(
    state: State, owner: Environment, attributes: Mapping[str, Any]
) -> ObjectRef:
    """Add a workflow with a published version; ``inputs=`` are names and types."""
    given = kebab_keys(attributes)
    now = timestamp(state.runtime.now())
    workflow_id = given.pop("id", None) or state.runtime.new_id("wfl")
    inputs: Mapping[str, str] = given.pop("inputs", {})
    made: Json = {"name": "Sandbox workflow", "status": "running", "created-at": now}
    version = Record(
        state.runtime.new_id("wfv"),
        "workflow-version",
        {
            "workflow-name": given.get("name", made["name"]),
            "status": "published",
            "trigger-type": "api",
            "live": True,
            "rollout-label": None,
            "rollout-percentage": None,
            "last-updater": None,
            "inputs": [
                {"name": name, "type": kind, "required": False}
                for name, kind in inputs.items()
            ],
            "outputs": [],
            "created-at": now,
            "updated-at": now,
            "published-at": now,
        },
        {"workflow": relationship("workflow", workflow_id)},
        owner,
    )
    latest = {"latest-published-version": {"data": version.identifier}}
    workflow = Record(workflow_id, "workflow", made | given, latest, owner)
    state.records.add(workflow)
    state.records.add(version)
    return ObjectRef(workflow.id, workflow.type)


def trigger(state: State, request: Request) -> Response:
    """Start a run of a workflow; it completes after the switch's seconds."""
    check_query(state, request, ONE)
    check_include(request, "workflow-run")
    caller = request.caller
    if not caller.may("workflow.trigger", request.object_id or ""):
        error = state.records.permission_error("workflow-run", caller)
        raise error
    owner = caller.environment
    workflow = state.records.owned("workflow", request.object_id or "", owner)
    if workflow is None:
        raise ApiError(404)
    read_body(request, TRIGGER, state.switches)
    run = Record(
        state.runtime.new_id("wfr"),
        "workflow-run",
        {
            "status": "in_progress",
            "created-at": timestamp(state.runtime.now()),
            "completed-at": None,
        },
        {
            "creator": {"data": None},
            "workflow": {"data": workflow.identifier},
            "workflow-version": workflow.relationships["latest-published-version"],
        },
        owner,
    )
    state.records.add(run)
    emit(state, run, "workflow-run.created")
    seconds = state.switches.workflow_seconds
    if seconds > 0:
        due = state.runtime.now() + seconds
        state.scheduler.at(due, run, lambda each, at: _complete(state, each, at))
    else:
        _complete(state, run, state.runtime.now())
    return render_one(state, run, request)


def _complete(state: State, run: Record, at: float) -> None:
    run.attributes |= {"status": "completed", "completed-at": timestamp(at)}
    mark_updated(state, run)
    emit(state, run, "workflow-run.completed", at)


FILTERS: Final[Filters] = {"status": is_one_of("status")}
VERSION_FILTERS: Final[Filters] = {
    "workflow-id": lambda record, value: (
        record.relationships["workflow"]["data"]["id"] == value
    )
}
ROUTES: Final[Routes] = {
    "POST /workflows/{workflow-id}/trigger": Operation(
        "create-a-workflow-run", trigger
    ),
    "GET /workflow-runs": Operation(
        "list-all-workflow-runs", list_handler("workflow-run", FILTERS)
    ),
    "GET /workflow-runs/{workflow-run-id}": Operation(
        "retrieve-a-workflow-run", retrieve_handler("workflow-run")
    ),
    "GET /workflow-versions": Operation(
        "list-all-workflow-versions",
        list_handler("workflow-version", VERSION_FILTERS, required=("workflow-id",)),
    ),
}
