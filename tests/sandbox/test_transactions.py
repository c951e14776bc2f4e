"""Transactions: made, changed, labelled, related and filtered."""

import pytest

from tests.sandbox.raw import attributes, body, meta


def relationships(answer):
    return answer.json["data"]["relationships"]


@pytest.mark.asyncio
async def test_a_transaction_is_made_changed_labelled_and_related(box, raw):
    box.add_transaction_type(id="txntp_1")
    made = await raw.post(
        "/transactions",
        json=body(
            transaction_type_id="txntp_1", reference_id="r", fields={"amount": 3}
        ),
    )
    path = f"/transactions/{made.json['data']['id']}"
    changed = await raw.patch(
        path, json=body(status="approved", fields={"amount": 4}, tags=["a"])
    )
    query = "?include=transaction-label"
    labelled = await raw.post(
        f"{path}/label{query}", json=meta(label="fraud", score=0.5)
    )
    account = box.add_account().id
    given = meta(relation_schema_key="payer", target_object_id=account)
    related = await raw.post(f"{path}/add-relation", json=given)
    parted = await raw.post(f"{path}/remove-relation", json=given)

    assert made.status == 201
    assert attributes(made)["fields"]["amount"] == {"type": "number", "value": 3}
    assert relationships(made)["transaction-type"]["data"]["id"] == "txntp_1"
    assert attributes(changed)["status"] == "approved"
    assert attributes(changed)["fields"]["amount"]["value"] == 4
    assert labelled.json["included"][0]["attributes"]["model-label"] == "fraud"
    assert relationships(related)["related-objects"]["data"] == [
        {"type": "account", "id": account}
    ]
    assert relationships(parted)["related-objects"]["data"] == []


@pytest.mark.asyncio
async def test_transactions_are_filtered_by_reference_type_and_identifier(box, raw):
    box.add_transaction()
    box.add_transaction_type(id="txntp_1", fields={"iban": "text"})
    made = await raw.post(
        "/transactions",
        json=body(
            transaction_type_id="txntp_1", reference_id="r", fields={"iban": "X1"}
        ),
    )

    for query in (
        "filter[reference-id]=r",
        "filter[transaction-type-id]=txntp_1",
        "filter[identifier][key]=iban&filter[identifier][value]=X1",
    ):
        found = await raw.get(f"/transactions?{query}")
        assert [each["id"] for each in found.json["data"]] == [made.json["data"]["id"]]


@pytest.mark.asyncio
async def test_biometrics_of_a_transaction_are_redacted_once(box, raw):
    selfie = box.add_verification(kind="selfie").id
    path = f"/transactions/{box.add_transaction(objects=[selfie]).id}"

    first = await raw.post(f"{path}/redact-biometrics")
    second = await raw.post(f"{path}/redact-biometrics")

    gone = attributes(await raw.get(f"/verifications/{selfie}"))
    assert gone["center-photo-url"] is None
    assert gone["redacted-at"] is not None
    assert (first.status, second.status) == (200, 409)
