"""Behavior that was seen on the live service, and what its newest description says."""

import pytest

from tests.sandbox.raw import attributes, body, meta
from tests.sandbox.sharing import TOKENS, connect, redeem, share, shared


async def new_inquiry(raw, **given):
    made = await raw.post("/inquiries", json=body(**given))
    return made.json["data"]["id"]


@pytest.mark.asyncio
async def test_unknown_template_is_a_bad_request(sandbox, raw):
    for name in (
        "inquiry_template_id",
        "inquiry_template_version_id",
        "template_id",
    ):
        made = await raw.post("/inquiries", json=body(**{name: "itmpl_missing"}))
        assert made.status == 400


@pytest.mark.asyncio
async def test_inquiry_has_the_template_of_its_version(sandbox, raw):
    template = sandbox.add_inquiry_template(fields={"color": "choices"}).id
    found = await raw.get(f"/inquiry-templates/{template}")
    latest = found.json["data"]["relationships"]["latest-published-version"]["data"]

    given = body(inquiry_template_version_id=latest["id"], fields={"color": "red"})
    made = await raw.post("/inquiries", json=given)

    related = made.json["data"]["relationships"]
    assert related["inquiry-template"]["data"]["id"] == template
    assert related["inquiry-template-version"]["data"] == latest
    fields = made.json["data"]["attributes"]["fields"]
    assert fields["color"] == {"type": "choices", "value": "red"}


@pytest.mark.asyncio
@pytest.mark.parametrize("act", ["approve", "decline", "mark-for-review"])
async def test_decision_cannot_be_repeated(sandbox, raw, act):
    inquiry = await new_inquiry(raw)

    first = await raw.post(f"/inquiries/{inquiry}/{act}")
    second = await raw.post(f"/inquiries/{inquiry}/{act}")

    assert (first.status, second.status) == (200, 409)


@pytest.mark.asyncio
async def test_created_inquiry_can_be_resumed(sandbox, raw):
    inquiry = await new_inquiry(raw)

    resumed = await raw.post(f"/inquiries/{inquiry}/resume")

    assert resumed.status == 200
    assert resumed.json["meta"]["session-token"]
    path = f"/inquiry-sessions?filter[inquiry-id]={inquiry}&page[size]=100"
    assert len((await raw.get(path)).json["data"]) == 1


@pytest.mark.asyncio
async def test_one_time_link_needs_a_positive_lifetime(sandbox, raw):
    inquiry = await new_inquiry(raw)

    path = f"/inquiries/{inquiry}/generate-one-time-link"
    refused = await raw.post(path, json=meta(expires_in_seconds=-1))

    assert refused.status == 400


@pytest.mark.asyncio
async def test_undeclared_field_is_a_bad_request(sandbox, raw):
    inquiry = await new_inquiry(raw)
    given = body(fields={"no_such_field": "v"})

    refused = await raw.patch(f"/inquiries/{inquiry}", json=given)
    created = await raw.post("/inquiries", json=given)
    sandbox.switches.creation_checks_fields = False
    accepted = await raw.post("/inquiries", json=given)

    assert (refused.status, created.status, accepted.status) == (400, 400, 201)
    assert "no_such_field" not in refused.body.decode()


@pytest.mark.asyncio
async def test_undeclared_fields_of_other_objects_are_refused_when_the_switch_is_set(
    sandbox, raw
):
    account = sandbox.add_account().id
    given = body(fields={"no_such_field": "v"})

    accepted = await raw.patch(f"/accounts/{account}", json=given)
    sandbox.switches.others_check_fields = True
    refused = await raw.patch(
        f"/accounts/{account}", json=body(fields={"another": "v"})
    )

    assert (accepted.status, refused.status) == (200, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("selected-id-class", "pp", "choices"),
        ("account-purposes", ["salary"], "multi_choices"),
        ("application-metadata", {"Any_Key": [1]}, "json"),
        ("proof-of-address", {"id": "doc_1", "type": "Document::Generic"}, "generic"),
        (
            "current-government-id",
            {"id": "doc_1", "type": "Document::Generic"},
            "government_id",
        ),
        ("current-selfie", {"id": "self_1", "type": "Document::Generic"}, "selfie"),
    ],
)
async def test_fields_have_the_types_of_the_live_service(
    sandbox, raw, name, value, kind
):
    inquiry = await new_inquiry(raw)

    given = body(fields={name: value})
    changed = await raw.patch(f"/inquiries/{inquiry}", json=given)

    assert attributes(changed)["fields"][name] == {"type": kind, "value": value}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name-first", 42),
        ("selected-id-class", 1),
        ("account-purposes", "salary"),
        ("proof-of-address", "doc_1"),
        ("household-size", "three"),
        ("holds-public-office", 1),
    ],
)
async def test_value_of_another_type_is_a_bad_request(sandbox, raw, name, value):
    inquiry = await new_inquiry(raw)

    given = body(fields={name: value})
    refused = await raw.patch(f"/inquiries/{inquiry}", json=given)

    assert refused.status == 400


