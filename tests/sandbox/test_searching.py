"""Searches by POST: clauses, order, pages, and how late they see a change."""

import pytest

from tests.sandbox.raw import meta


def is_(attribute, value, operator="eq"):
    return {"attribute": attribute, "operator": operator, "value": value}


async def search(raw, query=None, path="/inquiries/search", **more):
    sent = more if query is None else {"query": query, **more}
    return await raw.post(path, json=sent)


async def found(raw, query=None, **more):
    answer = await search(raw, query, **more)
    return [item["id"] for item in answer.json["data"]]


@pytest.fixture
def ids(box):
    """Four inquiries, one a second, in the order of their making."""
    made = []
    for status in ("created", "pending", "completed", "approved"):
        made.append(box.add_inquiry(status=status, reference_id=f"r-{status}").id)
        box.advance(1)
    return made


@pytest.mark.asyncio
async def test_comparisons_and_clauses_find_what_they_say(raw, ids):
    early = is_("created_at", "2026-01-01T12:00:01.000Z", "lte")
    late = is_("created-at", "2026-01-01T12:00:02.000Z", "gt")
    either = {"or": [is_("status", "created"), is_("status", "approved")]}

    assert await found(raw) == ids[::-1]
    assert await found(raw, is_("reference_id", "r-pending")) == [ids[1]]
    assert await found(raw, early) == [ids[1], ids[0]]
    assert await found(raw, late) == [ids[3]]
    assert await found(raw, either) == [ids[3], ids[0]]
    assert await found(raw, {"and": [either, early]}) == [ids[0]]
    assert await found(raw, {"not": is_("status", "created")}) == ids[:0:-1]
    assert await found(raw, is_("status", 5)) == []


@pytest.mark.asyncio
async def test_results_are_sorted_on_request(raw, ids):
    sort = {"attribute": "status", "direction": "asc"}

    assert await found(raw, sort=sort) == [ids[3], ids[2], ids[0], ids[1]]
    assert await found(raw, sort=sort | {"direction": "desc"}) == [
        ids[1],
        ids[0],
        ids[2],
        ids[3],
    ]


@pytest.mark.asyncio
async def test_the_page_stands_in_the_body_or_in_the_query(raw, ids):
    first = await search(raw, page={"size": 3})
    cursor = first.json["links"]["next"].removeprefix("/api/v1")
    second = await search(raw, path=cursor, page={"size": 3})
    in_query = await search(raw, path="/inquiries/search?page[size]=1")

    assert [item["id"] for item in first.json["data"]] == ids[:0:-1]
    assert [item["id"] for item in second.json["data"]] == ids[:1]
    assert "page%5Bsize%5D=1" in in_query.json["links"]["next"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "query",
    [
        is_("color", "red"),
        is_("status", "x", "like"),
        is_("status", []),
        is_(5, "x"),
        {"and": [is_("status", "x")] * 21},
        {"and": [{"or": [{"not": is_("status", "x")}]}]},
        {"and": []} | {"or": []},
        {"and": {}},
        {"not": []},
        {"xor": []},
    ],
)
async def test_a_query_that_cannot_be_read_is_a_bad_request(raw, query):
    assert (await search(raw, query)).status == 400


@pytest.mark.asyncio
async def test_an_order_that_cannot_be_read_is_a_bad_request(raw):
    for sort in (
        {"attribute": "color", "direction": "asc"},
        {"attribute": "status", "direction": "up"},
        {"attribute": "status"},
    ):
        assert (await search(raw, sort=sort)).status == 400


@pytest.mark.asyncio
async def test_a_change_may_be_found_late(box, raw):
    inquiry = box.add_inquiry().id
    box.switches.search_delay = 60

    await raw.post(f"/inquiries/{inquiry}/add-tag", json=meta(tag_name="a"))
    early = await found(raw)
    box.advance(60)

    assert (early, await found(raw)) == ([], [inquiry])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "plural", "query"),
    [
        ("account", "accounts", is_("status", "Default")),
        ("case", "cases", is_("status", "open")),
    ],
)
async def test_accounts_and_cases_are_searched_too(box, raw, kind, plural, query):
    object_id = getattr(box, f"add_{kind}")().id

    assert await found(raw, query, path=f"/{plural}/search") == [object_id]


@pytest.mark.asyncio
async def test_a_scoped_token_finds_its_own_objects(box, raw, ids):
    token = await raw.token(f"inquiry.read:{ids[2]}")

    answer = await raw.post("/inquiries/search", token, json={})

    assert [item["id"] for item in answer.json["data"]] == [ids[2]]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["account", "case"])
async def test_accounts_and_cases_are_found_by_their_fields(box, raw, kind):
    add = getattr(box, f"add_{kind}")
    mine = add(fields={"membership-level": "gold"}).id
    add(fields={"membership-level": "tin"})
    path = f"/{kind}s/search"

    level = "fields.membership_level"
    assert await found(raw, is_(level, "gold"), path=path) == [mine]
    assert await found(raw, is_("fields.other", "gold"), path=path) == []
    assert (await search(raw, is_(level, "gold"))).status == 400
