"""Connections: created, found, deactivated and reactivated."""

import pytest

from persona_share.errors import InvalidIdError
from persona_share.model.connection import ConnectionStatus
from tests.resources.conftest import item, make_response, one


def connection(object_id, status="active", destination="org_2"):
    return item(
        "connect/connection",
        object_id,
        status=status,
        source_organization_id="org_1",
        destination_organization_id=destination,
    )


@pytest.mark.asyncio
async def test_connection_is_offered_to_an_organization_by_its_id(harness):
    there = harness(make_response({"data": connection("cxn_1", "pending")}, 201))

    found = await there.client.connections.create(destination_organization_id="org_2")

    assert found.status is ConnectionStatus.PENDING
    assert found.source_organization_id == "org_1"
    assert there.bodies == [
        {"data": {"attributes": {"destination-organization-id": "org_2"}}}
    ]


@pytest.mark.asyncio
async def test_active_connection_to_an_organization_is_found(harness):
    there = harness(make_response({"data": [connection("cxn_2"), connection("cxn_1")]}))

    found = await there.client.connections.find_active("org_2")

    assert found.id == "cxn_2"
    assert there.requests[0].target == (
        "/connect/connections?filter%5Bstatus%5D=active"
        "&filter%5Bdestination-organization-id%5D=org_2"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "others",
    [
        [],
        [connection("cxn_1", "pending")],
        [connection("cxn_1", "inactive")],
        [connection("cxn_1", destination="org_3")],
    ],
)
async def test_other_connections_are_not_returned(harness, others):
    there = harness(make_response({"data": others}))

    assert await there.client.connections.find_active("org_2") is None


@pytest.mark.asyncio
async def test_connection_is_deactivated_and_reactivated(harness):
    there = harness(
        one("connect/connection", "cxn_1", status="inactive"),
        one("connect/connection", "cxn_1", status="pending"),
    )

    ended = await there.client.connections.deactivate("cxn_1")
    again = await there.client.connections.reactivate("cxn_1")

    assert (ended.status, again.status) == ("inactive", "pending")
    assert [each.target for each in there.requests] == [
        "/connect/connections/cxn_1/deactivate",
        "/connect/connections/cxn_1/reactivate",
    ]


@pytest.mark.asyncio
async def test_invalid_organization_id_is_refused(harness):
    with pytest.raises(InvalidIdError):
        await harness().client.connections.create(destination_organization_id="org 2")
