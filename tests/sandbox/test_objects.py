"""Accounts, transactions, reports, documents, cases and verifications."""

import pytest

from tests.sandbox.raw import body, meta


def attributes(answer):
    return answer.json["data"]["attributes"]


def relationships(answer):
    return answer.json["data"]["relationships"]


PLURALS = {
    "account": "accounts",
    "case": "cases",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "transactions",
}


# ── Tags ────────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
async def test_tags_are_added_removed_and_set(box, raw, kind, plural):
    path = f"/{plural}/{getattr(box, f'add_{kind}')().id}"

    added = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    twice = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    all_set = await raw.post(f"{path}/set-tags", json=meta(tag_name=["b", "c", "b"]))
    removed = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    missing = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    nothing = await raw.post(f"{path}/add-tag", json={})

    tags = [attributes(each)["tags"] for each in (added, twice, all_set, removed)]
    assert tags == [["a"], ["a"], ["b", "c"], ["c"]]
    assert (missing.status, nothing.status) == (404, 400)


# ── Accounts ────────────────────────────────────────────────────────────────────


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
    assert (done.status, again.status, itself.status) == (202, 409, 422)


@pytest.mark.asyncio
async def test_an_action_of_an_account_begins_a_workflow_run(box, raw):
    path = f"/accounts/{box.add_account().id}/run-action"

    answer = await raw.post(path, json={"data": {"account-action-id": "accac_1"}})

    assert answer.json["meta"]["workflow-run-id"].startswith("wfr_")


# ── Transactions ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_transaction_is_made_changed_labelled_and_related(box, raw):
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


# ── Reports ─────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_report_becomes_ready_after_its_seconds(box, raw):
    box.switches.report_seconds = 30
    account = box.add_account().id
    given = {"data": {"type": "report/watchlist", **body(account_id=account)["data"]}}

    made = await raw.post("/reports", json=given)
    path = f"/reports/{made.json['data']['id']}"
    box.advance(30)
    ready = await raw.get(path)

    assert made.json["data"]["type"] == "report/watchlist"
    assert attributes(made)["status"] == "pending"
    assert attributes(ready)["status"] == "ready"
    assert attributes(ready)["completed-at"] == "2026-01-01T12:00:30.000Z"
    found = await raw.get(f"/reports?filter[account-id]={account}")
    assert [each["id"] for each in found.json["data"]] == [made.json["data"]["id"]]


@pytest.mark.asyncio
async def test_an_unknown_type_of_report_is_a_bad_request(raw):
    assert (await raw.post("/reports", json={"data": {"type": "x"}})).status == 400


@pytest.mark.asyncio
async def test_a_report_runs_pauses_resumes_and_tells_its_history(box, raw):
    path = f"/reports/{box.add_report().id}"
    statuses = [
        (await raw.post(f"{path}/{act}")).status
        for act in ("run", "resume", "resume", "pause", "pause")
    ]
    await raw.post(f"{path}/dismiss", json=body(reason="none of ours"))

    history = await raw.get(f"{path}/history?page[size]=3")
    rest = await raw.get(history.json["links"]["next"].removeprefix("/api/v1"))

    assert statuses == [200, 200, 409, 200, 409]
    kinds = [each["type"] for each in history.json["data"] + rest.json["data"]]
    assert kinds == ["dismiss", "pause", "resume", "run", "run"]


# ── Documents and verifications ─────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "segment"), [("generic", "generics"), ("government-id", "government-ids")]
)
async def test_a_document_has_a_path_of_its_type(box, raw, kind, segment):
    inquiry = box.add_inquiry().id
    document = box.add_document(kind=kind, inquiry=inquiry).id
    other = box.add_document(kind="mdoc").id

    answer = await raw.get(f"/document/{segment}/{document}")

    assert answer.json["data"]["type"] == f"document/{kind}"
    assert relationships(answer)["inquiry"]["data"]["id"] == inquiry
    assert (await raw.get(f"/document/{segment}/{other}")).status == 404
    assert (await raw.get(f"/documents/{other}")).status == 200
    kin = relationships(await raw.get(f"/inquiries/{inquiry}"))
    assert kin["documents"]["data"][0]["id"] == document


