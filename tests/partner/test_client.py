"""PartnerCodeSource against an issuer on a real socket, and against a scripted partner."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from persona_share import PersonaClient, ScopedTokenManager
from persona_share.errors import (
    CodeRefusedError,
    CodeSourceError,
    ConfigurationError,
    NotOpenError,
    Phase,
)
from persona_share.model.scope import Scope
from persona_share.partner import PartnerCodeSource
from persona_share.partner.keys import PublicKey, verify
from persona_share.testing import FakeClock, fake_runtime
from tests.partner.conftest import START, signing_key
from tests.resources.conftest import locals_of


pytestmark = pytest.mark.asyncio
SCOPE = Scope.read("inq_1", "inq_2")
GOOD = {"code": "the-code", "expires_in": 599, "scope": str(SCOPE)}


class ScriptedPartner:
    """A scripted partner that records requests."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.forms = []
        self.clock = FakeClock(START)
        self.runtime = fake_runtime(self.clock)

    async def handle(self, request):
        self.forms.append({k: v[0] for k, v in parse_qs(await request.text()).items()})
        assert request.headers.getall("Authorization", []) == []
        response = (
            self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        )
        if isinstance(response, web.Response):
            return web.Response(
                status=response.status, body=response.body, headers=response.headers
            )
        status, body, *headers = response
        return web.json_response(body, status=status, headers=dict(headers))

    @asynccontextmanager
    async def code_source(self, **options):
        app = web.Application()
        app.router.add_route("*", "/codes", self.handle)
        async with TestServer(app) as server:
            url = str(server.make_url("/codes"))
            options = {"client_id": "org_mine", "key": signing_key()} | options
            async with PartnerCodeSource(
                url, _runtime=self.runtime, **options
            ) as source:
                yield source

    async def advance_until_done(self, work):
        """Advance the clock until a task is done."""
        task = asyncio.ensure_future(work)
        for _ in range(2_000):
            await asyncio.wait({task}, timeout=0.005)
            if task.done():
                break
            self.clock.advance(0.5)
        return await task


# ── With an issuer ──────────────────────────────────────────────────────────────


@asynccontextmanager
async def served(harness, **changes):
    port = unused_port()
    url = f"http://127.0.0.1:{port}/codes"
    issuer = harness.new_issuer(url=url, **changes)
    async with (
        TestServer(issuer.aiohttp(), port=port),
        PartnerCodeSource(
            url,
            client_id=harness.partner,
            key=signing_key(),
            _runtime=harness.source.context.runtime,
        ) as source,
    ):
        yield source


async def test_manager_reads_shared_objects(harness):
    inquiry = harness.sandbox.add_inquiry(status="approved")
    await harness.grant(f"inquiry.read:{inquiry.id}")
    async with (
        served(harness) as codes,
        PersonaClient(
            harness.sandbox.destination.api_key,
            base_url=harness.sandbox.url,
            insecure_local=True,
            _runtime=harness.source.context.runtime,
        ) as client,
        ScopedTokenManager(client, codes=codes) as manager,
    ):
        session = manager.session(Scope.read(inquiry.id))
        assert (await session.inquiries.retrieve(inquiry.id)).status == "approved"
        other = harness.sandbox.add_inquiry().id
        with pytest.raises(CodeRefusedError) as caught:
            await manager.token(Scope.read(inquiry.id, other))
    assert caught.value.refused == Scope.read(other)
    assert caught.value.status == 403


async def test_code_has_scope_and_expiry(harness):
    scope = Scope.parse(await harness.shared(2))
    async with served(harness) as codes:
        code = await codes(scope)
    assert code.scope == scope
    left = (code.expires_at - harness.clock.wall()).total_seconds()
    assert left == pytest.approx(599, abs=1)


async def test_check_distinguishes_good_and_bad_keys_without_a_code(harness):
    async with served(harness) as codes:
        await codes.check()
    other = [signing_key("another").public_jwk]
    wrong = {"agreements": [harness.agreement(keys=other)]}
    async with served(harness, **wrong) as codes:
        with pytest.raises(CodeSourceError) as caught:
            await codes.check()
    assert caught.value.reason == "invalid_client"
    assert not caught.value.retryable
    assert caught.value.phase is Phase.ANSWERED
    for words in ("client_id", "public key", codes._post.audience, "audit log"):
        assert words in caught.value.advice
    assert "Nothing was sent" not in str(caught.value)
    assert harness.sandbox.log.codes_issued == 0


