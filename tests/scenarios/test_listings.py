"""Listings and searches with real cursors, forwards, backwards and abandoned."""

import pytest

from persona_share.errors import MalformedResponseError
from tests.event_loop import run_iterations


LIST = "GET /inquiries"
SEARCH = "POST /inquiries/search"
COMPLETED = {"attribute": "status", "operator": "eq", "value": "completed"}


def add(scenario, count, **attributes):
    """Add inquiries; return their ids, newest first as the API lists them."""
    ids = []
    for _ in range(count):
        ids.append(scenario.sandbox.add_inquiry(**attributes).id)
        scenario.clock.advance(1)
    return ids[::-1]


@pytest.mark.asyncio
@pytest.mark.parametrize("links_repeat_query", [False, True])
async def test_listing_yields_each_inquiry_once_when_links_repeat_parameters(
    scenario, links_repeat_query
):
    scenario.sandbox.switches.links_repeat_query = links_repeat_query
    wanted = add(scenario, 25)
    add(scenario, 3, status="expired")

    listing = scenario.source.inquiries.list(status="completed", page_size=7)

    assert [each.id async for each in listing] == wanted
    assert scenario.sandbox.log.count(LIST) == 4


@pytest.mark.asyncio
async def test_listing_continues_from_a_cursor_in_either_direction(scenario):
    wanted = add(scenario, 10)
    inquiries = scenario.source.inquiries

    first = await inquiries.list(page_size=4)
    rest = [each.id async for each in inquiries.list(page_size=4, after=first.after)]
    last = await inquiries.list(page_size=4, after=rest[3])
    back = [
        [each.id for each in page]
        async for page in inquiries.list(page_size=4).pages(before=last.before)
    ]

    assert [each.id for each in first] + rest == wanted
    assert [each.id for each in last] == wanted[8:]
    assert last.after is None
    assert back == [wanted[4:8], wanted[:4]]


@pytest.mark.asyncio
async def test_search_gets_its_pages_by_post(scenario):
    wanted = add(scenario, 12)
    add(scenario, 5, status="created")
    query = {"and": [COMPLETED]}

    found = scenario.source.inquiries.search(query, page_size=5)

    assert [each.id async for each in found] == wanted
    assert scenario.sandbox.log.count(SEARCH) == 3


@pytest.mark.asyncio
async def test_accounts_and_cases_are_searched_as_well(scenario):
    account = scenario.sandbox.add_account(fields={"membership": "gold"})
    scenario.sandbox.add_account(fields={"membership": "tin"})
    case = scenario.sandbox.add_case(status="open")
    scenario.sandbox.add_case(status="closed")

    accounts = await scenario.source.accounts.search(
        {"attribute": "fields.membership", "operator": "eq", "value": "gold"}
    )
    cases = await scenario.source.cases.search(
        {"attribute": "status", "operator": "eq", "value": "open"}
    )

    assert [each.id for each in accounts] == [account.id]
    assert [each.id for each in cases] == [case.id]


@pytest.mark.asyncio
async def test_filter_is_a_plain_argument_or_a_mapping(scenario):
    account = scenario.sandbox.add_account()
    mine = scenario.sandbox.add_inquiry(account=account.id, reference_id="r-1")
    scenario.sandbox.add_inquiry(reference_id="r-2")
    inquiries = scenario.source.inquiries

    by_name = await inquiries.list(account_id=account.id, inquiry_id=[mine.id, "inq_x"])
    by_mapping = await inquiries.list(filter={"reference-id": "r-1"})

    assert [each.id for each in by_name] == [mine.id]
    assert [each.id for each in by_mapping] == [mine.id]


@pytest.mark.asyncio
async def test_f75_listing_sends_nothing_after_it_is_abandoned(scenario):
    add(scenario, 20)

    async for each in scenario.source.inquiries.list(page_size=5):
        first = each
        break
    await run_iterations()
    again = await scenario.source.inquiries.retrieve(first.id)

    assert again.id == first.id
    assert scenario.sandbox.log.count(LIST) == 1


@pytest.mark.asyncio
async def test_f75_abandoned_listing_can_be_continued(scenario):
    wanted = add(scenario, 12)
    pages = scenario.source.inquiries.list(page_size=5).pages()

    first = await anext(pages)
    await pages.aclose()
    rest = [
        each.id
        async for each in scenario.source.inquiries.list(page_size=5, after=first.after)
    ]

    assert [each.id for each in first] + rest == wanted
    assert scenario.sandbox.log.count(LIST) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/v1/inquiries?page%5Bafter%5D=x",
        "/api/v1/accounts?page%5Bafter%5D=x",
        "/api/v1/../../inquiries?page%5Bafter%5D=x",
        "//evil.example/api/v1/inquiries?page%5Bafter%5D=x",
    ],
)
async def test_f58_link_to_another_origin_is_not_followed(scenario, link):
    body = {"data": [], "links": {"next": link, "prev": None}}
    scenario.sandbox.faults.answer(LIST, 200, body=body)

    with pytest.raises(MalformedResponseError):
        _ = [each async for each in scenario.source.inquiries.list()]

    assert len(scenario.sandbox.log) == 1


@pytest.mark.asyncio
async def test_f58_listing_ends_when_links_form_a_cycle(scenario):
    for cursor in ("inq_1", "inq_2", "inq_1"):
        link = f"/api/v1/inquiries?page%5Bafter%5D={cursor}"
        body = {"data": [], "links": {"next": link, "prev": None}}
        scenario.sandbox.faults.answer(LIST, 200, body=body)

    with pytest.raises(MalformedResponseError):
        _ = [each async for each in scenario.source.inquiries.list()]

    assert scenario.sandbox.log.count(LIST) == 3


@pytest.mark.asyncio
async def test_scoped_session_lists_the_objects_of_its_scope(scenario):
    mine, *_ = add(scenario, 3)
    async with scenario.manager() as manager:
        session = manager.session(f"inquiry.read:{mine}")
        found = [each.id async for each in session.inquiries.list()]

    assert found == [mine]
