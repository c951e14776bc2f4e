"""Accounts, cases, reports and transactions; tags and redaction of all objects."""

import pytest

from tests.sandbox.raw import attributes, body, meta


def relationships(response):
    return response.json["data"]["relationships"]


@pytest.mark.asyncio
async def test_flat_attributes_and_fields_create_an_account(raw):
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
async def test_upsert_finds_the_account_with_the_same_reference(raw):
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
async def test_account_is_updated_with_a_photo(sandbox, raw):
    account = sandbox.add_account().id
    photo = {"data": {"data": "aGVsbG8=", "filename": "me.png"}}

    response = await raw.patch(f"/accounts/{account}", json=body(selfie_photo=photo))
    broken = {"data": {"data": "%%%", "filename": "me.png"}}
    refused = await raw.patch(
        f"/accounts/{account}", json=body(name_first="X", selfie_photo=broken)
    )

    file = attributes(response)["fields"]["selfie_photo"]["value"]
    assert (file["filename"], file["byte-size"]) == ("me.png", 5)
    assert (await raw.send("GET", file["url"])).body == b"hello"
    assert refused.status == 422
    name = attributes(await raw.get(f"/accounts/{account}"))["fields"]["name"]
    assert name["value"]["first"]["value"] != "X"


@pytest.mark.asyncio
async def test_relations_are_added_listed_and_removed(sandbox, raw):
    account, other = sandbox.add_account().id, sandbox.add_account().id
    path = f"/accounts/{account}"
    given = meta(relation_schema_key="owners", target_object_id=other)

    async def listed(key="owners"):
        response = await raw.get(f"{path}/relations?filter[key]={key}")
        return [item["id"] for item in response.json["data"]]

    await raw.post(f"{path}/add-relation", json=given)
    assert (await listed(), await listed("others")) == ([other], [])
    await raw.post(f"{path}/remove-relation", json=given)
    assert await listed() == []
    assert (await raw.post(f"{path}/remove-relation", json=given)).status == 404
    assert (await raw.get(f"{path}/relations")).status == 400


@pytest.mark.asyncio
async def test_accounts_are_consolidated_once(sandbox, raw):
    target, source = sandbox.add_account().id, sandbox.add_account().id
    inquiry = sandbox.add_inquiry(account=source).id
    path, given = f"/accounts/{target}/consolidate", meta(source_account_ids=[source])

    done = await raw.post(path, json=given)
    again = await raw.post(path, json=given)
    itself = await raw.post(path, json=meta(source_account_ids=[target]))

    moved = relationships(await raw.get(f"/inquiries/{inquiry}"))
    assert moved["account"]["data"]["id"] == target
    assert (done.status, again.status, itself.status) == (200, 409, 422)


@pytest.mark.asyncio
async def test_account_action_starts_a_workflow_run(sandbox, raw):
    path = f"/accounts/{sandbox.add_account().id}/run-action"

    response = await raw.post(path, json={"data": {"account-action-id": "accac_1"}})

    assert response.json["meta"]["workflow-run-id"].startswith("wfr_")


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["", "soon", "1990-13-01", "19900102", "1990-W01-1"])
async def test_birthdate_is_a_date(raw, value):
    made = await raw.post("/accounts", json=body(birthdate=value))

    assert made.status == 400
    assert made.error["details"] == "data.attributes.birthdate must be a date"


@pytest.mark.asyncio
async def test_photo_may_be_null_but_not_empty(sandbox, raw):
    account, without = sandbox.add_account().id, {"selfie_photo": {"data": None}}

    made = await raw.post("/accounts", json=body(**without))
    changed = await raw.patch(f"/accounts/{account}", json=body(**without))

    assert (made.status, changed.status) == (400, 200)


@pytest.mark.asyncio
async def test_case_is_created_assigned_and_resolved(sandbox, raw):
    inquiry, report = sandbox.add_inquiry().id, sandbox.add_report().id
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
async def test_case_is_updated_with_an_attachment(sandbox, raw):
    path = f"/cases/{sandbox.add_case().id}"
    file = {"data": "aGVsbG8=", "filename": "a.txt"}

    response = await raw.patch(
        path, json=body(attachments=[file], case_queue_id="cqueue_1", fields={"a": 1})
    )

    (attached,) = attributes(response)["attachments"]
    assert (await raw.send("GET", attached["url"])).body == b"hello"
    assert relationships(response)["case-queue"]["data"]["id"] == "cqueue_1"


