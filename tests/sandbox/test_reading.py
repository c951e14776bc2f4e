"""Reading: objects, query parameters, lists and searches."""

import pytest
from yarl import URL

from persona_share.sandbox.http.server import ROUTES, served_operations
from persona_share.sandbox.resources.verifications import SEGMENTS
from tests.sandbox.raw import meta


@pytest.mark.asyncio
async def test_inquiry_is_a_json_api_document_of_about_nine_kilobytes(sandbox, raw):
    (inquiry,) = sandbox.populate(1)

    response = await raw.get(f"/inquiries/{inquiry}")

    data = response.json["data"]
    assert set(response.json) == {"data"}
    assert (data["type"], data["id"]) == ("inquiry", inquiry)
    assert data["attributes"]["status"] == "completed"
    assert data["attributes"]["created-at"] == "2026-01-01T12:00:00.000Z"
    assert data["attributes"]["fields"]["name-first"]["type"] == "string"
    assert data["relationships"]["account"]["data"]["type"] == "account"
    assert 8_000 < len(response.body) < 10_000


@pytest.mark.asyncio
async def test_added_object_is_read_as_it_was_added(sandbox, raw):
    inquiry = sandbox.add_inquiry(
        status="created", reference_id="r-1", fields={"name-first": "Ann", "x": None}
    )

    attributes = (await raw.get(f"/inquiries/{inquiry.id}")).json["data"]["attributes"]

    assert attributes["status"] == "created"
    assert attributes["reference-id"] == "r-1"
    assert attributes["completed-at"] is None
    assert attributes["fields"]["name-first"] == {"type": "string", "value": "Ann"}


@pytest.mark.asyncio
async def test_verification_and_its_inquiry_relate_to_each_other(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    await raw.get(f"/inquiries/{inquiry}")
    verification = sandbox.add_verification(kind="selfie", inquiry=inquiry)

    one = (await raw.get(f"/verifications/{verification.id}")).json["data"]
    other = (await raw.get(f"/inquiries/{inquiry}")).json["data"]

    assert one["type"] == "verification/selfie"
    assert one["relationships"]["inquiry"]["data"]["id"] == inquiry
    assert other["relationships"]["verifications"]["data"] == [
        {"type": "verification/selfie", "id": verification.id}
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "segment"), SEGMENTS.items())
async def test_each_verification_type_has_its_own_path(sandbox, raw, kind, segment):
    mine = sandbox.add_verification(kind=kind).id
    other = sandbox.add_verification(kind="other").id

    response = await raw.get(f"/verification/{segment}/{mine}")

    assert response.json["data"]["type"] == f"verification/{kind}"
    assert (await raw.get(f"/verification/{segment}/{other}")).status == 404


@pytest.mark.asyncio
async def test_include_returns_the_requested_objects(sandbox, raw):
    (inquiry,) = sandbox.populate(1)

    async def included(include):
        response = await raw.get(f"/inquiries/{inquiry}?include={include}")
        return [item["type"] for item in response.json["included"]]

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
async def test_unknown_include_is_a_bad_request(sandbox, raw):
    inquiry = sandbox.add_inquiry().id

    assert (await raw.get(f"/inquiries/{inquiry}?include=cousins")).status == 400
    assert (await raw.get(f"/inquiries/{inquiry}?include=a.b.c")).status == 400
    assert (await raw.get("/inquiries?include=account")).status == 400


@pytest.mark.asyncio
async def test_fields_selects_attributes(sandbox, raw):
    (inquiry,) = sandbox.populate(1)
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
async def test_keys_are_inflected_except_inside_fields(sandbox, raw, inflection, key):
    inquiry = sandbox.add_inquiry().id
    headers = {"Key-Inflection": inflection}

    response = await raw.get(f"/inquiries/{inquiry}", headers=headers)

    data = response.json["data"]
    assert key in data["attributes"]
    assert "name-first" in data["attributes"]["fields"]
    assert data["type"] == "inquiry"


