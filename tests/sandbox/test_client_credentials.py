"""The client-credentials grant: a signed assertion instead of a code."""

import pytest
from joserfc import jwk, jwt

from persona_share.errors import ConfigurationError
from tests.keys import signing_key


ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PERMISSIONS = ("inquiry.read", "account.read")


@pytest.fixture
def client(sandbox):
    def register(algorithm="ES256"):
        pem = signing_key(algorithm).as_pem(private=False).decode()
        sandbox.register_oauth_client("client-1", pem, PERMISSIONS)

    register()
    return register


@pytest.fixture
def claims(sandbox):
    now = int(sandbox.now())
    return {
        "iss": "client-1",
        "sub": "client-1",
        "aud": f"{sandbox.url}/oauth/token",
        "jti": "1",
        "iat": now,
        "exp": now + 300,
    }


def signed(claims, algorithm="ES256"):
    return jwt.encode({"alg": algorithm}, claims, signing_key(algorithm))


async def ask(raw, assertion, *, bearer=None, key=None, **more):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
        **more,
    }
    headers = {} if key is None else {"Idempotency-Key": key}
    return await raw.send("POST", "/oauth/token", bearer, data=form, headers=headers)


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_signed_assertion_gives_a_token_for_900_seconds(
    sandbox, raw, client, claims, algorithm
):
    client(algorithm)
    inquiry = sandbox.add_inquiry().id

    response = await ask(raw, signed(claims, algorithm))
    token = response.json["access-token"]

    assert response.status == 201
    assert {k: v for k, v in response.json.items() if k != "access-token"} == {
        "token-type": "Bearer",
        "expires-in": 900,
        "scope": "inquiry.read account.read",
    }
    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 200
    sandbox.advance(900)
    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 401


@pytest.mark.asyncio
async def test_fewer_permissions_may_be_requested_but_not_more(
    sandbox, raw, client, claims
):
    fewer = await ask(raw, signed(claims), scope="account.read")
    more = await ask(raw, signed(claims | {"jti": "2"}), scope="case.read")
    inquiry = sandbox.add_inquiry().id

    assert fewer.json["scope"] == "account.read"
    assert more.status == 400
    token = fewer.json["access-token"]
    assert (await raw.get(f"/inquiries/{inquiry}", token)).status == 403


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        {"iss": "client-2"},
        {"sub": "client-2"},
        {"aud": "https://elsewhere.example/oauth/token"},
        {"jti": None},
        {"exp": 1},
        {"exp": 10**11},
        {"exp": "soon"},
        {"iat": 10**11},
    ],
)
async def test_bad_claim_is_refused(raw, client, claims, change):
    response = await ask(raw, signed(claims | change))

    assert response.status == 401


@pytest.mark.asyncio
async def test_signature_by_another_key_is_refused(raw, client, claims):
    forged = jwt.encode({"alg": "ES256"}, claims, jwk.ECKey.generate_key("P-256"))

    assert (await ask(raw, forged)).status == 401
    assert (await ask(raw, "no.assertion.atall")).status == 401
    assert (await ask(raw, "")).status == 401


@pytest.mark.asyncio
async def test_status_of_a_bad_assertion_is_a_switch(sandbox, raw, client, claims):
    sandbox.switches.bad_assertion_status = 400

    assert (await ask(raw, signed(claims | {"exp": 1}))).status == 400


@pytest.mark.asyncio
async def test_jti_is_single_use(sandbox, raw, client, claims):
    await ask(raw, signed(claims))

    again = await ask(raw, signed(claims))
    sandbox.switches.jti_is_single_use = False
    once_more = await ask(raw, signed(claims))

    assert (again.status, once_more.status) == (401, 201)


@pytest.mark.asyncio
async def test_jti_is_forgotten_when_its_assertion_has_expired(
    sandbox, raw, client, claims
):
    await ask(raw, signed(claims))
    sandbox.advance(400)
    later = {"iat": int(sandbox.now()), "exp": int(sandbox.now()) + 60}

    assert (await ask(raw, signed(claims | later))).status == 201


@pytest.mark.asyncio
async def test_other_audiences_may_be_accepted(sandbox, raw, client, claims):
    sandbox.switches.audiences = ("https://api.withpersona.com/api/v1/oauth/token",)

    response = await ask(raw, signed(claims | {"aud": sandbox.switches.audiences[0]}))

    assert response.status == 201


@pytest.mark.asyncio
async def test_api_key_may_be_required_too(sandbox, raw, client, claims):
    sandbox.switches.client_credentials_need_bearer = True

    alone = await ask(raw, signed(claims))
    with_key = await ask(raw, signed(claims), bearer=sandbox.source.api_key)

    assert (alone.status, with_key.status) == (401, 201)


@pytest.mark.asyncio
async def test_exchange_of_an_assertion_is_replayed_for_its_key(raw, client, claims):
    assertion = signed(claims)

    first = await ask(raw, assertion, key="k")
    again = await ask(raw, assertion, key="k")

    assert first.status == 201
    assert again.body == first.body


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "value"),
    [("client_assertion_type", "urn:x"), ("extra", "1"), ("client_assertion_type", "")],
)
async def test_unknown_parameters_of_an_assertion_are_refused(
    raw, client, claims, name, value
):
    assert (await ask(raw, signed(claims), **{name: value})).status == 400


def test_unusable_public_key_is_refused(sandbox):
    with pytest.raises(ConfigurationError):
        sandbox.register_oauth_client("c", "no key", ["inquiry.read"])
