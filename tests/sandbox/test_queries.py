"""Which query parameters are known, and what is not HTTP at all."""

import pytest

from persona_share.sandbox.http.server import ROUTES, served_operations


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    [
        "/inquiries?color=red",
        "/inquiries?page[number]=2",
        "/inquiries?filter[status]=a&filter[status]=b",
        "/inquiries?fields=status",
        "/inquiries?fields[]=status",
        "/inquiries?fields[a][b]=status",
        "/devices?page[size]=1",
        "/events?filter[color]=red",
        "/rate-limits?include=x",
        "/inquiries?filter[created-at-start]=yesterday",
    ],
)
async def test_an_unknown_parameter_is_a_bad_request_that_is_not_repeated(raw, path):
    answer = await raw.get(path)

    assert answer.status == 400
    assert b"color" not in answer.body


@pytest.mark.asyncio
async def test_an_empty_header_is_not_no_header(raw):
    for name in ("Key-Inflection", "Persona-Version"):
        assert (await raw.get("/inquiries", headers={name: ""})).status == 400


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_refused_without_repeating_it(box, raw):
    secret = "canary" * 2000

    answer = await raw.get(f"/inquiries?filter[note]={secret}")

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert b"canary" not in answer.body


@pytest.mark.asyncio
async def test_the_list_of_events_has_filters(box, raw):
    inquiry = box.add_inquiry().id
    box.add_event(object=box.add_inquiry().id)
    event = box.add_event(object=inquiry, name="inquiry.declined").id

    for query in (
        f"id]={event}",
        "name]=inquiry.declined,inquiry.odd",
        f"object-id]={inquiry}",
    ):
        found = await raw.get(f"/events?filter[{query}")
        assert [each["id"] for each in found.json["data"]] == [event]


def test_every_documented_operation_in_the_table_is_served():
    served = {f"{each.method} {each.path}" for each in served_operations()}

    assert served == set(ROUTES) - {"GET /verifications"}
    assert len({each.operation_id for each in served_operations()}) == len(served)
