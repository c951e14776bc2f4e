"""Accounts: made, found again, updated, related, consolidated."""

import pytest

from tests.sandbox.raw import attributes, body, meta


def relationships(answer):
    return answer.json["data"]["relationships"]


@pytest.mark.asyncio
async def test_an_account_is_made_of_flat_attributes_and_fields(raw):
    made = await raw.post(
        "/accounts",
        json=body(
            reference_id="r",
            name_first="Ann",
            address_city="Millbrook",
            email_address="a@example.com",
            fields={"plan": "gold", "birthdate": "1990-01-02"},
            tags=["a"],
        ),
    )

    fields = attributes(made)["fields"]
    assert made.status == 201
    assert attributes(made)["reference-id"] == "r"
    assert fields["name"]["value"]["first"]["value"] == "Ann"
    assert fields["name"]["value"]["last"]["value"] is None
    assert fields["address"]["value"]["city"]["value"] == "Millbrook"
    assert fields["email_address"]["value"] == "a@example.com"
    assert fields["birthdate"]["value"] == "1990-01-02"
    assert fields["plan"] == {"type": "string", "value": "gold"}


@pytest.mark.asyncio
async def test_an_account_is_found_again_by_its_reference(raw):
    upsert = meta(upsert_by="reference-id")

    first = await raw.post("/accounts", json=body(reference_id="r") | upsert)
    second = await raw.post(
        "/accounts", json=body(reference_id="r", name_first="Bea") | upsert
    )
    without = await raw.post("/accounts", json=body(name_first="Bea") | upsert)

    assert second.json["data"]["id"] == first.json["data"]["id"]
    assert attributes(second)["fields"]["name"]["value"]["first"]["value"] == "Bea"
    assert without.status == 422


@pytest.mark.asyncio
async def test_an_account_is_updated_with_a_photo(box, raw):
    account = box.add_account().id
    photo = {"data": {"data": "aGVsbG8=", "filename": "me.png"}}

    answer = await raw.patch(f"/accounts/{account}", json=body(selfie_photo=photo))
    broken = {"data": {"data": "%%%", "filename": "me.png"}}
    refused = await raw.patch(
        f"/accounts/{account}", json=body(name_first="X", selfie_photo=broken)
    )

    file = attributes(answer)["fields"]["selfie_photo"]["value"]
    assert (file["filename"], file["byte-size"]) == ("me.png", 5)
    assert (await raw.send("GET", file["url"])).body == b"hello"
    assert refused.status == 422
    name = attributes(await raw.get(f"/accounts/{account}"))["fields"]["name"]
    assert name["value"]["first"]["value"] != "X"


@pytest.mark.asyncio
async def test_relations_are_added_listed_and_removed(box, raw):
    account, other = box.add_account().id, box.add_account().id
    path = f"/accounts/{account}"
    given = meta(relation_schema_key="owners", target_object_id=other)

    async def listed(key="owners"):
        answer = await raw.get(f"{path}/relations?filter[key]={key}")
        return [item["id"] for item in answer.json["data"]]

    await raw.post(f"{path}/add-relation", json=given)
    assert (await listed(), await listed("others")) == ([other], [])
    await raw.post(f"{path}/remove-relation", json=given)
    assert await listed() == []
    assert (await raw.post(f"{path}/remove-relation", json=given)).status == 404
    assert (await raw.get(f"{path}/relations")).status == 400


@pytest.mark.asyncio
async def test_accounts_are_consolidated_once(box, raw):
    target, source = box.add_account().id, box.add_account().id
    inquiry = box.add_inquiry(account=source).id
    path, given = f"/accounts/{target}/consolidate", meta(source_account_ids=[source])

    done = await raw.post(path, json=given)
    again = await raw.post(path, json=given)
    itself = await raw.post(path, json=meta(source_account_ids=[target]))

    moved = relationships(await raw.get(f"/inquiries/{inquiry}"))
    assert moved["account"]["data"]["id"] == target
    assert (done.status, again.status, itself.status) == (200, 409, 422)


@pytest.mark.asyncio
async def test_an_action_of_an_account_begins_a_workflow_run(box, raw):
    path = f"/accounts/{box.add_account().id}/run-action"

    answer = await raw.post(path, json={"data": {"account-action-id": "accac_1"}})

    assert answer.json["meta"]["workflow-run-id"].startswith("wfr_")


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["", "soon", "1990-13-01", "19900102", "1990-W01-1"])
async def test_a_birthdate_is_a_date(raw, value):
    made = await raw.post("/accounts", json=body(birthdate=value))

    assert made.status == 400
    assert made.error["details"] == "data.attributes.birthdate must be a date"


@pytest.mark.asyncio
async def test_a_photo_can_be_taken_away_but_not_left_out(box, raw):
    account, without = box.add_account().id, {"selfie_photo": {"data": None}}

    made = await raw.post("/accounts", json=body(**without))
    changed = await raw.patch(f"/accounts/{account}", json=body(**without))

    assert (made.status, changed.status) == (400, 200)