@pytest.mark.asyncio
async def test_tags_are_in_capitals(sandbox, raw):
    inquiry = await new_inquiry(raw, tags=["one"])
    account = (await raw.post("/accounts", json=body(tags=["one"]))).json["data"]
    report = sandbox.add_report().id

    await raw.post(f"/inquiries/{inquiry}/add-tag", json=meta(tag_name="two"))
    shown = await raw.get(f"/inquiries/{inquiry}")
    await raw.post(f"/inquiries/{inquiry}/remove-tag", json=meta(tag_name="two"))
    removed = await raw.get(f"/inquiries/{inquiry}")
    path = f"/reports/{report}/add-tag"
    as_sent = await raw.post(path, json=meta(tag_name="two"))
    sandbox.switches.other_tags_in_capitals = True
    in_capitals = await raw.post(path, json=meta(tag_name="three"))

    assert attributes(shown)["tags"] == ["ONE", "TWO"]
    assert attributes(removed)["tags"] == ["ONE"]
    assert account["attributes"]["tags"] == ["ONE"]
    assert attributes(as_sent)["tags"] == ["two"]
    assert attributes(in_capitals)["tags"] == ["two", "THREE"]


@pytest.mark.asyncio
async def test_unknown_account_type_is_not_found(sandbox, raw):
    refused = await raw.post("/accounts", json=body(account_type_id="acttp_missing"))

    assert (refused.status, refused.error["title"]) == (404, "Record not found")


@pytest.mark.asyncio
async def test_transaction_needs_a_known_type(sandbox, raw):
    known = sandbox.add_transaction_type().id

    statuses = [
        (await raw.post("/transactions", json=body(**given))).status
        for given in (
            {"fields": {}},
            {"transaction_type_id": "txntp_missing"},
            {"transaction_type_id": known},
        )
    ]

    assert statuses == [400, 404, 201]


@pytest.mark.asyncio
async def test_status_of_a_consolidation_is_a_switch(sandbox, raw):
    statuses = []
    for status in (200, 202):
        sandbox.switches.consolidate_status = status
        into, source = sandbox.add_account().id, sandbox.add_account().id
        given = meta(source_account_ids=[source])
        done = await raw.post(f"/accounts/{into}/consolidate", json=given)
        statuses.append(done.status)

    assert statuses == [200, 202]


@pytest.mark.asyncio
async def test_missing_permission_has_another_status_for_templates(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, permissions=["account.read"])

    async def statuses():
        paths = ("/inquiry-templates", "/inquiries")
        return [(await raw.get(path, key)).status for path in paths]

    assert await statuses() == [401, 403]
    sandbox.switches.template_permission_status = 403
    sandbox.switches.missing_permission_status = 401
    assert await statuses() == [403, 401]


@pytest.mark.asyncio
async def test_access_token_may_get_401_outside_its_scope(sandbox, raw):
    sandbox.switches.out_of_scope_status = 401
    token = await raw.token(f"inquiry.read:{sandbox.add_inquiry().id}")

    refused = await raw.get(f"/inquiries/{sandbox.add_inquiry().id}", token)

    assert refused.status == 401


@pytest.mark.asyncio
async def test_error_points_to_the_attribute_when_the_switch_is_set(sandbox, raw):
    given = body(inquiry_template_id=7)
    plain = await raw.post("/inquiries", json=given)
    sandbox.switches.error_pointers = True
    pointing = await raw.post("/inquiries", json=given)

    assert "source" not in plain.error
    pointer = "/data/attributes/inquiry-template-id"
    assert pointing.error["source"] == {"pointer": pointer}


