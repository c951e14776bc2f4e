"""Pages by cursor, newest first, and the filters of a list."""

import pytest


@pytest.fixture
def ids(box):
    """Twenty-five inquiries, newest first."""
    made = []
    for number in range(25):
        made.append(box.add_inquiry(id=f"inq_{number:02d}").id)
        box.advance(1)
    return made[::-1]


def found(answer):
    return [item["id"] for item in answer.json["data"]]


@pytest.mark.asyncio
async def test_a_list_walks_by_its_links_newest_first(raw, ids):
    seen, path = [], "/inquiries"
    while path is not None:
        answer = await raw.get(path)
        seen.append(found(answer))
        link = answer.json["links"]["next"]
        path = link and link.removeprefix("/api/v1")

    assert seen == [ids[:10], ids[10:20], ids[20:]]


@pytest.mark.asyncio
async def test_links_are_relative_percent_encoded_and_carry_the_cursor_only(raw, ids):
    answer = await raw.get("/inquiries?page[size]=5&filter[status]=completed")

    assert answer.json["links"] == {
        "prev": None,
        "next": f"/api/v1/inquiries?page%5Bafter%5D={ids[4]}",
    }


@pytest.mark.asyncio
async def test_links_may_repeat_filter_and_size(box, raw, ids):
    box.switches.links_repeat_query = True

    answer = await raw.get("/inquiries?page[size]=5&filter[status]=completed")

    assert answer.json["links"]["next"] == (
        f"/api/v1/inquiries?page%5Bafter%5D={ids[4]}"
        "&page%5Bsize%5D=5&filter%5Bstatus%5D=completed"
    )


@pytest.mark.asyncio
async def test_the_previous_page_ends_before_its_cursor(raw, ids):
    answer = await raw.get(f"/inquiries?page[before]={ids[12]}&page[size]=3")

    assert found(answer) == ids[9:12]
    assert answer.json["links"]["prev"].endswith(ids[9])
    assert answer.json["links"]["next"].endswith(ids[11])


@pytest.mark.asyncio
@pytest.mark.parametrize("size", ["0", "101", "-1", "x", "1.5", "", "9" * 5000])
async def test_a_size_outside_1_to_100_is_a_bad_request(raw, size):
    path = f"/inquiries?page[size]={size}"

    assert (await raw.get(path)).status == 400


@pytest.mark.asyncio
async def test_a_bad_cursor_is_a_bad_request(raw, ids):
    unknown = await raw.get("/inquiries?page[after]=inq_nowhere")
    both = await raw.get(f"/inquiries?page[after]={ids[0]}&page[before]={ids[1]}")

    assert (unknown.status, both.status) == (400, 400)


@pytest.mark.asyncio
async def test_filters_narrow_the_list(box, raw, ids):
    account = box.add_account().id
    special = box.add_inquiry(
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
async def test_an_unknown_filter_or_101_ids_are_a_bad_request(raw):
    many = ",".join(f"inq_{n}" for n in range(101))

    assert (await raw.get("/inquiries?filter[color]=red")).status == 400
    assert (await raw.get(f"/inquiries?filter[inquiry-id]={many}")).status == 400


@pytest.mark.asyncio
async def test_an_organization_lists_its_own_objects(box, raw, ids):
    mine = box.add_inquiry(organization=box.destination).id

    assert found(await raw.get("/inquiries", box.destination.api_key)) == [mine]


@pytest.mark.asyncio
async def test_a_key_without_the_permission_may_not_list(box, raw):
    key = box.add_api_key(box.source, permissions=["inquiry.write"])

    assert (await raw.get("/inquiries", key)).status == 403


@pytest.mark.asyncio
async def test_a_list_of_verifications_is_served_on_request_only(box, raw):
    verification = box.add_verification().id

    undocumented = await raw.get("/verifications")
    box.switches.lists_verifications = True
    served = await raw.get("/verifications")

    assert undocumented.status == 404
    assert found(served) == [verification]
