"""Inquiries and their sessions: created, changed, decided, expired and resumed."""

import pytest

from tests.sandbox.raw import attributes, body, meta


async def events(raw, object_id):
    response = await raw.get(f"/events?filter[object-id]={object_id}")
    return [item["attributes"]["name"] for item in response.json["data"]]


@pytest.mark.asyncio
async def test_inquiry_is_created_with_the_given_attributes(sandbox, raw):
    account = sandbox.add_account().id
    fields = {"name-first": "text", "name-last": "text", "shoe-size": "number"}
    sandbox.add_inquiry_template(id="itmpl_1", fields=fields)

    made = await raw.post(
        "/inquiries",
        json=body(
            inquiry_template_id="itmpl_1",
            account_id=account,
            reference_id="r-1",
            note="n",
            tags=["a"],
            fields={"name-first": "Ann", "nameLast": "Lee", "shoe-size": 9},
        )
        | meta(expiration_after_create_interval_seconds=60),
    )

    data = made.json["data"]
    given = data["attributes"]
    assert made.status == 201
    assert (given["status"], given["reference-id"], given["note"]) == (
        "created",
        "r-1",
        "n",
    )
    assert given["expires-at"] == "2026-01-01T12:01:00.000Z"
    assert given["fields"]["name-first"] == {"type": "string", "value": "Ann"}
    assert given["fields"]["name-last"]["value"] == "Lee"
    assert given["fields"]["birthdate"]["value"] is None
    assert given["fields"]["shoe-size"] == {"type": "number", "value": 9}
    assert data["relationships"]["account"]["data"]["id"] == account
    assert data["relationships"]["inquiry-template"]["data"]["id"] == "itmpl_1"
    assert made.json["meta"]["session-token"] is None
    assert await events(raw, data["id"]) == ["inquiry.created"]


@pytest.mark.asyncio
async def test_links_and_session_tokens_are_created_on_request(sandbox, raw):
    made = await raw.post(
        "/inquiries",
        json=body(reference_id="r")
        | meta(
            auto_create_account=True,
            auto_create_inquiry_session=True,
            auto_create_one_time_link=True,
        ),
    )

    ways = made.json["meta"]
    kin = made.json["data"]["relationships"]
    account = await raw.get(f"/accounts/{kin['account']['data']['id']}")
    assert ways["session-token"].startswith("localbox_")
    assert ways["one-time-link"].startswith("http://127.0.0.1:")
    assert len(kin["sessions"]["data"]) == 1
    assert attributes(account)["reference-id"] == "r"
    assert attributes(account)["fields"]["name"]["value"]["first"]["value"] is None


@pytest.mark.asyncio
@pytest.mark.parametrize("keys", ["kebab", "camel", "snake"])
async def test_body_keys_are_read_in_each_casing(raw, keys):
    name = {"kebab": "reference-id", "camel": "referenceId", "snake": "reference_id"}
    given = {"data": {"attributes": {name[keys]: "r-1"}}}

    made = await raw.post("/inquiries", json=given)

    assert attributes(made)["reference-id"] == "r-1"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sent", "details"),
    [
        ({}, "data is missing"),
        ({"data": {}}, "data.attributes is missing"),
        ({"data": {"attributes": []}}, "data.attributes must be an object"),
        (body(note=3), "data.attributes.note must be a string"),
        (body(tags="a"), "data.attributes.tags must be an array"),
        (body() | meta(auto_create_account=1), "meta.auto_create_account must be a "),
        (body(color="red"), "an attribute was sent that is not permitted here"),
        (body(fields={"birthdate": 3}), "data.attributes.fields.birthdate must be a "),
        ([], "the body must be an object"),
    ],
)
async def test_invalid_body_is_a_bad_request(raw, sent, details):
    response = await raw.post("/inquiries", json=sent)

    assert response.status == 400
    assert response.error["details"].startswith(details)
    assert (await raw.get("/inquiries")).json["data"] == []


@pytest.mark.asyncio
async def test_body_that_is_not_json_is_a_bad_request(raw):
    headers = {"Content-Type": "application/json"}

    broken = await raw.post("/inquiries", data=b"{", headers=headers)
    form = await raw.post("/inquiries", data={"a": "b"})
    twice = b'{"data":{"attributes":{"note":"a","Note":"b"}}}'
    again = await raw.post("/inquiries", data=twice, headers=headers)

    assert (broken.status, form.status, again.status) == (400, 400, 400)


