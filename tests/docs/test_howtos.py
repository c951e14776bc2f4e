"""The how-to pages do what they say, against the sandbox."""

import re
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import httpx
import pytest
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.metrics import NoOpCounter, NoOpMeter

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.integrations.otel import Telemetry
from persona_share.model import events
from persona_share.model.inquiry import Inquiry
from persona_share.testing import delivery, resource
from tests.docs.blocks import ROOT, blocks_of, page_names


WEB, TESTING, EMBEDDING = (
    f"docs/howto/{name}.md" for name in ("web-app", "testing", "embedding")
)


# ── Web applications ────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_fastapi_application_of_the_page_serves(reader):
    reader.use_key_of("destination")
    inquiry = reader.sandbox.add_inquiry(status="approved")
    app = page_names(WEB, ask_partner=reader.ask_partner)["app"]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://app"
        ) as web,
    ):
        found = await web.get(f"/inquiries/{inquiry.id}")
        assert found.json() == {"id": inquiry.id, "status": "approved"}
        assert (await web.get("/inquiries/a.b")).status_code == 404
        assert (await web.get("/health")).json()["tokens"] == {"fresh": 1}
        body, signature = delivery(
            "inquiry.completed",
            resource(Inquiry, "inq_1"),
            "the webhook's secret",
            at=datetime.now(UTC),  # noqa: TID251 — as a sender does
        )
        for given, status in ((signature, 200), ("t=1,v1=0", 400)):
            headers = {"Persona-Signature": given}
            response = await web.post("/webhook", content=body, headers=headers)
            assert response.status_code == status


@pytest.mark.asyncio
async def test_aiohttp_application_of_the_page_serves(reader):
    reader.use_key_of("destination")
    inquiry = reader.sandbox.add_inquiry(status="approved")
    names = page_names(WEB, ask_partner=reader.ask_partner)
    async with TestClient(TestServer(names["application"]())) as web:
        found = await web.get(f"/inquiries/{inquiry.id}")
        assert await found.json() == {"id": inquiry.id, "status": "approved"}
        health = await (await web.get("/health")).json()
    assert health["tokens"] == {"fresh": 1}


@pytest.mark.asyncio
async def test_workers_of_the_page_share_one_file(reader, tmp_path):
    reader.use_key_of("destination")
    reader.monkeypatch.chdir(tmp_path)
    scope = Scope.read(reader.sandbox.add_inquiry().id)
    sharing = page_names(WEB, ask_partner=reader.ask_partner)["sharing_with_others"]
    async with sharing() as one, sharing() as other:
        first, second = await one.token(scope), await other.token(scope)
        assert first == second
    assert reader.sandbox.log.tokens_issued == 1


# ── Testing ─────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_tests_on_the_page_pass_in_a_separate_project(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("\n\n".join(blocks_of(TESTING)))
    result = pytester.runpytest_subprocess(
        "-p", "persona_share.pytest_plugin", "-p", "pytest_asyncio.plugin",
        "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function",
    )  # fmt: skip
    result.assert_outcomes(passed=5)


# ── Embedding ───────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_other_http_clients_on_the_page_read_an_inquiry(reader):
    sandbox, names = reader.sandbox, page_names(EMBEDDING)
    inquiry = sandbox.add_inquiry()
    scope, url = Scope.read(inquiry.id), f"{sandbox.url}/inquiries/{inquiry.id}"
    options = {"base_url": sandbox.url, "insecure_local": True}
    async with (
        PersonaClient(sandbox.destination.api_key, **options) as client,
        ScopedTokenManager(client, codes=reader.ask_partner) as manager,
    ):
        assert await names["with_aiohttp"](manager, scope, url) == 200
        assert await names["with_httpx"](manager, scope, url) == 200
        headers = await names["header"](manager, scope)
        async with aiohttp.ClientSession() as borrowed:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("PERSONA_API_KEY", sandbox.source.api_key)
                environment.setenv("PERSONA_BASE_URL", sandbox.url)
                found = await names["on_your_session"](borrowed, inquiry.id)
            assert found.id == inquiry.id
            assert not borrowed.closed
        async with (
            aiohttp.ClientSession(headers=headers) as theirs,
            theirs.get(url) as response,
        ):
            assert response.status == 200
        assert await names["counting"](client, reader.ask_partner, scope) == 1
    await names["observed"](
        sandbox.destination.api_key, sandbox.url, reader.ask_partner, scope
    )
    assert sandbox.log.tokens_issued == 3


class RecordingMeter(NoOpMeter):
    """Records each instrument as name, type, unit and description."""

    def __init__(self):
        super().__init__("recording")
        self.rows = set()

    def get_meter(self, *_, **__):
        """Return this meter, as its provider."""
        return self

    def _recorder(self, kind):
        def create(name, *positional, unit="", description=""):
            texts = [each for each in positional if isinstance(each, str)]
            unit, description = texts or (unit, description)
            self.rows.add((name, kind, unit, description))
            return NoOpCounter(name)

        return create

    def __getattribute__(self, name):
        if not name.startswith("create_"):
            return super().__getattribute__(name)
        kind = name.removeprefix("create_").removeprefix("observable_")
        return self._recorder(kind.replace("up_down", "up-down").replace("_", " "))


def test_table_of_metrics_lists_every_registered_metric():
    row = r"^\| `([\w.]+)` \| ([\w -]+) \| `([^`]+)` \|[^|]*\| ([^|]+) \|$"
    listed = re.findall(row, (ROOT / EMBEDDING).read_text("utf-8"), re.MULTILINE)
    meter = RecordingMeter()
    Telemetry(meter_provider=meter)
    assert len(listed) == len(meter.rows)
    assert set(listed) == meter.rows


@pytest.mark.asyncio
async def test_sdk_of_the_page_reads_on_the_connections_of_its_user(
    reader, monkeypatch
):
    sandbox, names = reader.sandbox, page_names(EMBEDDING)
    reader.use_key_of("destination")
    monkeypatch.setenv("PERSONA_INSECURE_LOCAL", "1")
    inquiry = sandbox.add_inquiry()

    async def codes(scope):
        return await reader.ask_partner(scope) if inquiry.id in str(scope) else None

    received = []
    async with aiohttp.ClientSession() as http:
        key = sandbox.destination.api_key
        options = {"http": http, "hook": received.append}
        async with names["People"](key, codes, **options) as people:
            assert await people.first_name(inquiry.id)
            assert await people.first_name("inq_unknown") is None
            sandbox.faults.answer("GET /inquiries/{inquiry-id}", 404)
            with pytest.raises(names["PeopleError"], match="404"):
                await people.first_name(inquiry.id)
        assert not http.closed
    assert sandbox.log.tokens_issued == 1
    kinds = Counter(type(event) for event in received)
    assert kinds[events.TokenIssued] == 1
    assert kinds[events.CallEnded] == sandbox.log.count()
    assert "people/1.0" in sandbox.log[-1].user_agent
