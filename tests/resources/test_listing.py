"""A listing is a page when awaited and every object when iterated (T2, F58)."""

import pytest

from persona_share.errors import InvalidArgumentError, MalformedResponseError
from persona_share.model.inquiry import Inquiry
from tests.resources.conftest import answer, item


PATH = "/api/v1/inquiries"


def page(*ids, after=None, before=None, path=PATH, **more):
    links = {
        "next": after and f"{path}?page%5Bafter%5D={after}",
        "prev": before and f"{path}?page%5Bbefore%5D={before}",
    }
    data = [item("inquiry", each) for each in ids]
    return answer({"data": data, "links": links, **more})


@pytest.mark.asyncio
async def test_awaited_it_is_one_page_with_the_cursors_around_it(stage):
    there = stage(page("inq_3", "inq_2", after="inq_2", before="inq_3"))

    found = await there.client.inquiries.list(page_size=2)

    assert [each.id for each in found] == ["inq_3", "inq_2"]
    assert len(found) == 2
    assert (found.after, found.before) == ("inq_2", "inq_3")
    assert all(isinstance(each, Inquiry) for each in found.items)
    assert there.requests[0].target == "/inquiries?page%5Bsize%5D=2"


@pytest.mark.asyncio
async def test_iterated_it_is_every_object_of_every_page(stage):
    there = stage(
        page("inq_3", "inq_2", after="inq_2"), page("inq_1", after="inq_1"), page()
    )

    found = [each.id async for each in there.client.inquiries.list()]

    assert found == ["inq_3", "inq_2", "inq_1"]


@pytest.mark.asyncio
async def test_every_page_is_asked_for_with_the_same_filter_fields_and_size(stage):
    there = stage(page("inq_2", after="inq_2"), page("inq_1"))

    _ = [
        each
        async for each in there.client.inquiries.list(
            status=["approved", "declined"], fields={"inquiry": ["status"]}, page_size=1
        )
    ]

    first, second = (each.target for each in there.requests)
    asked = (
        "/inquiries?fields%5Binquiry%5D=status&filter%5Bstatus%5D=approved%2Cdeclined"
        "&page%5Bsize%5D=1"
    )
    assert first == asked
    assert second == f"{asked}&page%5Bafter%5D=inq_2"


@pytest.mark.asyncio
async def test_a_walk_goes_on_from_the_cursor_of_an_earlier_page(stage):
    there = stage(page("inq_1"))

    pages = [each async for each in there.client.inquiries.list().pages(after="inq_2")]

    assert [each.id for each in pages[0]] == ["inq_1"]
    assert there.requests[0].target == "/inquiries?page%5Bafter%5D=inq_2"


@pytest.mark.asyncio
async def test_a_walk_backwards_follows_the_other_cursor(stage):
    there = stage(page("inq_2", after="inq_2", before="inq_2"), page("inq_3"))

    found = [each.id async for each in there.client.inquiries.list(before="inq_1")]

    assert found == ["inq_2", "inq_3"]
    assert [each.target for each in there.requests] == [
        "/inquiries?page%5Bbefore%5D=inq_1",
        "/inquiries?page%5Bbefore%5D=inq_2",
    ]


@pytest.mark.asyncio
async def test_a_search_repeats_its_body_and_has_its_page_in_the_query(stage):
    path = "/api/v1/inquiries/search"
    there = stage(page("inq_2", after="inq_2", path=path), page("inq_1", path=path))
    query = {"attribute": "status", "operator": "eq", "value": "approved"}

    found = [
        each.id async for each in there.client.inquiries.search(query, page_size=5)
    ]

    assert found == ["inq_2", "inq_1"]
    assert there.bodies == [{"query": query}, {"query": query}]
    first, second = there.requests
    assert first.target == "/inquiries/search?page%5Bsize%5D=5"
    assert second.target.endswith("&page%5Bafter%5D=inq_2")
    assert first.idempotency_key != second.idempotency_key
    assert first.repeatable


