"""Workflows: their runs and their versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from persona_share.model.attribute import Attribute, Link
from persona_share.model.resource import Resource


class WorkflowRun(Resource):
    """One run of a workflow."""

    __slots__ = ()

    status: Attribute[str] = Attribute(str)
    created_at: Attribute[datetime] = Attribute(datetime)
    completed_at: Attribute[datetime] = Attribute(datetime)

    creator: Link = Link()
    workflow: Link = Link()
    workflow_version: Link = Link()


class WorkflowVersion(Resource):
    """One version of a workflow, with the inputs that a trigger takes."""

    __slots__ = ()

    workflow_name: Attribute[str] = Attribute(str)
    description: Attribute[str] = Attribute(str)
    status: Attribute[str] = Attribute(str)
    trigger_type: Attribute[str] = Attribute(str)
    live: Attribute[bool] = Attribute(bool)
    rollout_label: Attribute[str] = Attribute(str)
    rollout_percentage: Attribute[int] = Attribute(int)
    last_updater: Attribute[str] = Attribute(str)
    inputs: Attribute[tuple[Mapping[str, Any], ...]] = Attribute(
        tuple[Mapping[str, Any], ...]
    )
    outputs: Attribute[tuple[Mapping[str, Any], ...]] = Attribute(
        tuple[Mapping[str, Any], ...]
    )
    created_at: Attribute[datetime] = Attribute(datetime)
    updated_at: Attribute[datetime] = Attribute(datetime)
    published_at: Attribute[datetime] = Attribute(datetime)

    workflow: Link = Link()
