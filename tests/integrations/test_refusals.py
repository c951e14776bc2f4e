"""Refusals of a partner and of Persona, as callers of a web application see them."""

from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import Depends, FastAPI

from persona_share import ScopedSession
from persona_share.errors import CodeRefusedError
from persona_share.integrations.aiohttp import session_of, setup
from persona_share.integrations.starlette import Persona
from tests.integrations.test_starlette import started


SCOPE = "inquiry.read:{inquiry_id}"


@asynccontextmanager
async def application(harness, framework, **options):
    """Yield what gets an inquiry of an application: its status and its JSON."""

    def sharing():
        return harness.opening(**options)

    if framework == "fastapi":
        persona, app = Persona(sharing), FastAPI()
        persona.install(app)
        session = Depends(persona.session(SCOPE))

        @app.get("/inquiries/{inquiry_id}")
        async def read(inquiry_id: str, session: Annotated[ScopedSession, session]):
            return await session.inquiries.retrieve(inquiry_id)

        async with started(app) as client:

            async def get(inquiry_id):
                response = await client.get(f"/inquiries/{inquiry_id}")
                return response.status_code, response.json()

            yield get
        return

    async def show(request):
        inquiry_id = request.match_info["inquiry_id"]
        found = await session_of(request, SCOPE).inquiries.retrieve(inquiry_id)
        return web.json_response(found.to_dict())

    app = web.Application()
    setup(app, sharing)
    app.router.add_get("/inquiries/{inquiry_id}", show)
    async with TestClient(TestServer(app)) as client:

        async def get(inquiry_id):
            async with client.get(f"/inquiries/{inquiry_id}") as response:
                return response.status, await response.json()

        yield get


async def none(scope):
    return None


async def refuses(scope):
    message = "the customer withdrew"
    raise CodeRefusedError(message)


async def fails(scope):
    message = "connection refused by partner.internal"
    raise OSError(message)


@pytest.mark.asyncio
@pytest.mark.parametrize("framework", ["fastapi", "aiohttp"])
@pytest.mark.parametrize(
    ("codes", "status", "code"),
    [
        (none, 403, "not_shared"),
        (refuses, 403, "not_shared"),
        (fails, 503, "not_available"),
    ],
)
async def test_refusal_is_403_and_failure_is_503_without_details(
    harness, framework, codes, status, code
):
    inquiry = harness.sandbox.add_inquiry()
    async with application(harness, framework, codes=codes) as get:
        found, body = await get(inquiry.id)
    assert found == status
    assert list(body) == ["error"]
    assert body["error"]["code"] == code
    private = ("withdrew", "partner.internal", inquiry.id)
    assert [each for each in private if each in str(body)] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("framework", ["fastapi", "aiohttp"])
@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ((400, "Bad request"), (422, "refused")),
        ((422, "Unprocessable entity"), (422, "refused")),
        ((403, "Quota exceeded"), (503, "quota_exceeded")),
        ((429, "Quota exceeded"), (503, "quota_exceeded")),
    ],
)
async def test_refusal_of_persona_is_no_outage(
    harness, framework, refusal, expected, caplog
):
    inquiry = harness.sandbox.add_inquiry()
    harness.sandbox.faults.answer(
        "GET /inquiries/{inquiry-id}",
        refusal[0],
        title=refusal[1],
        details="the-details",
    )
    async with application(harness, framework) as get:
        status, body = await get(inquiry.id)
    assert (status, body["error"]["code"]) == expected
    assert [each for each in ("the-details", inquiry.id) if each in str(body)] == []
    assert f"responded {status}: " in caplog.text
