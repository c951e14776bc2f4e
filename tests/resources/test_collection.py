"""What the verbs have in common: bodies, shapes, tags, redaction, and scope."""

from datetime import date, timedelta

import pytest

from persona_share.errors import (
    InvalidArgumentError,
    MalformedResponseError,
    ScopeNotCoveredError,
)
from persona_share.model.scope import Scope
from persona_share.model.verification import GovernmentIdVerification, Verification
from tests.resources.conftest import answer, item, one


@pytest.mark.asyncio
async def test_named_values_become_attributes_and_meta_in_the_api_s_spelling(stage):
    there = stage(one("inquiry", "inq_1"))

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
async def test_none_clears_an_attribute_and_silence_leaves_it(stage):
    there = stage(one("inquiry", "inq_1"))

    await there.client.inquiries.update("inq_1", note=None)

    assert there.bodies == [{"data": {"attributes": {"note": None}}}]
    assert there.requests[0].idempotency_key is None


@pytest.mark.asyncio
async def test_the_options_of_every_call_go_with_values_too(stage):
    there = stage(one("inquiry", "inq_1"))

    await there.client.inquiries.create(note="n", idempotency_key="mine", retries=0)

    (request,) = there.requests
    assert request.idempotency_key.reveal() == "mine"
    assert request.retries == 0


@pytest.mark.asyncio
async def test_a_value_of_an_unknown_name_is_refused_before_anything_is_sent(stage):
    there = stage()

    with pytest.raises(InvalidArgumentError, match="nmae_first"):
        await there.client.accounts.create(nmae_first="Jane")
    assert there.requests == []


@pytest.mark.asyncio
async def test_a_value_that_json_cannot_express_is_refused_without_repeating_it(stage):
    with pytest.raises(InvalidArgumentError) as caught:
        await stage().client.inquiries.update("inq_1", fields={"a": {"secret"}})

    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.asyncio
async def test_what_is_included_is_found_by_its_relationship(stage):
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
    there = stage(answer({"data": inquiry, "included": included}))

    found = await there.client.inquiries.retrieve("inq_1", include=["verifications"])

    assert there.requests[0].target == "/inquiries/inq_1?include=verifications"
    assert [each.id for each in found.verifications] == ["ver_1", "ver_2"]
    (verification,) = found.related("verifications")
    assert isinstance(verification, GovernmentIdVerification)
    assert verification.status == "passed"
    assert found.reviewer is None
    assert found.account is None


@pytest.mark.asyncio
async def test_nothing_is_included_where_that_is_asked_for(stage):
    there = stage(one("inquiry", "inq_1"))

    await there.client.inquiries.retrieve("inq_1", include=[])

    assert there.requests[0].target == "/inquiries/inq_1?include="


@pytest.mark.asyncio
async def test_a_text_is_no_sequence_of_names(stage):
    with pytest.raises(InvalidArgumentError, match="include"):
        await stage().client.inquiries.retrieve("inq_1", include="account")


@pytest.mark.asyncio
async def test_what_comes_with_an_answer_stands_in_the_object(stage):
    link = {"one-time-link": "https://example.com/?code=1", "one-time-link-short": "s"}
    there = stage(answer({"data": item("inquiry", "inq_1"), "meta": link}))

    found = await there.client.inquiries.generate_one_time_link(
        "inq_1", expires_in=timedelta(hours=1)
    )

    assert found.one_time_link.reveal() == "https://example.com/?code=1"
    assert "code" not in repr(found)
    assert there.bodies == [{"meta": {"expires-in-seconds": 3600}}]


@pytest.mark.asyncio
async def test_redacting_answers_what_is_left(stage):
    there = stage(one("inquiry", "inq_1", redacted_at="2026-01-01T00:00:00.000Z"))

    found = await there.client.inquiries.redact("inq_1")

    assert found.redacted_at.year == 2026
    assert there.requests[0].method == "DELETE"


@pytest.mark.asyncio
async def test_what_an_earlier_attempt_redacted_is_answered_by_nothing(stage):
    there = stage(answer(None, 204))

    assert await there.client.accounts.redact("act_1") is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wrong", [{}, {"tag_name": "a", "tag_id": "tag_1"}], ids=["none", "both"]
)
async def test_a_tag_is_named_or_told_by_its_id(stage, wrong):
    with pytest.raises(InvalidArgumentError):
        await stage().client.cases.add_tag("case_1", **wrong)


@pytest.mark.asyncio
async def test_all_tags_can_be_taken_away(stage):
    there = stage(one("case", "case_1"))

    await there.client.cases.set_tags("case_1", [])

    assert there.bodies == [{"meta": {"tag-name": []}}]


@pytest.mark.asyncio
async def test_a_text_is_no_sequence_of_tags(stage):
    with pytest.raises(InvalidArgumentError):
        await stage().client.cases.set_tags("case_1", "vip")


@pytest.mark.asyncio
async def test_f57_another_object_than_the_one_asked_for_is_refused(stage):
    with pytest.raises(MalformedResponseError, match="a different object"):
        await stage(one("case", "case_2")).client.cases.retrieve("case_1")


@pytest.mark.asyncio
async def test_f57_a_verification_of_another_type_is_refused_on_a_typed_path(stage):
    there = stage(one("verification/selfie", "ver_1"), one("verification/new", "ver_1"))

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
async def test_a_session_sends_what_its_scope_may_cover(stage, call):
    there = stage(answer({}, 404), scope=SCOPE)

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
async def test_a_session_refuses_what_its_scope_cannot_cover(stage, call):
    there = stage(scope=SCOPE)

    with pytest.raises(ScopeNotCoveredError):
        await call(there.client)
    assert there.requests == []


@pytest.mark.asyncio
async def test_a_caller_may_know_that_an_action_can_be_repeated(stage):
    there = stage(one("inquiry", "inq_1"))

    await there.client.inquiries.expire("inq_1", repeatable=True)

    assert there.requests[0].repeatable


@pytest.mark.parametrize("option", [{"repeatable": True}, {"idempotency_key": "k"}])
def test_what_belongs_to_one_call_is_no_default(stage, option):
    with pytest.raises(InvalidArgumentError):
        stage().client.with_options(**option)