# ── With a scripted partner ─────────────────────────────────────────────────────


async def test_every_attempt_has_a_new_assertion():
    partner = ScriptedPartner((503, {}), (500, {}), (200, GOOD))
    async with partner.code_source() as source:
        code = await partner.advance_until_done(source(SCOPE))
    assert code.reveal() == "the-code"
    key = PublicKey.from_jwk(signing_key().public_jwk)
    found = [
        verify(
            form["client_assertion"],
            lambda _: [key],
            audience=source._post.audience,
            now=START.timestamp(),
        )
        for form in partner.forms
    ]
    assert len({each.id for each in found}) == 3
    assert {each.issuer for each in found} == {"org_mine"}
    assert {form["scope"] for form in partner.forms} == {str(SCOPE)}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"error": "access_denied"}, None),
        ({"error": "access_denied", "refused": "inquiry.read:inq_2"}, {"inq_2"}),
        # A scope that was not requested cannot have been refused.
        ({"error": "access_denied", "refused": "inquiry.read:inq_9"}, None),
        ({"error": "access_denied", "refused": 7}, None),
        ({"error": "access_denied", "refused": "\x1b[31m"}, None),
    ],
)
async def test_refusal_is_final_and_names_the_refused_scope(body, refused):
    partner = ScriptedPartner((403, body))
    async with partner.code_source() as source:
        with pytest.raises(CodeRefusedError) as caught:
            await source(SCOPE)
    assert len(partner.forms) == 1
    assert caught.value.status == 403
    found = caught.value.refused
    assert (found and set(found.object_ids())) == refused


async def test_code_source_waits_for_a_rate_limit_within_its_timeout():
    limited = (429, {"error": "temporarily_unavailable"}, ("Retry-After", "7"))
    partner = ScriptedPartner(*[limited] * 3, (200, GOOD))
    async with partner.code_source(timeout=30) as source:
        began = partner.clock.now()
        assert (await partner.advance_until_done(source(SCOPE))).reveal() == "the-code"
    assert 21 <= partner.clock.now() - began < 24


async def test_code_source_backs_off_when_a_partner_says_retry_after_0():
    limited = (429, {"error": "temporarily_unavailable"}, ("Retry-After", "0"))
    partner = ScriptedPartner(limited)
    async with partner.code_source(timeout=30) as source:
        with pytest.raises(CodeSourceError):
            await partner.advance_until_done(source(SCOPE))
    assert len(partner.forms) < 12


async def test_lifetime_of_a_code_may_be_a_whole_number_in_any_spelling():
    partner = ScriptedPartner((200, GOOD | {"expires_in": 599.0}))
    async with partner.code_source() as source:
        code = await source(SCOPE)
    assert timedelta(seconds=590) < code.expires_at - START <= timedelta(seconds=599)


async def test_rate_limit_beyond_the_timeout_raises_at_once():
    limited = (429, {"error": "temporarily_unavailable"}, ("Retry-After", "31"))
    partner = ScriptedPartner(limited)
    async with partner.code_source(timeout=30) as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
    error = caught.value
    assert (error.status, error.retry_after, error.retryable) == (429, 31, True)
    assert len(partner.forms) == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ((401, {"error": "invalid_client"}), "invalid_client"),
        ((400, {"error": "invalid_request"}), "invalid_request"),
        ((418, {"error": "a secret \x1b[31m text"}), "status 418"),
        ((403, {}), "status 403"),
        ((201, GOOD), "status 201"),
        ((200, {"code": "", "expires_in": 599}), "unusable response"),
        ((200, {"code": "a b", "expires_in": 599}), "unusable response"),
        ((200, {"code": "x", "expires_in": 0}), "unusable response"),
        ((200, {"code": "x", "expires_in": "soon"}), "unusable response"),
        (
            (200, {"code": "x", "expires_in": 599, "scope": "nonsense"}),
            "unusable response",
        ),
        ((200, []), "unusable response"),
    ],
)
async def test_response_without_a_code_is_reported(response, reason):
    partner = ScriptedPartner(response)
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
    assert caught.value.reason == reason
    assert caught.value.phase is Phase.ANSWERED
    assert "secret" not in str(caught.value)
    assert caught.value.scope == str(SCOPE)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "CANARY", "expires_in": "soon"},
        {"code": "CANARY", "expires_in": 599, "scope": "CANARY"},
        {"code": "CANARY with spaces", "expires_in": 599},
    ],
    ids=repr,
)
async def test_no_frame_of_an_unusable_response_shows_the_code(body):
    partner = ScriptedPartner((200, body))
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
    assert "CANARY" not in f"{caught.value}{locals_of(caught.value)}"


