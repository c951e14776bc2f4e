"""A FastAPI application that reads shared objects."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from persona_share import ScopedSession, ScopedTokenManager
from persona_share.errors import ServerError
from persona_share.integrations.health import Health
from persona_share.integrations.starlette import Persona, handle_error, verified
from persona_share.webhooks import Delivery, Verifier, sign
from tests.integrations.conftest import CANARY


SECRET = "CANARY-webhook-secret"


@asynccontextmanager
async def started(app):
    """Start an application as a server does, and return a client of it."""
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as web:
            web.state = state
            yield web


def an_app(harness, **options):
    persona = Persona(harness.opening)
    app = FastAPI(**options)
    persona.install(app)

    @app.get("/inquiries/{inquiry_id}")
    async def read(
        inquiry_id: str,
        session: Annotated[
            ScopedSession, Depends(persona.session("inquiry.read:{inquiry_id}"))
        ],
    ) -> dict[str, str | None]:
        inquiry = await session.inquiries.retrieve(inquiry_id)
        return {"id": inquiry.id, "scope": str(session.scope)}

    @app.get("/tokens")
    async def tokens(
        manager: Annotated[ScopedTokenManager, Depends(persona.manager)],
    ) -> int:
        return len(manager.tokens())

    @app.get("/health")
    async def health(
        found: Annotated[Health, Depends(persona.health)],
    ) -> dict[str, object]:
        return found.as_dict()

    @app.get("/broken")
    async def broken() -> None:
        raise ServerError(CANARY, status=500, title=CANARY)

    @app.post("/hook")
    async def hook(
        delivery: Annotated[
            Delivery, Depends(verified(Verifier(SECRET), largest=9_999))
        ],
    ) -> str:
        return str(delivery.event.id)

    return app


@pytest_asyncio.fixture
async def web(harness):
    async with started(an_app(harness)) as web:
        yield web


@pytest.mark.asyncio
async def test_one_manager_serves_every_request(harness, web):
    ids = [harness.sandbox.add_inquiry().id for _ in range(3)]
    for each in [*ids, *ids]:
        response = await web.get(f"/inquiries/{each}")
        assert response.json() == {"id": each, "scope": f"inquiry.read:{each}"}
    assert harness.sandbox.log.tokens_issued == 3
    assert (await web.get("/tokens")).json() == 3


@pytest.mark.asyncio
async def test_manager_opens_around_an_existing_lifespan(harness):
    seen = []

    @asynccontextmanager
    async def own(_app):
        seen.append(harness.opened)
        yield {"own": "state"}
        seen.append(harness.opened)

    async with started(an_app(harness, lifespan=own)) as web:
        assert web.state == {"own": "state"}
        assert harness.opened == 1
    assert seen == [1, 1]
    assert harness.opened == 0


@pytest.mark.asyncio
async def test_failed_start_leaves_nothing_open(harness):
    @asynccontextmanager
    async def own(_app):
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        async with started(an_app(harness, lifespan=own)):
            pass
    assert harness.opened == 0


@pytest.mark.asyncio
async def test_malformed_id_gets_404_and_nothing_is_sent(harness, web):
    response = await web.get("/inquiries/inq_1%20inquiry.write:inq_2")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"
    assert len(harness.sandbox.log) == 0


@pytest.mark.asyncio
async def test_error_response_contains_no_details_of_the_error(web, caplog):
    response = await web.get("/broken")
    assert "GET /broken: responded 502: " in caplog.text
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "upstream"
    assert response.headers["cache-control"] == "no-store"
    assert CANARY not in response.text


@pytest.mark.asyncio
async def test_other_exceptions_are_not_handled():
    with pytest.raises(ValueError, match="theirs"):
        await handle_error(None, ValueError("theirs"))


@pytest.mark.asyncio
async def test_health_has_states_and_times_but_no_objects(harness, web):
    inquiry = harness.sandbox.add_inquiry()
    await web.get(f"/inquiries/{inquiry.id}")
    harness.clock.advance(600)
    health = (await web.get("/health")).json()
    assert health["tokens"] == {"fresh": 1}
    assert health["nearest_end"] == 2_999
    assert health["codes_per_token"] == 1.0
    assert health["store_up"] is None
    assert inquiry.id not in str(health)


def an_event():
    return (
        b'{"data":{"type":"event","id":"evt_1","attributes":{"name":"inquiry.created",'
        b'"payload":{"data":{"type":"inquiry","id":"inq_1","attributes":{}}}}}}'
    )


@pytest.mark.asyncio
async def test_signed_delivery_reaches_the_handler(web):
    signature = sign(an_event(), SECRET, at=datetime.now(UTC))  # noqa: TID251 — as a sender does
    response = await web.post(
        "/hook", content=an_event(), headers={"Persona-Signature": signature}
    )
    assert response.json() == "evt_1"


@pytest.mark.asyncio
@pytest.mark.parametrize("signature", [None, "t=1,v1=00"])
async def test_invalid_delivery_does_not_reach_the_handler(web, signature):
    headers = {} if signature is None else {"Persona-Signature": signature}
    response = await web.post("/hook", content=an_event(), headers=headers)
    assert response.status_code == 400
    assert "evt_1" not in response.text


@pytest.mark.asyncio
async def test_endless_delivery_is_refused_at_the_limit(web):
    async def endless():
        while True:
            yield b"x" * 1_000

    response = await web.post("/hook", content=endless())
    assert response.status_code == 413


@pytest.mark.asyncio
async def test_integration_works_with_starlette_alone(harness):
    persona = Persona(harness.opening)
    session_of = persona.session("inquiry.read:{inquiry_id}")

    async def read(request):
        session = await session_of(request)
        return JSONResponse(str(session.scope))

    app = Starlette(routes=[Route("/{inquiry_id}", read)], lifespan=persona.lifespan())
    async with started(app) as web:
        assert (await web.get("/inq_1")).json() == "inquiry.read:inq_1"


NEARLY_SPENT = {
    "RateLimit-Limit": "300",
    "RateLimit-Remaining": "1",
    "RateLimit-Reset": "40",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [404, 429])
async def test_request_waits_two_seconds_for_the_rate_limit_and_gets_a_503(
    harness, status
):
    inquiry = harness.sandbox.add_inquiry()
    async with started(an_app(harness)) as web:
        await web.get(f"/inquiries/{inquiry.id}")  # there is a token
        path = "GET /inquiries/{inquiry-id}"
        harness.sandbox.faults.answer(path, status, headers=NEARLY_SPENT, times=1)
        await web.get(f"/inquiries/{inquiry.id}")
        before, calls = harness.clock.now(), len(harness.sandbox.log.find())
        response = await harness.advance_until_done(web.get(f"/inquiries/{inquiry.id}"))
    assert response.status_code == 503
    assert 1 <= int(response.headers["Retry-After"]) <= 40
    assert harness.clock.now() - before <= 3
    assert len(harness.sandbox.log.find()) == calls
