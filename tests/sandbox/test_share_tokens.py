"""Share tokens: created, seen by both organizations, redeemed, expired."""

import math

import pytest

from tests.sandbox.raw import body, meta
from tests.sandbox.sharing import (
    TOKENS,
    connect,
    destination_of,
    redeem,
    seen,
    share,
    shared,
)


@pytest.mark.asyncio
async def test_share_token_expires_after_fourteen_days_by_default(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
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
async def test_four_types_of_objects_can_be_shared(sandbox, raw, kind, word):
    source = getattr(sandbox, f"add_{kind}")().id

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
async def test_lifetime_is_between_a_minute_and_three_weeks(
    sandbox, raw, seconds, status
):
    made = await share(raw, sandbox.add_inquiry().id, expires_in_seconds=seconds)

    assert made.status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [400, 422])
async def test_share_token_for_an_unshareable_object_is_refused(sandbox, raw, refusal):
    sandbox.switches.share_refusal_status = refusal
    mine, case = sandbox.add_inquiry().id, sandbox.add_case().id
    theirs = sandbox.add_inquiry(organization=sandbox.destination).id
    connection = await connect(raw)

    for source, through in (
        (theirs, connection),
        (case, connection),
        ("inq_nowhere", connection),
        (mine, "cxn_nowhere"),
    ):
        assert (await share(raw, source, through)).status == refusal


@pytest.mark.asyncio
async def test_only_the_source_of_a_connection_shares_through_it(sandbox, raw):
    connection = await connect(raw)
    theirs = sandbox.add_inquiry(organization=sandbox.destination).id
    given = {"connection-id": connection, "source-id": theirs}

    response = await raw.post(
        TOKENS, sandbox.destination.api_key, json={"data": {"attributes": given}}
    )

    assert response.status == 422


@pytest.mark.asyncio
async def test_connection_may_be_pending_but_not_inactive(sandbox, raw):
    inquiry, connection = sandbox.add_inquiry().id, await connect(raw)
    change = f"/connect/connections/{connection}"

    await raw.post(f"{change}/deactivate")
    inactive = await share(raw, inquiry, connection)
    await raw.post(f"{change}/reactivate")
    pending = await share(raw, inquiry, connection)
    sandbox.switches.shares_on_pending = False
    refused = await share(raw, inquiry, connection)

    assert (inactive.status, pending.status, refused.status) == (422, 201, 422)


@pytest.mark.asyncio
async def test_destination_sees_an_inbound_share_token(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)

    data = await seen(raw, token)

    assert data["attributes"]["direction"] == "inbound"
    assert set(data["relationships"]) == {"destination", "connection"}
    assert data["relationships"]["destination"]["data"] is None


@pytest.mark.asyncio
async def test_other_organizations_do_not_see_a_share_token(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)
    other_organization = sandbox.add_organization().api_key
    production = sandbox.add_api_key(sandbox.destination, environment="production")

    for key in (other_organization, production):
        assert (await raw.get(f"{TOKENS}/{token}", key)).status == 404
        assert (await raw.get(TOKENS, key)).json["data"] == []


@pytest.mark.asyncio
async def test_share_token_expires(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id, expires_in_seconds=60)
    sandbox.advance(59)
    alive = (await seen(raw, token))["attributes"]["status"]

    sandbox.advance(1)

    attributes = (await seen(raw, token))["attributes"]
    assert (alive, attributes["status"]) == ("created", "expired")
    assert attributes["updated-at"] == "2026-01-01T12:01:00.000Z"


@pytest.mark.asyncio
async def test_share_token_is_expired_once_and_early(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)
    sandbox.advance(10)

    ended = await raw.post(f"{TOKENS}/{token}/expire")
    twice = await raw.post(f"{TOKENS}/{token}/expire")

    attributes = ended.json["data"]["attributes"]
    assert attributes["status"] == "expired"
    assert attributes["expires-at"] == "2026-01-01T12:00:10.000Z"
    assert twice.status == 409
    assert (await redeem(raw, token)).status == 409


@pytest.mark.asyncio
async def test_expiring_a_share_token_may_be_left_to_the_source(sandbox, raw):
    first, second = [await shared(raw, sandbox.add_inquiry().id) for _ in range(2)]
    partner = sandbox.destination.api_key

    served = await raw.post(f"{TOKENS}/{first}/expire", partner)
    sandbox.switches.expires_by = "source"
    refused = await raw.post(f"{TOKENS}/{second}/expire", partner)

    assert (served.status, refused.status) == (200, 403)


