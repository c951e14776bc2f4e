"""Each open question about codes can be answered both ways."""

import pytest


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_p3_the_status_of_each_bad_code_is_a_switch(box, raw, status):
    box.switches.used_code_status = status
    box.switches.expired_code_status = status
    box.switches.foreign_code_status = status
    box.switches.unknown_code_status = status
    scope = f"inquiry.read:{box.add_inquiry().id}"
    used, foreign, expired = [await raw.code(scope) for _ in range(3)]
    await raw.exchange(used)
    other = box.add_organization().api_key

    answers = [
        await raw.exchange(used),
        await raw.exchange("never-was"),
        await raw.exchange(foreign, bearer=other),
    ]
    box.expire_codes()
    answers.append(await raw.exchange(expired))

    assert [answer.status for answer in answers] == [status] * 4
    assert all(used.encode() not in answer.body for answer in answers)


@pytest.mark.asyncio
async def test_each_bad_code_has_a_switch_of_its_own(box, raw):
    box.switches.used_code_status = 409
    box.switches.expired_code_status = 422
    box.switches.foreign_code_status = 403
    box.switches.unknown_code_status = 404
    scope = f"inquiry.read:{box.add_inquiry().id}"
    used, foreign, expired = [await raw.code(scope) for _ in range(3)]
    await raw.exchange(used)
    other = box.add_organization().api_key

    statuses = [
        (await raw.exchange(used)).status,
        (await raw.exchange("never-was")).status,
        (await raw.exchange(foreign, bearer=other)).status,
    ]
    box.expire_codes()
    statuses.append((await raw.exchange(expired)).status)

    assert statuses == [409, 404, 403, 422]


@pytest.mark.asyncio
@pytest.mark.parametrize(("revokes", "status"), [(True, 401), (False, 200)])
async def test_p4_a_reuse_may_end_the_token_of_the_first_use(box, raw, revokes, status):
    box.switches.reuse_revokes_token = revokes
    inquiry = box.add_inquiry().id
    code = await raw.code(f"inquiry.read:{inquiry}")
    token = (await raw.exchange(code)).json["access-token"]

    await raw.exchange(code)

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == status


@pytest.mark.asyncio
async def test_a_code_may_be_good_for_more_than_one_exchange(box, raw):
    box.switches.code_is_single_use = False
    box.switches.reuse_revokes_token = False
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    first, second = await raw.exchange(code), await raw.exchange(code)

    assert (first.status, second.status) == (201, 201)
    assert first.json["access-token"] != second.json["access-token"]
    assert (box.log.codes_redeemed, box.log.tokens_issued) == (1, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize(("slack", "age", "status"), [(5, 604, 201), (-5, 596, 400)])
async def test_p11_a_code_may_live_longer_or_shorter_than_announced(
    box, raw, slack, age, status
):
    box.switches.code_lifetime_slack = slack
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    box.advance(age)

    assert (await raw.exchange(code)).status == status


@pytest.mark.asyncio
async def test_oauth_may_be_disabled_for_a_customer(box, raw):
    box.switches.oauth_enabled = False

    answer = await raw.authorize(f"inquiry.read:{box.add_inquiry().id}")

    assert answer.status == 403
    assert answer.error["title"] == "Forbidden"


@pytest.mark.asyncio
async def test_an_unknown_object_may_be_found_out_at_retrieval_only(box, raw):
    box.switches.authorize_checks_objects = False

    token = await raw.token("inquiry.read:inq_nowhere")

    assert (await raw.get("/inquiries/inq_nowhere", token)).status == 404


@pytest.mark.asyncio
async def test_the_refusals_of_authorize_have_switches(box, raw):
    box.switches.unknown_object_status = 422
    box.switches.unknown_permission_status = 422
    box.switches.unknown_client_status = 409
    inquiry = box.add_inquiry().id

    assert (await raw.authorize("inquiry.read:inq_nowhere")).status == 422
    assert (await raw.authorize(f"inquiry.dance:{inquiry}")).status == 422
    partnerless = await raw.authorize(f"inquiry.read:{inquiry}", partner="org_x")
    assert partnerless.status == 409


@pytest.mark.asyncio
async def test_the_number_of_pairs_may_be_limited(box, raw):
    box.switches.max_scope_pairs = 1
    pairs = [f"inquiry.read:{box.add_inquiry().id}" for _ in range(2)]

    assert (await raw.authorize(pairs[0])).status == 201
    assert (await raw.authorize(" ".join(pairs))).status == 400


@pytest.mark.asyncio
async def test_a_token_may_be_let_into_the_oauth_operations(box, raw):
    box.switches.token_may_call_oauth = True
    inquiry, other = box.add_inquiry().id, box.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    own = await raw.authorize(f"inquiry.read:{inquiry}", bearer=token)
    wider = await raw.authorize(f"inquiry.read:{other}", bearer=token)
    exchanged = await raw.exchange(own.json["code"], bearer=token)

    assert (own.status, wider.status, exchanged.status) == (201, 403, 201)
