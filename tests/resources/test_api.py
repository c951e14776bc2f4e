"""Retrieving by id: the collection follows from the permission, or from the prefix."""

import pytest

from persona_share import Scope
from persona_share.errors import (
    InvalidArgumentError,
    InvalidIdError,
    NotFoundError,
    ScopeNotCoveredError,
)
from persona_share.resources.api import (
    ACCESSOR_OF_FAMILY,
    family_of,
    readable,
    retriever,
)


def test_every_family_has_its_collection_on_a_session(scenario):
    session = scenario.manager().session("inquiry.read:inq_1")

    assert all(
        hasattr(getattr(session, name), "retrieve")
        for name in ACCESSOR_OF_FAMILY.values()
    )


@pytest.mark.parametrize("permission", ["inquiry.write", "inquiry", "list.read", ""])
def test_permission_that_reads_no_object_is_refused(permission):
    with pytest.raises(InvalidArgumentError, match="a read permission"):
        family_of(permission)


def test_readable_objects_are_those_with_read_permissions():
    scope = Scope.parse("inquiry.read:inq_1 inquiry.write:inq_2 account.read:x1")

    assert readable(scope) == {"inq_1": "inquiry", "x1": "account"}


@pytest.mark.asyncio
async def test_object_is_retrieved_by_the_prefix_of_its_id(scenario):
    caller = scenario.source.inquiries._caller
    retrieve = retriever(caller)
    objects = [scenario.sandbox.add_inquiry(), scenario.sandbox.add_account()]

    found = [await retrieve(each.id) for each in objects]

    assert [each.type for each in found] == ["inquiry", "account"]


@pytest.mark.asyncio
async def test_unknown_prefix_is_looked_for_in_the_scope_or_refused(scenario):
    caller = scenario.source.inquiries._caller
    scope = Scope.parse("account.read:new_1")
    with pytest.raises(InvalidIdError, match="prefix"):
        await retriever(caller)("new_1")
    assert len(scenario.sandbox.log) == 0
    with pytest.raises(Exception, match="404"):
        await retriever(caller, scope=scope)("new_1")
    assert scenario.sandbox.log[0].operation == "GET /accounts/{account-id}"


@pytest.mark.asyncio
async def test_session_refuses_objects_outside_its_scope(scenario):
    async with scenario.manager() as manager:
        session = manager.session("inquiry.read:inq_1")
        with pytest.raises(ScopeNotCoveredError):
            await retriever(session._caller)("inq_2")


@pytest.mark.asyncio
async def test_errors_show_no_id_in_the_path_of_an_unknown_endpoint(scenario):
    with pytest.raises(NotFoundError) as caught:
        await scenario.source.request("GET", "/brand-new/act_CANARY/parts")

    assert caught.value.operation == "GET /brand-new/{id}/parts"
    assert "CANARY" not in f"{caught.value} {vars(caught.value)}"
