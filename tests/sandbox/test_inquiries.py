"""Inquiries: made, changed, decided on, ended and begun again."""

import pytest

from tests.sandbox.raw import attributes, body, meta


async def events(raw, object_id):
    answer = await raw.get(f"/events?filter[object-id]={object_id}")
    return [item["attributes"]["name"] for item in answer.json["data"]]


@pytest.mark.asyncio
async def test_an_inquiry_is_made_with_what_is_known(box, raw):
    account = box.add_account().id
    fields = {"name-first": "text", "name-last": "text", "shoe-size": "number"}
    box.add_inquiry_template(id="itmpl_1", fields=fields)

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
async def test_ways_into_an_inquiry_are_made_on_request(box, raw):
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
async def test_keys_of_a_body_have_any_casing(raw, keys):
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
async def test_a_body_that_is_wrong_is_a_bad_request(raw, sent, details):
    answer = await raw.post("/inquiries", json=sent)

    assert answer.status == 400
    assert answer.error["details"].startswith(details)
    assert (await raw.get("/inquiries")).json["data"] == []


@pytest.mark.asyncio
async def test_no_json_is_a_bad_request(raw):
    headers = {"Content-Type": "application/json"}

    broken = await raw.post("/inquiries", data=b"{", headers=headers)
    form = await raw.post("/inquiries", data={"a": "b"})
    twice = b'{"data":{"attributes":{"note":"a","Note":"b"}}}'
    again = await raw.post("/inquiries", data=twice, headers=headers)

    assert (broken.status, form.status, again.status) == (400, 400, 400)


@pytest.mark.asyncio
async def test_what_nobody_documents_may_be_ignored(box, raw):
    box.switches.refuses_unknown = False

    made = await raw.post("/inquiries?color=red", json=body(color="red", note="n"))

    assert made.status == 201
    assert attributes(made)["note"] == "n"


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [404, 422])
async def test_a_reference_to_nothing_is_refused(box, raw, status):
    box.switches.unknown_reference_status = status

    made = await raw.post("/inquiries", json=body(account_id="act_nowhere"))

    assert made.status == status


@pytest.mark.asyncio
async def test_an_update_merges_fields_and_moves_the_clock(box, raw):
    inquiry = box.add_inquiry(fields={"name-last": "Old"}).id
    before = await raw.get(f"/inquiries/{inquiry}")
    box.advance(5)

    answer = await raw.patch(
        f"/inquiries/{inquiry}", json=body(note="n", fields={"name-first": "Ann"})
    )

    after = attributes(await raw.get(f"/inquiries/{inquiry}"))
    assert attributes(answer) == after
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
async def test_an_inquiry_is_decided_on(box, raw, act, status, moment):
    inquiry = box.add_inquiry().id
    box.advance(7)
    sent = {} if act == "mark-for-review" else {"json": meta(comment="because")}

    answer = await raw.post(f"/inquiries/{inquiry}/{act}", **sent)

    given = attributes(answer)
    word = {"needs_review": "marked-for-review"}.get(status, status)
    assert given["status"] == status
    assert given[moment] == "2026-01-01T12:00:07.000Z"
    assert given["reviewer-comment"] == ("because" if sent else None)
    assert await events(raw, inquiry) == [f"inquiry.{word}"]


@pytest.mark.asyncio
async def test_an_unfinished_inquiry_may_not_be_decidable(box, raw):
    inquiry = box.add_inquiry(status="pending").id

    box.switches.decides_unfinished = False
    refused = await raw.post(f"/inquiries/{inquiry}/approve")
    box.switches.decides_unfinished = True
    served = await raw.post(f"/inquiries/{inquiry}/approve")

    assert (refused.status, served.status) == (409, 200)


@pytest.mark.asyncio
async def test_an_inquiry_ends_with_its_sessions_and_begins_again(box, raw):
    inquiry = box.add_inquiry(status="pending").id

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
async def test_what_the_state_does_not_allow_is_a_conflict(box, raw, status, act):
    inquiry = box.add_inquiry(status=status).id

    assert (await raw.post(f"/inquiries/{inquiry}/{act}")).status == 409


@pytest.mark.asyncio
async def test_a_one_time_link_is_a_new_session(box, raw):
    inquiry = box.add_inquiry(status="created").id

    answer = await raw.post(
        f"/inquiries/{inquiry}/generate-one-time-link",
        json=meta(expires_in_seconds=60),
    )

    assert set(answer.json["meta"]) == {"one-time-link", "one-time-link-short"}
    assert len(answer.json["data"]["relationships"]["sessions"]["data"]) == 2


@pytest.mark.asyncio
async def test_simulated_actions_move_an_inquiry_on(box, raw):
    inquiry = box.add_inquiry(status="created").id
    path = f"/inquiries/{inquiry}/perform-simulate-actions"
    actions = [
        {"type": "start_inquiry"},
        {
            "type": "create_failed_verification",
            "data": {"verification-template-id": "vtmpl_1"},
        },
        {"type": "complete_inquiry"},
    ]

    answer = await raw.post(path, json=meta(simulate_actions=actions))
    unknown = await raw.post(path, json=meta(simulate_actions=[{"type": "dance"}]))

    assert attributes(answer)["status"] == "completed"
    assert len(answer.json["data"]["relationships"]["verifications"]["data"]) == 1
    assert await events(raw, inquiry) == ["inquiry.completed", "inquiry.started"]
    assert unknown.status == 400


@pytest.mark.asyncio
async def test_a_bad_include_is_refused_before_anything_is_done(box, raw):
    inquiry = box.add_inquiry().id

    answer = await raw.post(f"/inquiries/{inquiry}/approve?include=cousins")

    assert answer.status == 400
    assert attributes(await raw.get(f"/inquiries/{inquiry}"))["status"] == "completed"


@pytest.mark.asyncio
async def test_a_change_answers_in_the_view_that_is_asked_for(box, raw):
    (inquiry,) = box.populate(1)
    query = "include=account&fields[inquiry]=status&fields[account]=tags"

    document = (await raw.post(f"/inquiries/{inquiry}/approve?{query}")).json

    assert document["data"]["attributes"] == {"status": "approved"}
    assert document["included"][0]["attributes"] == {"tags": []}
