"""Redemption: pending at once, done or failed later, by clone or by hydration."""

import math

import pytest

from tests.sandbox.raw import body, meta
from tests.sandbox.sharing import (
    TOKENS,
    connect,
    destination_of,
    redeem,
    seen,
    shared,
)


@pytest.mark.asyncio
async def test_a_redemption_is_pending_at_once_and_done_later(box, raw):
    token = await shared(raw, box.add_inquiry().id)

    asked = await redeem(raw, token)
    box.advance(1.9)
    early = await seen(raw, token)
    box.advance(0.1)
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
async def test_a_redemption_may_take_any_time_or_for_ever(box, raw):
    box.switches.redemption_seconds = math.inf
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token)

    box.advance(100 * 86_400)

    assert (await seen(raw, token))["attributes"]["status"] == "pending"


@pytest.mark.asyncio
async def test_a_body_is_not_needed_for_a_clone(box, raw):
    token = await shared(raw, box.add_inquiry().id)

    answer = await raw.post(f"{TOKENS}/{token}/redeem", box.destination.api_key)

    assert answer.status == 202


@pytest.mark.asyncio
async def test_an_inquiry_is_cloned_with_its_verifications(box, raw):
    (inquiry,) = box.populate(1)
    original = (await raw.get(f"/inquiries/{inquiry}")).json["data"]
    token = await shared(raw, inquiry)
    await redeem(raw, token)
    box.advance(2)

    clone = await destination_of(raw, token)

    assert clone["id"] != inquiry
    assert clone["attributes"]["fields"] == original["attributes"]["fields"]
    assert clone["relationships"]["account"]["data"] is None
    verifications = clone["relationships"]["verifications"]["data"]
    assert [each["type"] for each in verifications] == [
        "verification/government-id",
        "verification/selfie",
    ]
    answer = await raw.get(
        f"/verifications/{verifications[0]['id']}", box.destination.api_key
    )
    assert answer.json["data"]["relationships"]["inquiry"]["data"]["id"] == clone["id"]
    assert (
        await raw.get(f"/inquiries/{clone['id']}", box.source.api_key)
    ).status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "status"),
    [("selfie", 202), ("document", 202), ("aamva", 422), ("database-tin", 422)],
)
async def test_some_types_of_verifications_can_be_cloned(box, raw, kind, status):
    token = await shared(raw, box.add_verification(kind=kind).id)

    assert (await redeem(raw, token)).status == status


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["account", "transaction"])
async def test_an_account_or_a_transaction_needs_a_destination(box, raw, kind):
    token = await shared(raw, getattr(box, f"add_{kind}")().id)

    before = await redeem(raw, token)
    box.switches.redeem_refusal_status = 409
    after = await redeem(raw, token)

    assert (before.status, after.status) == (422, 409)


@pytest.mark.asyncio
async def test_a_verification_hydrates_nothing(box, raw):
    token = await shared(raw, box.add_verification().id)
    target = box.add_inquiry(organization=box.destination).id

    assert (await redeem(raw, token, target)).status == 422


@pytest.mark.asyncio
async def test_hydration_fills_equal_names_and_then_what_is_mapped(box, raw):
    source = box.add_account(fields={"membership": "gold", "phone_number": "+1"}).id
    fields = {"level": "text", "phone-number": "text"}
    box.add_inquiry_template(id="itmpl_1", fields=fields, organization=box.destination)
    given = body(inquiry_template_id="itmpl_1", fields={"level": "none"})
    made = await raw.post("/inquiries", box.destination.api_key, json=given)
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
    box.advance(2)

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
async def test_a_hydrated_inquiry_may_be_stuck_or_decided(box, raw, status):
    box.switches.hydrated_status = status
    target = box.add_inquiry(organization=box.destination, status="created").id
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token, target)
    box.advance(2)

    assert (await destination_of(raw, token))["attributes"]["status"] == status


@pytest.mark.asyncio
async def test_a_transaction_hydrates_a_transaction(box, raw):
    target = box.add_transaction(organization=box.destination).id
    token = await shared(raw, box.add_transaction(fields={"country": "FR"}).id)
    await redeem(raw, token, target)
    box.advance(2)

    assert (await seen(raw, token))["relationships"]["destination"]["data"] == {
        "type": "txn",
        "id": target,
    }
    hydrated = await destination_of(raw, token)
    assert hydrated["attributes"]["fields"]["country"]["value"] == "FR"


