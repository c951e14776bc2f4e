"""The machine grant's assertions: signed, short-lived, each of them new (RFC 7523)."""

import pickle
import traceback

import pytest
from joserfc import jwk, jwt

from persona_share import Scope
from persona_share._protocol.http import Response
from persona_share._tokens.assertions import ClientCredentials
from persona_share.errors import (
    AssertionRefusedError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidScopeError,
)
from persona_share.model.secret import Secret
from persona_share.testing import FakeClock, fake_runtime


AUDIENCE = "https://api.withpersona.com/api/v1/oauth/token"
KEYS = {
    "RS256": jwk.RSAKey.generate_key(2048),
    "ES256": jwk.ECKey.generate_key("P-256"),
}


def pem(algorithm, *, private=True):
    return KEYS[algorithm].as_pem(private=private).decode()


def credentials(algorithm="ES256", **options):
    return ClientCredentials("client-1", pem(algorithm), algorithm=algorithm, **options)


@pytest.mark.parametrize("algorithm", KEYS)
def test_an_assertion_says_who_for_whom_and_for_how_long(algorithm):
    clock = FakeClock()
    made = credentials(algorithm).assertion(AUDIENCE, fake_runtime(clock))
    read = jwt.decode(made.reveal(), KEYS[algorithm], algorithms=[algorithm])
    now = int(clock.wall().timestamp())
    assert read.header == {"alg": algorithm, "typ": "JWT"}
    assert {name: read.claims[name] for name in ("iss", "sub", "aud")} == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": AUDIENCE,
    }
    assert (read.claims["iat"], read.claims["exp"]) == (now, now + 300)


def test_every_assertion_has_an_id_of_its_own():
    source, runtime = credentials(), fake_runtime()
    made = [source.assertion(AUDIENCE, runtime).reveal() for _ in range(10)]
    read = [jwt.decode(each, KEYS["ES256"], algorithms=["ES256"]) for each in made]
    assert len({each.claims["jti"] for each in read}) == 10


def test_a_key_id_is_told_where_there_is_one():
    made = credentials(key_id="key-7").assertion(AUDIENCE, fake_runtime())
    read = jwt.decode(made.reveal(), KEYS["ES256"], algorithms=["ES256"])
    assert read.header["kid"] == "key-7"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (pem("ES256"), "RS256"),
        (pem("RS256"), "ES256"),
        (pem("ES256", private=False), "ES256"),
        ("no key at all: canary", "ES256"),
        ("", "RS256"),
    ],
    ids=["EC for RS256", "RSA for ES256", "public", "text", "nothing"],
)
def test_a_key_that_cannot_sign_is_refused_without_being_shown(key, algorithm):
    with pytest.raises(ConfigurationError, match="no private key in PEM") as caught:
        ClientCredentials("client-1", key, algorithm=algorithm)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error.__dict__)
    assert "canary" not in shown
    assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize("algorithm", ["HS256", "none", "PS256", ""])
def test_only_the_two_algorithms_of_the_service_sign(algorithm):
    with pytest.raises(ConfigurationError, match="RS256, ES256"):
        ClientCredentials("client-1", pem("RS256"), algorithm=algorithm)


def test_a_client_id_that_is_no_id_is_refused():
    with pytest.raises(InvalidIdError):
        ClientCredentials("client/../1", pem("RS256"))


def test_a_key_may_come_as_a_secret():
    source = ClientCredentials("client-1", Secret(pem("RS256")))
    assert source.assertion(AUDIENCE, fake_runtime())


def test_no_repr_shows_the_key():
    shown = repr(credentials()) + repr(vars(credentials()))
    body = "".join(pem("ES256").splitlines()[1:-1])
    assert body[:20] not in shown
    assert repr(credentials()) == "<ClientCredentials of client-1, ES256>"


@pytest.mark.asyncio
async def test_it_is_given_to_a_manager_and_not_called():
    with pytest.raises(InvalidArgumentError, match="codes="):
        await credentials()(Scope(("inquiry.read",)))


@pytest.mark.asyncio
async def test_it_brings_no_permissions_on_objects(house):
    manager = await house.manager(codes=credentials())
    with pytest.raises(InvalidScopeError, match="bare permissions"):
        await manager.token(Scope.read("inq_1"))
    assert house.service.requests == []


@pytest.mark.asyncio
async def test_where_it_is_refused_a_code_may_work_all_the_same(house):
    house.service.script = [Response(status=401)]
    manager = await house.manager(codes=credentials())
    with pytest.raises(AssertionRefusedError, match="the client's assertion"):
        await manager.token(Scope(("inquiry.read",)))
    scope = Scope.read("inq_1")
    manager.offer(house.partner.code(scope), scope)
    assert (await manager.token(scope)).scope == scope


def test_it_is_never_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(credentials())
