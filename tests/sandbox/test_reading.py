"""Documents, pages, casings and versions of the retrieve and list operations."""

import pytest
from yarl import URL

from persona_share.sandbox.resources.verifications import SEGMENTS


@pytest.mark.asyncio
async def test_an_inquiry_is_a_json_api_document_of_about_nine_kilobytes(box, raw):
    (inquiry,) = box.populate(1)

    answer = await raw.get(f"/inquiries/{inquiry}")

    data = answer.json["data"]
    assert set(answer.json) == {"data"}
    assert (data["type"], data["id"]) == ("inquiry", inquiry)
    assert data["attributes"]["status"] == "completed"
    assert data["attributes"]["created-at"] == "2026-01-01T12:00:00.000Z"
    assert data["attributes"]["fields"]["name-first"]["type"] == "string"
    assert data["relationships"]["account"]["data"]["type"] == "account"
    assert 8_000 < len(answer.body) < 10_000


@pytest.mark.asyncio
async def test_what_a_test_adds_is_what_is_read(box, raw):
    inquiry = box.add_inquiry(
        status="created", reference_id="r-1", fields={"name-first": "Ann", "x": None}
    )

    attributes = (await raw.get(f"/inquiries/{inquiry.id}")).json["data"]["attributes"]

    assert attributes["status"] == "created"
    assert attributes["reference-id"] == "r-1"
    assert attributes["completed-at"] is None
    assert attributes["fields"]["name-first"] == {"type": "string", "value": "Ann"}


@pytest.mark.asyncio
async def test_a_verification_names_its_inquiry_and_is_named_by_it(box, raw):
    inquiry = box.add_inquiry().id
    await raw.get(f"/inquiries/{inquiry}")
    verification = box.add_verification(kind="selfie", inquiry=inquiry)

    one = (await raw.get(f"/verifications/{verification.id}")).json["data"]
    other = (await raw.get(f"/inquiries/{inquiry}")).json["data"]

    assert one["type"] == "verification/selfie"
    assert one["relationships"]["inquiry"]["data"]["id"] == inquiry
    assert other["relationships"]["verifications"]["data"] == [
        {"type": "verification/selfie", "id": verification.id}
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "segment"), SEGMENTS.items())
async def test_each_type_of_verification_has_a_path_of_its_own(box, raw, kind, segment):
    mine = box.add_verification(kind=kind).id
    other = box.add_verification(kind="other").id

    answer = await raw.get(f"/verification/{segment}/{mine}")

    assert answer.json["data"]["type"] == f"verification/{kind}"
    assert (await raw.get(f"/verification/{segment}/{other}")).status == 404


@pytest.mark.asyncio
async def test_include_answers_the_objects_that_are_asked_for(box, raw):
    (inquiry,) = box.populate(1)

    async def included(include):
        answer = await raw.get(f"/inquiries/{inquiry}?include={include}")
        return [item["type"] for item in answer.json["included"]]

    assert await included("") == []
    assert await included("account") == ["account"]
    assert await included("account,verifications") == [
        "account",
        "verification/government-id",
        "verification/selfie",
    ]
    assert await included("verifications.inquiry") == [
        "verification/government-id",
        "verification/selfie",
        "inquiry",
    ]


@pytest.mark.asyncio
async def test_include_of_what_does_not_exist_is_a_bad_request(box, raw):
    inquiry = box.add_inquiry().id

    assert (await raw.get(f"/inquiries/{inquiry}?include=cousins")).status == 400
    assert (await raw.get(f"/inquiries/{inquiry}?include=a.b.c")).status == 400
    assert (await raw.get("/inquiries?include=account")).status == 400


@pytest.mark.asyncio
async def test_fields_leaves_out_everything_else(box, raw):
    (inquiry,) = box.populate(1)
    query = "fields[inquiry]=status,fields.name-first&include=account&fields[account]="

    document = (await raw.get(f"/inquiries/{inquiry}?{query}")).json

    assert set(document["data"]) == {"type", "id", "attributes"}
    assert set(document["data"]["attributes"]) == {"status", "fields"}
    assert set(document["data"]["attributes"]["fields"]) == {"name-first"}
    assert document["included"][0]["attributes"] == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("inflection", "key"),
    [("camel", "createdAt"), ("kebab", "created-at"), ("snake", "created_at")],
)
async def test_keys_are_inflected_but_those_inside_fields_are_not(
    box, raw, inflection, key
):
    inquiry = box.add_inquiry().id
    headers = {"Key-Inflection": inflection}

    answer = await raw.get(f"/inquiries/{inquiry}", headers=headers)

    data = answer.json["data"]
    assert key in data["attributes"]
    assert "name-first" in data["attributes"]["fields"]
    assert data["type"] == "inquiry"


@pytest.mark.asyncio
async def test_before_2025_10_27_fields_are_inflected_and_kin_comes_along(box, raw):
    (inquiry,) = box.populate(1)
    headers = {"Key-Inflection": "camel", "Persona-Version": "2023-01-05"}

    document = (await raw.get(f"/inquiries/{inquiry}", headers=headers)).json

    assert "nameFirst" in document["data"]["attributes"]["fields"]
    assert {item["type"] for item in document["included"]} == {
        "account",
        "inquiry-session",
        "inquiry-template",
        "inquiry-template-version",
        "verification/government-id",
        "verification/selfie",
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("header", "good", "bad"),
    [
        ("Key-Inflection", "snake", "pascal"),
        ("Persona-Version", "2026-09-29", "newest"),
    ],
)
async def test_versions_and_casings_are_checked(box, raw, header, good, bad):
    inquiry = box.add_inquiry().id

    right = await raw.get(f"/inquiries/{inquiry}", headers={header: good})
    wrong = await raw.get(f"/inquiries/{inquiry}", headers={header: bad})

    assert (right.status, wrong.status) == (200, 400)
    assert wrong.headers["Request-Id"]


@pytest.mark.asyncio
async def test_an_api_key_may_have_a_casing_of_its_own(box, raw):
    key = box.add_api_key(box.source, inflection="camel")
    inquiry = box.add_inquiry().id

    answer = await raw.get(f"/inquiries/{inquiry}", key)

    assert "createdAt" in answer.json["data"]["attributes"]


@pytest.mark.asyncio
async def test_an_account_is_read_and_listed(box, raw):
    account = box.add_account(reference_id="a-1").id
    box.add_account()

    one = await raw.get(f"/accounts/{account}")
    some = await raw.get("/accounts?filter[reference-id]=a-1")

    assert one.json["data"]["id"] == account
    assert [item["id"] for item in some.json["data"]] == [account]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path", ["/nothing", "/inquiries/a%2Fb", "/inquiries/..", "/inquiries/x/y", "/"]
)
async def test_a_path_that_is_no_operation_is_not_found(raw, path):
    url = URL(raw.box.url + path, encoded=True)  # goes out as it is
    key = {"Authorization": f"Bearer {raw.box.source.api_key}"}

    async with raw.session.get(url, headers=key) as answer:
        assert answer.status == 404
        assert answer.headers["Request-Id"]
