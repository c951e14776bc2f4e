"""Codes that the source pushes: delivered until acknowledged, offered once."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from persona_share import PersonaClient, ScopedTokenManager, Secret
from persona_share.errors import (
    CodeDeliveryError,
    CodeRefusedError,
    ConfigurationError,
    Phase,
)
from persona_share.partner import CodeInbox
from persona_share.partner.audit import fingerprint
from persona_share.partner.records import digest
from tests.partner.conftest import signing_key


pytestmark = pytest.mark.asyncio


def source_key():
    return signing_key("the source's")


@asynccontextmanager
async def receiving(harness, **changes):
    """Run the destination's inbox; yield its manager, its URL and a switch."""
    port = unused_port()
    url = f"http://127.0.0.1:{port}/inbox"
    runtime = harness.source.context.runtime
    async with (
        PersonaClient(
            harness.sandbox.destination.api_key,
            base_url=harness.sandbox.url,
            insecure_local=True,
            _runtime=runtime,
        ) as client,
        ScopedTokenManager(client) as manager,
    ):
        sources = {harness.sandbox.source.id: [source_key().public_jwk]}
        options = {"sources": sources, "url": url, "_runtime": runtime} | changes
        inbox = CodeInbox(options.pop("manager", manager), **options)
        async with TestServer(inbox.aiohttp(), port=port):
            yield manager, url


def issuing(harness, inbox, **changes):
    agreement = harness.agreement(inbox=inbox)
    options = {"organization": harness.sandbox.source.id, "key": source_key()} | changes
    return harness.issuing(agreement, **options)


async def advance_until_done(harness, work):
    task = asyncio.ensure_future(work)
    for _ in range(3_000):
        await asyncio.wait({task}, timeout=0.003)
        if task.done():
            break
        harness.clock.advance(1)
    return await task


async def test_pushed_code_becomes_a_token(harness):
    scope = await harness.shared()
    async with (
        receiving(harness) as (manager, url),
        issuing(harness, url) as issuer,
    ):
        await issuer.push(harness.partner, scope)
        assert (await manager.token(scope)).scope.text == scope
    [line] = harness.audit()
    assert (line["via"], line["decision"]) == ("push", "issued")
    assert harness.sandbox.log.tokens_issued == 1


async def test_code_that_is_delivered_twice_is_offered_once(harness):
    offered = []

    class Manager:
        async def offer(self, code, scope, *, expires_at):
            offered.append((code.reveal(), scope, expires_at))

    scope = await harness.shared()
    async with receiving(harness, manager=Manager) as (_, url):
        form = {"code": "the-code", "expires_in": "500"}
        for _ in range(2):
            assertion = harness.assertion(
                key=source_key(),
                iss=harness.sandbox.source.id,
                sub=harness.sandbox.source.id,
                aud=url,
            )
            async with PostTo(url) as post:
                assert (
                    await post(harness.form(scope, assertion=assertion, **form)) == 204
                )
    [(code, _, expires_at)] = offered
    assert code == "the-code"
    assert (expires_at - harness.clock.wall()).total_seconds() == pytest.approx(500)


AGREEMENT = """
[[agreement]]
partner = "{}"
permissions = ["inquiry.read"]
valid_from = 2026-01-01
valid_until = 2027-01-01
keys_file = "partner.json"
"""


async def test_push_uses_the_agreement_that_allows_the_code(harness):
    """The file is changed after the check for an inbox and before the decision."""
    path = harness.folder / "agreements.toml"
    path.write_text("", "utf-8")
    jwk = json.dumps(signing_key().public_jwk)
    (harness.folder / "partner.json").write_text(jwk, "utf-8")
    scope = await harness.shared()

    async def agree(url):
        text = f'{AGREEMENT.format(harness.partner)}inbox = "{url}"'
        path.write_text(text, "utf-8")

    async with (
        receiving(harness) as (manager, url),
        issuing(harness, url, agreements=path) as issuer,
    ):
        await asyncio.gather(issuer.push(harness.partner, scope), agree(url))
        assert (await manager.token(scope)).scope.text == scope


