"""The health page of an application, and the active check behind `doctor`."""

from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import FastAPI

from persona_share import PersonaClient
from persona_share.cli import doctor
from persona_share.errors import (
    CodeRefusedError,
    CodeSourceError,
    PersonaError,
    StoreUnavailableError,
)
from persona_share.integrations import health
from persona_share.integrations.aiohttp import health_endpoint, setup
from persona_share.integrations.health import diagnose, health_of
from persona_share.integrations.starlette import Persona
from persona_share.stores import MemoryStore
from tests.integrations.test_starlette import started


pytestmark = pytest.mark.asyncio


class Store(MemoryStore):
    """A store that can be out of reach."""

    down = False

    async def read(self, key):
        if self.down:
            message = "connection refused"
            raise StoreUnavailableError(message)
        return await super().read(key)

    async def open(self):
        if self.down:
            message = "connection refused"
            raise StoreUnavailableError(message)
        await super().open()


@asynccontextmanager
async def page(harness, framework, **options):
    """Yield a manager, and what reads the health page of its application."""
    opened = []

    @asynccontextmanager
    async def sharing():
        async with harness.opening(**options) as manager:
            opened.append(manager)
            yield manager

    if framework == "fastapi":
        persona, app = Persona(sharing), FastAPI()
        persona.install(app)
        app.add_route("/health", persona.health_endpoint)
        async with started(app) as client:

            async def read():
                response = await client.get("/health")
                return response.status_code, response.headers, response.json()

            yield opened[0], read
        return
    app = web.Application()
    setup(app, sharing)
    app.router.add_get("/health", health_endpoint)
    async with TestClient(TestServer(app)) as client:

        async def read():
            async with client.get("/health") as response:
                return response.status, response.headers, await response.json()

        yield opened[0], read


async def ask(harness, manager):
    """Use a scope for the first time, and ignore errors."""
    inquiry = harness.sandbox.add_inquiry()
    with suppress(PersonaError):
        await harness.advance_until_done(manager.token(f"inquiry.read:{inquiry.id}"))


@pytest.mark.parametrize("framework", ["fastapi", "aiohttp"])
async def test_page_is_503_while_something_is_wrong_and_200_afterwards(
    harness, framework
):
    broken = True

    async def codes(scope):
        if broken:
            raise OSError("no route to the partner")
        async with harness.client(harness.sandbox.source) as source:
            return await source.oauth.authorize(
                client_id=harness.sandbox.destination.id, scope=scope
            )

    async with page(harness, framework, codes=codes) as (manager, read):
        status, headers, found = await read()
        assert (status, found["ok"], found["problems"]) == (200, True, [])
        assert headers["Cache-Control"] == "no-store"
        await ask(harness, manager)
        status, _, found = await read()
        assert (status, found["ok"]) == (503, False)
        assert found["problems"] == ["the code source fails"]
        assert found["failing"] == {"CodeSourceError": 1}
        broken = False
        await ask(harness, manager)
        status, _, found = await read()
        assert (status, found["problems"], found["failing"]) == (200, [], {})
        assert found["failures"] == {"CodeSourceError": 1}


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "Persona refuses the API key"),
        (403, "OAuth is not enabled for this organization"),
        (503, "Persona does not respond to exchanges"),
        (200, "something other than Persona responds to exchanges"),
    ],
)
async def test_health_describes_a_problem_of_exchanges(harness, status, problem):
    async with harness.opening() as manager:
        assert health_of(manager).ok
        harness.sandbox.faults.answer(
            "POST /oauth/token", status, body=b"<html>", times=99
        )
        await ask(harness, manager)
        found = health_of(manager)
    assert (found.status, found.problems) == (503, (problem,))


async def test_health_reports_a_store_outage_although_tokens_are_acquired(harness):
    store = Store()
    async with harness.opening(store=store) as manager:
        store.down = True
        await ask(harness, manager)
        found = health_of(manager)
    assert (found.status, found.tokens) == (503, {"fresh": 1})
    assert found.problems == ("the token store does not respond",)


async def test_refusal_of_the_partner_is_not_a_health_problem(harness):
    async def refuses(_scope):
        raise CodeRefusedError

    async with harness.opening(codes=refuses) as manager:
        await ask(harness, manager)
        found = health_of(manager)
    assert (found.status, found.problems) == (200, ())
    assert found.failing == {"CodeRefusedError": 1}


# ── The active check ────────────────────────────────────────────────────────────


async def findings(harness, **options):
    """Return the state of each check by its name."""
    async with harness.client(harness.sandbox.destination) as client:
        found = await harness.advance_until_done(diagnose(client, **options))
    return {each.name: each for each in found}


async def test_diagnosis_finds_nothing_wrong_and_spends_no_code(harness):
    class Partner:
        async def check(self):
            pass

    found = await findings(harness, store=MemoryStore(), partner=Partner())
    assert list(found) == ["service", "clock", "limit", "oauth", "store", "partner"]
    assert {each.state for each in found.values()} == {"ok"}
    assert harness.sandbox.log.codes_issued == harness.sandbox.log.tokens_issued == 0


async def test_diagnosis_finds_each_problem(harness):
    class Partner:
        async def check(self):
            raise CodeSourceError("it is down", reason="ConnectError")

    store = Store()
    store.down = True
    harness.sandbox.advance(100)
    harness.sandbox.switches.oauth_enabled = False
    found = await findings(harness, store=store, partner=Partner())
    states = {name: each.state for name, each in found.items()}
    assert states == {
        "service": "ok",
        "clock": "bad",
        "limit": "ok",
        "oauth": "bad",
        "store": "bad",
        "partner": "bad",
    }
    # The Date header has whole seconds, so a second may be missing.
    assert found["clock"].what in {"off by 99 s", "off by 100 s"}
    assert "NTP" in found["clock"].advice
    assert isinstance(found["partner"].error, CodeSourceError)


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2024 00:00:00 -0000", "Mon, 01 Jan 2024 00:00:00 +9999999999"]
)
async def test_diagnosis_ignores_a_date_without_a_usable_time_zone(date):
    async def handle(_):
        return web.json_response({"data": []}, headers={"Date": date})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/api/v1"))
        async with PersonaClient(
            "localbox_key", base_url=url, insecure_local=True
        ) as client:
            _, clock, *_ = await diagnose(client)
    assert (clock.name, clock.state) == ("clock", "warning")


async def test_diagnosis_stops_when_the_api_key_is_refused(harness):
    harness.sandbox.faults.answer("*", 401, times=9)
    found = await findings(harness, store=MemoryStore())
    assert (found["service"].state, found["service"].error.status) == ("bad", 401)
    assert found["store"].state == "ok"
    assert "oauth" not in found


async def test_command_doctor_makes_the_same_check():
    assert doctor.diagnose is health.diagnose
