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


def lines_about(stage, reason):
    return [each for each in stage.audit() if each["reason"] == reason]


async def test_valid_request_gets_a_code(stage):
    async with stage.issuing():
        scope = await stage.shared()
        answer = await stage.ask(scope)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told["scope"] == scope
    assert 0 < told["expires_in"] <= 600
    assert stage.box.log.codes_issued == 1


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
async def test_wrong_claims_are_refused(stage, changes, reason):
    async with stage.issuing():
        answer = await stage.ask(
            await stage.shared(), assertion=stage.assertion(**changes)
        )
    assert error_of(answer) == REFUSED
    assert len(lines_about(stage, reason)) == 1
    assert stage.audit()[0]["partner"] is None
    assert stage.box.log.codes_issued == 0


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
async def test_assertion_is_refused_outside_its_lifetime(stage, name, offset, reason):
    now = int(stage.clock.wall().timestamp())
    async with stage.issuing():
        assertion = stage.assertion(**{name: now + offset})
        answer = await stage.ask(await stage.shared(), assertion=assertion)
    if reason is None:
        assert answer.status_code == 200
        return
    assert error_of(answer) == REFUSED
    assert len(lines_about(stage, reason)) == 1


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
    stage, token, claimed
):
    async with stage.issuing():
        assert error_of(await stage.ask("a.b:c", assertion=token)) == REFUSED
        other = stage.form("a.b:c", assertion=token, client_assertion_type="other")
        assert error_of(await stage.post(other)) == REFUSED
    found = [(each["partner"], each["claimed"]) for each in stage.audit()]
    assert found == [(None, claimed)] * 2


async def test_the_key_of_another_partner_is_refused(stage):
    theirs = signing_key("another partner's")
    other = stage.agreement(partner="org_other", keys=[theirs.public_jwk])
    async with stage.issuing(stage.agreement(), other):
        scope = await stage.shared()
        as_us = stage.assertion(key=theirs)
        assert error_of(await stage.ask(scope, assertion=as_us)) == REFUSED
        as_themselves = stage.assertion(key=theirs, iss="org_other", sub="org_other")
        answer = await stage.ask(scope, assertion=as_themselves)
    # They are who they say, and nobody agreed to share this with them.
    assert error_of(answer) == (403, "access_denied")
    assert answer.json()["refused"] == scope
    assert stage.box.log.codes_issued == 0
    [refused, _] = stage.audit()
    assert (refused["reason"], refused["claimed"]) == (
        "signature_invalid",
        stage.partner,
    )


async def test_an_unsigned_assertion_is_refused(stage):
    async with stage.issuing():
        scope = await stage.shared()
        for alg in ("none", "None", "NONE", "", None, ["ES256"], "es256"):
            token = f"{part({'alg': alg})}.{part(stage.claims())}."
            assert error_of(await stage.ask(scope, assertion=token)) == REFUSED
    assert len(lines_about(stage, "algorithm_not_allowed")) == 7


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_the_public_key_as_a_shared_secret_is_refused(stage, algorithm):
    public = signing_key().public_jwk
    pem = jwk.import_key(public).as_pem(private=False)
    async with stage.issuing():
        scope = await stage.shared()
        for secret in (pem, pem.strip(), json.dumps(public).encode()):
            key = jwk.OctKey.import_key(base64.urlsafe_b64encode(secret).decode())
            token = jwt.encode({"alg": algorithm}, stage.claims(), key, [algorithm])
            assert error_of(await stage.ask(scope, assertion=token)) == REFUSED
    assert len(lines_about(stage, "algorithm_not_allowed")) == 3


async def test_key_inside_the_assertion_is_ignored(stage):
    mine = SigningKey.generate()
    async with stage.issuing():
        scope = await stage.shared()
        for header in (
            {"jwk": mine.public_jwk},
            {"jku": "https://attacker.example/jwks"},
            {"x5u": "https://attacker.example/x5u"},
            {"kid": signing_key().id},
            {"kid": "../../etc/passwd"},
        ):
            token = stage.assertion(key=mine, header=header)
            assert error_of(await stage.ask(scope, assertion=token)) == REFUSED


