"""An attacker at the endpoint: only documented refusals, and every one is recorded."""

import asyncio
import base64
import json
import random  # noqa: TID251  # the attacker's own
from urllib.parse import urlencode

import httpx
import pytest
from joserfc import jwk, jwt

from persona_share.partner import SigningKey, openapi
from tests.partner.conftest import URL, error_of, signing_key


pytestmark = pytest.mark.asyncio

ANOTHER = "https://other.example/partner/codes"
REFUSED = (401, "invalid_client")
RESPONSES = openapi()["paths"]["/codes"]["post"]["responses"]


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def lines_about(harness, reason):
    return [each for each in harness.audit() if each["reason"] == reason]


async def test_valid_request_gets_a_code(harness):
    async with harness.issuing():
        scope = await harness.shared()
        response = await harness.ask(scope)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    payload = response.json()
    assert payload["scope"] == scope
    assert 0 < payload["expires_in"] <= 600
    assert harness.sandbox.log.codes_issued == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": ANOTHER}, "audience_mismatch"),
        ({"aud": None}, "audience_mismatch"),
        ({"aud": [URL, ANOTHER]}, "audience_mismatch"),
        ({"aud": URL + "/"}, "audience_mismatch"),
        ({"sub": "org_other"}, "subject_mismatch"),
        ({"sub": None}, "subject_mismatch"),
        ({"iss": "org_other"}, "client_unknown"),
        ({"iss": None}, "client_unknown"),
        ({"iss": ["org_other"]}, "client_unknown"),
        ({"jti": None}, "jti_missing"),
        ({"jti": ""}, "jti_missing"),
        ({"jti": 7}, "jti_missing"),
        ({"jti": "x" * 129}, "jti_missing"),
        ({"jti": "a\nb"}, "jti_missing"),
        ({"exp": None}, "assertion_malformed"),
        ({"exp": "soon"}, "assertion_malformed"),
        ({"exp": True}, "assertion_malformed"),
        ({"exp": 1e300}, "assertion_malformed"),
        ({"nbf": -5}, "assertion_malformed"),
    ],
)
async def test_wrong_claims_are_refused(harness, changes, reason):
    async with harness.issuing():
        response = await harness.ask(
            await harness.shared(), assertion=harness.assertion(**changes)
        )
    assert error_of(response) == REFUSED
    assert len(lines_about(harness, reason)) == 1
    assert harness.audit()[0]["partner"] is None
    assert harness.sandbox.log.codes_issued == 0


@pytest.mark.parametrize(
    ("name", "offset", "reason"),
    [
        ("exp", -31, "assertion_expired"),
        ("exp", -29, None),  # within the tolerated difference of two clocks
        ("exp", 331, "lifetime_too_long"),
        ("exp", 299, None),
        ("iat", 31, "assertion_not_yet_valid"),
        ("iat", 29, None),
        ("nbf", 31, "assertion_not_yet_valid"),
    ],
)
async def test_assertion_is_refused_outside_its_lifetime(harness, name, offset, reason):
    now = int(harness.clock.wall().timestamp())
    async with harness.issuing():
        assertion = harness.assertion(**{name: now + offset})
        response = await harness.ask(await harness.shared(), assertion=assertion)
    if reason is None:
        assert response.status_code == 200
        return
    assert error_of(response) == REFUSED
    assert len(lines_about(harness, reason)) == 1


@pytest.mark.parametrize(
    ("token", "claimed"),
    [
        (f"{part({})}.{part({'iss': 'org_unknown'})}.x", "org_unknown"),
        (f"{part(b'nonsense')}.{part({'iss': 'org_unknown'})}.x", "org_unknown"),
        (f"{part({})}.{part({'iss': 'x' * 129})}.x", None),
        (f"{part({})}.{part({'iss': 'Ada Lovelace'})}.x", None),
        (f"{part({})}.{part({'iss': 7})}.x", None),
        (f"{part({})}.{part(b'nonsense')}.x", None),
        ("nonsense", None),
        (f"{part({})}.{part({'iss': 'org_1', 'more': 'x' * 9_000})}.x", None),
    ],
)
async def test_audit_log_names_the_organization_of_a_refused_assertion(
    harness, token, claimed
):
    async with harness.issuing():
        assert error_of(await harness.ask("a.b:c", assertion=token)) == REFUSED
        other = harness.form("a.b:c", assertion=token, client_assertion_type="other")
        assert error_of(await harness.post(other)) == REFUSED
    found = [(each["partner"], each["claimed"]) for each in harness.audit()]
    assert found == [(None, claimed)] * 2


