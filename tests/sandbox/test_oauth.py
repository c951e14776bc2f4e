"""Authorization codes: authorize, exchange, and their switches."""

import aiohttp
import pytest

from persona_share.sandbox import Sandbox
from tests.sandbox.raw import RawClient


@pytest.mark.asyncio
async def test_authorize_returns_201_with_a_code_for_599_seconds(sandbox, raw):
    response = await raw.authorize(f"inquiry.read:{sandbox.add_inquiry().id}")

    assert response.status == 201
    assert set(response.json) == {"code", "expires-in"}
    assert response.json["expires-in"] == 599


@pytest.mark.asyncio
async def test_exchange_returns_201_with_the_four_documented_keys(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"

    response = await raw.exchange(await raw.code(scope))

    assert response.status == 201
    token = response.json.pop("access-token")
    assert token.startswith("localbox_")
    rest = {k: v for k, v in response.json.items() if k != "access-token"}
    assert rest == {"token-type": "bearer", "expires-in": 3599, "scope": scope}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lifetime", "announced"), [(3, 2), (5, 4), (2.5, 1), (1.5, 1), (0.2, 1)]
)
async def test_short_lifetimes_are_announced_one_second_short_but_at_least_one(
    lifetime, announced
):
    async with (
        Sandbox(token_lifetime=lifetime, code_lifetime=lifetime) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        raw = RawClient(session, sandbox)
        code = await raw.authorize(f"inquiry.read:{sandbox.add_inquiry().id}")
        token = await raw.exchange(code.json["code"])

    assert code.json["expires-in"] == announced
    assert token.json["expires-in"] == announced


@pytest.mark.asyncio
async def test_code_is_single_use(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")
    await raw.exchange(code)

    again = await raw.exchange(code)

    assert again.status == 400
    assert sandbox.log.codes_redeemed == sandbox.log.tokens_issued == 1


@pytest.mark.asyncio
async def test_code_is_exchanged_by_its_partner_only(sandbox, raw):
    other = sandbox.add_organization()
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    foreign = await raw.exchange(code, bearer=other.api_key)
    own = await raw.exchange(code)

    assert foreign.status == 404
    assert own.status == 201


@pytest.mark.asyncio
async def test_code_is_not_exchanged_in_another_environment(sandbox, raw):
    key = sandbox.add_api_key(sandbox.destination, environment="production")
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    response = await raw.exchange(code, bearer=key)

    assert response.status == 404


@pytest.mark.asyncio
async def test_code_expires(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    sandbox.advance(600)

    assert (await raw.exchange(code)).status == 400


@pytest.mark.asyncio
async def test_codes_can_be_expired_by_a_test(sandbox, raw):
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    assert sandbox.expire_codes() == 1
    assert (await raw.exchange(code)).status == 400


@pytest.mark.asyncio
async def test_unknown_partner_is_refused(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"

    response = await raw.authorize(scope, partner="org_nobody")

    assert response.status == 404


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", ["inquiry.read", "inquiry.read:", "x", " ", "a b:c"])
async def test_invalid_scope_is_a_bad_request(raw, scope):
    response = await raw.authorize(scope)

    assert response.status == 400
    assert scope.strip() == "" or scope not in response.error["details"]


@pytest.mark.asyncio
async def test_organization_authorizes_only_its_own_objects(sandbox, raw):
    foreign = sandbox.add_inquiry(organization=sandbox.destination).id

    response = await raw.authorize(f"inquiry.read:{foreign}")

    assert response.status == 404


@pytest.mark.asyncio
async def test_permission_applies_to_objects_of_its_type(sandbox, raw):
    response = await raw.authorize(f"verification.read:{sandbox.add_inquiry().id}")

    assert response.status == 404


@pytest.mark.asyncio
async def test_another_response_type_or_grant_type_is_a_bad_request(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    form = {
        "client-id": sandbox.destination.id,
        "response-type": "token",
        "scope": scope,
    }
    key = sandbox.source.api_key

    authorized = await raw.send("POST", "/oauth/authorize", key, data=form)
    form = {"grant-type": "refresh_token", "code": "x"}
    exchanged = await raw.send("POST", "/oauth/token", key, data=form)
    nameless = await raw.send("POST", "/oauth/token", key, data={"code": "x"})

    assert (authorized.status, exchanged.status) == (400, 400)
    assert nameless.error["details"] == "grant_type is missing"


@pytest.mark.asyncio
async def test_access_token_may_not_authorize_or_exchange(sandbox, raw):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    token, code = await raw.token(scope), await raw.code(scope)

    assert (await raw.authorize(scope, bearer=token)).status == 403
    assert (await raw.exchange(code, bearer=token)).status == 403


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("partner", "response_type"),
    [
        ("client-id", "response-type"),
        ("client_id", "response_type"),
        ("clientId", "responseType"),
    ],
)
async def test_form_parameters_are_read_in_each_casing(
    sandbox, raw, partner, response_type
):
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    form = {partner: sandbox.destination.id, response_type: "code", "scope": scope}

    response = await raw.send(
        "POST", "/oauth/authorize", sandbox.source.api_key, data=form
    )

    assert response.status == 201


@pytest.mark.asyncio
async def test_unknown_form_parameter_is_refused_and_not_repeated(sandbox, raw):
    form = {"code": "x", "grant-type": "authorization_code", "s3cret": "y"}

    response = await raw.send(
        "POST", "/oauth/token", sandbox.destination.api_key, data=form
    )

    assert response.status == 400
    assert b"s3cret" not in response.body


@pytest.mark.asyncio
async def test_missing_form_parameter_is_named_in_snake_case(sandbox, raw):
    response = await raw.send(
        "POST", "/oauth/authorize", sandbox.source.api_key, data={"scope": "x"}
    )

    assert response.status == 400
    assert response.error == {"title": "Bad Request", "details": "client_id is missing"}


@pytest.mark.asyncio
async def test_json_is_refused_where_a_form_is_required(sandbox, raw):
    body = {"code": "x", "grant-type": "authorization_code"}

    response = await raw.send(
        "POST", "/oauth/token", sandbox.destination.api_key, json=body
    )

    assert response.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"code=a&code=b", b"\xff\xfe", b"code=%ff"])
async def test_repeated_form_parameters_and_invalid_text_are_refused(
    sandbox, raw, body
):
    response = await raw.send(
        "POST",
        "/oauth/token",
        sandbox.destination.api_key,
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert response.status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_status_of_each_bad_code_is_a_switch(sandbox, raw, status):
    sandbox.switches.used_code_status = status
    sandbox.switches.expired_code_status = status
    sandbox.switches.foreign_code_status = status
    sandbox.switches.unknown_code_status = status
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    used, foreign, expired = [await raw.code(scope) for _ in range(3)]
    await raw.exchange(used)
    other = sandbox.add_organization().api_key

    responses = [
        await raw.exchange(used),
        await raw.exchange("never-was"),
        await raw.exchange(foreign, bearer=other),
    ]
    sandbox.expire_codes()
    responses.append(await raw.exchange(expired))

    assert [response.status for response in responses] == [status] * 4
    assert all(used.encode() not in response.body for response in responses)


@pytest.mark.asyncio
async def test_each_bad_code_has_a_switch_of_its_own(sandbox, raw):
    sandbox.switches.used_code_status = 409
    sandbox.switches.expired_code_status = 422
    sandbox.switches.foreign_code_status = 403
    sandbox.switches.unknown_code_status = 404
    scope = f"inquiry.read:{sandbox.add_inquiry().id}"
    used, foreign, expired = [await raw.code(scope) for _ in range(3)]
    await raw.exchange(used)
    other = sandbox.add_organization().api_key

    statuses = [
        (await raw.exchange(used)).status,
        (await raw.exchange("never-was")).status,
        (await raw.exchange(foreign, bearer=other)).status,
    ]
    sandbox.expire_codes()
    statuses.append((await raw.exchange(expired)).status)

    assert statuses == [409, 404, 403, 422]


@pytest.mark.asyncio
@pytest.mark.parametrize(("revokes", "status"), [(True, 401), (False, 200)])
async def test_reusing_a_code_may_revoke_its_first_token(sandbox, raw, revokes, status):
    sandbox.switches.reuse_revokes_token = revokes
    inquiry = sandbox.add_inquiry().id
    code = await raw.code(f"inquiry.read:{inquiry}")
    token = (await raw.exchange(code)).json["access-token"]

    await raw.exchange(code)

    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == status


@pytest.mark.asyncio
async def test_code_may_be_exchanged_more_than_once(sandbox, raw):
    sandbox.switches.code_is_single_use = False
    sandbox.switches.reuse_revokes_token = False
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    first, second = await raw.exchange(code), await raw.exchange(code)

    assert (first.status, second.status) == (201, 201)
    assert first.json["access-token"] != second.json["access-token"]
    assert (sandbox.log.codes_redeemed, sandbox.log.tokens_issued) == (1, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize(("slack", "age", "status"), [(5, 604, 201), (-5, 596, 400)])
async def test_code_may_expire_before_or_after_its_announced_lifetime(
    sandbox, raw, slack, age, status
):
    sandbox.switches.code_lifetime_slack = slack
    code = await raw.code(f"inquiry.read:{sandbox.add_inquiry().id}")

    sandbox.advance(age)

    assert (await raw.exchange(code)).status == status


@pytest.mark.asyncio
async def test_oauth_may_be_disabled(sandbox, raw):
    sandbox.switches.oauth_enabled = False

    response = await raw.authorize(f"inquiry.read:{sandbox.add_inquiry().id}")

    assert response.status == 403
    assert response.error["title"] == "Forbidden"


@pytest.mark.asyncio
async def test_authorize_may_accept_unknown_objects(sandbox, raw):
    sandbox.switches.authorize_checks_objects = False

    token = await raw.token("inquiry.read:inq_nowhere")

    assert (await raw.get("/inquiries/inq_nowhere", token)).status == 404


@pytest.mark.asyncio
async def test_statuses_of_authorize_errors_are_switches(sandbox, raw):
    sandbox.switches.unknown_object_status = 422
    sandbox.switches.unknown_permission_status = 422
    sandbox.switches.unknown_client_status = 409
    inquiry = sandbox.add_inquiry().id

    assert (await raw.authorize("inquiry.read:inq_nowhere")).status == 422
    assert (await raw.authorize(f"inquiry.dance:{inquiry}")).status == 422
    partnerless = await raw.authorize(f"inquiry.read:{inquiry}", partner="org_x")
    assert partnerless.status == 409


@pytest.mark.asyncio
async def test_number_of_scope_pairs_may_be_limited(sandbox, raw):
    sandbox.switches.max_scope_pairs = 1
    pairs = [f"inquiry.read:{sandbox.add_inquiry().id}" for _ in range(2)]

    assert (await raw.authorize(pairs[0])).status == 201
    assert (await raw.authorize(" ".join(pairs))).status == 400


@pytest.mark.asyncio
async def test_access_token_may_be_allowed_to_call_oauth(sandbox, raw):
    sandbox.switches.token_may_call_oauth = True
    inquiry, other = sandbox.add_inquiry().id, sandbox.add_inquiry().id
    token = await raw.token(f"inquiry.read:{inquiry}")

    own = await raw.authorize(f"inquiry.read:{inquiry}", bearer=token)
    wider = await raw.authorize(f"inquiry.read:{other}", bearer=token)
    exchanged = await raw.exchange(own.json["code"], bearer=token)

    assert (own.status, wider.status, exchanged.status) == (201, 403, 201)