async def test_critical_headers_and_other_kinds_of_tokens_are_refused(stage):
    async with stage.issuing():
        scope = await stage.shared()
        for header in ({"typ": "at+jwt"}, {"typ": 7}):
            head = {"alg": "ES256", **header}
            token = f"{part(head)}.{part(stage.claims())}.{part(b'x' * 64)}"
            assert error_of(await stage.ask(scope, assertion=token)) == REFUSED
        crit = {"alg": "ES256", "crit": ["b64"], "b64": False}
        token = f"{part(crit)}.{part(stage.claims())}.{part(b'x' * 64)}"
        assert error_of(await stage.ask(scope, assertion=token)) == REFUSED


async def test_changed_claims_are_refused(stage):
    async with stage.issuing():
        scope = await stage.shared()
        head, claims, signature = stage.assertion().split(".")
        for token in (
            f"{head}.{part(stage.claims())}.{signature}",
            f"{head}.{claims}.",
            f"{head}.{claims}.{part(bytes(64))}",
            f"{head}.{claims}",
            f"{head}.{claims}.{signature}.{signature}",
            f"{part([])}.{claims}.{signature}",
            f"{part(b'[' * 2000)}.{claims}.{signature}",
        ):
            assert error_of(await stage.ask(scope, assertion=token)) == REFUSED
    assert stage.box.log.codes_issued == 0


async def test_an_assertion_works_once(stage):
    async with stage.issuing():
        scope, assertion = await stage.shared(), stage.assertion()
        assert (await stage.ask(scope, assertion=assertion)).status_code == 200
        assert error_of(await stage.ask(scope, assertion=assertion)) == REFUSED
        # As long as it would be accepted it is remembered.
        stage.clock.advance(89)
        assert error_of(await stage.ask(scope, assertion=assertion)) == REFUSED
        stage.clock.advance(10_000)
        assert error_of(await stage.ask(scope, assertion=assertion)) == REFUSED
    assert stage.box.log.codes_issued == 1
    reasons = [each["reason"] for each in stage.audit()]
    assert reasons == ["agreed", *["assertion_replayed"] * 2, "assertion_expired"]


async def test_one_of_many_at_once_wins_with_one_assertion(stage):
    async with stage.issuing():
        scope, assertion = await stage.shared(), stage.assertion()
        asking = (stage.ask(scope, assertion=assertion) for _ in range(20))
        answers = await asyncio.gather(*asking)
    assert sorted(each.status_code for each in answers) == [200] + [401] * 19
    assert stage.box.log.codes_issued == 1


async def test_partners_may_use_the_same_jti(stage):
    theirs = signing_key("another partner's")
    other = stage.agreement(partner="org_other", keys=[theirs.public_jwk])
    async with stage.issuing(stage.agreement(), other):
        scope = await stage.shared()
        first = stage.assertion(
            key=theirs, iss="org_other", sub="org_other", jti="the-same"
        )
        assert (await stage.ask(scope, assertion=first)).status_code == 403
        second = stage.assertion(jti="the-same")
        assert (await stage.ask(scope, assertion=second)).status_code == 200


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
async def test_a_smuggled_scope_is_refused(stage, scope):
    async with stage.issuing():
        answer = await stage.ask(scope)
    assert error_of(answer) == (400, "invalid_scope")
    [line] = stage.audit()
    assert (line["reason"], line["partner"]) == ("invalid_scope", stage.partner)
    assert "inq_1" not in stage.audit_path.read_text("utf-8")


async def test_a_repeated_permission_counts_once(stage):
    async with stage.issuing(stage.agreement(max_objects=1)):
        scope = await stage.shared()
        answer = await stage.ask(f"{scope} {scope}")
        assert answer.json()["scope"] == scope
    assert stage.audit()[0]["scope"] == [scope]


