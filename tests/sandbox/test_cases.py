"""Cases: made, worked on, and found by what belongs to them."""

import pytest

from tests.sandbox.raw import attributes, body, meta


def relationships(answer):
    return answer.json["data"]["relationships"]


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
