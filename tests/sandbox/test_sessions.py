"""Inquiry sessions and their devices, which come with their inquiry."""

import pytest

from tests.sandbox.raw import body, meta


async def sessions(raw, inquiry):
    answer = await raw.get(f"/inquiry-sessions?filter[inquiry-id]={inquiry}")
    return answer.json


@pytest.mark.asyncio
async def test_an_inquiry_has_a_session_with_a_device(box, raw):
    inquiry = box.add_inquiry().id
    box.add_inquiry()

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
async def test_a_list_of_devices_needs_its_filter(raw):
    answer = await raw.get("/devices")

    assert answer.status == 400
    assert answer.error["details"] == "filter.inquiry_session_id is missing"


@pytest.mark.asyncio
async def test_a_session_is_made_linked_and_ended(box, raw):
    inquiry = box.add_inquiry(status="created").id

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
async def test_every_session_of_some_inquiries_is_ended(box, raw):
    inquiries = [box.add_inquiry().id for _ in range(2)]
    box.add_inquiry_session(inquiry=inquiries[0])

    ended = await raw.post(
        "/inquiry-sessions/expire-all", json=meta(inquiry_ids=inquiries)
    )
    again = await raw.post(
        "/inquiry-sessions/expire-all", json=meta(inquiry_ids=inquiries)
    )

    assert len(ended.json["data"]) == 3
    assert again.json["data"] == []


@pytest.mark.asyncio
async def test_a_scoped_token_reaches_them_through_the_inquiry(box, raw):
    inquiry = box.add_inquiry().id
    (session,) = (await sessions(raw, inquiry))["data"]
    device = session["relationships"]["device"]["data"]["id"]
    token = await raw.token(f"inquiry.read:{inquiry}")
    paths = (f"/inquiry-sessions/{session['id']}", f"/devices/{device}")

    together = [(await raw.get(path, token)).status for path in paths]
    box.switches.sessions_come_with_inquiry = False
    alone = [(await raw.get(path, token)).status for path in paths]
    own = await raw.token(f"inquiry.read:{session['id']}")

    assert (together, alone) == ([200, 200], [403, 403])
    assert (await raw.get(paths[0], own)).status == 200


@pytest.mark.asyncio
async def test_a_session_needs_an_inquiry_and_a_device_a_session(box, raw):
    with pytest.raises(ValueError, match="no inquiry"):
        box.add_inquiry_session(inquiry="inq_nowhere")
    with pytest.raises(ValueError, match="no inquiry session"):
        box.add_device(session="iqse_nowhere")