@pytest.mark.asyncio
async def test_before_2025_10_27_keys_in_fields_are_inflected_and_included_is_complete(
    sandbox, raw
):
    (inquiry,) = sandbox.populate(1)
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
async def test_versions_and_casings_are_checked(sandbox, raw, header, good, bad):
    inquiry = sandbox.add_inquiry().id

    right = await raw.get(f"/inquiries/{inquiry}", headers={header: good})
    wrong = await raw.get(f"/inquiries/{inquiry}", headers={header: bad})

    assert (right.status, wrong.status) == (200, 400)
    assert wrong.headers["Request-Id"]


@pytest.mark.asyncio
async def test_api_key_may_have_its_own_inflection(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, inflection="camel")
    inquiry = sandbox.add_inquiry().id

    response = await raw.get(f"/inquiries/{inquiry}", key)

    assert "createdAt" in response.json["data"]["attributes"]


@pytest.mark.asyncio
async def test_account_is_read_and_listed(sandbox, raw):
    account = sandbox.add_account(reference_id="a-1").id
    sandbox.add_account()

    one = await raw.get(f"/accounts/{account}")
    some = await raw.get("/accounts?filter[reference-id]=a-1")

    assert one.json["data"]["id"] == account
    assert [item["id"] for item in some.json["data"]] == [account]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path", ["/nothing", "/inquiries/a%2Fb", "/inquiries/..", "/inquiries/x/y", "/"]
)
async def test_unknown_path_is_not_found(raw, path):
    url = URL(raw.sandbox.url + path, encoded=True)  # goes out as it is
    key = {"Authorization": f"Bearer {raw.sandbox.source.api_key}"}

    async with raw.session.get(url, headers=key) as response:
        assert response.status == 404
        assert response.headers["Request-Id"]


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
async def test_unknown_parameter_is_a_bad_request_that_is_not_repeated(raw, path):
    response = await raw.get(path)

    assert response.status == 400
    assert b"color" not in response.body


@pytest.mark.asyncio
async def test_empty_header_is_not_a_missing_header(raw):
    for name in ("Key-Inflection", "Persona-Version"):
        assert (await raw.get("/inquiries", headers={name: ""})).status == 400


@pytest.mark.asyncio
async def test_unreadable_values_are_refused_and_not_repeated(sandbox, raw):
    secret = "canary" * 2000

    response = await raw.get(f"/inquiries?filter[note]={secret}")

    assert response.status == 400
    assert response.headers["Content-Type"] == "application/json"
    assert b"canary" not in response.body


