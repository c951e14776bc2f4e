"""The methods that several kinds of objects have in common, and listings."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

import pytest

from persona_share.errors import (
    InvalidArgumentError,
    MalformedResponseError,
    ScopeNotCoveredError,
)
from persona_share.model.inquiry import Inquiry
from persona_share.model.scope import Scope
from persona_share.model.verification import GovernmentIdVerification, Verification
from tests.resources.conftest import item, make_response, one


# ── Collections ──────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_named_values_become_attributes_and_meta_in_the_api_s_spelling(harness):
    there = harness(one("inquiry", "inq_1"))

    await there.client.inquiries.create(
        inquiry_template_id="itmpl_1",
        fields={"name-first": "Jane", "birthdate": date(1990, 1, 2)},
        auto_create_account=True,
        attributes={"brand-new": 1},
        include=["account"],
    )

    assert there.bodies == [
        {
            "data": {
                "attributes": {
                    "inquiry-template-id": "itmpl_1",
                    "fields": {"name-first": "Jane", "birthdate": "1990-01-02"},
                    "brand-new": 1,
                }
            },
            "meta": {"auto-create-account": True},
        }
    ]
    assert there.requests[0].target == "/inquiries?include=account"


@pytest.mark.asyncio
async def test_none_clears_an_attribute_and_omission_does_not(harness):
    there = harness(one("inquiry", "inq_1"))

    await there.client.inquiries.update("inq_1", note=None)

    assert there.bodies == [{"data": {"attributes": {"note": None}}}]
    assert there.requests[0].idempotency_key is None


@pytest.mark.asyncio
async def test_calls_with_values_accept_the_options_of_every_call(harness):
    there = harness(one("inquiry", "inq_1"))

    await there.client.inquiries.create(note="n", idempotency_key="mine", retries=0)

    (request,) = there.requests
    assert request.idempotency_key.reveal() == "mine"
    assert request.retries == 0


@pytest.mark.asyncio
async def test_value_of_an_unknown_name_is_refused_before_anything_is_sent(harness):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="nmae_first"):
        await there.client.accounts.create(nmae_first="Jane")
    assert there.requests == []


@pytest.mark.asyncio
async def test_value_that_json_cannot_express_is_refused_without_repeating_it(
    harness,
):
    with pytest.raises(InvalidArgumentError) as caught:
        await harness().client.inquiries.update("inq_1", fields={"a": {"secret"}})

    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@dataclass
class Score:
    value: float


class Unknown(Enum):
    VALUE = float("nan")


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {"a": (1, float("-inf"))},
        Score(float("nan")),
        [Unknown.VALUE],
    ],
    ids=repr,
)
@pytest.mark.asyncio
async def test_number_that_json_cannot_express_does_not_clear_a_field(harness, value):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="JSON cannot express"):
        await there.client.accounts.update("act_1", fields={"score": value, "x": None})
    assert there.requests == []


@pytest.mark.asyncio
async def test_included_objects_are_found_by_relationship(harness):
    inquiry = item("inquiry", "inq_1") | {
        "relationships": {
            "verifications": {
                "data": [
                    {"type": "verification/government-id", "id": "ver_1"},
                    {"type": "verification/selfie", "id": "ver_2"},
                ]
            },
            "reviewer": {"data": {}},
            "account": {"data": None},
        }
    }
    included = [item("verification/government-id", "ver_1", status="passed")]
    there = harness(make_response({"data": inquiry, "included": included}))

    found = await there.client.inquiries.retrieve("inq_1", include=["verifications"])

    assert there.requests[0].target == "/inquiries/inq_1?include=verifications"
    assert [each.id for each in found.verifications] == ["ver_1", "ver_2"]
    (verification,) = found.related("verifications")
    assert isinstance(verification, GovernmentIdVerification)
    assert verification.status == "passed"
    assert found.reviewer is None
    assert found.account is None


@pytest.mark.asyncio
async def test_empty_include_is_sent(harness):
    there = harness(one("inquiry", "inq_1"))

    await there.client.inquiries.retrieve("inq_1", include=[])

    assert there.requests[0].target == "/inquiries/inq_1?include="


@pytest.mark.asyncio
async def test_str_is_refused_as_a_sequence_of_names(harness):
    with pytest.raises(InvalidArgumentError, match="include"):
        await harness().client.inquiries.retrieve("inq_1", include="account")


@pytest.mark.asyncio
async def test_object_has_the_facts_and_meta_of_its_response(harness):
    link = {"one-time-link": "https://example.com/?code=1", "one-time-link-short": "s"}
    there = harness(make_response({"data": item("inquiry", "inq_1"), "meta": link}))

    found = await there.client.inquiries.generate_one_time_link(
        "inq_1", expires_in=timedelta(hours=1)
    )

    assert found.one_time_link.reveal() == "https://example.com/?code=1"
    assert "code" not in repr(found)
    assert there.bodies == [{"meta": {"expires-in-seconds": 3600}}]


@pytest.mark.asyncio
async def test_redact_returns_the_redacted_object(harness):
    there = harness(one("inquiry", "inq_1", redacted_at="2026-01-01T00:00:00.000Z"))

    found = await there.client.inquiries.redact("inq_1")

    assert found.redacted_at.year == 2026
    assert there.requests[0].method == "DELETE"


@pytest.mark.asyncio
async def test_redact_returns_none_when_an_earlier_attempt_redacted(harness):
    there = harness(make_response(None, 204))

    assert await there.client.accounts.redact("act_1") is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong", [{}, {"tag_name": "a", "tag_id": "tag_1"}], ids=["none", "both"]
)
async def test_tag_needs_either_a_name_or_an_id(harness, wrong):
    with pytest.raises(InvalidArgumentError):
        await harness().client.cases.add_tag("case_1", **wrong)


@pytest.mark.asyncio
async def test_all_tags_can_be_removed(harness):
    there = harness(one("case", "case_1"))

    await there.client.cases.set_tags("case_1", [])

    assert there.bodies == [{"meta": {"tag-name": []}}]


@pytest.mark.asyncio
async def test_str_is_refused_as_a_sequence_of_tags(harness):
    with pytest.raises(InvalidArgumentError):
        await harness().client.cases.set_tags("case_1", "vip")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.inquiry_sessions.expire_all("inq_1"),
        lambda client: client.accounts.consolidate("act_1", "act_2"),
        lambda client: client.accounts.add_objects("act_1", "inq_1"),
    ],
    ids=["expire_all", "consolidate", "add_objects"],
)
@pytest.mark.asyncio
async def test_str_is_refused_as_a_sequence_of_ids(harness, call):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="must be a sequence of ids"):
        await call(there.client)
    assert there.requests == []


OF_ANOTHER_TYPE = {
    "filter": lambda c: c.inquiries.list(filter=["status"]),
    "filter_names": lambda c: c.inquiries.list(filter={1: "x"}),
    "fields": lambda c: c.inquiries.retrieve("inq_1", fields=["status"]),
    "attributes": lambda c: c.accounts.create(attributes=None),
    "tags": lambda c: c.accounts.set_tags("act_1", 5),
    "ids": lambda c: c.accounts.add_objects("act_1", None),
    "actions": lambda c: c.inquiries.perform_simulate_actions("inq_1", None),
    "inputs": lambda c: c.workflows.trigger("wfl_1", fields="name"),
    "rows": lambda c: c.batch_jobs.create(
        ["row"], operation="update", object="account", lookup_field="token"
    ),
    "no_size": lambda c: c.inquiries.print("inq_1", max_bytes=None),
    "empty_size": lambda c: c.inquiries.print("inq_1", max_bytes=0),
}


@pytest.mark.parametrize("call", OF_ANOTHER_TYPE.values(), ids=OF_ANOTHER_TYPE)
@pytest.mark.asyncio
async def test_argument_of_another_type_is_refused(harness, call):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="must be"):
        await call(there.client)
    assert there.requests == []


@pytest.mark.parametrize("condition", ["status", "inquiry_id"])
@pytest.mark.parametrize(
    "empty", [list, dict, lambda: iter(())], ids=["list", "dict", "iterator"]
)
def test_condition_without_values_is_refused_at_the_call(harness, condition, empty):
    with pytest.raises(InvalidArgumentError, match=f"{condition} is an empty list"):
        harness().client.inquiries.list(**{condition: empty()})


@pytest.mark.asyncio
async def test_condition_holds_on_every_page_if_its_values_can_be_read_once(harness):
    pages = [
        make_response(
            {"data": [], "links": {"next": "/api/v1/inquiries?page[after]=x"}}
        ),
        make_response({"data": []}),
    ]
    there = harness(*pages)

    listing = there.client.inquiries.list(inquiry_id=iter(["inq_1", "inq_2"]))

    assert [each async for each in listing] == []
    assert [each.target for each in there.requests] == [
        "/inquiries?filter%5Binquiry-id%5D=inq_1%2Cinq_2",
        "/inquiries?filter%5Binquiry-id%5D=inq_1%2Cinq_2&page%5Bafter%5D=x",
    ]


@pytest.mark.parametrize(
    "value", [b"ab", bytearray(b"ab"), {"a": 1}, float("nan"), float("inf")], ids=repr
)
@pytest.mark.asyncio
async def test_value_that_a_query_cannot_express_is_refused(harness, value):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="in a query"):
        await there.client.request("GET", "/inquiries", query={"x": value})
    assert there.requests == []


@pytest.mark.parametrize(
    "name", ["Authorization", "Expect", "Upgrade", "X-HTTP-Method-Override"]
)
@pytest.mark.asyncio
async def test_header_that_would_change_the_request_is_refused(harness, name):
    there = harness()

    with pytest.raises(InvalidArgumentError, match="is set by the library"):
        await there.client.inquiries.approve("inq_1", headers={name: "x"})
    assert there.requests == []


@pytest.mark.asyncio
async def test_f57_other_object_than_the_requested_one_is_refused(harness):
    with pytest.raises(MalformedResponseError, match="a different object"):
        await harness(one("case", "case_2")).client.cases.retrieve("case_1")


@pytest.mark.asyncio
async def test_f57_verification_of_another_type_is_refused_on_a_typed_path(harness):
    there = harness(
        one("verification/selfie", "ver_1"), one("verification/new", "ver_1")
    )

    with pytest.raises(MalformedResponseError):
        await there.client.verifications.retrieve_government_id("ver_1")
    found = await there.client.verifications.retrieve("ver_1")
    assert type(found) is Verification


SCOPE = Scope.parse("inquiry.read:inq_1 txn.write:txn_1")


SENT = {
    "inquiries_retrieve": lambda c: c.inquiries.retrieve("inq_1"),
    "inquiries_list": lambda c: c.inquiries.list(),
    "inquiries_search": lambda c: c.inquiries.search(),
    "inquiries_print": lambda c: c.inquiries.print("inq_1"),
    "rate_limits_list": lambda c: c.rate_limits.list(),
    "transactions_label": lambda c: c.transactions.label("txn_1", "fraud"),
    "transactions_create": lambda c: c.transactions.create(),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("call", SENT.values(), ids=SENT)
async def test_session_sends_calls_that_its_scope_covers(harness, call):
    there = harness(make_response({}, 404), scope=SCOPE)

    with pytest.raises(Exception, match="404"):
        await call(there.client)
    assert len(there.requests) == 1


REFUSED = {
    "inquiries_retrieve": lambda c: c.inquiries.retrieve("inq_2"),
    "inquiries_approve": lambda c: c.inquiries.approve("inq_1"),
    "inquiries_create": lambda c: c.inquiries.create(),
    "inquiries_print": lambda c: c.inquiries.print("inq_2"),
    "inquiries_redact": lambda c: c.inquiries.redact("inq_2"),
    "transactions_retrieve": lambda c: c.transactions.retrieve("txn_1"),
    "transactions_list": lambda c: c.transactions.list(),
    "accounts_search": lambda c: c.accounts.search(),
    "devices_retrieve": lambda c: c.devices.retrieve("dev_1"),
    "share_tokens_redeem": lambda c: c.share_tokens.redeem("cnst_1"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
async def test_session_refuses_calls_that_its_scope_does_not_cover(harness, call):
    there = harness(scope=SCOPE)

    with pytest.raises(ScopeNotCoveredError):
        await call(there.client)
    assert there.requests == []


@pytest.mark.asyncio
async def test_repeatable_option_marks_a_post_as_repeatable(harness):
    there = harness(one("inquiry", "inq_1"))

    await there.client.inquiries.expire("inq_1", repeatable=True)

    assert there.requests[0].repeatable


@pytest.mark.parametrize("option", [{"repeatable": True}, {"idempotency_key": "k"}])
def test_options_of_one_call_are_refused_as_defaults(harness, option):
    with pytest.raises(InvalidArgumentError):
        harness().client.with_options(**option)


# ── Listings ─────────────────────────────────────────────────────────────────


PATH = "/api/v1/inquiries"


def page(*ids, after=None, before=None, path=PATH, **more):
    links = {
        "next": after and f"{path}?page%5Bafter%5D={after}",
        "prev": before and f"{path}?page%5Bbefore%5D={before}",
    }
    data = [item("inquiry", each) for each in ids]
    return make_response({"data": data, "links": links, **more})


@pytest.mark.asyncio
async def test_awaiting_returns_one_page_with_its_cursors(harness):
    there = harness(page("inq_3", "inq_2", after="inq_2", before="inq_3"))

    found = await there.client.inquiries.list(page_size=2)

    assert [each.id for each in found] == ["inq_3", "inq_2"]
    assert len(found) == 2
    assert (found.after, found.before) == ("inq_2", "inq_3")
    assert all(isinstance(each, Inquiry) for each in found.items)
    assert there.requests[0].target == "/inquiries?page%5Bsize%5D=2"


@pytest.mark.asyncio
async def test_iteration_yields_every_object_of_every_page(harness):
    there = harness(
        page("inq_3", "inq_2", after="inq_2"), page("inq_1", after="inq_1"), page()
    )

    found = [each.id async for each in there.client.inquiries.list()]

    assert found == ["inq_3", "inq_2", "inq_1"]


@pytest.mark.asyncio
async def test_every_page_has_the_same_filter_fields_and_size(harness):
    there = harness(page("inq_2", after="inq_2"), page("inq_1"))

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
async def test_iteration_continues_from_a_cursor(harness):
    there = harness(page("inq_1"))

    pages = [each async for each in there.client.inquiries.list().pages(after="inq_2")]

    assert [each.id for each in pages[0]] == ["inq_1"]
    assert there.requests[0].target == "/inquiries?page%5Bafter%5D=inq_2"


@pytest.mark.asyncio
async def test_iteration_backwards_uses_the_previous_cursor(harness):
    there = harness(page("inq_2", after="inq_2", before="inq_2"), page("inq_3"))

    found = [each.id async for each in there.client.inquiries.list(before="inq_1")]

    assert found == ["inq_2", "inq_3"]
    assert [each.target for each in there.requests] == [
        "/inquiries?page%5Bbefore%5D=inq_1",
        "/inquiries?page%5Bbefore%5D=inq_2",
    ]


@pytest.mark.asyncio
async def test_search_repeats_its_body_and_has_its_page_in_the_query(harness):
    path = "/api/v1/inquiries/search"
    there = harness(page("inq_2", after="inq_2", path=path), page("inq_1", path=path))
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
async def test_hostile_link_costs_no_request_and_no_object_before_it(harness):
    there = harness(
        page("inq_1", after="x", path="https://evil.example/api/v1/inquiries")
    )
    walk = aiter(there.client.inquiries.list())

    assert (await anext(walk)).id == "inq_1"
    with pytest.raises(MalformedResponseError, match="another origin") as caught:
        await anext(walk)

    assert len(there.requests) == 1
    assert "evil" not in str(caught.value)


@pytest.mark.asyncio
async def test_page_with_a_hostile_link_can_be_read_but_not_left(harness):
    there = harness(page("inq_1", after="x", path="/api/v1/api-keys"))

    found = await there.client.inquiries.list()

    assert len(found) == 1
    with pytest.raises(MalformedResponseError, match="another path"):
        _ = found.after


@pytest.mark.asyncio
async def test_f58_listing_that_repeats_a_page_ends(harness):
    there = harness(page("inq_2", after="a"), page("inq_1", after="b"), page(after="a"))

    with pytest.raises(MalformedResponseError, match="returns to"):
        _ = [each async for each in there.client.inquiries.list()]

    assert len(there.requests) == 3


@pytest.mark.asyncio
async def test_f58_empty_page_is_not_the_end_if_there_is_a_next(harness):
    there = harness(page(after="a"), page("inq_1"))

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
async def test_f57_invalid_listing_is_refused(harness, document):
    with pytest.raises(MalformedResponseError):
        await harness(make_response(document)).client.inquiries.list()


@pytest.mark.asyncio
async def test_f57_listing_of_accounts_is_refused_as_inquiries(harness):
    there = harness(make_response({"data": [item("inquiry", "inq_1")]}))

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
def test_invalid_listing_options_are_refused_at_the_call(harness, wrong):
    with pytest.raises(InvalidArgumentError):
        harness().client.inquiries.list(**wrong)


@pytest.mark.asyncio
async def test_filter_takes_names_in_either_spelling_and_nested_ones(harness):
    there = harness(make_response({"data": []}))

    await there.client.transactions.list(
        filter={"reference-id": "r", "transaction_type_id": "t"},
        identifier={"key": "k", "value": "a+b"},
    )

    assert there.requests[0].target == (
        "/transactions?filter%5Breference-id%5D=r&filter%5Btransaction-type-id%5D=t"
        "&filter%5Bidentifier%5D%5Bkey%5D=k&filter%5Bidentifier%5D%5Bvalue%5D=a%2Bb"
    )


@pytest.mark.asyncio
async def test_limits_have_no_id_and_no_links(harness):
    limit = {"limit": 300, "remaining": 299, "seconds-to-reset": 60}
    there = harness(
        make_response({"data": [{"type": "rate-limit/api", "attributes": limit}]})
    )

    (found,) = await there.client.rate_limits.list()

    assert (found.limit, found.remaining, found.seconds_to_reset) == (300, 299, 60)
    assert found.id == ""


@pytest.mark.asyncio
async def test_report_actions_have_attributes_beside_their_id(harness):
    run = {"type": "run", "id": "rpr_1", "run-type": "scheduled", "matches": 30}
    brand_new = {"type": "brand-new", "id": "ract_1", "creator-name": "Someone"}
    there = harness(make_response({"data": [run, brand_new]}))

    first, second = await there.client.reports.history("rep_1")

    assert (first.type, first.run_type, first.matches) == ("run", "scheduled", 30)
    assert (second.type, second.creator_name) == ("brand-new", "Someone")


def test_repr_of_a_listing_names_the_kind_of_object(harness):
    assert repr(harness().client.inquiries.list()) == "<Listing of Inquiry>"
