"""The manager of one application, and scopes that take ids from requests."""

import pytest

from persona_share import Scope
from persona_share.errors import (
    InvalidArgumentError,
    InvalidIdError,
    NotOpenError,
    UsageError,
)
from persona_share.integrations.application import ManagerHolder, scope_from


def test_scope_takes_an_id_from_the_path():
    template = "inquiry.read:{inquiry_id} verification.read:{inquiry_id}"
    found = scope_from(template, {"inquiry_id": "inq_1", "other": "ver_1"})
    assert found == Scope.from_text("inquiry.read:inq_1 verification.read:inq_1")


def test_scope_object_is_used_unchanged():
    assert scope_from(Scope.read("inq_1"), {}) == Scope.read("inq_1")


@pytest.mark.parametrize(
    "value", ["", "inq_1 inquiry.write:inq_2", "inq_1\tx", "inq_1:x", "{other}", "é"]
)
def test_no_request_can_widen_a_scope(value):
    with pytest.raises(InvalidIdError) as caught:
        scope_from("inquiry.read:{inquiry_id}", {"inquiry_id": value})
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize("template", ["inquiry.read:{missing}", "inquiry.read:{}"])
def test_missing_path_parameter_is_reported(template):
    with pytest.raises(InvalidArgumentError, match="which the path does not have"):
        scope_from(template, {"inquiry_id": "inq_1"})


@pytest.mark.parametrize("template", ["{id.__class__}", "{id[0]}"])
def test_scope_template_cannot_access_attributes(template):
    with pytest.raises(InvalidArgumentError):
        scope_from(f"inquiry.read:{template}", {"id": "inq_1"})


@pytest.mark.asyncio
async def test_manager_is_available_while_the_application_runs(harness):
    holder = ManagerHolder(harness.opening)
    with pytest.raises(NotOpenError):
        holder.manager()
    for _ in range(2):  # an application may be started again, as tests do
        async with holder.opened() as manager:
            assert holder.manager() is manager
            assert harness.opened == 1
        assert harness.opened == 0
    with pytest.raises(NotOpenError):
        holder.manager()


@pytest.mark.asyncio
async def test_one_application_is_started_once_at_a_time(harness):
    holder = ManagerHolder(harness.opening)
    async with holder.opened():
        with pytest.raises(UsageError):
            await holder.opened().__aenter__()
        assert harness.opened == 1