@pytest.mark.asyncio
async def test_unknown_attributes_may_be_ignored(sandbox, raw):
    sandbox.switches.refuses_unknown = False

    made = await raw.post("/inquiries?color=red", json=body(color="red", note="n"))

    assert made.status == 201
    assert attributes(made)["note"] == "n"


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [404, 422])
async def test_unknown_reference_is_refused(sandbox, raw, status):
    sandbox.switches.unknown_reference_status = status

    made = await raw.post("/inquiries", json=body(account_id="act_nowhere"))

    assert made.status == status


@pytest.mark.asyncio
async def test_update_merges_fields_and_sets_updated_at(sandbox, raw):
    inquiry = sandbox.add_inquiry(fields={"name-last": "Old"}).id
    before = await raw.get(f"/inquiries/{inquiry}")
    sandbox.advance(5)

    response = await raw.patch(
        f"/inquiries/{inquiry}", json=body(note="n", fields={"name-first": "Ann"})
    )

    after = attributes(await raw.get(f"/inquiries/{inquiry}"))
    assert attributes(response) == after
    assert after["updated-at"] == "2026-01-01T12:00:05.000Z"
    assert after["fields"]["name-first"]["value"] == "Ann"
    assert after["fields"]["name-last"]["value"] == "Old"
    assert attributes(before)["note"] is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("act", "status", "moment"),
    [
        ("approve", "approved", "decisioned-at"),
        ("decline", "declined", "decisioned-at"),
        ("mark-for-review", "needs_review", "marked-for-review-at"),
    ],
)
async def test_inquiry_is_approved_declined_or_marked(
    sandbox, raw, act, status, moment
):
    inquiry = sandbox.add_inquiry().id
    sandbox.advance(7)
    sent = {} if act == "mark-for-review" else {"json": meta(comment="because")}

    response = await raw.post(f"/inquiries/{inquiry}/{act}", **sent)

    given = attributes(response)
    word = {"needs_review": "marked-for-review"}.get(status, status)
    assert given["status"] == status
    assert given[moment] == "2026-01-01T12:00:07.000Z"
    assert given["reviewer-comment"] == ("because" if sent else None)
    assert await events(raw, inquiry) == [f"inquiry.{word}"]


@pytest.mark.asyncio
async def test_deciding_an_unfinished_inquiry_may_be_refused(sandbox, raw):
    inquiry = sandbox.add_inquiry(status="pending").id

    sandbox.switches.decides_unfinished = False
    refused = await raw.post(f"/inquiries/{inquiry}/approve")
    sandbox.switches.decides_unfinished = True
    served = await raw.post(f"/inquiries/{inquiry}/approve")

    assert (refused.status, served.status) == (409, 200)


@pytest.mark.asyncio
async def test_inquiry_expires_with_its_sessions_and_is_resumed(sandbox, raw):
    inquiry = sandbox.add_inquiry(status="pending").id

    ended = await raw.post(f"/inquiries/{inquiry}/expire")
    sessions = await raw.get(f"/inquiry-sessions?filter[inquiry-id]={inquiry}")
    resumed = await raw.post(f"/inquiries/{inquiry}/resume")

    assert attributes(ended)["status"] == "expired"
    assert attributes(ended)["expired-at"] == "2026-01-01T12:00:00.000Z"
    assert [each["attributes"]["status"] for each in sessions.json["data"]] == [
        "expired"
    ]
    assert attributes(resumed)["status"] == "pending"
    assert resumed.json["meta"]["session-token"].startswith("localbox_")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "act"),
    [("completed", "resume"), ("approved", "approve"), ("approved", "expire")],
)
async def test_change_that_the_status_does_not_allow_is_a_conflict(
    sandbox, raw, status, act
):
    inquiry = sandbox.add_inquiry(status=status).id

    assert (await raw.post(f"/inquiries/{inquiry}/{act}")).status == 409


@pytest.mark.asyncio
async def test_one_time_link_creates_a_session(sandbox, raw):
    inquiry = sandbox.add_inquiry(status="created").id

    response = await raw.post(
        f"/inquiries/{inquiry}/generate-one-time-link",
        json=meta(expires_in_seconds=60),
    )

    assert set(response.json["meta"]) == {"one-time-link", "one-time-link-short"}
    assert len(response.json["data"]["relationships"]["sessions"]["data"]) == 2


@pytest.mark.asyncio
async def test_simulated_actions_change_the_status(sandbox, raw):
    inquiry = sandbox.add_inquiry(status="created").id
    path = f"/inquiries/{inquiry}/perform-simulate-actions"
    actions = [
        {"type": "start_inquiry"},
        {
            "type": "create_failed_verification",
            "data": {"verification-template-id": "vtmpl_1"},
        },
        {"type": "complete_inquiry"},
    ]

    response = await raw.post(path, json=meta(simulate_actions=actions))
    unknown = await raw.post(path, json=meta(simulate_actions=[{"type": "dance"}]))

    assert attributes(response)["status"] == "completed"
    assert len(response.json["data"]["relationships"]["verifications"]["data"]) == 1
    assert await events(raw, inquiry) == ["inquiry.completed", "inquiry.started"]
    assert unknown.status == 400


