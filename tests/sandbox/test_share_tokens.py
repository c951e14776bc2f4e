"""Share tokens: what the source makes, and what each of the two sees of it."""

import pytest

from tests.sandbox.sharing import TOKENS, connect, redeem, seen, share, shared


@pytest.mark.asyncio
async def test_a_share_token_lives_for_fourteen_days_unless_told_otherwise(box, raw):
    inquiry = box.add_inquiry().id
    connection = await connect(raw)

    made = await share(raw, inquiry, connection)

    data = made.json["data"]
    assert made.status == 201
    assert data["attributes"] == {
        "status": "created",
        "direction": "outbound",
        "created-at": "2026-01-01T12:00:00.000Z",
        "updated-at": "2026-01-01T12:00:00.000Z",
        "pending-at": None,
        "redeemed-at": None,
        "expires-at": "2026-01-15T12:00:00.000Z",
        "failed-at": None,
        "failure-reason": None,
        "redeem-mode": None,
    }
    assert set(data["relationships"]) == {"creator", "source", "connection"}
    assert data["relationships"]["source"]["data"] == {"type": "inquiry", "id": inquiry}
    assert data["relationships"]["connection"]["data"]["id"] == connection


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("account", "account"),
        ("inquiry", "inquiry"),
        ("transaction", "txn"),
        ("verification", "verification"),
    ],
)
async def test_four_kinds_of_objects_can_be_shared(box, raw, kind, word):
    source = getattr(box, f"add_{kind}")().id

    made = await share(raw, source)

    assert made.json["data"]["relationships"]["source"]["data"] == {
        "type": word,
        "id": source,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("seconds", "status"),
    [(59, 422), (60, 201), (1_814_400, 201), (1_814_401, 422), ("60", 400)],
)
async def test_a_lifetime_is_between_a_minute_and_three_weeks(
    box, raw, seconds, status
):
    made = await share(raw, box.add_inquiry().id, expires_in_seconds=seconds)

    assert made.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [400, 422])
async def test_what_cannot_be_shared_is_refused(box, raw, refusal):
    box.switches.share_refusal_status = refusal
    mine, case = box.add_inquiry().id, box.add_case().id
    theirs = box.add_inquiry(organization=box.destination).id
    connection = await connect(raw)

    for source, through in (
        (theirs, connection),
        (case, connection),
        ("inq_nowhere", connection),
        (mine, "cxn_nowhere"),
    ):
        assert (await share(raw, source, through)).status == refusal


@pytest.mark.asyncio
async def test_only_the_source_of_a_connection_shares_through_it(box, raw):
    connection = await connect(raw)
    theirs = box.add_inquiry(organization=box.destination).id
    given = {"connection-id": connection, "source-id": theirs}

    answer = await raw.post(
        TOKENS, box.destination.api_key, json={"data": {"attributes": given}}
    )

    assert answer.status == 422


@pytest.mark.asyncio
async def test_a_connection_may_be_pending_but_not_inactive(box, raw):
    inquiry, connection = box.add_inquiry().id, await connect(raw)
    change = f"/connect/connections/{connection}"

    await raw.post(f"{change}/deactivate")
    inactive = await share(raw, inquiry, connection)
    await raw.post(f"{change}/reactivate")
    pending = await share(raw, inquiry, connection)
    box.switches.shares_on_pending = False
    refused = await share(raw, inquiry, connection)

    assert (inactive.status, pending.status, refused.status) == (422, 201, 422)


@pytest.mark.asyncio
async def test_the_destination_sees_another_side_of_it(box, raw):
    token = await shared(raw, box.add_inquiry().id)

    data = await seen(raw, token)

    assert data["attributes"]["direction"] == "inbound"
    assert set(data["relationships"]) == {"destination", "connection"}
    assert data["relationships"]["destination"]["data"] is None


@pytest.mark.asyncio
async def test_nobody_else_sees_it(box, raw):
    token = await shared(raw, box.add_inquiry().id)
    stranger = box.add_organization().api_key
    production = box.add_api_key(box.destination, environment="production")

    for key in (stranger, production):
        assert (await raw.get(f"{TOKENS}/{token}", key)).status == 404
        assert (await raw.get(TOKENS, key)).json["data"] == []


@pytest.mark.asyncio
async def test_its_time_ends(box, raw):
    token = await shared(raw, box.add_inquiry().id, expires_in_seconds=60)
    box.advance(59)
    alive = (await seen(raw, token))["attributes"]["status"]

    box.advance(1)

    attributes = (await seen(raw, token))["attributes"]
    assert (alive, attributes["status"]) == ("created", "expired")
    assert attributes["updated-at"] == "2026-01-01T12:01:00.000Z"


@pytest.mark.asyncio
async def test_it_can_be_expired_once_and_early(box, raw):
    token = await shared(raw, box.add_inquiry().id)
    box.advance(10)

    ended = await raw.post(f"{TOKENS}/{token}/expire")
    twice = await raw.post(f"{TOKENS}/{token}/expire")

    attributes = ended.json["data"]["attributes"]
    assert attributes["status"] == "expired"
    assert attributes["expires-at"] == "2026-01-01T12:00:10.000Z"
    assert twice.status == 409
    assert (await redeem(raw, token)).status == 409


