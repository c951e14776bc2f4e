"""An aiohttp.web application that reads shared objects."""

from datetime import UTC, datetime

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from persona_share.errors import ServerError
from persona_share.integrations.aiohttp import (
    MANAGER,
    health_for,
    manager_of,
    session_of,
    setup,
    verified,
)
from persona_share.webhooks import Verifier, sign
from tests.integrations.conftest import CANARY
from tests.integrations.test_starlette import SECRET, an_event


async def read(request):
    session = session_of(request, "inquiry.read:{inquiry_id}")
    inquiry = await session.inquiries.retrieve(request.match_info["inquiry_id"])
    return web.json_response(inquiry.id)


async def broken(_request):
    raise ServerError(CANARY, status=500)


async def health(request):
    return web.json_response(health_for(request).as_dict())


async def hook(request):
    async with verified(request, Verifier(SECRET)) as delivery:
        return web.json_response(delivery.event.id)


async def is_same(request):
    return web.json_response(manager_of(request) is request.config_dict[MANAGER])


@pytest_asyncio.fixture
async def client(harness):
    app = web.Application()
    setup(app, harness.opening)
    app.router.add_get("/inquiries/{inquiry_id}", read)
    app.router.add_get("/broken", broken)
    app.router.add_get("/health", health)
    app.router.add_post("/hook", hook)
    below = web.Application()
    below.router.add_get("/same", is_same)
    app.add_subapp("/below", below)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.asyncio
async def test_one_manager_serves_every_request(harness, client):
    ids = [harness.sandbox.add_inquiry().id for _ in range(3)]
    for each in [*ids, *ids]:
        response = await client.get(f"/inquiries/{each}")
        assert await response.json() == each
    assert harness.sandbox.log.tokens_issued == 3


@pytest.mark.asyncio
async def test_manager_is_closed_with_the_application(harness, client):
    assert harness.opened == 1
    await client.close()
    assert harness.opened == 0


@pytest.mark.asyncio
async def test_subapplication_has_the_same_manager(client):
    assert await (await client.get("/below/same")).json() is True


@pytest.mark.asyncio
async def test_error_response_contains_no_details_of_the_error(client, caplog):
    response = await client.get("/broken")
    assert "GET /broken: responded 502: " in caplog.text
    assert response.status == 502
    assert CANARY not in await response.text()


@pytest.mark.asyncio
async def test_malformed_id_gets_404_and_nothing_is_sent(harness, client):
    response = await client.get("/inquiries/inq_1%20inquiry.write:inq_2")
    assert response.status == 404
    assert len(harness.sandbox.log) == 0


@pytest.mark.asyncio
async def test_response_of_the_application_is_unchanged(client):
    assert (await client.get("/nowhere")).status == 404


@pytest.mark.asyncio
async def test_health_has_states_and_times(harness, client):
    await client.get(f"/inquiries/{harness.sandbox.add_inquiry().id}")
    found = await (await client.get("/health")).json()
    assert found["tokens"] == {"fresh": 1}
    assert found["nearest_end"] == 3_599


@pytest.mark.asyncio
@pytest.mark.parametrize(("signed", "status"), [(True, 200), (False, 400)])
async def test_only_a_signed_delivery_reaches_the_handler(client, signed, status):
    now = datetime.now(UTC)  # noqa: TID251 — as a sender does
    signature = sign(an_event(), SECRET, at=now) if signed else "t=1,v1=00"
    response = await client.post(
        "/hook", data=an_event(), headers={"Persona-Signature": signature}
    )
    assert response.status == status