@pytest.mark.asyncio
async def test_bad_include_is_refused_before_any_change(sandbox, raw):
    inquiry = sandbox.add_inquiry().id

    response = await raw.post(f"/inquiries/{inquiry}/approve?include=cousins")

    assert response.status == 400
    assert attributes(await raw.get(f"/inquiries/{inquiry}"))["status"] == "completed"


@pytest.mark.asyncio
async def test_response_to_a_change_has_the_requested_fields(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
    query = "include=account&fields[inquiry]=status&fields[account]=tags"

    document = (await raw.post(f"/inquiries/{inquiry}/approve?{query}")).json

    assert document["data"]["attributes"] == {"status": "approved"}
    assert document["included"][0]["attributes"] == {"tags": []}


async def sessions(raw, inquiry):
    response = await raw.get(f"/inquiry-sessions?filter[inquiry-id]={inquiry}")
    return response.json


@pytest.mark.asyncio
async def test_inquiry_has_a_session_with_a_device(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    sandbox.add_inquiry()

    listed = await sessions(raw, inquiry)

    (session,) = listed["data"]
    assert listed["links"] == {"prev": None, "next": None}
    assert session["relationships"]["inquiry"]["data"]["id"] == inquiry
    devices = await raw.get(f"/devices?filter[inquiry-session-id]={session['id']}")
    (device,) = devices.json["data"]
    assert device["id"] == session["relationships"]["device"]["data"]["id"]
    one = await raw.get(f"/devices/{device['id']}")
    assert one.json["data"] == device


@pytest.mark.asyncio
async def test_list_of_devices_needs_its_filter(raw):
    response = await raw.get("/devices")

    assert response.status == 400
    assert response.error["details"] == "filter.inquiry_session_id is missing"


@pytest.mark.asyncio
async def test_session_is_created_linked_and_expired(sandbox, raw):
    inquiry = sandbox.add_inquiry(status="created").id

    made = await raw.post("/inquiry-sessions", json=body(inquiry_id=inquiry))
    session = made.json["data"]["id"]
    link = await raw.post(f"/inquiry-sessions/{session}/generate-one-time-link")
    ended = await raw.post(f"/inquiry-sessions/{session}/expire")
    twice = await raw.post(f"/inquiry-sessions/{session}/expire")

    assert made.status == 201
    assert set(link.json["meta"]) == {"one-time-link", "one-time-link-short"}
    assert ended.json["data"]["attributes"]["status"] == "expired"
    assert twice.status == 409


@pytest.mark.asyncio
async def test_all_sessions_of_inquiries_are_expired(sandbox, raw):
    inquiries = [sandbox.add_inquiry().id for _ in range(2)]
    sandbox.add_inquiry_session(inquiry=inquiries[0])

    ended = await raw.post(
        "/inquiry-sessions/expire-all", json=meta(inquiry_ids=inquiries)
    )
    again = await raw.post(
        "/inquiry-sessions/expire-all", json=meta(inquiry_ids=inquiries)
    )

    assert len(ended.json["data"]) == 3
    assert again.json["data"] == []


@pytest.mark.asyncio
async def test_access_token_reads_sessions_through_their_inquiry(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    (session,) = (await sessions(raw, inquiry))["data"]
    device = session["relationships"]["device"]["data"]["id"]
    token = await raw.token(f"inquiry.read:{inquiry}")
    paths = (f"/inquiry-sessions/{session['id']}", f"/devices/{device}")

    together = [(await raw.get(path, token)).status for path in paths]
    sandbox.switches.sessions_come_with_inquiry = False
    alone = [(await raw.get(path, token)).status for path in paths]
    own = await raw.token(f"inquiry.read:{session['id']}")

    assert (together, alone) == ([200, 200], [403, 403])
    assert (await raw.get(paths[0], own)).status == 200


@pytest.mark.asyncio
async def test_session_needs_an_inquiry_and_a_device_a_session(sandbox, raw):
    with pytest.raises(ValueError, match="no inquiry"):
        sandbox.add_inquiry_session(inquiry="inq_nowhere")
    with pytest.raises(ValueError, match="no inquiry session"):
        sandbox.add_device(session="iqse_nowhere")