async def test_inbox_that_is_removed_before_the_decision_ends_gets_no_code(harness):
    path = harness.folder / "agreements.toml"
    table = AGREEMENT.format(harness.partner)
    jwk = json.dumps(signing_key().public_jwk)
    (harness.folder / "partner.json").write_text(jwk, "utf-8")

    scope = await harness.shared()

    async def remove(_partner, requested):
        path.write_text(table, "utf-8")
        return requested

    async with receiving(harness) as (manager, url):
        path.write_text(f'{table}inbox = "{url}"', "utf-8")
        changes = {"agreements": path, "consents": remove}
        async with issuing(harness, url, **changes) as issuer:
            with pytest.raises(ConfigurationError, match="the code was not sent"):
                await issuer.push(harness.partner, scope)
        assert manager.metrics().codes_waiting == 0


async def test_push_with_unreadable_agreements_is_recorded(harness):
    path = harness.folder / "agreements.toml"
    path.write_text("", "utf-8")
    async with issuing(harness, "https://d.example", agreements=path) as issuer:
        path.write_text("not TOML", "utf-8")
        with pytest.raises(ConfigurationError, match="is not TOML"):
            await issuer.push(harness.partner, "inquiry.read:inq_1")
    [line] = harness.audit()
    assert (line["via"], line["reason"]) == ("push", "agreements_unreadable")


async def test_failed_offer_is_accepted_the_next_time(harness):
    offered = []

    class Manager:
        async def offer(self, code, _scope, *, expires_at):
            assert expires_at
            offered.append(code.reveal())
            if len(offered) == 1:
                raise OSError("something private")

    scope = await harness.shared()
    async with (
        receiving(harness, manager=Manager) as (_, url),
        issuing(harness, url) as issuer,
    ):
        code = await advance_until_done(harness, issuer.push(harness.partner, scope))
    assert offered == [code.reveal()] * 2


class PostTo:
    """Posts forms to an address."""

    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.session = await aiohttp.ClientSession().__aenter__()

        async def post(form):
            async with self.session.post(self.url, data=form) as response:
                self.text = await response.text()
                return response.status

        return post

    async def __aexit__(self, *exc):
        await self.session.close()


async def test_push_is_retried_until_it_is_acknowledged(harness):
    responses = [503, 500, 429, 204]
    seen = []

    async def handle(request):
        form = await request.post()
        seen.append(form["code"])
        return web.Response(status=responses[len(seen) - 1])

    app = web.Application()
    app.router.add_post("/inbox", handle)
    scope = await harness.shared()
    async with (
        TestServer(app) as server,
        issuing(harness, str(server.make_url("/inbox"))) as issuer,
    ):
        code = await advance_until_done(harness, issuer.push(harness.partner, scope))
    assert seen == [code.reveal()] * 4


async def test_push_raises_when_the_code_is_never_accepted(harness):
    url = f"http://127.0.0.1:{unused_port()}/inbox"
    scope = await harness.shared()
    async with issuing(harness, url) as issuer:
        with pytest.raises(CodeDeliveryError) as caught:
            await advance_until_done(harness, issuer.push(harness.partner, scope))
    assert "expired" in str(caught.value)
    assert caught.value.phase is Phase.NOT_SENT  # there was never a connection


async def test_delivery_that_is_refused_is_not_repeated(harness):
    scope = await harness.shared()
    wrong = signing_key("somebody else's")
    async with (
        receiving(harness) as (_, url),
        issuing(harness, url, key=wrong) as issuer,
    ):
        with pytest.raises(CodeDeliveryError) as caught:
            await issuer.push(harness.partner, scope)
    assert (caught.value.status, caught.value.phase) == (401, Phase.ANSWERED)