@pytest.mark.asyncio
async def test_list_of_events_has_filters(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    sandbox.add_event(object=sandbox.add_inquiry().id)
    event = sandbox.add_event(object=inquiry, name="inquiry.declined").id

    for query in (
        f"id]={event}",
        "name]=inquiry.declined,inquiry.odd",
        f"object-id]={inquiry}",
    ):
        found = await raw.get(f"/events?filter[{query}")
        assert [each["id"] for each in found.json["data"]] == [event]


def test_every_operation_in_the_table_has_a_handler():
    served = {f"{each.method} {each.path}" for each in served_operations()}

    assert served == set(ROUTES) - {"GET /verifications"}
    assert len({each.operation_id for each in served_operations()}) == len(served)


@pytest.fixture
def ids(sandbox):
    """Return twenty-five inquiries, newest first."""
    made = []
    for number in range(25):
        made.append(sandbox.add_inquiry(id=f"inq_{number:02d}").id)
        sandbox.advance(1)
    return made[::-1]


def found(response):
    return [item["id"] for item in response.json["data"]]


@pytest.mark.asyncio
async def test_list_is_newest_first_and_followed_by_links(raw, ids):
    seen, path = [], "/inquiries"
    while path is not None:
        response = await raw.get(path)
        seen.append(found(response))
        link = response.json["links"]["next"]
        path = link and link.removeprefix("/api/v1")

    assert seen == [ids[:10], ids[10:20], ids[20:]]


@pytest.mark.asyncio
async def test_links_are_relative_and_percent_encoded_and_have_only_the_cursor(
    raw, ids
):
    response = await raw.get("/inquiries?page[size]=5&filter[status]=completed")

    assert response.json["links"] == {
        "prev": None,
        "next": f"/api/v1/inquiries?page%5Bafter%5D={ids[4]}",
    }


@pytest.mark.asyncio
async def test_links_may_repeat_filter_and_size(sandbox, raw, ids):
    sandbox.switches.links_repeat_query = True

    response = await raw.get("/inquiries?page[size]=5&filter[status]=completed")

    assert response.json["links"]["next"] == (
        f"/api/v1/inquiries?page%5Bafter%5D={ids[4]}"
        "&page%5Bsize%5D=5&filter%5Bstatus%5D=completed"
    )


@pytest.mark.asyncio
async def test_previous_page_ends_before_its_cursor(raw, ids):
    response = await raw.get(f"/inquiries?page[before]={ids[12]}&page[size]=3")

    assert found(response) == ids[9:12]
    assert response.json["links"]["prev"].endswith(ids[9])
    assert response.json["links"]["next"].endswith(ids[11])


@pytest.mark.asyncio
@pytest.mark.parametrize("size", ["0", "101", "-1", "x", "1.5", "", "9" * 5000])
async def test_size_outside_1_to_100_is_a_bad_request(raw, size):
    path = f"/inquiries?page[size]={size}"

    assert (await raw.get(path)).status == 400


@pytest.mark.asyncio
async def test_bad_cursor_is_a_bad_request(raw, ids):
    unknown = await raw.get("/inquiries?page[after]=inq_nowhere")
    both = await raw.get(f"/inquiries?page[after]={ids[0]}&page[before]={ids[1]}")

    assert (unknown.status, both.status) == (400, 400)


@pytest.mark.asyncio
async def test_filters_select_objects(sandbox, raw, ids):
    account = sandbox.add_account().id
    special = sandbox.add_inquiry(
        account=account, status="declined", note="n", reference_id="r"
    ).id

    for query in (
        f"inquiry-id]={special},inq_nowhere",
        f"account-id]={account}",
        "status]=declined,failed",
        "reference-id]=r",
        "note]=n",
        "created-at-start]=2026-01-01T12:00:25.000Z",
    ):
        assert found(await raw.get(f"/inquiries?filter[{query}")) == [special]
    early = "/inquiries?filter[created-at-end]=2026-01-01T12:00:01.000Z"
    assert found(await raw.get(early)) == ids[-2:]


@pytest.mark.asyncio
async def test_unknown_filter_or_101_ids_are_a_bad_request(raw):
    many = ",".join(f"inq_{n}" for n in range(101))

    assert (await raw.get("/inquiries?filter[color]=red")).status == 400
    assert (await raw.get(f"/inquiries?filter[inquiry-id]={many}")).status == 400


@pytest.mark.asyncio
async def test_organization_lists_its_own_objects(sandbox, raw, ids):
    mine = sandbox.add_inquiry(organization=sandbox.destination).id

    assert found(await raw.get("/inquiries", sandbox.destination.api_key)) == [mine]


@pytest.mark.asyncio
async def test_key_without_the_permission_may_not_list(sandbox, raw):
    key = sandbox.add_api_key(sandbox.source, permissions=["inquiry.write"])

    assert (await raw.get("/inquiries", key)).status == 403


@pytest.mark.asyncio
async def test_list_of_verifications_is_a_switch(sandbox, raw):
    verification = sandbox.add_verification().id

    undocumented = await raw.get("/verifications")
    sandbox.switches.lists_verifications = True
    served = await raw.get("/verifications")

    assert undocumented.status == 404
    assert found(served) == [verification]


def is_(attribute, value, operator="eq"):
    return {"attribute": attribute, "operator": operator, "value": value}


async def search(raw, query=None, path="/inquiries/search", **more):
    sent = more if query is None else {"query": query, **more}
    return await raw.post(path, json=sent)


async def found_ids(raw, query=None, **more):
    response = await search(raw, query, **more)
    return [item["id"] for item in response.json["data"]]


@pytest.fixture
def searched(sandbox):
    """Return four inquiries in the order of creation, one second apart."""
    made = []
    for status in ("created", "pending", "completed", "approved"):
        made.append(sandbox.add_inquiry(status=status, reference_id=f"r-{status}").id)
        sandbox.advance(1)
    return made


@pytest.mark.asyncio
async def test_searches_have_comparisons_and_clauses(raw, searched):
    early = is_("created_at", "2026-01-01T12:00:01.000Z", "lte")
    late = is_("created-at", "2026-01-01T12:00:02.000Z", "gt")
    either = {"or": [is_("status", "created"), is_("status", "approved")]}

    assert await found_ids(raw) == searched[::-1]
    assert await found_ids(raw, is_("reference_id", "r-pending")) == [searched[1]]
    assert await found_ids(raw, early) == [searched[1], searched[0]]
    assert await found_ids(raw, late) == [searched[3]]
    assert await found_ids(raw, either) == [searched[3], searched[0]]
    assert await found_ids(raw, {"and": [either, early]}) == [searched[0]]
    assert await found_ids(raw, {"not": is_("status", "created")}) == searched[:0:-1]
    assert await found_ids(raw, is_("status", 5)) == []


@pytest.mark.asyncio
async def test_results_are_sorted_on_request(raw, searched):
    sort = {"attribute": "status", "direction": "asc"}

    assert await found_ids(raw, sort=sort) == [
        searched[3],
        searched[2],
        searched[0],
        searched[1],
    ]
    assert await found_ids(raw, sort=sort | {"direction": "desc"}) == [
        searched[1],
        searched[0],
        searched[2],
        searched[3],
    ]


@pytest.mark.asyncio
async def test_page_may_be_in_the_body_or_in_the_query(raw, searched):
    first = await search(raw, page={"size": 3})
    cursor = first.json["links"]["next"].removeprefix("/api/v1")
    second = await search(raw, path=cursor, page={"size": 3})
    in_query = await search(raw, path="/inquiries/search?page[size]=1")

    assert [item["id"] for item in first.json["data"]] == searched[:0:-1]
    assert [item["id"] for item in second.json["data"]] == searched[:1]
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
async def test_invalid_search_is_a_bad_request(raw, query):
    assert (await search(raw, query)).status == 400


@pytest.mark.asyncio
async def test_invalid_sort_is_a_bad_request(raw):
    for sort in (
        {"attribute": "color", "direction": "asc"},
        {"attribute": "status", "direction": "up"},
        {"attribute": "status"},
    ):
        assert (await search(raw, sort=sort)).status == 400


@pytest.mark.asyncio
async def test_change_may_be_found_after_a_delay(sandbox, raw):
    inquiry = sandbox.add_inquiry().id
    sandbox.switches.search_delay = 60

    await raw.post(f"/inquiries/{inquiry}/add-tag", json=meta(tag_name="a"))
    early = await found_ids(raw)
    sandbox.advance(60)

    assert (early, await found_ids(raw)) == ([], [inquiry])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "plural", "query"),
    [
        ("account", "accounts", is_("status", "Default")),
        ("case", "cases", is_("status", "open")),
    ],
)
async def test_accounts_and_cases_are_searched(sandbox, raw, kind, plural, query):
    object_id = getattr(sandbox, f"add_{kind}")().id

    assert await found_ids(raw, query, path=f"/{plural}/search") == [object_id]


@pytest.mark.asyncio
async def test_access_token_finds_only_its_objects(sandbox, raw, searched):
    token = await raw.token(f"inquiry.read:{searched[2]}")

    response = await raw.post("/inquiries/search", token, json={})

    assert [item["id"] for item in response.json["data"]] == [searched[2]]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["account", "case"])
async def test_accounts_and_cases_are_found_by_their_fields(sandbox, raw, kind):
    add = getattr(sandbox, f"add_{kind}")
    mine = add(fields={"membership-level": "gold"}).id
    add(fields={"membership-level": "tin"})
    path = f"/{kind}s/search"

    level = "fields.membership_level"
    assert await found_ids(raw, is_(level, "gold"), path=path) == [mine]
    assert await found_ids(raw, is_("fields.other", "gold"), path=path) == []
    assert (await search(raw, is_(level, "gold"))).status == 400