async def test_key_of_another_partner_is_refused(harness):
    theirs = signing_key("another partner's")
    other = harness.agreement(partner="org_other", keys=[theirs.public_jwk])
    async with harness.issuing(harness.agreement(), other):
        scope = await harness.shared()
        as_us = harness.assertion(key=theirs)
        assert error_of(await harness.ask(scope, assertion=as_us)) == REFUSED
        as_themselves = harness.assertion(key=theirs, iss="org_other", sub="org_other")
        response = await harness.ask(scope, assertion=as_themselves)
    # The client is authenticated, but has no consent for this object.
    assert error_of(response) == (403, "access_denied")
    assert response.json()["refused"] == scope
    assert harness.sandbox.log.codes_issued == 0
    [refused, _] = harness.audit()
    assert (refused["reason"], refused["claimed"]) == (
        "signature_invalid",
        harness.partner,
    )


async def test_unsigned_assertion_is_refused(harness):
    async with harness.issuing():
        scope = await harness.shared()
        for alg in ("none", "None", "NONE", "", None, ["ES256"], "es256"):
            token = f"{part({'alg': alg})}.{part(harness.claims())}."
            assert error_of(await harness.ask(scope, assertion=token)) == REFUSED
    assert len(lines_about(harness, "algorithm_not_allowed")) == 7


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_public_key_as_a_shared_secret_is_refused(harness, algorithm):
    public = signing_key().public_jwk
    pem = jwk.import_key(public).as_pem(private=False)
    async with harness.issuing():
        scope = await harness.shared()
        for secret in (pem, pem.strip(), json.dumps(public).encode()):
            key = jwk.OctKey.import_key(base64.urlsafe_b64encode(secret).decode())
            token = jwt.encode({"alg": algorithm}, harness.claims(), key, [algorithm])
            assert error_of(await harness.ask(scope, assertion=token)) == REFUSED
    assert len(lines_about(harness, "algorithm_not_allowed")) == 3


async def test_key_inside_the_assertion_is_ignored(harness):
    mine = SigningKey.generate()
    async with harness.issuing():
        scope = await harness.shared()
        for header in (
            {"jwk": mine.public_jwk},
            {"jku": "https://attacker.example/jwks"},
            {"x5u": "https://attacker.example/x5u"},
            {"kid": signing_key().id},
            {"kid": "../../etc/passwd"},
        ):
            token = harness.assertion(key=mine, header=header)
            assert error_of(await harness.ask(scope, assertion=token)) == REFUSED


async def test_critical_headers_and_other_kinds_of_tokens_are_refused(harness):
    async with harness.issuing():
        scope = await harness.shared()
        for header in ({"typ": "at+jwt"}, {"typ": 7}):
            head = {"alg": "ES256", **header}
            token = f"{part(head)}.{part(harness.claims())}.{part(b'x' * 64)}"
            assert error_of(await harness.ask(scope, assertion=token)) == REFUSED
        crit = {"alg": "ES256", "crit": ["b64"], "b64": False}
        token = f"{part(crit)}.{part(harness.claims())}.{part(b'x' * 64)}"
        assert error_of(await harness.ask(scope, assertion=token)) == REFUSED


async def test_changed_claims_are_refused(harness):
    async with harness.issuing():
        scope = await harness.shared()
        head, claims, signature = harness.assertion().split(".")
        for token in (
            f"{head}.{part(harness.claims())}.{signature}",
            f"{head}.{claims}.",
            f"{head}.{claims}.{part(bytes(64))}",
            f"{head}.{claims}",
            f"{head}.{claims}.{signature}.{signature}",
            f"{part([])}.{claims}.{signature}",
            f"{part(b'[' * 2000)}.{claims}.{signature}",
        ):
            assert error_of(await harness.ask(scope, assertion=token)) == REFUSED
    assert harness.sandbox.log.codes_issued == 0