@pytest.mark.asyncio
async def test_cases_are_filtered(sandbox, raw):
    sandbox.add_case()
    account, inquiry, report = (
        getattr(sandbox, f"add_{kind}")().id
        for kind in ("account", "inquiry", "report")
    )
    case = sandbox.add_case(objects=[account, inquiry, report], status="odd").id

    for query in (
        "status]=odd",
        f"account-id]={account}",
        f"inquiry-id]={inquiry}",
        f"report-id]={report}",
    ):
        found = await raw.get(f"/cases?filter[{query}")
        assert [each["id"] for each in found.json["data"]] == [case]


def test_objects_with_unknown_relations_are_refused():
    from persona_share.sandbox import Sandbox  # noqa: PLC0415 - no fixture is needed

    sandbox = Sandbox()
    for add in (sandbox.add_case, sandbox.add_transaction):
        with pytest.raises(ValueError, match="no object"):
            add(objects=["inq_nowhere"])
    with pytest.raises(ValueError, match="no object"):
        sandbox.add_event(object="inq_nowhere")


@pytest.mark.asyncio
async def test_report_becomes_ready_after_its_seconds(sandbox, raw):
    sandbox.switches.report_seconds = 30
    account = sandbox.add_account().id
    given = {"data": {"type": "report/watchlist", **body(account_id=account)["data"]}}

    made = await raw.post("/reports", json=given)
    path = f"/reports/{made.json['data']['id']}"
    sandbox.advance(30)
    ready = await raw.get(path)

    assert made.json["data"]["type"] == "report/watchlist"
    assert attributes(made)["status"] == "pending"
    assert attributes(ready)["status"] == "ready"
    assert attributes(ready)["completed-at"] == "2026-01-01T12:00:30.000Z"
    found = await raw.get(f"/reports?filter[account-id]={account}")
    assert [each["id"] for each in found.json["data"]] == [made.json["data"]["id"]]


@pytest.mark.asyncio
async def test_unknown_type_of_report_is_a_bad_request(raw):
    assert (await raw.post("/reports", json={"data": {"type": "x"}})).status == 400


@pytest.mark.asyncio
async def test_report_runs_pauses_resumes_and_has_a_history(sandbox, raw):
    path = f"/reports/{sandbox.add_report().id}"
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


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "segment"), [("generic", "generics"), ("government-id", "government-ids")]
)
async def test_each_document_type_has_its_own_path(sandbox, raw, kind, segment):
    inquiry = sandbox.add_inquiry().id
    document = sandbox.add_document(kind=kind, inquiry=inquiry).id
    other = sandbox.add_document(kind="mdoc").id

    response = await raw.get(f"/document/{segment}/{document}")

    assert response.json["data"]["type"] == f"document/{kind}"
    assert relationships(response)["inquiry"]["data"]["id"] == inquiry
    assert (await raw.get(f"/document/{segment}/{other}")).status == 404
    assert (await raw.get(f"/documents/{other}")).status == 200
    kin = relationships(await raw.get(f"/inquiries/{inquiry}"))
    assert kin["documents"]["data"][0]["id"] == document


@pytest.mark.asyncio
async def test_locked_verification_is_not_redacted(sandbox, raw):
    path = f"/verifications/{sandbox.add_verification().id}"

    await raw.post(f"{path}/investigation-lock")
    locked = await raw.delete(path)
    await raw.post(f"{path}/investigation-unlock")
    free = await raw.delete(path)

    assert (locked.status, free.status) == (409, 200)


@pytest.mark.asyncio
async def test_report_is_created_with_attributes(raw):
    response = await raw.post("/reports", json={"data": {"type": "report/watchlist"}})

    assert response.status == 400
    assert response.error["details"] == "data.attributes is missing"


@pytest.mark.asyncio
async def test_transaction_is_created_changed_labeled_and_related(sandbox, raw):
    sandbox.add_transaction_type(id="txntp_1")
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
    account = sandbox.add_account().id
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
async def test_transactions_are_filtered_by_reference_type_and_identifier(sandbox, raw):
    sandbox.add_transaction()
    sandbox.add_transaction_type(id="txntp_1", fields={"iban": "text"})
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
async def test_biometrics_of_a_transaction_are_redacted_once(sandbox, raw):
    selfie = sandbox.add_verification(kind="selfie").id
    path = f"/transactions/{sandbox.add_transaction(objects=[selfie]).id}"

    first = await raw.post(f"{path}/redact-biometrics")
    second = await raw.post(f"{path}/redact-biometrics")

    gone = attributes(await raw.get(f"/verifications/{selfie}"))
    assert gone["center-photo-url"] is None
    assert gone["redacted-at"] is not None
    assert (first.status, second.status) == (200, 409)


