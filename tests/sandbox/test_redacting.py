"""Redaction: personal data go, the object and its history stay."""

import pytest

from tests.sandbox.raw import meta


PLURALS = {
    "account": "accounts",
    "case": "cases",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "transactions",
    "verification": "verifications",
}


def values_of(document):
    """Answer every text and number of a document."""
    if isinstance(document, dict):
        return {v for each in document.values() for v in values_of(each)}
    if isinstance(document, list):
        return {v for each in document for v in values_of(each)}
    return {document} if isinstance(document, str) else set()


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
async def test_t34_personal_data_go_and_the_object_stays(box, raw, kind, plural):
    secret = "canary of a person"
    more = {} if kind in ("report", "verification") else {"fields": {"x": secret}}
    if kind in ("report", "verification"):
        more = {"name_first": secret}
    object_id = getattr(box, f"add_{kind}")(**more).id
    path = f"/{plural}/{object_id}"
    before = await raw.get(path)

    answer = await raw.delete(path)

    after = await raw.get(path)
    assert secret in values_of(before.json)
    assert answer.json == after.json
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
async def test_it_happens_once_and_ends_every_change(box, raw, kind, plural):
    path = f"/{plural}/{getattr(box, f'add_{kind}')().id}"
    await raw.delete(path)

    again = await raw.delete(path)

    assert again.status == 409
    assert again.error["title"].endswith("already redacted")
    if kind != "verification":
        tagged = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
        assert tagged.status == 409


@pytest.mark.asyncio
async def test_what_belongs_to_an_inquiry_goes_with_it(box, raw):
    (inquiry,) = box.populate(1)
    document = box.add_document(inquiry=inquiry).id
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
async def test_it_may_go_a_little_later(box, raw):
    box.switches.redacts_related_at_once = False
    inquiry = box.add_inquiry().id
    path = f"/verifications/{box.add_verification(inquiry=inquiry).id}"

    await raw.delete(f"/inquiries/{inquiry}")
    at_once = (await raw.get(path)).json["data"]["attributes"]["redacted-at"]
    box.advance(1)
    later = (await raw.get(path)).json["data"]["attributes"]["redacted-at"]

    assert at_once is None
    assert later == "2026-01-01T12:00:01.000Z"


@pytest.mark.asyncio
async def test_it_takes_no_body(box, raw):
    path = f"/inquiries/{box.add_inquiry().id}"

    assert (await raw.delete(path, json={})).status == 400
    assert (await raw.get(path)).json["data"]["attributes"]["redacted-at"] is None