@pytest.mark.parametrize(
    "changes", [{"key": "CANARY"}, {"proxy": "socks5://me:CANARY@proxy.example"}]
)
async def test_no_frame_of_a_refused_setting_shows_a_secret(changes):
    options = {"client_id": "org_1", "key": signing_key()} | changes
    with pytest.raises(ConfigurationError) as caught:
        PartnerCodeSource("https://a.example/codes", **options)
    assert "CANARY" not in f"{caught.value}{locals_of(caught.value)}"


async def test_wrong_path_is_named():
    partner = ScriptedPartner((404, {"error": "invalid_request"}))
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
        assert f"{source._post.audience} was used" in caught.value.advice
    assert caught.value.phase is Phase.ANSWERED


async def test_missing_variable_says_what_to_set(monkeypatch):
    for name, example in (
        ("PERSONA_PARTNER_URL", "https://"),
        ("PERSONA_ORGANIZATION_ID", "org_…"),
        ("PERSONA_PARTNER_KEY_FILE", "partner.key"),
    ):
        monkeypatch.delenv(name, raising=False)
        with pytest.raises(ConfigurationError, match=f"{name} is not set") as caught:
            PartnerCodeSource.from_env()
        assert example in caught.value.advice
        monkeypatch.setenv(name, "org_1")


async def test_failing_partner_is_retried_four_times():
    partner = ScriptedPartner((503, {"error": "temporarily_unavailable"}))
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await partner.advance_until_done(source(SCOPE))
    assert len(partner.forms) == 4
    assert caught.value.status == 503
    assert caught.value.retryable


async def test_redirects_are_not_followed():
    there = web.Response(status=307, headers={"Location": "http://127.0.0.1:1/codes"})
    partner = ScriptedPartner(there)
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
    assert caught.value.status == 307


async def test_endless_response_is_refused():
    partner = ScriptedPartner(web.Response(body=b" " * 200_000 + b"{}"))
    async with partner.code_source() as source:
        with pytest.raises(CodeSourceError) as caught:
            await source(SCOPE)
    assert caught.value.reason == "ResponseTooLargeError"


async def test_unreachable_partner_is_named_with_its_cause():
    source = PartnerCodeSource(
        f"http://127.0.0.1:{unused_port()}/codes",
        client_id="org_mine",
        key=signing_key(),
        _runtime=(partner := ScriptedPartner()).runtime,
    )
    async with source:
        with pytest.raises(CodeSourceError) as caught:
            await partner.advance_until_done(source(SCOPE))
    assert caught.value.reason == "ConnectError"
    assert caught.value.__cause__ is not None
    assert caught.value.retryable
    assert caught.value.phase is Phase.NOT_SENT
    assert "PERSONA_PARTNER_URL" in caught.value.advice
    assert source._post.audience in caught.value.advice


async def test_use_before_entering_is_refused():
    source = PartnerCodeSource(
        "http://localhost/codes", client_id="org_mine", key=signing_key()
    )
    with pytest.raises(NotOpenError):
        await source(SCOPE)


@pytest.mark.parametrize(
    "url",
    [
        "http://source.example/codes",
        "ftp://source.example/codes",
        "https://user:secret@source.example/codes",
        "https://source.example/codes?x=1",
        "https://source.example/../codes",
        "source.example/codes",
        "https://",
        "",
        None,
    ],
)
async def test_only_https_addresses_are_accepted(url):
    with pytest.raises(ConfigurationError) as caught:
        PartnerCodeSource(url, client_id="org_mine", key=signing_key())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["", "nonsense", "{}", '{"kty": "oct", "k": "c2VjcmV0"}']
)
async def test_bad_key_is_refused_without_showing_it(key):
    with pytest.raises(ConfigurationError) as caught:
        PartnerCodeSource("https://a.example/codes", client_id="org_1", key=key)
    assert not key or key not in str(caught.value)
    assert "pathlib.Path" in caught.value.advice


async def test_public_key_cannot_sign():
    public = json.dumps(signing_key().public_jwk)
    with pytest.raises(ConfigurationError):
        PartnerCodeSource("https://a.example/codes", client_id="org_1", key=public)
