"""Connections: offered by the source, accepted by the partner, ended by either."""

import pytest
import pytest_asyncio

from tests.sandbox.raw import body


LIST = "/connect/connections"


async def offered(raw, partner=None):
    given = {"destination_organization_id": partner or raw.box.destination.id}
    return await raw.post(LIST, json=body(**given))


async def status(raw, connection, by=None):
    answer = await raw.get(f"{LIST}/{connection}", by)
    return answer.json["data"]["attributes"]["status"]


@pytest_asyncio.fixture
async def connection(raw):
    return (await offered(raw)).json["data"]["id"]


@pytest.mark.asyncio
async def test_a_connection_is_offered_as_pending_and_both_ends_see_it(box, raw):
    made = await offered(raw)

    data = made.json["data"]
    assert made.status == 201
    assert data["type"] == "connect/connection"
    assert data["attributes"] == {
        "status": "pending",
        "source-organization-id": box.source.id,
        "destination-organization-id": box.destination.id,
        "created-at": "2026-01-01T12:00:00.000Z",
        "updated-at": "2026-01-01T12:00:00.000Z",
    }
    assert data["relationships"]["creator"]["data"]["type"] == "api-key"
    assert await status(raw, data["id"], box.destination.api_key) == "pending"


@pytest.mark.asyncio
async def test_a_third_organization_does_not_see_it(box, raw, connection):
    stranger = box.add_organization().api_key

    assert (await raw.get(f"{LIST}/{connection}", stranger)).status == 404
    assert (await raw.get(LIST, stranger)).json["data"] == []


@pytest.mark.asyncio
async def test_the_partner_accepts_it_once(box, raw, connection):
    box.advance(5)
    box.accept_connection(connection)

    data = (await raw.get(f"{LIST}/{connection}")).json["data"]
    assert data["attributes"]["status"] == "active"
    assert data["attributes"]["updated-at"] == "2026-01-01T12:00:05.000Z"
    with pytest.raises(ValueError, match="no pending connection"):
        box.accept_connection(connection)


@pytest.mark.asyncio
async def test_a_partner_may_accept_by_itself_after_a_while(box, raw):
    box.switches.accepts_after = 30
    connection = (await offered(raw)).json["data"]["id"]

    before = await status(raw, connection)
    box.advance(30)

    assert (before, await status(raw, connection)) == ("pending", "active")


@pytest.mark.asyncio
async def test_it_goes_from_active_to_inactive_to_pending(box, raw, connection):
    box.accept_connection(connection)

    ended = await raw.post(f"{LIST}/{connection}/deactivate")
    again = await raw.post(f"{LIST}/{connection}/reactivate")

    assert ended.json["data"]["attributes"]["status"] == "inactive"
    assert again.json["data"]["attributes"]["status"] == "pending"
    box.accept_connection(connection)
    assert await status(raw, connection) == "active"


@pytest.mark.asyncio
async def test_either_may_end_it_and_only_the_source_offers_it_again(
    box, raw, connection
):
    partner = box.destination.api_key

    ended = await raw.post(f"{LIST}/{connection}/deactivate", partner)
    refused = await raw.post(f"{LIST}/{connection}/reactivate", partner)
    box.switches.not_the_source_status = 404
    otherwise = await raw.post(f"{LIST}/{connection}/reactivate", partner)

    assert (ended.status, refused.status, otherwise.status) == (200, 403, 404)


@pytest.mark.asyncio
@pytest.mark.parametrize("conflict", [409, 422])
async def test_a_step_that_the_state_does_not_allow_is_a_conflict(
    box, raw, connection, conflict
):
    box.switches.state_conflict_status = conflict

    early = await raw.post(f"{LIST}/{connection}/reactivate")
    await raw.post(f"{LIST}/{connection}/deactivate")
    twice = await raw.post(f"{LIST}/{connection}/deactivate")

    assert (early.status, twice.status) == (conflict, conflict)


@pytest.mark.asyncio
async def test_an_acceptance_does_not_outlive_its_offer(box, raw):
    box.switches.accepts_after = 30
    connection = (await offered(raw)).json["data"]["id"]
    await raw.post(f"{LIST}/{connection}/deactivate")
    box.switches.accepts_after = None
    await raw.post(f"{LIST}/{connection}/reactivate")

    box.advance(60)

    assert await status(raw, connection) == "pending"


@pytest.mark.asyncio
async def test_a_second_connection_is_a_conflict_where_there_may_be_one(box, raw):
    first, second = await offered(raw), await offered(raw)
    box.switches.one_connection_per_destination = True
    third = await offered(raw)

    assert (first.status, second.status, third.status) == (201, 201, 409)


@pytest.mark.asyncio
async def test_an_unknown_organization_cannot_be_a_partner(raw):
    assert (await offered(raw, "org_nobody")).status == 422


@pytest.mark.asyncio
async def test_an_organization_may_connect_to_itself(box, raw):
    connection = (await offered(raw, box.source.id)).json["data"]["id"]
    box.accept_connection(connection)

    assert await status(raw, connection) == "active"


@pytest.mark.asyncio
async def test_the_list_is_newest_first_by_pages_and_has_filters(box, raw):
    ids = [(await offered(raw)).json["data"]["id"] for _ in range(3)]
    box.accept_connection(ids[1])

    async def found(query):
        answer = await raw.get(f"{LIST}?{query}")
        return [item["id"] for item in answer.json["data"]]

    page = await raw.get(f"{LIST}?page[size]=2")
    assert [item["id"] for item in page.json["data"]] == [ids[2], ids[1]]
    rest = page.json["links"]["next"].removeprefix("/api/v1")
    assert [item["id"] for item in (await raw.get(rest)).json["data"]] == [ids[0]]
    assert await found("filter[status]=active") == [ids[1]]
    assert (
        await found(f"filter[destination-organization-id]={box.destination.id}")
        == ids[::-1]
    )
    assert await found("filter[destination-organization-id]=org_x") == []


@pytest.mark.asyncio
async def test_an_access_token_may_call_connect_on_request_only(box, raw):
    token = await raw.token(f"inquiry.read:{box.add_inquiry().id}")

    refused = await raw.get(LIST, token)
    box.switches.token_may_call_connect = True
    served = await raw.get(LIST, token)

    assert (refused.status, served.status) == (403, 200)