@pytest.mark.asyncio
async def test_a_locked_verification_is_not_redacted(box, raw):
    path = f"/verifications/{box.add_verification().id}"

    await raw.post(f"{path}/investigation-lock")
    locked = await raw.delete(path)
    await raw.post(f"{path}/investigation-unlock")
    free = await raw.delete(path)

    assert (locked.status, free.status) == (409, 200)


# ── Cases ───────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_case_is_made_assigned_and_resolved(box, raw):
    inquiry, report = box.add_inquiry().id, box.add_report().id
    made = await raw.post(
        "/cases",
        json=body(case_template_id="ctmpl_1", fields={"x": "y"})
        | meta(object_ids=[inquiry], sla_expires_in_seconds=60),
    )
    path = f"/cases/{made.json['data']['id']}"
    added = await raw.post(f"{path}/add-objects", json=meta(object_ids=[report]))
    taken = await raw.post(f"{path}/remove-objects", json=meta(object_ids=[inquiry]))
    assigned = await raw.post(
        f"{path}/assign", json=meta(user_email_address="a@example.com")
    )
    resolved = await raw.post(f"{path}/set-status", json=meta(status="Approved"))

    assert made.status == 201
    assert attributes(made)["sla-expires-at"] == "2026-01-01T12:01:00.000Z"
    assert relationships(made)["case-template"]["data"]["id"] == "ctmpl_1"
    assert relationships(made)["inquiries"]["data"][0]["id"] == inquiry
    assert relationships(added)["reports"]["data"][0]["id"] == report
    assert relationships(taken)["inquiries"]["data"] == []
    assert attributes(assigned)["assignee-id"].startswith("user_")
    assert attributes(resolved)["status"] == "Approved"
    assert attributes(resolved)["resolved-at"] is not None


@pytest.mark.asyncio
async def test_a_case_is_updated_with_an_attachment(box, raw):
    path = f"/cases/{box.add_case().id}"
    file = {"data": "aGVsbG8=", "filename": "a.txt"}

    answer = await raw.patch(
        path, json=body(attachments=[file], case_queue_id="cqueue_1", fields={"a": 1})
    )

    (attached,) = attributes(answer)["attachments"]
    assert (await raw.send("GET", attached["url"])).body == b"hello"
    assert relationships(answer)["case-queue"]["data"]["id"] == "cqueue_1"


@pytest.mark.asyncio
async def test_cases_are_filtered(box, raw):
    box.add_case()
    account, inquiry, report = (
        getattr(box, f"add_{kind}")().id for kind in ("account", "inquiry", "report")
    )
    case = box.add_case(objects=[account, inquiry, report], status="odd").id

    for query in (
        "status]=odd",
        f"account-id]={account}",
        f"inquiry-id]={inquiry}",
        f"report-id]={report}",
    ):
        found = await raw.get(f"/cases?filter[{query}")
        assert [each["id"] for each in found.json["data"]] == [case]


def test_what_relates_to_nothing_cannot_be_added():
    from persona_share.sandbox import Sandbox  # noqa: PLC0415 - no fixture is needed

    box = Sandbox()
    for add in (box.add_case, box.add_transaction):
        with pytest.raises(ValueError, match="no object"):
            add(objects=["inq_nowhere"])
    with pytest.raises(ValueError, match="no object"):
        box.add_event(object="inq_nowhere")


# ── Printing ────────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("inquiry", "inquiries"),
        ("verification", "verifications"),
        ("report", "reports"),
    ],
)
async def test_an_object_is_printed_as_a_pdf(box, raw, kind, plural):
    object_id = getattr(box, f"add_{kind}")().id

    answer = await raw.get(f"/{plural}/{object_id}/print")

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.body.startswith(b"%PDF-1.4\n")
    assert answer.body.endswith(b"%%EOF\n")
    assert object_id.encode() in answer.body
    place = int(answer.body.rsplit(b"startxref\n", 1)[1].split()[0])
    assert answer.body[place:].startswith(b"xref\n")