async def test_assertion_works_once(harness):
    async with harness.issuing():
        scope, assertion = await harness.shared(), harness.assertion()
        assert (await harness.ask(scope, assertion=assertion)).status_code == 200
        assert error_of(await harness.ask(scope, assertion=assertion)) == REFUSED
        # As long as it would be accepted it is remembered.
        harness.clock.advance(89)
        assert error_of(await harness.ask(scope, assertion=assertion)) == REFUSED
        harness.clock.advance(10_000)
        assert error_of(await harness.ask(scope, assertion=assertion)) == REFUSED
    assert harness.sandbox.log.codes_issued == 1
    reasons = [each["reason"] for each in harness.audit()]
    assert reasons == ["agreed", *["assertion_replayed"] * 2, "assertion_expired"]


async def test_one_of_many_at_once_wins_with_one_assertion(harness):
    async with harness.issuing():
        scope, assertion = await harness.shared(), harness.assertion()
        asking = (harness.ask(scope, assertion=assertion) for _ in range(20))
        responses = await asyncio.gather(*asking)
    assert sorted(each.status_code for each in responses) == [200] + [401] * 19
    assert harness.sandbox.log.codes_issued == 1


async def test_partners_may_use_the_same_jti(harness):
    theirs = signing_key("another partner's")
    other = harness.agreement(partner="org_other", keys=[theirs.public_jwk])
    async with harness.issuing(harness.agreement(), other):
        scope = await harness.shared()
        first = harness.assertion(
            key=theirs, iss="org_other", sub="org_other", jti="the-same"
        )
        assert (await harness.ask(scope, assertion=first)).status_code == 403
        second = harness.assertion(jti="the-same")
        assert (await harness.ask(scope, assertion=second)).status_code == 200


@pytest.mark.parametrize(
    "scope",
    [
        "inquiry.read",
        "inquiry.read:",
        ":inq_1",
        "Inquiry.Read:inq_1",
        "INQUIRY.READ:inq_1",
        "inquiry.read:inq_1\tinquiry.write:inq_1",
        "inquiry.read:inq_1\ninquiry.write:inq_1",
        "inquiry.read:inq_1\x00",
        "inquiry.read:inq_1\x0binquiry.read:inq_2",
        "inquiry.read:inq_1  inquiry.read:inq_2",
        " inquiry.read:inq_1",
        "inquiry.read:inq_1 ",
        "inquiry.read:inq_1,inq_2",
        "inquiry.read:inq_1;inquiry.write:inq_1",
        "inquiry.read:*",
        "*",
        "inquiry.read:../inq_1",
        "inquiry.read:inq_1%20inquiry.write:inq_1",
        "inquiry.read:inq_\u0661",
        "inquiry.re\u0430d:inq_1",
        "inquiry.read:inq_1\u00a0inquiry.write:inq_1",
        " ".join(f"inquiry.read:inq_{n}" for n in range(257)),
        "inquiry.read:inq_" + "1" * 200,
    ],
)
async def test_smuggled_scope_is_refused(harness, scope):
    async with harness.issuing():
        response = await harness.ask(scope)
    assert error_of(response) == (400, "invalid_scope")
    [line] = harness.audit()
    assert (line["reason"], line["partner"]) == ("invalid_scope", harness.partner)
    assert "inq_1" not in harness.audit_path.read_text("utf-8")


async def test_repeated_permission_counts_once(harness):
    async with harness.issuing(harness.agreement(max_objects=1)):
        scope = await harness.shared()
        response = await harness.ask(f"{scope} {scope}")
        assert response.json()["scope"] == scope
    assert harness.audit()[0]["scope"] == [scope]


async def test_another_case_is_another_object(harness):
    async with harness.issuing():
        scope = await harness.shared()
        head, _, object_id = scope.partition(":")
        response = await harness.ask(f"{head}:{object_id.swapcase()}")
    assert error_of(response) == (403, "access_denied")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"scope", 400),
        (b"scope=a&scope=b", 400),
        (b"=&=&=", 400),
        (b"&" * 1000, 400),
        (b"a=1&" * 40, 400),
        (b"scope=%ff%fe&client_assertion=x", 400),
        (b"\xff\xfe", 400),
        (b'{"scope": "inquiry.read:inq_1"}', 400),
        (b"x=" + b"y" * 70_000, 413),
    ],
)
async def test_body_that_is_not_a_small_form_is_refused(harness, body, status):
    async with harness.issuing():
        assert error_of(await harness.post(body)) == (status, "invalid_request")
    assert harness.sandbox.log.codes_issued == 0