@pytest.mark.asyncio
async def test_list_has_both_directions_and_filters(sandbox, raw):
    there = await connect(raw)
    back = (
        await raw.post(
            "/connect/connections",
            sandbox.destination.api_key,
            json={
                "data": {
                    "attributes": {"destination-organization-id": sandbox.source.id}
                }
            },
        )
    ).json["data"]["id"]
    sandbox.accept_connection(back)
    outbound = [await shared(raw, sandbox.add_inquiry().id, there) for _ in range(2)]
    theirs = sandbox.add_inquiry(organization=sandbox.destination).id
    given = {"data": {"attributes": {"connection-id": back, "source-id": theirs}}}
    response = await raw.post(TOKENS, sandbox.destination.api_key, json=given)
    inbound = response.json["data"]["id"]
    await raw.post(f"{TOKENS}/{outbound[0]}/expire")

    async def found(query=""):
        response = await raw.get(TOKENS + query)
        return [item["id"] for item in response.json["data"]]

    assert await found() == [inbound, *outbound[::-1]]
    assert await found("?filter[direction]=inbound") == [inbound]
    assert await found("?filter[direction]=outbound") == outbound[::-1]
    assert await found("?filter[status]=expired") == outbound[:1]
    assert await found(f"?filter[connection-id]={back}") == [inbound]


@pytest.mark.asyncio
async def test_list_has_no_source_preview(sandbox, raw):
    await shared(raw, sandbox.add_inquiry().id)
    partner = sandbox.destination.api_key

    listed = await raw.get(TOKENS, partner)

    assert "source-data" not in listed.json["data"][0]["attributes"]
    assert (await raw.get(f"{TOKENS}?peek-source-data=true", partner)).status == 400


@pytest.mark.asyncio
async def test_only_the_destination_may_peek(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
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
    mine = await seen(raw, token, sandbox.source.api_key, peek)
    assert "source-data" not in mine["attributes"]
    assert "source-data" not in (await seen(raw, token))["attributes"]
    sandbox.switches.can_peek = False
    assert "source-data" not in (await seen(raw, token, query=peek))["attributes"]


@pytest.mark.asyncio
async def test_peeking_is_true_or_false(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)

    response = await raw.get(f"{TOKENS}/{token}?peek-source-data=yes")

    assert response.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "shown"), [("email-address", True), ("government-id", False)]
)
async def test_documented_verification_types_can_be_peeked_at(
    sandbox, raw, kind, shown
):
    token = await shared(raw, sandbox.add_verification(kind=kind).id)

    data = await seen(raw, token, query="?peek-source-data=true")

    assert ("source-data" in data["attributes"]) is shown


@pytest.mark.asyncio
async def test_share_token_to_the_same_organization_has_one_direction(sandbox, raw):
    connection = await connect(raw, sandbox.source.id)
    token = await shared(raw, sandbox.add_inquiry().id, connection)

    before = await seen(raw, token, sandbox.source.api_key)
    sandbox.switches.self_direction = "self"
    after = await seen(raw, token, sandbox.source.api_key)

    assert before["attributes"]["direction"] == "outbound"
    assert after["attributes"]["direction"] == "self"


@pytest.mark.asyncio
async def test_older_formats_of_share_tokens_are_a_switch(sandbox, raw):
    inquiry, connection = sandbox.add_inquiry().id, await connect(raw)

    sandbox.switches.share_shape = "open_beta"
    beta = (await share(raw, inquiry, connection)).json["data"]
    sandbox.switches.share_shape = "closed_beta"
    given = {"bridge-id": connection, "source-id": inquiry}
    oldest = await raw.post(TOKENS, json={"data": {"attributes": given}})

    assert beta["relationships"]["connect-connection"]["data"]["id"] == connection
    assert "connection" not in beta["relationships"]
    assert beta["attributes"]["source-id"] == inquiry
    assert oldest.json["data"]["attributes"]["status"] == "new"
    assert "relationships" not in oldest.json["data"]


@pytest.mark.asyncio
async def test_share_tokens_have_no_includable_objects(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)

    empty = await raw.get(f"{TOKENS}/{token}?include=")
    named = await raw.get(f"{TOKENS}/{token}?include=source")

    assert empty.json["included"] == []
    assert named.json["included"] == []


@pytest.mark.asyncio
async def test_redemption_is_pending_at_first_and_redeemed_later(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)

    asked = await redeem(raw, token)
    sandbox.advance(1.9)
    early = await seen(raw, token)
    sandbox.advance(0.1)
    late = await seen(raw, token)

    assert asked.status == 202
    assert asked.json["data"]["attributes"]["status"] == "pending"
    assert asked.json["data"]["attributes"]["redeem-mode"] == "clone"
    assert asked.json["data"]["attributes"]["pending-at"] == "2026-01-01T12:00:00.000Z"
    assert early["attributes"]["status"] == "pending"
    assert early["relationships"]["destination"]["data"] is None
    assert late["attributes"]["status"] == "redeemed"
    assert late["attributes"]["redeemed-at"] == "2026-01-01T12:00:02.000Z"
    assert late["relationships"]["destination"]["data"]["type"] == "inquiry"