@pytest.mark.asyncio
async def test_t2_a_hostile_link_costs_no_request_and_no_object_before_it(stage):
    there = stage(
        page("inq_1", after="x", path="https://evil.example/api/v1/inquiries")
    )
    walk = aiter(there.client.inquiries.list())

    assert (await anext(walk)).id == "inq_1"
    with pytest.raises(MalformedResponseError, match="another origin") as caught:
        await anext(walk)

    assert len(there.requests) == 1
    assert "evil" not in str(caught.value)


@pytest.mark.asyncio
async def test_t2_a_page_with_a_hostile_link_can_be_read_but_not_left(stage):
    there = stage(page("inq_1", after="x", path="/api/v1/api-keys"))

    found = await there.client.inquiries.list()

    assert len(found) == 1
    with pytest.raises(MalformedResponseError, match="another path"):
        _ = found.after


@pytest.mark.asyncio
async def test_f58_a_listing_that_goes_in_circles_ends(stage):
    there = stage(page("inq_2", after="a"), page("inq_1", after="b"), page(after="a"))

    with pytest.raises(MalformedResponseError, match="returns to"):
        _ = [each async for each in there.client.inquiries.list()]

    assert len(there.requests) == 3


@pytest.mark.asyncio
async def test_f58_an_empty_page_is_not_the_end_if_there_is_a_next(stage):
    there = stage(page(after="a"), page("inq_1"))

    assert [each.id async for each in there.client.inquiries.list()] == ["inq_1"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "document",
    [
        {"data": item("inquiry", "inq_1")},
        {"data": [item("account", "act_1")]},
        {"data": [{"type": "inquiry"}]},
        {"data": ["inq_1"]},
        {"data": None},
        [],
    ],
)
async def test_f57_what_is_no_list_of_the_kind_is_refused(stage, document):
    with pytest.raises(MalformedResponseError):
        await stage(answer(document)).client.inquiries.list()


@pytest.mark.asyncio
async def test_f57_inquiries_are_not_taken_from_a_list_of_accounts(stage):
    there = stage(answer({"data": [item("inquiry", "inq_1")]}))

    with pytest.raises(MalformedResponseError, match="other than Account"):
        await there.client.accounts.list()


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 0},
        {"page_size": 101},
        {"after": "a", "before": "b"},
        {"idempotency_key": "mine"},
        {"filter": {"status": "a"}, "status": "created"},
        {"fields": {"inquiry": "status"}},
    ],
)
def test_what_can_be_no_listing_is_refused_when_it_is_named(stage, wrong):
    with pytest.raises(InvalidArgumentError):
        stage().client.inquiries.list(**wrong)


@pytest.mark.asyncio
async def test_a_filter_takes_names_in_either_spelling_and_nested_ones(stage):
    there = stage(answer({"data": []}))

    await there.client.transactions.list(
        filter={"reference-id": "r", "transaction_type_id": "t"},
        identifier={"key": "k", "value": "a+b"},
    )

    assert there.requests[0].target == (
        "/transactions?filter%5Breference-id%5D=r&filter%5Btransaction-type-id%5D=t"
        "&filter%5Bidentifier%5D%5Bkey%5D=k&filter%5Bidentifier%5D%5Bvalue%5D=a%2Bb"
    )


@pytest.mark.asyncio
async def test_limits_have_no_id_and_no_links(stage):
    limit = {"limit": 300, "remaining": 299, "seconds-to-reset": 60}
    there = stage(answer({"data": [{"type": "rate-limit/api", "attributes": limit}]}))

    (found,) = await there.client.rate_limits.list()

    assert (found.limit, found.remaining, found.seconds_to_reset) == (300, 299, 60)
    assert found.id == ""


@pytest.mark.asyncio
async def test_what_was_done_with_a_report_has_its_attributes_beside_its_id(stage):
    run = {"type": "run", "id": "rpr_1", "run-type": "scheduled", "matches": 30}
    brand_new = {"type": "brand-new", "id": "ract_1", "creator-name": "Someone"}
    there = stage(answer({"data": [run, brand_new]}))

    first, second = await there.client.reports.history("rep_1")

    assert (first.type, first.run_type, first.matches) == ("run", "scheduled", 30)
    assert (second.type, second.creator_name) == ("brand-new", "Someone")


def test_a_listing_shows_what_it_lists(stage):
    assert repr(stage().client.inquiries.list()) == "<Listing of Inquiry>"
