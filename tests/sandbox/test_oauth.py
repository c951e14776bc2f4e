"""The documented life of a code: authorize once, exchange once."""

import aiohttp
import pytest

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import Raw


@pytest.mark.asyncio
async def test_authorize_answers_201_with_a_code_and_599_seconds(box, raw):
    answer = await raw.authorize(f"inquiry.read:{box.add_inquiry().id}")

    assert answer.status == 201
    assert set(answer.json) == {"code", "expires-in"}
    assert answer.json["expires-in"] == 599


@pytest.mark.asyncio
async def test_exchange_answers_201_with_the_four_documented_keys(box, raw):
    scope = f"inquiry.read:{box.add_inquiry().id}"

    answer = await raw.exchange(await raw.code(scope))

    assert answer.status == 201
    token = answer.json.pop("access-token")
    assert token.startswith("localbox_")
    rest = {k: v for k, v in answer.json.items() if k != "access-token"}
    assert rest == {"token-type": "bearer", "expires-in": 3599, "scope": scope}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lifetime", "announced"), [(3, 2), (5, 4), (2.5, 1), (1.5, 1), (0.2, 1)]
)
async def test_short_lifetimes_are_announced_one_second_short_but_at_least_one(
    lifetime, announced
):
    async with (
        Sandbox(token_lifetime=lifetime, code_lifetime=lifetime) as box,
        aiohttp.ClientSession() as session,
    ):
        raw = Raw(session, box)
        code = await raw.authorize(f"inquiry.read:{box.add_inquiry().id}")
        token = await raw.exchange(code.json["code"])

    assert code.json["expires-in"] == announced
    assert token.json["expires-in"] == announced


@pytest.mark.asyncio
async def test_a_code_is_spent_by_its_exchange(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")
    await raw.exchange(code)

    again = await raw.exchange(code)

    assert again.status == 400
    assert box.log.codes_redeemed == box.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_a_code_is_of_use_to_its_partner_only(box, raw):
    other = box.add_organization()
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    foreign = await raw.exchange(code, bearer=other.api_key)
    own = await raw.exchange(code)

    assert foreign.status == 404
    assert own.status == 201


@pytest.mark.asyncio
async def test_a_code_does_not_cross_from_sandbox_to_production(box, raw):
    key = box.add_api_key(box.destination, environment="production")
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    answer = await raw.exchange(code, bearer=key)

    assert answer.status == 404


@pytest.mark.asyncio
async def test_a_code_ends_when_its_time_is_up(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    box.advance(600)

    assert (await raw.exchange(code)).status == 400


@pytest.mark.asyncio
async def test_codes_can_be_ended_by_hand(box, raw):
    code = await raw.code(f"inquiry.read:{box.add_inquiry().id}")

    assert box.expire_codes() == 1
    assert (await raw.exchange(code)).status == 400


@pytest.mark.asyncio
async def test_another_partner_is_no_partner(box, raw):
    scope = f"inquiry.read:{box.add_inquiry().id}"

    answer = await raw.authorize(scope, partner="org_nobody")

    assert answer.status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", ["inquiry.read", "inquiry.read:", "x", " ", "a b:c"])
async def test_a_scope_that_is_no_list_of_pairs_is_a_bad_request(raw, scope):
    answer = await raw.authorize(scope)

    assert answer.status == 400
    assert scope.strip() == "" or scope not in answer.error["details"]


@pytest.mark.asyncio
async def test_a_source_authorizes_nothing_but_its_own(box, raw):
    foreign = box.add_inquiry(organization=box.destination).id

    answer = await raw.authorize(f"inquiry.read:{foreign}")

    assert answer.status == 404


@pytest.mark.asyncio
async def test_a_permission_is_for_objects_of_its_kind(box, raw):
    answer = await raw.authorize(f"verification.read:{box.add_inquiry().id}")

    assert answer.status == 404


@pytest.mark.asyncio
async def test_another_response_type_or_grant_type_is_a_bad_request(box, raw):
    scope = f"inquiry.read:{box.add_inquiry().id}"
    form = {"client-id": box.destination.id, "response-type": "token", "scope": scope}
    key = box.source.api_key

    authorized = await raw.send("POST", "/oauth/authorize", key, data=form)
    form = {"grant-type": "refresh_token", "code": "x"}
    exchanged = await raw.send("POST", "/oauth/token", key, data=form)
    nameless = await raw.send("POST", "/oauth/token", key, data={"code": "x"})

    assert (authorized.status, exchanged.status) == (400, 400)
    assert nameless.error["details"] == "grant_type is missing"


@pytest.mark.asyncio
async def test_an_access_token_may_not_authorize_or_exchange(box, raw):
    scope = f"inquiry.read:{box.add_inquiry().id}"
    token, code = await raw.token(scope), await raw.code(scope)

    assert (await raw.authorize(scope, bearer=token)).status == 403
    assert (await raw.exchange(code, bearer=token)).status == 403