@pytest.mark.asyncio
async def test_redemption_may_take_any_time(sandbox, raw):
    sandbox.switches.redemption_seconds = math.inf
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)

    sandbox.advance(100 * 86_400)

    assert (await seen(raw, token))["attributes"]["status"] == "pending"


@pytest.mark.asyncio
async def test_clone_needs_no_body(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)

    response = await raw.post(f"{TOKENS}/{token}/redeem", sandbox.destination.api_key)

    assert response.status == 202


@pytest.mark.asyncio
async def test_inquiry_is_cloned_with_its_verifications(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
    original = (await raw.get(f"/inquiries/{inquiry}")).json["data"]
    token = await shared(raw, inquiry)
    await redeem(raw, token)
    sandbox.advance(2)

    clone = await destination_of(raw, token)

    assert clone["id"] != inquiry
    assert clone["attributes"]["fields"] == original["attributes"]["fields"]
    assert clone["relationships"]["account"]["data"] is None
    verifications = clone["relationships"]["verifications"]["data"]
    assert [each["type"] for each in verifications] == [
        "verification/government-id",
        "verification/selfie",
    ]
    response = await raw.get(
        f"/verifications/{verifications[0]['id']}", sandbox.destination.api_key
    )
    assert (
        response.json["data"]["relationships"]["inquiry"]["data"]["id"] == clone["id"]
    )
    assert (
        await raw.get(f"/inquiries/{clone['id']}", sandbox.source.api_key)
    ).status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "status"),
    [("selfie", 202), ("document", 202), ("aamva", 422), ("database-tin", 422)],
)
async def test_some_verification_types_can_be_cloned(sandbox, raw, kind, status):
    token = await shared(raw, sandbox.add_verification(kind=kind).id)

    assert (await redeem(raw, token)).status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["account", "transaction"])
async def test_account_or_a_transaction_needs_a_destination(sandbox, raw, kind):
    token = await shared(raw, getattr(sandbox, f"add_{kind}")().id)

    before = await redeem(raw, token)
    sandbox.switches.redeem_refusal_status = 409
    after = await redeem(raw, token)

    assert (before.status, after.status) == (422, 409)


@pytest.mark.asyncio
async def test_verification_hydrates_nothing(sandbox, raw):
    token = await shared(raw, sandbox.add_verification().id)
    target = sandbox.add_inquiry(organization=sandbox.destination).id

    assert (await redeem(raw, token, target)).status == 422


@pytest.mark.asyncio
async def test_hydration_copies_equal_names_and_then_mapped_fields(sandbox, raw):
    source = sandbox.add_account(fields={"membership": "gold", "phone_number": "+1"}).id
    fields = {"level": "text", "phone-number": "text"}
    sandbox.add_inquiry_template(
        id="itmpl_1", fields=fields, organization=sandbox.destination
    )
    given = body(inquiry_template_id="itmpl_1", fields={"level": "none"})
    made = await raw.post("/inquiries", sandbox.destination.api_key, json=given)
    target = made.json["data"]["id"]
    token = await shared(raw, source)

    asked = await redeem(
        raw,
        token,
        target,
        **meta(
            field_mappings=[
                {
                    "source-field-name": "membership",
                    "destination-field-name": "level",
                },
                {
                    "source-field-name": "membership",
                    "destination-field-name": "phone-number",
                },
            ]
        ),
    )
    sandbox.advance(2)

    named = asked.json["data"]["relationships"]["destination"]["data"]
    assert named == {"type": "inquiry", "id": target}
    assert asked.json["data"]["attributes"]["redeem-mode"] == "hydrate"
    hydrated = (await destination_of(raw, token))["attributes"]
    assert hydrated["status"] == "completed"
    assert hydrated["fields"]["phone-number"]["value"] == "+1"
    assert hydrated["fields"]["level"]["value"] == "gold"
    assert "membership" not in hydrated["fields"]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["created", "pending", "approved"])
async def test_status_of_a_hydrated_inquiry_is_a_switch(sandbox, raw, status):
    sandbox.switches.hydrated_status = status
    target = sandbox.add_inquiry(organization=sandbox.destination, status="created").id
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token, target)
    sandbox.advance(2)

    assert (await destination_of(raw, token))["attributes"]["status"] == status


@pytest.mark.asyncio
async def test_transaction_hydrates_a_transaction(sandbox, raw):
    target = sandbox.add_transaction(organization=sandbox.destination).id
    token = await shared(raw, sandbox.add_transaction(fields={"country": "FR"}).id)
    await redeem(raw, token, target)
    sandbox.advance(2)

    assert (await seen(raw, token))["relationships"]["destination"]["data"] == {
        "type": "txn",
        "id": target,
    }
    hydrated = await destination_of(raw, token)
    assert hydrated["attributes"]["fields"]["country"]["value"] == "FR"


