"""Connections: offered by the source, accepted by the partner, ended by either."""

import pytest
import pytest_asyncio

from tests.sandbox.raw import body


LIST = "/connect/connections"


async def offered(raw, partner=None):
    given = {"destination_organization_id": partner or raw.sandbox.destination.id}
    return await raw.post(LIST, json=body(**given))


async def status(raw, connection, by=None):
    response = await raw.get(f"{LIST}/{connection}", by)
    return response.json["data"]["attributes"]["status"]


@pytest_asyncio.fixture
async def connection(raw):
    return (await offered(raw)).json["data"]["id"]


@pytest.mark.asyncio
async def test_new_connection_is_pending_and_visible_to_both_organizations(
    sandbox, raw
):
    made = await offered(raw)

    data = made.json["data"]
    assert made.status == 201
    assert data["type"] == "connect/connection"
    assert data["attributes"] == {
        "status": "pending",
        "source-organization-id": sandbox.source.id,
        "destination-organization-id": sandbox.destination.id,
        "created-at": "2026-01-01T12:00:00.000Z",
        "updated-at": "2026-01-01T12:00:00.000Z",
    }
    assert data["relationships"]["creator"]["data"]["type"] == "api-key"
    assert await status(raw, data["id"], sandbox.destination.api_key) == "pending"


@pytest.mark.asyncio
async def test_third_organization_does_not_see_a_connection(sandbox, raw, connection):
    other_organization = sandbox.add_organization().api_key

    assert (await raw.get(f"{LIST}/{connection}", other_organization)).status == 404
    assert (await raw.get(LIST, other_organization)).json["data"] == []


@pytest.mark.asyncio
async def test_connection_is_accepted_once(sandbox, raw, connection):
    sandbox.advance(5)
    sandbox.accept_connection(connection)

    data = (await raw.get(f"{LIST}/{connection}")).json["data"]
    assert data["attributes"]["status"] == "active"
    assert data["attributes"]["updated-at"] == "2026-01-01T12:00:05.000Z"
    with pytest.raises(ValueError, match="no pending connection"):
        sandbox.accept_connection(connection)


@pytest.mark.asyncio
async def test_connection_may_be_accepted_after_a_delay(sandbox, raw):
    sandbox.switches.accepts_after = 30
    connection = (await offered(raw)).json["data"]["id"]

    before = await status(raw, connection)
    sandbox.advance(30)

    assert (before, await status(raw, connection)) == ("pending", "active")


@pytest.mark.asyncio
async def test_connection_changes_from_active_to_inactive_to_pending(
    sandbox, raw, connection
):
    sandbox.accept_connection(connection)

    ended = await raw.post(f"{LIST}/{connection}/deactivate")
    again = await raw.post(f"{LIST}/{connection}/reactivate")

    assert ended.json["data"]["attributes"]["status"] == "inactive"
    assert again.json["data"]["attributes"]["status"] == "pending"
    sandbox.accept_connection(connection)
    assert await status(raw, connection) == "active"


@pytest.mark.asyncio
async def test_either_organization_deactivates_and_only_the_source_reactivates(
    sandbox, raw, connection
):
    partner = sandbox.destination.api_key

    ended = await raw.post(f"{LIST}/{connection}/deactivate", partner)
    refused = await raw.post(f"{LIST}/{connection}/reactivate", partner)
    sandbox.switches.not_the_source_status = 404
    otherwise = await raw.post(f"{LIST}/{connection}/reactivate", partner)

    assert (ended.status, refused.status, otherwise.status) == (200, 403, 404)


@pytest.mark.asyncio
@pytest.mark.parametrize("conflict", [409, 422])
async def test_impossible_status_change_is_a_conflict(
    sandbox, raw, connection, conflict
):
    sandbox.switches.state_conflict_status = conflict

    early = await raw.post(f"{LIST}/{connection}/reactivate")
    await raw.post(f"{LIST}/{connection}/deactivate")
    twice = await raw.post(f"{LIST}/{connection}/deactivate")

    assert (early.status, twice.status) == (conflict, conflict)


@pytest.mark.asyncio
async def test_delayed_acceptance_applies_to_its_own_offer_only(sandbox, raw):
    sandbox.switches.accepts_after = 30
    connection = (await offered(raw)).json["data"]["id"]
    await raw.post(f"{LIST}/{connection}/deactivate")
    sandbox.switches.accepts_after = None
    await raw.post(f"{LIST}/{connection}/reactivate")

    sandbox.advance(60)

    assert await status(raw, connection) == "pending"


@pytest.mark.asyncio
async def test_second_connection_may_be_a_conflict(sandbox, raw):
    first, second = await offered(raw), await offered(raw)
    sandbox.switches.one_connection_per_destination = True
    third = await offered(raw)

    assert (first.status, second.status, third.status) == (201, 201, 409)


@pytest.mark.asyncio
async def test_connection_to_an_unknown_organization_is_refused(raw):
    assert (await offered(raw, "org_nobody")).status == 422


@pytest.mark.asyncio
async def test_organization_may_connect_to_itself(sandbox, raw):
    connection = (await offered(raw, sandbox.source.id)).json["data"]["id"]
    sandbox.accept_connection(connection)

    assert await status(raw, connection) == "active"


@pytest.mark.asyncio
async def test_connections_are_listed_newest_first_with_pages_and_filters(sandbox, raw):
    ids = [(await offered(raw)).json["data"]["id"] for _ in range(3)]
    sandbox.accept_connection(ids[1])

    async def found(query):
        response = await raw.get(f"{LIST}?{query}")
        return [item["id"] for item in response.json["data"]]

    page = await raw.get(f"{LIST}?page[size]=2")
    assert [item["id"] for item in page.json["data"]] == [ids[2], ids[1]]
    rest = page.json["links"]["next"].removeprefix("/api/v1")
    assert [item["id"] for item in (await raw.get(rest)).json["data"]] == [ids[0]]
    assert await found("filter[status]=active") == [ids[1]]
    assert (
        await found(f"filter[destination-organization-id]={sandbox.destination.id}")
        == ids[::-1]
    )
    assert await found("filter[destination-organization-id]=org_x") == []


@pytest.mark.asyncio
async def test_access_token_may_be_allowed_to_call_connect(sandbox, raw):
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    refused = await raw.get(LIST, token)
    sandbox.switches.token_may_call_connect = True
    served = await raw.get(LIST, token)

    assert (refused.status, served.status) == (403, 200)
