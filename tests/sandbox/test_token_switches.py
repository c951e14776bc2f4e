"""Each open question about tokens can be answered both ways."""

import pytest


@pytest.mark.asyncio
async def test_the_success_status_and_the_spelling_of_the_type_may_differ(box, raw):
    box.switches.success_status = 200
    box.switches.token_casing = "Bearer"

    answer = await raw.exchange(await raw.code(f"inquiry.read:{box.add_inquiry().id}"))

    assert answer.status == 200
    assert answer.json["token-type"] == "Bearer"


@pytest.mark.asyncio
@pytest.mark.parametrize(("revokes", "status"), [(True, 401), (False, 200)])
async def test_p9_two_tokens_of_one_scope_may_or_may_not_live_together(
    box, raw, revokes, status
):
    box.switches.second_token_revokes_first = revokes
    inquiry = box.add_inquiry().id
    first = await raw.token(f"inquiry.read:{inquiry}")
    second = await raw.token(f"inquiry.read:{inquiry}")

    assert (await raw.get(f"/inquiries/{inquiry}", first)).status == status
    assert (await raw.get(f"/inquiries/{inquiry}", second)).status == 200


@pytest.mark.asyncio
async def test_p10_a_new_token_may_be_refused_for_a_moment(box, raw):
    box.switches.new_token_401_seconds = 2
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    early = await raw.get(f"/inquiries/{inquiry}", token)
    box.advance(2)
    later = await raw.get(f"/inquiries/{inquiry}", token)

    assert (early.status, later.status) == (401, 200)


@pytest.mark.asyncio
@pytest.mark.parametrize(("slack", "age", "status"), [(9, 3608, 200), (-9, 3592, 401)])
async def test_p11_a_token_may_live_longer_or_shorter_than_announced(
    box, raw, slack, age, status
):
    box.switches.lifetime_slack = slack
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    box.advance(age)

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == status


@pytest.mark.asyncio
async def test_an_ended_token_may_be_answered_with_403(box, raw):
    box.switches.expired_token_status = 403
    box.switches.revoked_token_status = 403
    inquiry = box.add_inquiry().id
    revoked = await raw.token(f"inquiry.read:{inquiry}")
    box.revoke(revoked)
    expired = await raw.token(f"inquiry.read:{inquiry}")

    first = await raw.get(f"/inquiries/{inquiry}", revoked)
    box.advance(3600)
    second = await raw.get(f"/inquiries/{inquiry}", expired)

    assert (first.status, second.status) == (403, 403)


@pytest.mark.asyncio
async def test_out_of_scope_may_look_like_not_found(box, raw):
    box.switches.out_of_scope_status = 404
    token = await raw.token(f"inquiry.read:{box.add_inquiry().id}")

    answer = await raw.get(f"/inquiries/{box.add_inquiry().id}", token)

    assert answer.status == 404
    assert answer.error == {"title": "Record not found"}


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ["as_given", "canonical", "shuffled"])
async def test_p12_the_granted_scope_may_come_in_another_order(box, raw, order):
    box.switches.scope_order = order
    pairs = [
        f"inquiry.read:{box.add_inquiry(id=f'inq_{n}').id}" for n in range(9, 0, -1)
    ]

    answer = await raw.exchange(await raw.code(" ".join(pairs)))

    granted = answer.json["scope"].split(" ")
    assert sorted(granted) == sorted(pairs)
    assert (granted == pairs) is (order == "as_given")
    assert (granted == sorted(pairs)) is (order == "canonical")


@pytest.mark.asyncio
@pytest.mark.parametrize(("kept", "times"), [("kept", 2), ("dropped", 1)])
async def test_p12_a_repeated_pair_may_be_granted_twice(box, raw, kept, times):
    box.switches.scope_duplicates = kept
    pair = f"inquiry.read:{box.add_inquiry().id}"

    answer = await raw.exchange(await raw.code(f"{pair} {pair}"))

    assert answer.json["scope"].split() == [pair] * times


@pytest.mark.asyncio
async def test_p12_the_case_of_a_permission_may_not_matter(box, raw):
    inquiry = box.add_inquiry().id
    strict = await raw.authorize(f"Inquiry.Read:{inquiry}")
    box.switches.scope_case = "lowered"

    answer = await raw.exchange(await raw.code(f"Inquiry.Read:{inquiry}"))

    assert strict.status == 400
    assert answer.json["scope"] == f"inquiry.read:{inquiry}"


@pytest.mark.asyncio
async def test_the_grant_may_be_narrower_wider_or_empty(box, raw):
    first, second = box.add_inquiry().id, box.add_inquiry().id
    asked = f"inquiry.read:{first}"

    box.switches.grants = lambda _: f"inquiry.read:{second}"
    other = await raw.token(asked)
    box.switches.grants = lambda _: ""
    nothing = await raw.exchange(await raw.code(asked))

    assert (await raw.get(f"/inquiries/{second}", other)).status == 200
    assert (await raw.get(f"/inquiries/{first}", other)).status == 403
    assert nothing.json["scope"] == ""


@pytest.mark.asyncio
async def test_a_token_may_list_its_own_objects_or_nothing(box, raw):
    shared = box.add_inquiry().id
    box.add_inquiry()
    token = await raw.token(f"inquiry.read:{shared}")

    filtered = await raw.get("/inquiries", token)
    box.switches.scoped_lists = "forbidden"
    forbidden = await raw.get("/inquiries", token)

    assert [item["id"] for item in filtered.json["data"]] == [shared]
    assert forbidden.status == 403


@pytest.mark.asyncio
async def test_a_token_never_lists_another_kind(box, raw):
    token = await raw.token(f"inquiry.read:{box.add_inquiry().id}")

    assert (await raw.get("/accounts", token)).status == 403


@pytest.mark.asyncio
@pytest.mark.parametrize(("needs_pair", "included"), [(True, 0), (False, 1)])
async def test_an_included_object_may_need_a_pair_of_its_own(
    box, raw, needs_pair, included
):
    box.switches.included_needs_pair = needs_pair
    inquiry = box.add_inquiry().id
    box.add_verification(inquiry=inquiry)
    token = await raw.token(f"inquiry.read:{inquiry}")

    answer = await raw.get(f"/inquiries/{inquiry}?include=verifications", token)

    assert len(answer.json["included"]) == included


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["source", "destination"])
async def test_the_headers_of_a_tokens_answer_may_name_either_end(box, raw, end):
    box.switches.token_environment = end
    inquiry = box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    answer = await raw.get(f"/inquiries/{inquiry}", token)

    named = getattr(box, end)
    assert answer.headers["Persona-Organization-Id"] == named.id
    assert answer.headers["Persona-Environment-Id"] == named.environment.id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("inherits", "key"),
    [("nothing", "created-at"), ("issuer", "createdAt"), ("holder", "created_at")],
)
async def test_a_token_may_inherit_the_settings_of_either_key(box, raw, inherits, key):
    box.switches.token_inherits = inherits
    issuer = box.add_api_key(box.source, inflection="camel")
    holder = box.add_api_key(box.destination, inflection="snake")
    inquiry = box.add_inquiry().id
    code = await raw.authorize(f"inquiry.read:{inquiry}", bearer=issuer)
    token = await raw.exchange(code.json["code"], bearer=holder)

    answer = await raw.get(f"/inquiries/{inquiry}", token.json["access_token"])

    assert key in answer.json["data"]["attributes"]