async def test_push_that_was_never_acknowledged_may_have_arrived(harness):
    async def handle(request):
        await request.text()
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_post("/inbox", handle)
    scope = await harness.shared()
    async with (
        TestServer(app) as server,
        issuing(harness, str(server.make_url("/inbox"))) as issuer,
    ):
        with pytest.raises(CodeDeliveryError) as caught:
            await advance_until_done(harness, issuer.push(harness.partner, scope))
    assert caught.value.phase is Phase.AMBIGUOUS


async def test_object_without_a_consent_is_not_pushed(harness):
    async with (
        receiving(harness) as (manager, url),
        issuing(harness, url) as issuer,
    ):
        with pytest.raises(CodeRefusedError):
            await issuer.push(
                harness.partner, f"inquiry.read:{harness.sandbox.add_inquiry().id}"
            )
        assert manager.metrics().codes_waiting == 0


async def test_pushing_needs_an_inbox_and_a_key(harness):
    scope = await harness.shared()
    async with harness.issuing() as issuer:
        with pytest.raises(ConfigurationError):
            await issuer.push(harness.partner, scope)
    async with issuing(harness, "https://a.example/inbox", key=None) as issuer:
        with pytest.raises(ConfigurationError):
            await issuer.push(harness.partner, scope)


@pytest.mark.parametrize(
    ("changes", "status", "logged"),
    [
        ({}, 204, None),
        ({"code": None}, 400, "code is missing"),
        ({"code": "a b"}, 400, "cannot be a code"),
        ({"code": ""}, 400, "code is missing"),
        ({"scope": None}, 400, "scope is missing"),
        ({"scope": "nonsense"}, 400, "atom 1"),
        ({"expires_in": None}, 400, "expires_in must be"),
        ({"expires_in": "0"}, 400, "expires_in must be"),
        ({"expires_in": "-5"}, 400, "expires_in must be"),
        ({"expires_in": "1e9"}, 400, "expires_in must be"),
        ({"expires_in": "99999999999999999999"}, 400, "expires_in must be"),
        ({"client_assertion": "x.y.z"}, 401, "assertion_malformed"),
        ({"client_assertion_type": "x"}, 401, "assertion_missing"),
    ],
)
async def test_inbox_refuses_invalid_deliveries_and_logs_why(
    harness, caplog, changes, status, logged
):
    scope = await harness.shared()
    async with receiving(harness) as (_, url), PostTo(url) as post:
        source = harness.sandbox.source.id
        assertion = harness.assertion(key=source_key(), iss=source, sub=source, aud=url)
        form = {"assertion": assertion, "code": "c-1", "expires_in": "500"}
        assert await post(harness.form(**({"scope": scope} | form | changes))) == status
    found = [each for each in caplog.messages if each.startswith("a pushed code")]
    assert len(found) == (logged is not None)
    assert (logged or "") in "".join(found)
    assert "c-1" not in caplog.text


async def test_assertion_for_the_codes_endpoint_is_refused_by_the_inbox(harness):
    scope = await harness.shared()
    async with receiving(harness) as (_, url), PostTo(url) as post:
        source = harness.sandbox.source.id
        assertion = harness.assertion(key=source_key(), iss=source, sub=source)
        form = {"assertion": assertion, "code": "c-1", "expires_in": "500"}
        assert await post(harness.form(scope, **form)) == 401


async def test_claim_of_a_killed_worker_expires(harness):
    code = Secret("c-1")
    key = f"partner-inbox/{digest(fingerprint(code))}"
    await harness.store.write(key, b"claimed", if_etag="", ttl=15)
    scope = await harness.shared()
    async with (
        receiving(harness, store=harness.store) as (manager, url),
        PostTo(url) as post,
    ):
        source = harness.sandbox.source.id

        async def deliver():
            assertion = harness.assertion(
                key=source_key(), iss=source, sub=source, aud=url
            )
            form = {"code": "c-1", "expires_in": "500"}
            return await post(harness.form(scope, assertion=assertion, **form))

        assert await deliver() == 503
        harness.clock.advance(15)
        assert await deliver() == 204
        assert manager.metrics().codes_waiting == 1
