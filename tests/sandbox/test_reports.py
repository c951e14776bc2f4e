"""Reports and their history; documents and verifications."""

import pytest

from tests.sandbox.raw import attributes, body


def relationships(answer):
    return answer.json["data"]["relationships"]


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


@pytest.mark.asyncio
async def test_a_report_is_asked_for_with_attributes(raw):
    answer = await raw.post("/reports", json={"data": {"type": "report/watchlist"}})

    assert answer.status == 400
    assert answer.error["details"] == "data.attributes is missing"