async def test_parameters_may_not_be_repeated(harness):
    async with harness.issuing():
        scope = await harness.shared()
        form = urlencode(harness.form(scope))
        body = f"{form}&scope=inquiry.write%3Ainq_1".encode()
        assert error_of(await harness.post(body)) == (400, "invalid_request")
        for name in ("client_assertion", "client_assertion_type"):
            again = urlencode({name: "x"})
            body = f"{form}&{again}".encode()
            assert error_of(await harness.post(body)) == (400, "invalid_request")


@pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
async def test_request_without_an_assertion_is_refused(harness, missing):
    async with harness.issuing():
        response = await harness.ask(await harness.shared(), **{missing: None})
        if missing == "client_assertion":
            basic = ("org_1", "secret")
            form = harness.form("inquiry.read:inq_1", client_assertion=None)
            assert error_of(await harness.post(form, auth=basic)) == REFUSED
    assert error_of(response) == REFUSED


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/codes", 405),
        ("PUT", "/codes", 405),
        ("DELETE", "/partner/codes", 405),
        ("POST", "/", 404),
        ("POST", "/codes/x", 404),
        ("POST", "/openapi.json", 404),
        ("OPTIONS", "/codes", 405),
    ],
)
async def test_other_methods_and_paths_are_refused(harness, method, path, status):
    async with harness.issuing() as issuer:
        transport = httpx.ASGITransport(issuer.asgi())
        async with httpx.AsyncClient(
            transport=transport, base_url="https://source.example"
        ) as web:
            response = await web.request(method, path)
    assert error_of(response) == (status, "invalid_request")
    assert str(status) in RESPONSES
    assert (response.headers.get("Allow") == "POST") is (status == 405)


async def test_other_content_types_are_refused(harness):
    async with harness.issuing():
        for kind in ("application/json", "multipart/form-data; boundary=x", ""):
            form = urlencode(harness.form(await harness.shared())).encode()
            response = await harness.post(form, headers={"Content-Type": kind})
            assert error_of(response) == (415, "invalid_request")


@pytest.mark.slow
async def test_ten_thousand_random_bodies_get_documented_refusals(harness, caplog):
    rng = random.Random(16)  # noqa: S311
    async with harness.issuing() as issuer:
        scope = await harness.shared()
        good = urlencode(harness.form(scope)).encode()
        app = issuer.asgi()
        seen = set()
        for _ in range(50):
            bodies = [mutated(good, rng) for _ in range(200)]
            for status, response in await asyncio.gather(
                *(raw_post(app, body) for body in bodies)
            ):
                documented = RESPONSES[str(status)]["content"]["application/json"]
                assert documented["schema"]["$ref"].endswith("/Error")
                error = json.loads(response)
                assert set(error) <= {"error", "error_description", "refused"}
                seen.add((status, error["error"]))
    assert harness.sandbox.log.codes_issued == 0
    assert len(harness.audit()) == 10_000
    assert {(400, "invalid_request"), REFUSED} <= seen
    assert not caplog.records
    text = harness.audit_path.read_text("utf-8")
    assert "eyJ" not in text  # no part of any assertion
    assert {each["decision"] for each in harness.audit()} == {"refused"}


def mutated(good, rng):
    """Return a body that is not the good one: noise, or the good one with faults."""
    if rng.random() < 0.5:
        return rng.randbytes(rng.randrange(200))
    body = bytearray(good)
    start = body.index(b"client_assertion=") + len(b"client_assertion=")
    for _ in range(rng.randrange(1, 8)):
        index = rng.randrange(start, len(body) - 200)
        body[index] ^= 1 << rng.randrange(7)
    if bytes(body) == good:
        body[start] ^= 1
    return bytes(body)


async def raw_post(app, body):
    """Call an ASGI application without any client library in between."""
    sent = []
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "POST", "path": "/codes", "headers": headers}

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]