@pytest.mark.asyncio
async def test_null_is_like_no_body_where_none_is_needed(sandbox, raw):
    token = await shared(raw, sandbox.add_inquiry().id)
    headers = {"Content-Type": "application/json"}

    redeemed = await raw.post(
        f"{TOKENS}/{token}/redeem",
        sandbox.destination.api_key,
        data=b"null",
        headers=headers,
    )
    refused = await raw.post("/inquiries", data=b"null", headers=headers)

    assert (redeemed.status, refused.status) == (202, 400)


@pytest.mark.asyncio
async def test_version_that_was_sent_twice_is_accepted(sandbox, raw):
    statuses = [
        (await raw.get("/accounts", headers={"Persona-Version": version})).status
        for version in (
            "2026-09-29",
            "2023-01-05, 2023-01-05",
            "2023-01-05, 2025-12-08",
        )
    ]

    assert statuses == [200, 200, 400]


@pytest.mark.asyncio
async def test_payload_of_a_custom_event_is_any_json(sandbox, raw):
    payloads = [{"Some_Key": {"anotherKey": 1}}, [1, "two"], "text", None]
    events = [
        sandbox.add_event(name="custom.thing.done", payload=each).id
        for each in payloads
    ]

    headers = {"Key-Inflection": "camel"}
    shown = [await raw.get(f"/events/{each}", headers=headers) for each in events]

    assert [attributes(each)["payload"] for each in shown] == payloads
    listed = await raw.get("/events?filter[object-id]=inq_1")
    assert listed.json["data"] == []


@pytest.mark.asyncio
async def test_archived_connection_is_named_by_its_share_tokens_only(sandbox, raw):
    connection = await connect(raw)
    token = await shared(raw, sandbox.add_inquiry().id, connection)

    sandbox.archive_connection(connection)

    listed = await raw.get("/connect/connections")
    retrieved = await raw.get(f"/connect/connections/{connection}")
    kept = await raw.get(f"{TOKENS}/{token}")
    another = await share(raw, sandbox.add_inquiry().id, connection)
    redeemed = await redeem(raw, token)
    assert listed.json["data"] == []
    assert retrieved.status == 404
    named = kept.json["data"]["relationships"]["connection"]["data"]["id"]
    assert named == connection
    assert (another.status, redeemed.status) == (422, 409)
    with pytest.raises(ValueError, match="no connection of this id"):
        sandbox.archive_connection("cxn_missing")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind",
    ["database-tin", "database-business", "business-website", "database-uk-dvla"],
)
async def test_new_verifications_can_be_peeked_at(sandbox, raw, kind):
    token = await shared(raw, sandbox.add_verification(kind=kind).id)

    path = f"{TOKENS}/{token}?peek-source-data=true"
    seen = await raw.get(path, sandbox.destination.api_key)

    data = attributes(seen)["source-data"]
    assert data["type"] == f"connect/source-data/verification/{kind}"


@pytest.mark.asyncio
async def test_share_token_may_be_refused_with_404(sandbox, raw):
    sandbox.switches.share_refusal_status = 404

    refused = await share(raw, "inq_missing", await connect(raw))

    assert refused.status == 404


@pytest.mark.asyncio
async def test_checks_of_verifications_have_a_category(sandbox, raw):
    verification = sandbox.add_verification(kind="crypto-wallet").id

    shown = await raw.get(f"/verifications/{verification}")

    assert {each["category"] for each in attributes(shown)["checks"]} == {None}


@pytest.mark.asyncio
async def test_document_is_as_irregular_as_real_ones_on_request(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
    sandbox.faults.real_payload("GET /inquiries/{inquiry-id}")

    path = f"/inquiries/{inquiry}?include=verifications"
    irregular, regular = await raw.get(path), await raw.get(path)

    assert attributes(irregular)["redacted-at"] == ""
    assert [each for each in irregular.json["included"] if "id" not in each]
    assert attributes(regular)["redacted-at"] is None
    assert all("id" in each for each in regular.json["included"])