TAGGED = {
    "account": "accounts",
    "case": "cases",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "transactions",
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), TAGGED.items())
async def test_tags_are_added_removed_and_set(sandbox, raw, kind, plural):
    path = f"/{plural}/{getattr(sandbox, f'add_{kind}')().id}"

    added = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    twice = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    all_set = await raw.post(f"{path}/set-tags", json=meta(tag_name=["b", "c", "b"]))
    removed = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    missing = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    nothing = await raw.post(f"{path}/add-tag", json={})

    tags = [attributes(each)["tags"] for each in (added, twice, all_set, removed)]
    expected = [["a"], ["a"], ["b", "c"], ["c"]]
    if kind in {"account", "inquiry"}:
        expected = [[tag.upper() for tag in each] for each in expected]
    assert tags == expected
    assert (missing.status, nothing.status) == (404, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("inquiry", "inquiries"),
        ("verification", "verifications"),
        ("report", "reports"),
    ],
)
async def test_object_is_printed_as_a_pdf(sandbox, raw, kind, plural):
    object_id = getattr(sandbox, f"add_{kind}")().id

    response = await raw.get(f"/{plural}/{object_id}/print")

    assert response.headers["Content-Type"] == "application/pdf"
    assert response.body.startswith(b"%PDF-1.4\n")
    assert response.body.endswith(b"%%EOF\n")
    assert object_id.encode() in response.body
    place = int(response.body.rsplit(b"startxref\n", 1)[1].split()[0])
    assert response.body[place:].startswith(b"xref\n")


PLURALS = {
    "account": "accounts",
    "case": "cases",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "transactions",
    "verification": "verifications",
}


def values_of(document):
    """Return every text and number of a document."""
    if isinstance(document, dict):
        return {v for each in document.values() for v in values_of(each)}
    if isinstance(document, list):
        return {v for each in document for v in values_of(each)}
    return {document} if isinstance(document, str) else set()


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
async def test_redaction_removes_personal_data_and_keeps_the_object(
    sandbox, raw, kind, plural
):
    secret = "canary of a person"
    more = {} if kind in ("report", "verification") else {"fields": {"x": secret}}
    if kind in ("report", "verification"):
        more = {"name_first": secret}
    object_id = getattr(sandbox, f"add_{kind}")(**more).id
    path = f"/{plural}/{object_id}"
    before = await raw.get(path)

    response = await raw.delete(path)

    after = await raw.get(path)
    assert secret in values_of(before.json)
    assert response.json == after.json
    assert after.json["data"]["id"] == object_id
    assert secret not in values_of(after.json)
    names = [
        item["attributes"]["name"]
        for item in (await raw.get(f"/events?filter[object-id]={object_id}")).json[
            "data"
        ]
    ]
    assert names == [f"{kind}.redacted"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
async def test_redacted_object_cannot_be_changed_or_redacted_again(
    sandbox, raw, kind, plural
):
    path = f"/{plural}/{getattr(sandbox, f'add_{kind}')().id}"
    await raw.delete(path)

    again = await raw.delete(path)

    assert again.status == 409
    assert again.error["title"].endswith("already redacted")
    if kind != "verification":
        tagged = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
        assert tagged.status == 409


@pytest.mark.asyncio
async def test_related_objects_are_redacted_with_an_inquiry(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
    document = sandbox.add_document(inquiry=inquiry).id
    url = (await raw.get(f"/documents/{document}")).json["data"]["attributes"]["files"]

    await raw.delete(f"/inquiries/{inquiry}")

    include = "?include=verifications,documents"
    kin = (await raw.get(f"/inquiries/{inquiry}{include}")).json["included"]
    assert len(kin) == 3
    for each in kin:
        assert each["attributes"].get("birthdate") is None
        assert each["attributes"].get("files", []) == []
    assert (await raw.send("GET", url[0]["url"])).status == 404


@pytest.mark.asyncio
async def test_related_objects_may_be_redacted_later(sandbox, raw):
    sandbox.switches.redacts_related_at_once = False
    inquiry = sandbox.add_inquiry().id
    path = f"/verifications/{sandbox.add_verification(inquiry=inquiry).id}"

    await raw.delete(f"/inquiries/{inquiry}")
    at_once = (await raw.get(path)).json["data"]["attributes"]["redacted-at"]
    sandbox.advance(1)
    later = (await raw.get(path)).json["data"]["attributes"]["redacted-at"]

    assert at_once is None
    assert later == "2026-01-01T12:00:01.000Z"


@pytest.mark.asyncio
async def test_redaction_takes_no_body(sandbox, raw):
    path = f"/inquiries/{sandbox.add_inquiry().id}"

    assert (await raw.delete(path, json={})).status == 400
    assert (await raw.get(path)).json["data"]["attributes"]["redacted-at"] is None