async def test_another_case_is_another_object(stage):
    async with stage.issuing():
        scope = await stage.shared()
        head, _, object_id = scope.partition(":")
        answer = await stage.ask(f"{head}:{object_id.swapcase()}")
    assert error_of(answer) == (403, "access_denied")


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
async def test_a_body_that_is_not_a_small_form_is_refused(stage, body, status):
    async with stage.issuing():
        assert error_of(await stage.post(body)) == (status, "invalid_request")
    assert stage.box.log.codes_issued == 0


async def test_parameters_may_not_be_repeated(stage):
    async with stage.issuing():
        scope = await stage.shared()
        form = urlencode(stage.form(scope))
        body = f"{form}&scope=inquiry.write%3Ainq_1".encode()
        assert error_of(await stage.post(body)) == (400, "invalid_request")
        for name in ("client_assertion", "client_assertion_type"):
            again = urlencode({name: "x"})
            body = f"{form}&{again}".encode()
            assert error_of(await stage.post(body)) == (400, "invalid_request")


@pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
async def test_request_without_an_assertion_is_refused(stage, missing):
    async with stage.issuing():
        answer = await stage.ask(await stage.shared(), **{missing: None})
        if missing == "client_assertion":
            basic = ("org_1", "secret")
            form = stage.form("inquiry.read:inq_1", client_assertion=None)
            assert error_of(await stage.post(form, auth=basic)) == REFUSED
    assert error_of(answer) == REFUSED


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
async def test_other_methods_and_paths_are_refused(stage, method, path, status):
    async with stage.issuing() as issuer:
        transport = httpx.ASGITransport(issuer.asgi())
        async with httpx.AsyncClient(
            transport=transport, base_url="https://source.example"
        ) as web:
            answer = await web.request(method, path)
    assert error_of(answer) == (status, "invalid_request")
    assert str(status) in RESPONSES
    assert (answer.headers.get("Allow") == "POST") is (status == 405)


async def test_other_content_types_are_refused(stage):
    async with stage.issuing():
        for kind in ("application/json", "multipart/form-data; boundary=x", ""):
            form = urlencode(stage.form(await stage.shared())).encode()
            answer = await stage.post(form, headers={"Content-Type": kind})
            assert error_of(answer) == (415, "invalid_request")


async def test_ten_thousand_random_bodies_get_documented_refusals(stage, caplog):
    dice = random.Random(16)  # noqa: S311
    async with stage.issuing() as issuer:
        scope = await stage.shared()
        good = urlencode(stage.form(scope)).encode()
        app = issuer.asgi()
        seen = set()
        for _ in range(50):
            bodies = [mutated(good, dice) for _ in range(200)]
            for status, answer in await asyncio.gather(
                *(raw_post(app, body) for body in bodies)
            ):
                documented = RESPONSES[str(status)]["content"]["application/json"]
                assert documented["schema"]["$ref"].endswith("/Error")
                error = json.loads(answer)
                assert set(error) <= {"error", "error_description", "refused"}
                seen.add((status, error["error"]))
    assert stage.box.log.codes_issued == 0
    assert len(stage.audit()) == 10_000
    assert {(400, "invalid_request"), REFUSED} <= seen
    assert not caplog.records
    text = stage.audit_path.read_text("utf-8")
    assert "eyJ" not in text  # no part of any assertion
    assert {each["decision"] for each in stage.audit()} == {"refused"}


def mutated(good, dice):
    """Return a body that is not the good one: noise, or the good one with faults."""
    if dice.random() < 0.5:
        return dice.randbytes(dice.randrange(200))
    body = bytearray(good)
    start = body.index(b"client_assertion=") + len(b"client_assertion=")
    for _ in range(dice.randrange(1, 8)):
        index = dice.randrange(start, len(body) - 200)
        body[index] ^= 1 << dice.randrange(7)
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