@pytest.mark.asyncio
async def test_a_destination_must_be_ones_own(box, raw):
    mine = box.add_inquiry().id
    token = await shared(raw, mine)

    assert (await redeem(raw, token, mine)).status == 404
    assert (await redeem(raw, token, "inq_nowhere")).status == 404


@pytest.mark.asyncio
async def test_field_mappings_belong_to_hydration(box, raw):
    mapping = meta(
        field_mappings=[{"source-field-name": "a", "destination-field-name": "b"}]
    )
    token = await shared(raw, box.add_inquiry().id)

    refused = await redeem(raw, token, **mapping)
    box.switches.mappings_with_clone = "ignored"
    ignored = await redeem(raw, token, **mapping)

    assert (refused.status, ignored.status) == (400, 202)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "reason",
    ["source_not_found", "source_redacted", "import_failed", "unrecoverable_error"],
)
async def test_f147_a_redemption_fails_with_each_reason(box, raw, reason):
    box.faults.fail_redemption(reason)
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token)
    box.advance(2)

    attributes = (await seen(raw, token))["attributes"]

    assert attributes["status"] == "failed"
    assert attributes["failure-reason"] == reason
    assert attributes["failed-at"] == "2026-01-01T12:00:02.000Z"
    assert attributes["redeemed-at"] is None
    assert attributes["redeem-mode"] == "clone"
    assert box.faults.pending == 0


@pytest.mark.asyncio
async def test_a_source_that_was_redacted_fails_by_itself(box, raw):
    inquiry = box.add_inquiry().id
    token = await shared(raw, inquiry)
    await redeem(raw, token)
    await raw.delete(f"/inquiries/{inquiry}")
    box.advance(2)

    attributes = (await seen(raw, token))["attributes"]

    assert attributes["failure-reason"] == "source_redacted"


@pytest.mark.asyncio
@pytest.mark.parametrize("conflict", [409, 422])
async def test_it_is_redeemed_once(box, raw, conflict):
    box.switches.share_conflict_status = conflict
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token)

    pending = await redeem(raw, token)
    box.advance(2)
    redeemed = await redeem(raw, token)

    assert (pending.status, redeemed.status) == (conflict, conflict)


@pytest.mark.asyncio
async def test_f148_the_same_key_answers_the_same_again(box, raw):
    token = await shared(raw, box.add_inquiry().id)
    headers = {"Idempotency-Key": "once"}
    path, key = f"{TOKENS}/{token}/redeem", box.destination.api_key

    first = await raw.post(path, key, headers=headers)
    second = await raw.post(path, key, headers=headers)

    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body


@pytest.mark.asyncio
async def test_after_a_failure_it_may_be_redeemed_again_on_request(box, raw):
    box.faults.fail_redemption("import_failed")
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token)
    box.advance(2)

    refused = await redeem(raw, token)
    box.switches.failed_can_be_redeemed = True
    again = await redeem(raw, token)
    box.advance(2)

    assert (refused.status, again.status) == (409, 202)
    assert (await seen(raw, token))["attributes"]["status"] == "redeemed"
    assert (await seen(raw, token))["attributes"]["failure-reason"] is None


@pytest.mark.asyncio
async def test_the_connection_must_be_active(box, raw):
    connection = await connect(raw)
    token = await shared(raw, box.add_inquiry().id, connection)
    await raw.post(f"/connect/connections/{connection}/deactivate")

    assert (await redeem(raw, token)).status == 409


@pytest.mark.asyncio
async def test_only_the_destination_redeems_and_in_the_same_type_of_environment(
    box, raw
):
    token = await shared(raw, box.add_inquiry().id)
    production = box.add_api_key(box.destination, environment="production")
    stranger = box.add_organization().api_key

    assert (await redeem(raw, token, bearer=box.source.api_key)).status == 403
    assert (await redeem(raw, token, bearer=stranger)).status == 404
    assert (await redeem(raw, token, bearer=production)).status == 422


@pytest.mark.asyncio
async def test_sharing_has_events_on_both_sides(box, raw):
    token = await shared(raw, box.add_inquiry().id)
    await redeem(raw, token)
    box.advance(2)

    async def names(key):
        answer = await raw.get(f"/events?filter[object-id]={token}", key)
        return [item["attributes"]["name"] for item in answer.json["data"]]

    assert await names(box.source.api_key) == [
        "connect/share-token.outbound-redeemed",
        "connect/share-token.outbound-created",
    ]
    assert await names(box.destination.api_key) == [
        "connect/share-token.inbound-redeemed",
        "connect/share-token.inbound-created",
    ]