@pytest.mark.asyncio
async def test_destination_object_must_belong_to_the_caller(sandbox, raw):
    mine = sandbox.add_inquiry().id
    token = await shared(raw, mine)

    assert (await redeem(raw, token, mine)).status == 404
    assert (await redeem(raw, token, "inq_nowhere")).status == 404


@pytest.mark.asyncio
async def test_field_mappings_belong_to_hydration(sandbox, raw):
    mapping = meta(
        field_mappings=[{"source-field-name": "a", "destination-field-name": "b"}]
    )
    token = await shared(raw, sandbox.add_inquiry().id)

    refused = await redeem(raw, token, **mapping)
    sandbox.switches.mappings_with_clone = "ignored"
    ignored = await redeem(raw, token, **mapping)

    assert (refused.status, ignored.status) == (400, 202)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "reason",
    ["source_not_found", "source_redacted", "import_failed", "unrecoverable_error"],
)
async def test_f147_redemption_fails_with_each_reason(sandbox, raw, reason):
    sandbox.faults.fail_redemption(reason)
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)
    sandbox.advance(2)

    attributes = (await seen(raw, token))["attributes"]

    assert attributes["status"] == "failed"
    assert attributes["failure-reason"] == reason
    assert attributes["failed-at"] == "2026-01-01T12:00:02.000Z"
    assert attributes["redeemed-at"] is None
    assert attributes["redeem-mode"] == "clone"
    assert sandbox.faults.pending == 0


@pytest.mark.asyncio
async def test_redemption_fails_when_its_source_was_redacted(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    token = await shared(raw, inquiry)
    await redeem(raw, token)
    await raw.delete(f"/inquiries/{inquiry}")
    sandbox.advance(2)

    attributes = (await seen(raw, token))["attributes"]

    assert attributes["failure-reason"] == "source_redacted"


@pytest.mark.asyncio
@pytest.mark.parametrize("conflict", [409, 422])
async def test_share_token_is_redeemed_once(sandbox, raw, conflict):
    sandbox.switches.share_conflict_status = conflict
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)

    pending = await redeem(raw, token)
    sandbox.advance(2)
    redeemed = await redeem(raw, token)

    assert (pending.status, redeemed.status) == (conflict, conflict)


@pytest.mark.asyncio
async def test_f148_redemption_is_replayed_for_the_same_key(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)
    headers = {"Idempotency-Key": "once"}
    path, key = f"{TOKENS}/{token}/redeem", sandbox.destination.api_key

    first = await raw.post(path, key, headers=headers)
    second = await raw.post(path, key, headers=headers)

    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body


@pytest.mark.asyncio
async def test_failed_share_token_may_be_redeemed_again(sandbox, raw):
    sandbox.faults.fail_redemption("import_failed")
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)
    sandbox.advance(2)

    refused = await redeem(raw, token)
    sandbox.switches.failed_can_be_redeemed = True
    again = await redeem(raw, token)
    sandbox.advance(2)

    assert (refused.status, again.status) == (409, 202)
    assert (await seen(raw, token))["attributes"]["status"] == "redeemed"
    assert (await seen(raw, token))["attributes"]["failure-reason"] is None


@pytest.mark.asyncio
async def test_redemption_needs_an_active_connection(sandbox, raw):
    connection = await connect(raw)
    token = await shared(raw, sandbox.add_inquiry().id, connection)
    await raw.post(f"/connect/connections/{connection}/deactivate")

    assert (await redeem(raw, token)).status == 409


@pytest.mark.asyncio
async def test_only_the_destination_redeems_and_in_the_same_type_of_environment(
    sandbox, raw
):
    token = await shared(raw, sandbox.add_inquiry().id)
    production = sandbox.add_api_key(sandbox.destination, environment="production")
    other_organization = sandbox.add_organization().api_key

    assert (await redeem(raw, token, bearer=sandbox.source.api_key)).status == 403
    assert (await redeem(raw, token, bearer=other_organization)).status == 404
    assert (await redeem(raw, token, bearer=production)).status == 422


@pytest.mark.asyncio
async def test_sharing_emits_events_in_both_organizations(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)
    await redeem(raw, token)
    sandbox.advance(2)

    async def names(key):
        response = await raw.get(f"/events?filter[object-id]={token}", key)
        return [item["attributes"]["name"] for item in response.json["data"]]

    assert await names(sandbox.source.api_key) == [
        "connect/share-token.outbound-redeemed",
        "connect/share-token.outbound-created",
    ]
    assert await names(sandbox.destination.api_key) == [
        "connect/share-token.inbound-redeemed",
        "connect/share-token.inbound-created",
    ]