@pytest.mark.asyncio
async def test_either_may_expire_it_unless_the_switch_says_the_source(box, raw):
    first, second = [await shared(raw, box.add_inquiry().id) for _ in range(2)]
    partner = box.destination.api_key

    served = await raw.post(f"{TOKENS}/{first}/expire", partner)
    box.switches.expires_by = "source"
    refused = await raw.post(f"{TOKENS}/{second}/expire", partner)

    assert (served.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_the_list_has_both_directions_and_filters(box, raw):
    there = await connect(raw)
    back = (
        await raw.post(
            "/connect/connections",
            box.destination.api_key,
            json={
                "data": {"attributes": {"destination-organization-id": box.source.id}}
            },
        )
    ).json["data"]["id"]
    box.accept_connection(back)
    outbound = [await shared(raw, box.add_inquiry().id, there) for _ in range(2)]
    theirs = box.add_inquiry(organization=box.destination).id
    given = {"data": {"attributes": {"connection-id": back, "source-id": theirs}}}
    answer = await raw.post(TOKENS, box.destination.api_key, json=given)
    inbound = answer.json["data"]["id"]
    await raw.post(f"{TOKENS}/{outbound[0]}/expire")

    async def found(query=""):
        answer = await raw.get(TOKENS + query)
        return [item["id"] for item in answer.json["data"]]

    assert await found() == [inbound, *outbound[::-1]]
    assert await found("?filter[direction]=inbound") == [inbound]
    assert await found("?filter[direction]=outbound") == outbound[::-1]
    assert await found("?filter[status]=expired") == outbound[:1]
    assert await found(f"?filter[connection-id]={back}") == [inbound]


@pytest.mark.asyncio
async def test_a_list_never_peeks(box, raw):
    await shared(raw, box.add_inquiry().id)
    partner = box.destination.api_key

    listed = await raw.get(TOKENS, partner)

    assert "source-data" not in listed.json["data"][0]["attributes"]
    assert (await raw.get(f"{TOKENS}?peek-source-data=true", partner)).status == 400


@pytest.mark.asyncio
async def test_the_destination_may_peek_and_nobody_else(box, raw):
    (inquiry,) = box.populate(1)
    token = await shared(raw, inquiry)
    peek = "?peek-source-data=true"

    data = (await seen(raw, token, query=peek))["attributes"]["source-data"]

    fields = data["peekable-attributes"]["fields"]
    assert (data["type"], data["id"]) == ("connect/source-data/inquiry", inquiry)
    assert data["peekable-attributes"]["status"] == {
        "visibility": "full",
        "value": "completed",
    }
    assert fields["birthdate"] == {"visibility": "presence", "value": True}
    assert {kin["type"] for kin in data["related-objects"]} == {
        "connect/source-data/account",
        "connect/source-data/verification/government-id",
        "connect/source-data/verification/selfie",
    }
    mine = await seen(raw, token, box.source.api_key, peek)
    assert "source-data" not in mine["attributes"]
    assert "source-data" not in (await seen(raw, token))["attributes"]
    box.switches.can_peek = False
    assert "source-data" not in (await seen(raw, token, query=peek))["attributes"]


@pytest.mark.asyncio
async def test_peeking_is_true_or_false(box, raw):
    token = await shared(raw, box.add_inquiry().id)

    answer = await raw.get(f"{TOKENS}/{token}?peek-source-data=yes")

    assert answer.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "shown"), [("email-address", True), ("government-id", False)]
)
async def test_a_verification_can_be_peeked_at_where_it_has_a_shape(
    box, raw, kind, shown
):
    token = await shared(raw, box.add_verification(kind=kind).id)

    data = await seen(raw, token, query="?peek-source-data=true")

    assert ("source-data" in data["attributes"]) is shown


@pytest.mark.asyncio
async def test_a_share_token_to_oneself_has_one_direction(box, raw):
    connection = await connect(raw, box.source.id)
    token = await shared(raw, box.add_inquiry().id, connection)

    before = await seen(raw, token, box.source.api_key)
    box.switches.self_direction = "self"
    after = await seen(raw, token, box.source.api_key)

    assert before["attributes"]["direction"] == "outbound"
    assert after["attributes"]["direction"] == "self"


@pytest.mark.asyncio
async def test_older_shapes_are_served_on_request(box, raw):
    inquiry, connection = box.add_inquiry().id, await connect(raw)

    box.switches.share_shape = "open_beta"
    beta = (await share(raw, inquiry, connection)).json["data"]
    box.switches.share_shape = "closed_beta"
    given = {"bridge-id": connection, "source-id": inquiry}
    oldest = await raw.post(TOKENS, json={"data": {"attributes": given}})

    assert beta["relationships"]["connect-connection"]["data"]["id"] == connection
    assert "connection" not in beta["relationships"]
    assert beta["attributes"]["source-id"] == inquiry
    assert oldest.json["data"]["attributes"]["status"] == "new"
    assert "relationships" not in oldest.json["data"]


@pytest.mark.asyncio
async def test_nothing_can_be_included_with_it(box, raw):
    token = await shared(raw, box.add_inquiry().id)

    empty = await raw.get(f"{TOKENS}/{token}?include=")
    named = await raw.get(f"{TOKENS}/{token}?include=source")

    assert empty.json["included"] == []
    assert named.json["included"] == []
